#include "prefill_node/app.h"

#include "common/log.h"
#include "kvtransfer/flow/kv_sender.h"
#include "node/export/link_gauges.h"
#include "node/export/sender_out.h"
#include "node/host_report.h"
#include "node/node_app.h"
#include "node/node_figures.h"
#include "node/node_kv.h"
#include "node/node_model.h"
#include "node/node_transport.h"
#include "node/prefix_news.h"
#include "prefill_node/prefill_gauges.h"

namespace sluice::prefill {
namespace {

namespace ctl = control;
using nlohmann::json;

class App {
 public:
  explicit App(const AppOptions& o);
  node::RunEnd run();

 private:
  [[nodiscard]] ctl::RegisterRequest introduction() const;
  [[nodiscard]] ctl::Heartbeat heartbeat(ctl::LegSpace to);
  void on_call(const std::string& type, const json& body, const ctl::Connection::Reply& reply);
  void prefill(const json& body, const ctl::Connection::Reply& reply);
  void cancel(const json& body, const ctl::Connection::Reply& reply);
  void probe_path(const json& body, const ctl::Connection::Reply& reply);
  [[nodiscard]] node::NodeApp::Engine engine() const;
  void set_gauges() const;

  const AppOptions o_;
  node::NodeApp node_;
  node::NodeModel m_;
  node::NodeKv kv_;
  PrefillGauges gauges_;
  node::LinkGauges links_;
  node::PeerNames peers_;
  kv::KvSender sender_;
  node::SenderOut frames_;
  PrefillService service_;
  node::PrefixNews news_;
  std::unique_ptr<kv::Transport> transport_;
  node::HostReport host_;
};

App::App(const AppOptions& o)
    : o_(o),
      node_(o.node, ctl::Role::prefill),
      m_(or_throw(node::load_node_model(o.node))),
      kv_(or_throw(node::NodeKv::load(o.node, m_))),
      gauges_(node_.metrics()),
      links_(node_.metrics()),
      sender_(kv_.hello(node_.name(), node_.incarnation()), {}, node_.clock(),
              {.on_note = [this](const std::string&, std::span<const std::byte> n) { service_.on_note(n); },
               .on_peer_down =
                   [this](const std::string& a, const Error& why) {
                     service_.on_peer_down(a, why);
                     peers_.forget(a);
                   }}),
      frames_(sender_),
      service_(kv_.identity(node_.name(), node_.incarnation()), kv_.codecs(),
               {*m_.model, *m_.pool, m_.limits, m_.prefill_tokens_per_s}, o.prefill, node_.clock(), node_.metrics(),
               {.frames = frames_,
                .link = [this](const std::string& address) { return sender_.stats(address); },
                .send_note = [this](const std::string& address,
                                    std::span<const std::byte> note) { return sender_.send_note(address, note); },
                .post = [this](std::function<void()> f) { node_.post(std::move(f)); },
                .report =
                    [this](const ctl::PrefillDone& d) { node_.notify(d.request, ctl::type::kPrefillDone, to_json(d)); },
                .report_logprobs =
                    [this](const ctl::PromptLogprobs& l) {
                      node_.notify(l.request, ctl::type::kPromptLogprobs, to_json(l));
                    },
                .spans = node_.spans()}),
      news_([this](std::uint64_t from) { return service_.prefixes_since(from); }),
      transport_(or_throw(node::make_node_transport(o.node, node_.metrics(), sender_))),
      host_(o.node, "prefill") {
  sender_.attach(*transport_);
}

ctl::RegisterRequest App::introduction() const {
  ctl::RegisterRequest r = kv_.introduction(ctl::Role::prefill);
  r.prefill_chunk = m_.limits.prefill_chunk;
  r.max_batch_tokens = m_.limits.max_batch_tokens;
  r.frame_kib = static_cast<std::uint32_t>(o_.prefill.exporting.target_frame_bytes >> 10U);
  return r;
}

ctl::Heartbeat App::heartbeat(ctl::LegSpace to) {
  const PrefillFigures f = service_.figures();
  ctl::Heartbeat h;
  node::tell_blocks(f.counters, h);
  h.waiting = f.waiting + f.counters.waiting;
  h.running = f.counters.running;
  h.queued_tokens = f.queued_tokens;
  h.others_tokens = service_.queued_by_others(to);
  h.prefill_tokens_per_s = f.tokens_per_s;
  for (const auto& [address, s] : sender_.stats())
    h.links.push_back({address, s.bandwidth_bytes_per_s, s.rtt_s, s.bytes_in_flight, s.queue_bytes});
  for (const auto& [profile, r] : service_.rates())
    h.profiles.push_back({.name = profile, .ratio = r.ratio, .encode_bps = r.bps});
  h.prefixes = news_.next(to);
  return h;
}

void App::on_call(const std::string& type, const json& body, const ctl::Connection::Reply& reply) {
  if (type == ctl::type::kPrefill) return prefill(body, reply);
  if (type == ctl::type::kCancel) return cancel(body, reply);
  if (type == ctl::type::kProbePath) return probe_path(body, reply);
  reply(fail(Errc::unsupported, "a prefill node does not answer '{}'", type));
}

void App::prefill(const json& body, const ctl::Connection::Reply& reply) {
  auto checked = service_.check(body);
  if (!checked) return reply(std::unexpected(checked.error()));
  if (node_.draining()) return reply(fail(Errc::unavailable, "node '{}' is draining", node_.name()));
  peers_.learn(checked->call.data_address, checked->ticket.decode_node);
  transport_->introduce(checked->call.data_address, checked->call.data_key);
  if (auto started = service_.start(std::move(*checked)); !started) return reply(std::unexpected(started.error()));
  reply(json::object());
}

void App::cancel(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::CancelRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  reply(to_json(ctl::CancelReply{service_.cancel(r->request), 0}));
}

void App::probe_path(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::ProbePathRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  peers_.learn(r->data_address, r->decode_node);
  transport_->introduce(r->data_address, r->data_key);
  sender_.probe(r->data_address, r->block_bytes, [this, reply, address = r->data_address](Result<kv::LinkStats> s) {
    node_.post([reply, address, s] {
      if (!s) return reply(std::unexpected(s.error()));
      reply(to_json(ctl::LinkReport{address, s->bandwidth_bytes_per_s, s->rtt_s, s->bytes_in_flight, s->queue_bytes}));
    });
  });
}

/// Prompts that wait for blocks are not the engine's work yet: those come when transfers end.
node::NodeApp::Engine App::engine() const {
  const PrefillFigures f = service_.figures();
  return {f.pulse.turns, f.pulse.computing || f.counters.waiting + f.counters.running > 0};
}

void App::set_gauges() const {
  gauges_.set(service_.figures(), service_.open_requests());
  links_.set(sender_.stats(), peers_);
}

node::RunEnd App::run() {
  node::NodeApp::Handlers h;
  h.on_call = [this](const std::string& t, const json& b, const ctl::Connection::Reply& r) { on_call(t, b, r); };
  h.heartbeat = [this](ctl::LegSpace to) { return heartbeat(to); };
  h.on_lost = [this](ctl::LegSpace of) {
    service_.cancel_all(of);
    news_.forget(of);
  };
  h.set_gauges = [this] { set_gauges(); };
  h.host = [this] { return host_.now(transport_->open_paths()); };
  h.engine = [this] { return engine(); };
  h.open_work = [this] { return service_.open_requests(); };
  h.release_unused = [this] { service_.release_unused(); };
  const int code = node_.run(introduction(), std::move(h));
  // The engine first, so that no new frames come; then the encoders, whose waits the transport's end releases.
  service_.stop_engine();
  transport_.reset();
  service_.stop();
  log::info("prefill node stopped");
  return {code, node_.changes_role()};
}

}  // namespace

node::RunEnd run_app(const AppOptions& o) { return App(o).run(); }

}  // namespace sluice::prefill
