#include "coordinator/app.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <fstream>
#include <functional>

#include "common/log.h"
#include "common/process_metrics.h"
#include "common/random_id.h"
#include "coordinator/admin/admin_api.h"
#include "coordinator/api/model_info.h"
#include "coordinator/api/prompt_pool.h"
#include "coordinator/api/router.h"
#include "coordinator/api/text_adapter.h"
#include "coordinator/front_metrics.h"
#include "coordinator/http/descriptors.h"
#include "coordinator/http/observer.h"
#include "coordinator/operator_views.h"
#include "coordinator/probe_pages.h"
#include "coordinator/serving/state_file.h"
#include "coordinator/ui/ui_routes.h"

namespace sluice::coordinator {
namespace {

/// Besides the HTTP connections: those of nodes, and files.
constexpr std::uint64_t kOtherDescriptors = 512;

void write_ready_file(const std::string& file, const std::string& http, const std::string& control) {
  if (file.empty()) return;
  const std::string partial = file + ".partial";
  {
    std::ofstream out(partial);
    out << nlohmann::json{{"http", http}, {"control", control}}.dump() << '\n';
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

}  // namespace

int run_app(const AppOptions& o) {
  SteadyClock clock;
  Metrics metrics;
  export_process(metrics, "coordinator");
  // Before the io_context: what is left in it at the end tells its spans as it goes.
  const trace::Tracing tracing(o.trace, "coordinator", random_name("coordinator"), metrics);
  boost::asio::io_context io(1);
  auto model = or_throw(load_model_info(o.model_dir, o.model_name, o.max_model_len));
  auto text = or_throw(load_model_text(o.model_dir));
  Serving serving(io, clock, o.serving, std::move(model), std::move(text), metrics);

  StateKeeper state(io, o.state_file, serving.state());

  HttpRoutes routes;
  PromptPool prompts(io, o.prompts);
  ApiRouter router(serving, prompts, !o.http.api_keys.empty(), {tracing.sink(), tracing.share()});
  router.add_routes(routes);
  OperatorViews operator_views(serving);
  add_admin_routes(routes, operator_views.views());
  add_ui_routes(routes);
  ProbePages probes(io, clock, [&] { return serving.health(); }, prompts, from_seconds(o.wedge_s));
  probes.add_routes(routes);
  HttpObserver observer(io, metrics);
  HttpServer server(io, o.http, std::move(routes), std::ref(observer));
  export_front(metrics, server, prompts);
  raise_descriptor_limit(o.http.max_connections + kOtherDescriptors);
  if (auto bound = server.listen(); !bound) throw std::runtime_error(bound.error().message);
  write_ready_file(o.ready_file, server.address(), serving.control_address());
  log::info(
      "coordinator ready",
      {{"http", "http://" + server.address()}, {"control", serving.control_address()}, {"model", serving.model().id}});

  // A hang-up of the terminal, too: it would end everything undrained.
  boost::asio::signal_set signals(io, SIGTERM, SIGINT, SIGHUP);
  auto stop = [&] {
    serving.stop();
    prompts.stop();
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
