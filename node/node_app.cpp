#include "node/node_app.h"

#include <boost/asio/post.hpp>
#include <csignal>

#include "common/control/move_messages.h"
#include "common/log.h"
#include "common/process_metrics.h"
#include "common/random_id.h"
#include "common/service_manager.h"
#include "common/tls/certificate_metrics.h"
#include "node/machine.h"

namespace sluice::node {

using namespace control;
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kHousekeeping{200};
constexpr unsigned kTicksPerRelease = 25;

http::AdminReply probe(const char* what, const Verdict& v) {
  json body{{what, v.ok}};
  if (!v.ok) body["why"] = v.why;
  return {v.ok ? 200 : 503, "application/json", body.dump() + "\n"};
}

}  // namespace

NodeApp::NodeApp(const NodeOptions& o, Role role)
    : o_(o),
      role_(role),
      name_(o.name),
      incarnation_(random_incarnation()),
      tracing_(o.trace, std::string(control::name(role)), o.name, metrics_),
      list_(io_, o_, metrics_) {
  export_process(metrics_, std::string(control::name(role_)));
  check_node_options(o_);  // said at once, not after the model is loaded
  settle_node_options(o_);
  tls::CertificateMetrics certificates(metrics_);
  certificates.follow(list_.certificates(), "registry");
  export_engine();
  if (o_.cluster.files.cert.empty()) return;
  cluster_tls_ = or_throw(tls::Source::open({tls::Side::client, o_.cluster.files}, "control plane"));
  certificates.follow(cluster_tls_, "control");
  if (o_.admin_tls != "off") {
    tls::Files files = o_.cluster.files;
    if (o_.admin_tls == "server") files.ca = files.crl = {};  // nobody is asked for one
    pages_tls_ = or_throw(tls::Source::open({tls::Side::server, std::move(files)}, "pages"));
    certificates.follow(pages_tls_, "pages");
  }
  renewal_.emplace(io_, std::chrono::seconds(1), [this] {
    cluster_tls_->refresh();
    if (pages_tls_) pages_tls_->refresh();
  });
}

void NodeApp::export_engine() {
  metrics_.before_text(
      [this,
       stalled = metrics_.gauge("sluice_engine_stalled",
                                "1 while the engine has work and has not moved for --wedge-s: nothing "
                                "new comes to this node."),
       still = metrics_.gauge("sluice_engine_still_seconds", "How long the engine has had work and has not moved.")] {
        stalled.set(stalled_ ? 1 : 0);
        still.set(seconds(engine_.still()));
      });
}

int NodeApp::run(RegisterRequest me, Handlers handlers) {
  handlers_ = std::move(handlers);
  open_pages();
  me.role = role_;
  me.node = name_;
  me.incarnation = incarnation_;
  const Machine machine = this_machine();
  me.host = machine.name;
  me.cores = machine.cores;
  me.threads = o_.threads == 0 ? machine.cores : o_.threads;
  me.cluster_token = o_.cluster.token;
  me.admin_address = advertised(o_, "--admin-listen", pages_->address());
  me.admin_tls = pages_tls_ != nullptr;
  me.changes_role = o_.keeps_role.empty();
  open_links(me);
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  signals_.add(SIGHUP);
  wait_signal();
  list_.start([this](const std::set<std::string>& addresses) { coordinators_->list(addresses); });
  tick();
  log::info("node ready", {{"role", control::name(role_)},
                           {"data", me.data_address},
                           {"admin", me.admin_address},
                           {"transports", o_.ucx_tls}});
  announce_service(o_.notify_socket, kServiceReady);
  io_.run();
  return exit_code_;
}

void NodeApp::open_pages() {
  using http::AdminReply;
  http::AdminRoutes pages;
  pages["/metrics"] = [this] {
    handlers_.set_gauges();
    return AdminReply{200, "text/plain; version=0.0.4", metrics_.text()};
  };
  pages["/health"] = [this] {
    return AdminReply{ready_of(facts()).ok ? 200 : 503, "application/json",
                      json{{"registered", coordinators_->up()},
                           {"coordinators", coordinators_->links_up()},
                           {"draining", draining()},
                           {"stalled", stalled_}}
                          .dump()};
  };
  if (handlers_.host)
    pages["/host"] = [this] {
      return AdminReply{200, "application/json", handlers_.host().dump(-1, ' ', false, json::error_handler_t::replace)};
    };
  pages["/livez"] = [this] { return probe("live", live_of(facts())); };
  pages["/readyz"] = [this] { return probe("ready", ready_of(facts())); };
  pages["/version"] = [] { return AdminReply{200, "application/json", json{{"version", SLUICE_VERSION}}.dump()}; };
  pages_ = std::make_unique<http::AdminServer>(io_, o_.admin_listen, std::move(pages), pages_tls_);
}

void NodeApp::open_links(const RegisterRequest& me) {
  Coordinators::Handlers h;
  h.on_call = [this](const std::string& t, const json& b, const Connection::Reply& r) { on_call(t, b, r); };
  h.heartbeat = [this](LegSpace to) {
    Heartbeat beat = handlers_.heartbeat(to);
    beat.draining = draining();
    beat.stalled = stalled_;
    return beat;
  };
  h.on_lost = [this](LegSpace of) { handlers_.on_lost(of); };
  h.on_refused = [this](const Error& e) {
    log::error("every coordinator refuses this node", {{"code", sluice::name(e.code)}, {"why", e.message}});
    stop(1);
  };
  coordinators_ = std::make_unique<Coordinators>(io_, me, std::move(h), cluster_tls_);
}

void NodeApp::wait_signal() {
  signals_.async_wait([this](boost::system::error_code ec, int) {
    if (ec) return;
    if (draining() && !becomes_) return stop(0);
    begin_drain("signal");
    wait_signal();
  });
}

void NodeApp::on_call(const std::string& type, const json& body, const Connection::Reply& reply) {
  if (type == control::type::kRole) {
    const auto asked = parse<RoleRequest>(body);
    if (!asked) return reply(std::unexpected(asked.error()));
    if (auto changes = change_role(asked->to); !changes) return reply(std::unexpected(changes.error()));
    return reply(json::object());
  }
  if (type != control::type::kDrain) return handlers_.on_call(type, body, reply);
  begin_drain("asked by the coordinator");
  reply(json::object());
}

NodeFacts NodeApp::facts() const {
  return {.registered = coordinators_->up(),
          .draining = draining(),
          .still = engine_.still(),
          .wedge = from_seconds(o_.wedge_s)};
}

void NodeApp::watch_engine() {
  const Engine e = handlers_.engine();
  engine_.see(e.turns, e.work, clock_.now());
  if (stalled(facts()) == stalled_) return;
  stalled_ = !stalled_;
  if (stalled_)
    log::error("the engine has work and does not move; no new requests until it does", {{"wedge_s", o_.wedge_s}});
  else
    log::info("the engine goes on");
}

void NodeApp::tick() {
  watch_engine();
  handlers_.housekeeping();
  coordinators_->sweep();
  if (++ticks_ % kTicksPerRelease == 0) handlers_.release_unused();
  if (drain_until_ && (handlers_.open_work() == 0 || clock_.now() >= *drain_until_)) return stop(0);
  timer_.expires_after(kHousekeeping);
  timer_.async_wait([this](boost::system::error_code ec) {
    if (!ec) tick();
  });
}

void NodeApp::begin_drain(const char* why) {
  if (draining() && !becomes_) return;
  becomes_.reset();  // who wants it to end wants that rather than a change of its role
  announce_service(o_.notify_socket, kServiceStopping);
  announce_drain(why);
}

void NodeApp::announce_drain(const char* why) {
  log::info("draining", {{"why", why}, {"open", handlers_.open_work()}});
  if (!drain_until_) drain_until_ = clock_.now() + from_seconds(o_.drain_timeout_s);
  coordinators_->beat_now();  // whoever did not ask for it should place nothing more here
}

Result<> NodeApp::change_role(Role to) {
  if (to == role_) return fail_param("to", "node '{}' is a {} node already", name_, control::name(role_));
  if (!o_.keeps_role.empty())
    return fail(Errc::unsupported, "node '{}' cannot change its role: {}", name_, o_.keeps_role);
  if (draining())
    return fail(Errc::unavailable, "node '{}' is {} already", name_, becomes_ ? "changing its role" : "draining");
  becomes_ = to;
  announce_service(o_.notify_socket, service_reloading());
  announce_drain("its role changes");
  return {};
}

void NodeApp::stop(int code) {
  exit_code_ = code;
  ended_ = true;
  // What is signalled from now on has nobody to hear it before the other program is up.
  boost::system::error_code ignored;
  if (changes_role()) signals_.clear(ignored);
  list_.stop();
  coordinators_->stop();
  io_.stop();
}

void NodeApp::notify(RequestId leg, const char* type, json body) {
  post([this, leg, type, body = std::move(body)]() mutable { coordinators_->notify(leg, type, std::move(body)); });
}

void NodeApp::post(std::function<void()> f) { boost::asio::post(io_, std::move(f)); }

}  // namespace sluice::node
