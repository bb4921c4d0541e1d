#include "coordinator/app.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>

#include "common/flags/program.h"
#include "common/log.h"
#include "common/net/address.h"
#include "common/net/ticker.h"
#include "common/process_metrics.h"
#include "common/random_id.h"
#include "common/service_manager.h"
#include "common/tls/certificate_metrics.h"
#include "common/tls/source.h"
#include "coordinator/admin/admin_api.h"
#include "coordinator/api/model_info.h"
#include "coordinator/api/prompt_pool.h"
#include "coordinator/api/status_routes.h"
#include "coordinator/api/text_adapter.h"
#include "coordinator/front.h"
#include "coordinator/front_metrics.h"
#include "coordinator/front_threads.h"
#include "coordinator/http/descriptors.h"
#include "coordinator/openapi/openapi.h"
#include "coordinator/operator_views.h"
#include "coordinator/probe_pages.h"
#include "coordinator/registry/shared_registry.h"
#include "coordinator/serving/state_file.h"
#include "coordinator/tenants/tenants.h"
#include "coordinator/ui/ui_routes.h"

namespace sluice::coordinator {
namespace {

/// Besides the HTTP connections: those of nodes, and files.
constexpr std::uint64_t kOtherDescriptors = 512;
/// How often files of keys and certificates are looked at.
constexpr std::chrono::seconds kReloadInterval{1};

void write_ready_file(const std::string& file, const nlohmann::json& addresses) {
  if (file.empty()) return;
  const std::string partial = file + ".partial";
  {
    std::ofstream out(partial);
    out << addresses.dump() << '\n';
    if (!out) throw std::runtime_error("cannot write " + partial);
  }
  std::filesystem::rename(partial, file);  // a reader sees all of it or nothing
}

/// Writes the lasting state now and then, and at the end.
class StateKeeper {
 public:
  static constexpr std::chrono::seconds kInterval{10};

  /// `name`: this coordinator's; empty: the one in the file, else a random one, which the file will have.
  StateKeeper(boost::asio::io_context& io, const std::string& path, LastingState& state, std::string name)
      : file_(path), state_(state), name_(std::move(name)), timer_(io) {
    const bool named = !name_.empty();
    if (!named) name_ = random_name("coordinator");
    if (!file_.enabled()) return;
    if (auto r = file_.check_writable(); !r) throw std::runtime_error("--state-file: " + r.error().message);
    const nlohmann::json before = or_throw(file_.load());
    if (!named && before.value("coordinator", nlohmann::json()).is_string()) name_ = before["coordinator"];
    state_.load(before);
    state_.on_change([this] { save(); });
    arm();
  }
  void save() {
    if (!file_.enabled()) return;
    nlohmann::json j = state_.save();
    j["coordinator"] = name_;
    if (auto r = file_.save(j); !r) log::warn("state not saved", {{"why", r.error().message}});
  }

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

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
  std::string name_;
  boost::asio::steady_timer timer_;
};

/// Certificates that follow their files.
struct TlsInUse {
  explicit TlsInUse(const AccessOptions& o) {
    if (!o.http_tls.cert.empty()) http = or_throw(tls::Source::open({tls::Side::server, o.http_tls}, "HTTP"));
    if (!o.cluster.files.cert.empty())
      cluster = or_throw(tls::Source::open({tls::Side::server, o.cluster.files}, "control plane"));
  }
  void refresh() const {
    if (http) http->refresh();
    if (cluster) cluster->refresh();
  }
  std::shared_ptr<tls::Source> http, cluster;  // null: plain
};

/// The listener of the operator, if there is one: it answers everything, the public one all but what is the operator's.
std::unique_ptr<HttpServer> admin_server(const std::string& listen, HttpServerOptions http, HttpLane lane) {
  const auto at = or_throw(net::parse_listen_address(listen));
  http.host = at.host.empty() ? "0.0.0.0" : at.host;
  http.port = at.port;
  auto server = std::make_unique<HttpServer>(std::vector{std::move(lane)}, http);
  if (auto bound = server->listen(); !bound) throw std::runtime_error("--admin-listen: " + bound.error().message);
  return server;
}

/// Joins the threads before what they refer to goes, in whatever way the process ends.
struct Joined {
  ~Joined() {
    fronts.stop();
    prompts.stop();
  }
  FrontThreads& fronts;
  PromptPool& prompts;
};

/// What others are told of a place that this coordinator listens at.
std::string advertised(const AppOptions& o, const std::string& flag, const std::string& listen) {
  auto address = net::advertised_address(listen, o.advertise);
  if (!address) throw UsageError(flag, address.error().message);
  return *address;
}

/// What of the Responses API is kept.
void export_kept(Metrics& metrics, const ResponseMemory& memory) {
  metrics.before_text(
      [&memory, kept = metrics.gauge("sluice_responses_kept", "Answers of /v1/responses that are kept."),
       bytes = metrics.gauge("sluice_responses_kept_bytes", "Bytes of kept answers of /v1/responses.")] {
        const auto size = memory.size();
        kept.set(static_cast<double>(size.count));
        bytes.set(static_cast<double>(size.bytes));
      });
}

void export_place(Metrics& metrics, const std::function<bool()>& leads) {
  (void)metrics.gauges("sluice_registry_up", kRegistryUpHelp);
  metrics.before_text([leads, leader = metrics.gauge("sluice_coordinator_leader",
                                                     "1 while this coordinator has the duties that one must have.")] {
    leader.set(leads() ? 1 : 0);
  });
}

double unix_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// A space of leg ids that no other coordinator is likely to have: 31 random bits, and never 0.
control::LegSpace random_leg_space() {
  return control::LegSpace(static_cast<std::uint32_t>(random_incarnation() >> 33U) | 1U);
}

}  // namespace

int run_app(const AppOptions& o) {
  SteadyClock clock;
  Metrics metrics;
  export_process(metrics, "coordinator");
  // Before the io_context: what is left in it at the end tells its spans as it goes.
  const trace::Tracing tracing(o.trace, "coordinator", random_name("coordinator"), metrics);
  // And their leases.
  Tenants tenants(o.access.keys, clock, metrics);
  FrontThreads::Ios front_ios;
  for (int i = 0; i < o.front_threads && o.front_threads > 1; ++i) front_ios.emplace_back(1);
  boost::asio::io_context io(1);
  auto model = or_throw(load_model_info(o.model_dir, o.model_name, o.max_model_len));
  auto text = or_throw(load_model_text(o.model_dir));
  model.output = or_throw(o.output.of(*text));
  const TlsInUse certificates(o.access);
  tls::CertificateMetrics certificate_metrics(metrics);
  certificate_metrics.follow(certificates.http, "http");
  certificate_metrics.follow(certificates.cluster, "control");
  const tls::Workers handshakes;
  std::unique_ptr<SharedRegistry> shared;  // null: this coordinator is alone
  ServingOptions serving_options = o.serving;
  serving_options.registry.tls = certificates.cluster;
  serving_options.registry.handshakes = handshakes.executor();
  serving_options.registry.leg_space = random_leg_space();
  if (o.registry.shared()) serving_options.leads = [&shared] { return shared && shared->leads(); };
  Serving serving(io, clock, serving_options, std::move(model), std::move(text), metrics);

  StateKeeper state(io, o.state_file, serving.state(), o.name);

  HttpServerOptions http = o.http;
  http.tls = certificates.http;
  http.handshakes = handshakes.executor();
  if (tenants.guarded()) http.identify = [&tenants](std::string_view key) { return tenants.identify(key); };
  const net::Ticker reload(io, kReloadInterval, [&] {
    certificates.refresh();
    tenants.refresh();
  });

  PromptPool prompts(o.prompts);
  ResponseMemory responses_memory({.bytes = static_cast<std::size_t>(o.responses_memory_mib) << 20U}, clock);
  export_kept(metrics, responses_memory);
  const FrontUses uses{prompts, tenants, responses_memory, metrics, {tracing.sink(), tracing.share()}};
  Front here(io, serving, uses);
  FrontThreads fronts(front_ios, io, serving, uses);
  OperatorViews operator_views(serving);
  ProbePages probes(io, clock, [&] { return serving.health(); }, prompts, from_seconds(o.wedge_s));
  const auto add_deciding = [&](HttpRoutes& routes, bool with_admin) {
    add_status_routes(routes, serving, with_admin);
    probes.add_routes(routes);
    if (with_admin) add_admin_routes(routes, operator_views.views());
  };
  const auto add_files = [](HttpRoutes& routes, bool with_admin) {
    if (with_admin) add_ui_routes(routes);
    add_openapi_route(routes);
  };
  const auto lane_here = [&](bool with_admin) {
    HttpRoutes routes;
    here.add_routes(routes);
    add_deciding(routes, with_admin);
    add_files(routes, with_admin);
    return HttpLane{io, std::move(routes), std::ref(here.observer())};
  };
  const auto lanes = [&](bool with_admin) {
    if (front_ios.empty()) return std::vector{lane_here(with_admin)};
    HttpRoutes deciding;
    add_deciding(deciding, with_admin);
    return fronts.lanes(deciding, [&](HttpRoutes& routes) { add_files(routes, with_admin); });
  };
  const bool apart = !o.access.admin_listen.empty();
  std::unique_ptr<HttpServer> admin;
  if (apart) admin = admin_server(o.access.admin_listen, http, lane_here(true));
  HttpServer server(lanes(!apart), http);
  const Joined joined{fronts, prompts};
  export_front(metrics, server, prompts);
  raise_descriptor_limit(o.http.max_connections + kOtherDescriptors);
  if (auto bound = server.listen(); !bound) throw std::runtime_error(bound.error().message);
  Member me{.id = state.name(),
            .control = serving.control_address(),
            .http = server.address(),
            .version = SLUICE_VERSION,
            .incarnation = random_incarnation(),
            .since = unix_seconds()};
  if (o.registry.shared()) {
    me.control = advertised(o, "--control-listen", me.control);
    me.http = advertised(o, "--host", me.http);
    LastingState& learned = serving.state();
    shared = std::make_unique<SharedRegistry>(
        io, o.registry, me,
        SharedRegistry::Uses{
            .clock = clock,
            .metrics = metrics,
            .slo_classes = [&serving] { return serving.slos().book().to_json(); },
            .take_over_slo_classes = [&serving](const nlohmann::json& c) { serving.slos().take_over(c); },
            .learned = {.state = [&learned] { return learned.save(); },
                        .take = [&learned](const nlohmann::json& s) { learned.adopt(s); },
                        .borrow = [&learned](const std::vector<nlohmann::json>& o) { learned.borrow(o); }}});
    serving.slos().share(shared->slo_store());
    certificate_metrics.follow(shared->certificates(), "registry");
    shared->start();
  }
  operator_views.introduce(me, shared.get());
  export_place(metrics, serving_options.leads);
  const std::string scheme = certificates.http ? "https" : "http";
  nlohmann::json addresses{{"http", server.address()}, {"scheme", scheme}, {"control", serving.control_address()}};
  if (admin) addresses["admin"] = admin->address();
  write_ready_file(o.ready_file, addresses);
  log::info("model output", {{"tool_call_parser", name(serving.model().output.tools)},
                             {"reasoning_parser", name(serving.model().output.reasoning)}});
  log::info("coordinator ready", {{"http", scheme + "://" + server.address()},
                                  {"admin", scheme + "://" + (admin ? admin->address() : server.address())},
                                  {"control", serving.control_address()},
                                  {"model", serving.model().id}});
  announce_service(o.notify_socket, kServiceReady);

  // A hang-up of the terminal, too: it would end everything undrained.
  boost::asio::signal_set signals(io, SIGTERM, SIGINT, SIGHUP);
  auto stop = [&] {
    if (shared) shared->stop();
    serving.stop();
    fronts.stop();
    prompts.stop();
    here.close();
    io.stop();
  };
  signals.async_wait([&](boost::system::error_code ec, int signal) {
    if (ec) return;
    log::info("draining", {{"signal", signal}, {"active", serving.active()}});
    announce_service(o.notify_socket, kServiceStopping);
    serving.begin_drain();
    if (shared) shared->leave();
    server.drain(from_seconds(o.drain_timeout_s), [&] { boost::asio::post(io, stop); });
    // A second signal means now.
    signals.async_wait([&](boost::system::error_code again, int) {
      if (!again) stop();
    });
  });
  fronts.start();
  io.run();
  state.save();
  log::info("coordinator stopped");
  return 0;
}

}  // namespace sluice::coordinator
