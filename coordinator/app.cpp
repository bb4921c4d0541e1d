#include "coordinator/app.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <fstream>

#include "common/log.h"
#include "coordinator/admin/admin_api.h"
#include "coordinator/api/model_info.h"
#include "coordinator/api/router.h"
#include "coordinator/api/text_adapter.h"
#include "coordinator/operator_views.h"
#include "coordinator/serving/state_file.h"

namespace sluice::coordinator {
namespace {

void write_ready_file(const std::string& file, std::uint16_t port, const std::string& host,
                      const std::string& control) {
  if (file.empty()) return;
  const std::string partial = file + ".partial";
  {
    std::ofstream out(partial);
    out << nlohmann::json{{"http", fmt::format("{}:{}", host, port)}, {"control", control}}.dump() << '\n';
    if (!out) throw std::runtime_error("cannot write " + partial);
  }
  std::filesystem::rename(partial, file);  // a reader sees all of it or nothing
}

/// Writes the lasting state now and then, and at the end.
class StateKeeper {
 public:
  static constexpr std::chrono::seconds kInterval{10};

  StateKeeper(boost::asio::io_context& io, const std::string& path, LastingState& state)
      : file_(path), state_(state), timer_(io) {
    if (!file_.enabled()) return;
    if (auto r = file_.check_writable(); !r) throw std::runtime_error("--state-file: " + r.error().message);
    state_.load(or_throw(file_.load()));
    state_.on_change([this] { save(); });
    arm();
  }
  void save() {
    if (!file_.enabled()) return;
    if (auto r = file_.save(state_.save()); !r) log::warn("state not saved", {{"why", r.error().message}});
  }

 private:
  void arm() {
    timer_.expires_after(kInterval);
    timer_.async_wait([this](boost::system::error_code ec) {
      if (ec) return;
      save();
      arm();
    });
  }
  StateFile file_;
  LastingState& state_;
  boost::asio::steady_timer timer_;
};

void log_exchange(const HttpExchange& x) {
  if (x.route == "/health" || x.route == "/metrics") return;
  log::debug("http", {{"request_id", x.request_id},
                      {"method", x.method},
                      {"route", x.route},
                      {"status", x.status},
                      {"ms", millis(x.duration)},
                      {"peer", x.peer},
                      {"cut", x.cut ? name(*x.cut) : std::string_view("no")}});
}

}  // namespace

int run_app(const AppOptions& o) {
  SteadyClock clock;
  Metrics metrics;
  boost::asio::io_context io(1);
  auto model = or_throw(load_model_info(o.model_dir, o.model_name, o.max_model_len));
  auto text = or_throw(load_model_text(o.model_dir));
  Serving serving(io, clock, o.serving, std::move(model), std::move(text), metrics);

  StateKeeper state(io, o.state_file, serving.state());

  HttpRoutes routes;
  ApiRouter router(serving);
  router.add_routes(routes);
  OperatorViews operator_views(serving);
  add_admin_routes(routes, operator_views.views());
  HttpServer server(io, o.http, std::move(routes), log_exchange);
  if (auto bound = server.listen(); !bound) throw std::runtime_error(bound.error().message);
  write_ready_file(o.ready_file, server.port(), o.http.host, serving.control_address());
  log::info("coordinator ready", {{"http", fmt::format("{}:{}", o.http.host, server.port())},
                                  {"control", serving.control_address()},
                                  {"model", serving.model().id}});

  // A hang-up of the terminal, too: it would end everything undrained.
  boost::asio::signal_set signals(io, SIGTERM, SIGINT, SIGHUP);
  auto stop = [&] {
    serving.stop();
    io.stop();
  };
  signals.async_wait([&](boost::system::error_code ec, int signal) {
    if (ec) return;
    log::info("draining", {{"signal", signal}, {"active", serving.active()}});
    serving.begin_drain();
    server.drain(from_seconds(o.drain_timeout_s), stop);
    // A second signal means now.
    signals.async_wait([&](boost::system::error_code again, int) {
      if (!again) stop();
    });
  });
  io.run();
  state.save();
  log::info("coordinator stopped");
  return 0;
}

}  // namespace sluice::coordinator
