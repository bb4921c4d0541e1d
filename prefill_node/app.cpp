#include "prefill_node/app.h"

#include <map>

#include "common/log.h"
#include "kvtransfer/codec/calibrate.h"
#include "kvtransfer/codec/library.h"
#include "kvtransfer/flow/kv_sender.h"
#include "kvtransfer/wire/reference.h"
#include "node/export/kv_export.h"
#include "node/export/sender_out.h"
#include "node/kv/pool_layout.h"
#include "node/node_app.h"
#include "node/node_model.h"
#include "node/node_transport.h"
#include "node/quality/divergence.h"
#include "prefill_node/prefill_loop.h"

namespace sluice::prefill {
namespace {

namespace ctl = control;
using nlohmann::json;

/// Payload memory that a burst left is returned after 5 to 10 s.
constexpr unsigned kTicksPerRelease = 25;

class App final : public PrefillSink {
 public:
  explicit App(const AppOptions& o);
  int run();

  // PrefillSink: engine thread.
  [[nodiscard]] bool on_admitted(RequestId id, const std::vector<engine::BlockHandle>& blocks,
                                 double tokens_per_s) override;
  void on_layer(RequestId id, std::uint32_t first, std::uint32_t count, std::uint32_t layer) override {
    export_.layer_done(id, {first, count}, layer);
  }
  void on_computed(RequestId id, const PromptTimes& times) override;
  void on_failed(RequestId id, const Error& why) override { export_.fail(id, why); }
  void on_probed(RequestId id, Result<std::span<const float>> logits) override;

 private:
  /// What is known of a request between its call and its report.
  struct Request {
    ctl::PrefillRequest call;
    kv::Ticket ticket;
    const kv::Profile* profile = nullptr;
    node::ProfilePlan plan;
    TimePoint received{};
    kv::LinkStats link;  // to its decode node, as it was admitted
    PromptTimes times;
  };
  /// Where the reference of a request goes whose KV has arrived.
  struct Probed {
    kv::Ticket ticket;
    std::string address;
  };
  [[nodiscard]] ctl::RegisterRequest introduction() const;
  [[nodiscard]] ctl::Heartbeat heartbeat();
  void on_call(const std::string& type, const json& body, const ctl::Connection::Reply& reply);
  void prefill(const json& body, const ctl::Connection::Reply& reply);
  [[nodiscard]] Result<Request> check(const json& body) const;
  [[nodiscard]] Result<node::ProfilePlan> plan_of(const ctl::PrefillRequest& call, const kv::Ticket& t,
                                                  const kv::Profile& chosen) const;
  void cancel(const json& body, const ctl::Connection::Reply& reply);
  void probe_path(const json& body, const ctl::Connection::Reply& reply);
  void on_export_end(const node::ExportEnd& e);
  void forget_probe(RequestId id);
  void on_note(std::span<const std::byte> note);
  void on_coordinator_lost();
  void set_gauges(Metrics& metrics);
  [[nodiscard]] std::vector<std::byte> hello() const;
  [[nodiscard]] std::size_t open_requests();

  node::NodeApp node_;
  node::NodeModel m_;
  std::unique_ptr<kv::CodecRegistry> codecs_;
  kv::KvLayout layout_;
  std::uint32_t frame_kib_;
  std::vector<kv::ProfileSpeedFigure> speeds_;
  std::mutex mutex_;
  std::map<RequestId, Request> requests_;
  std::map<RequestId, Probed> probed_;
  kv::KvSender sender_;
  node::SenderOut out_;
  node::KvExport export_;
  PrefillLoop loop_;
  std::unique_ptr<kv::Transport> transport_;
};

App::App(const AppOptions& o)
    : node_(o.node, ctl::Role::prefill),
      m_(or_throw(node::load_node_model(o.node))),
      codecs_(or_throw(kv::load_library(o.node.model_dir, o.node.kv_profiles, m_.identity.hash))),
      layout_(node::layout_of(m_.pool->shape())),
      frame_kib_(static_cast<std::uint32_t>(o.exporting.target_frame_bytes >> 10U)),
      speeds_(kv::calibrate(*codecs_, layout_)),
      sender_(hello(), {}, node_.clock(),
              {.on_note = [this](const std::string&, std::span<const std::byte> n) { on_note(n); },
               .on_peer_down =
                   [this](const std::string& address, const Error& why) {
                     log::warn("decode node lost", {{"address", address}, {"why", why.message}});
                     export_.on_peer_down(address, why);
                   }}),
      out_(sender_),
      export_(layout_, *m_.pool, node_.clock(), o.exporting, node_.metrics(), out_,
              {.on_end = [this](const node::ExportEnd& e) { node_.post([this, e] { on_export_end(e); }); },
               .release = [this](const std::vector<engine::BlockHandle>& b) { loop_.release_blocks(b); }}),
      loop_(*m_.model, *m_.pool, m_.limits, o.max_waiting, m_.prefill_tokens_per_s, *this),
      transport_(or_throw(node::make_node_transport(o.node, node_.metrics(), sender_))) {
  sender_.attach(*transport_);
}

std::vector<std::byte> App::hello() const {
  return kv::write_hello({node_.name(), node_.incarnation(), m_.hash_prefix, layout_, codecs_->format_hash()});
}

ctl::RegisterRequest App::introduction() const {
  ctl::RegisterRequest r;
  r.model = m_.identity;
  r.model.codec_hash = codecs_->format_hash();
  r.block_size = m_.pool->shape().block_size;
  r.total_blocks = m_.pool->shape().num_blocks;
  r.prefill_chunk = m_.limits.prefill_chunk;
  r.max_batch_tokens = m_.limits.max_batch_tokens;
  r.frame_kib = frame_kib_;
  for (const auto& s : speeds_) r.profiles.push_back({s.profile, s.stated_kl, s.ratio, s.encode_bps, 0});
  return r;
}

ctl::Heartbeat App::heartbeat() {
  const PrefillFigures f = loop_.figures();
  ctl::Heartbeat h;
  h.waiting = f.waiting + f.counters.waiting;
  h.running = f.counters.running;
  h.free_blocks = f.counters.free_blocks;
  h.total_blocks = f.counters.total_blocks;
  h.queued_tokens = f.queued_tokens;
  h.prefill_tokens_per_s = f.tokens_per_s;
  for (const auto& [address, s] : sender_.stats())
    h.links.push_back({address, s.bandwidth_bytes_per_s, s.rtt_s, s.bytes_in_flight, s.queue_bytes});
  for (const auto& [profile, r] : export_.rates())
    h.profiles.push_back({.name = profile, .ratio = r.ratio, .encode_bps = r.bps});
  return h;
}

void App::on_call(const std::string& type, const json& body, const ctl::Connection::Reply& reply) {
  if (type == ctl::type::kPrefill) return prefill(body, reply);
  if (type == ctl::type::kCancel) return cancel(body, reply);
  if (type == ctl::type::kProbePath) return probe_path(body, reply);
  reply(fail(Errc::unsupported, "a prefill node does not answer '{}'", type));
}

Result<App::Request> App::check(const json& body) const {
  Request r;
  SLUICE_ASSIGN(r.call, ctl::parse<ctl::PrefillRequest>(body));
  SLUICE_ASSIGN(r.ticket, kv::ticket_from_json(r.call.ticket));
  const kv::Ticket& t = r.ticket;
  if (t.prefill_node != node_.name() || t.prefill_incarnation != node_.incarnation())
    return fail(Errc::stale, "the ticket is for another incarnation of this node");
  if (t.model_hash != m_.hash_prefix || !(t.layout == layout_))
    return fail(Errc::invalid_argument, "the ticket is for another model or KV layout");
  if (t.format_hash != codecs_->format_hash())
    return fail(Errc::invalid_argument, "the decode node was built with other KV codec formats");
  if (!(t.tokens == kv::TokenRange{0, static_cast<std::uint32_t>(r.call.tokens.size())}))
    return fail(Errc::invalid_argument, "the ticket covers {} tokens, the prompt has {}", t.tokens.count,
                r.call.tokens.size());
  r.profile = codecs_->profile(r.call.profile);
  if (r.profile == nullptr || t.profile != r.call.profile)
    return fail(Errc::invalid_argument, "KV profile '{}' is not what the ticket allows", r.call.profile);
  SLUICE_ASSIGN(r.plan, plan_of(r.call, t, *r.profile));
  r.received = node_.clock().now();
  return r;
}

/// What the request's frames may change to: of the profiles named, those that the ticket lists.
Result<node::ProfilePlan> App::plan_of(const ctl::PrefillRequest& call, const kv::Ticket& t,
                                       const kv::Profile& chosen) const {
  auto listed = [&](const std::string& name) -> const kv::Profile* {
    const kv::Profile* p = codecs_->profile(name);
    return p != nullptr && p->codec != chosen.codec && t.allows(p->codec->id()) ? p : nullptr;
  };
  node::ProfilePlan plan;
  if (call.change) {
    const kv::Profile* to = listed(call.change->to);
    if (to == nullptr)
      return fail(Errc::invalid_argument, "the ticket does not allow a change to KV profile '{}'", call.change->to);
    plan.profiles = {&chosen, to};
    plan.order = call.change->from;
    return plan;
  }
  for (const ctl::KvWay& w : call.ways) {
    const kv::Profile* p = plan.profiles.empty() ? &chosen : listed(w.profile);
    if (p == nullptr) continue;
    plan.profiles.push_back(p);
    // Credit comes back once frames are decoded: a decoder slower than the encoder is what the link waits for.
    plan.ways.push_back({std::min(w.encode_bps, w.decode_bps), w.ratio});
  }
  plan.planned_bps = call.link_bps;
  return plan;
}

void App::prefill(const json& body, const ctl::Connection::Reply& reply) {
  auto r = check(body);
  if (!r) return reply(std::unexpected(r.error()));
  if (node_.draining()) return reply(fail(Errc::unavailable, "node '{}' is draining", node_.name()));
  const RequestId id = r->call.request;
  Prompt prompt{id, std::move(r->call.tokens), r->call.priority};
  if (r->call.probe_token >= 0) prompt.probe = r->call.probe_token;
  {
    const std::lock_guard lock(mutex_);
    if (!requests_.emplace(id, std::move(*r)).second)
      return reply(fail(Errc::already_exists, "request {} is being computed", id));
  }
  if (auto accepted = loop_.submit(std::move(prompt)); !accepted) {
    const std::lock_guard lock(mutex_);
    requests_.erase(id);
    return reply(std::unexpected(accepted.error()));
  }
  reply(json::object());
}

bool App::on_admitted(RequestId id, const std::vector<engine::BlockHandle>& blocks, double tokens_per_s) {
  // The export begins under the mutex that a cancel takes first: one of the two sees the other.
  const std::lock_guard lock(mutex_);
  const auto it = requests_.find(id);
  if (it == requests_.end()) return false;
  Request& r = it->second;
  r.link = sender_.stats(r.call.data_address);
  node::ExportStart s{id, r.call.data_address, r.ticket, r.profile, blocks, r.plan};
  s.plan.compute_bps = tokens_per_s * layout_.token_bytes();
  export_.begin(std::move(s));
  return true;
}

void App::on_computed(RequestId id, const PromptTimes& times) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = requests_.find(id);
    if (it != requests_.end()) it->second.times = times;
  }
  export_.computed(id);
}

/// On the control thread: between here and the loop's cancel no call of the coordinator can start the request anew.
void App::on_export_end(const node::ExportEnd& e) {
  ctl::PrefillDone d;
  d.request = e.request;
  {
    const std::lock_guard lock(mutex_);
    const auto it = requests_.find(e.request);
    if (it == requests_.end() || it->second.ticket.id != e.ticket) return;
    d.attempt = it->second.call.attempt;
    d.queue_s = it->second.times.queue_s;
    d.compute_s = it->second.times.compute_s;
    d.wall_s = seconds(node_.clock().now() - it->second.received);
    d.tokens = it->second.ticket.tokens.count;
    const kv::LinkStats& before = it->second.link;
    const kv::LinkStats after = sender_.stats(it->second.call.data_address);
    if (after.busy_bytes >= before.busy_bytes && after.busy_s >= before.busy_s) {  // else it connected anew
      d.link_bytes = after.busy_bytes - before.busy_bytes;
      d.link_busy_s = after.busy_s - before.busy_s;
    }
    if (e.outcome && e.changed_to == nullptr && it->second.call.probe_token >= 0)
      probed_[e.request] = {std::move(it->second.ticket), std::move(it->second.call.data_address)};
    requests_.erase(it);
  }
  // A probe would be said of the request's own profile: the blocks kept for it go.
  if (e.changed_to != nullptr) (void)loop_.cancel(e.request);
  d.encode_s = e.encode_s;
  d.wire_s = e.wire_s;
  d.exposed_s = e.exposed_s;
  d.raw_bytes = e.raw_bytes;
  d.wire_bytes = e.wire_bytes;
  if (e.changed_to != nullptr) d.changed_to = e.changed_to->name;
  node_.metrics()
      .counter("sluice_prefill_requests_total", "Prompts by outcome.",
               {{"outcome", e.outcome ? "ok" : std::string(name(e.outcome.error().code))}})
      .Increment();
  if (!e.outcome) {
    d.error = e.outcome.error();
    (void)loop_.cancel(e.request);  // a broken transfer's remaining chunks are wasted work
  } else if (!loop_.run_probe(e.request)) {
    forget_probe(e.request);
  }
  node_.notify(ctl::type::kPrefillDone, to_json(d));
}

void App::forget_probe(RequestId id) {
  const std::lock_guard lock(mutex_);
  probed_.erase(id);
}

/// Engine thread: what the exact KV says goes to the decode node, which compares.
void App::on_probed(RequestId id, Result<std::span<const float>> logits) {
  Probed to;
  {
    const std::lock_guard lock(mutex_);
    const auto it = probed_.find(id);
    if (it == probed_.end()) return;  // cancelled meanwhile
    to = std::move(it->second);
    probed_.erase(it);
  }
  auto send = [&]() -> Result<> {
    if (!logits) return std::unexpected(logits.error());
    SLUICE_ASSIGN(const auto head, node::head_of(*logits, kv::kMaxReferenceTokens));
    SLUICE_ASSIGN(const auto note, kv::write_reference(to.ticket, head));
    return sender_.send_note(to.address, note);
  };
  const Result<> sent = send();
  node_.metrics()
      .counter("sluice_quality_references_total", "References of quality probes by outcome.",
               {{"outcome", sent ? "sent" : std::string(name(sent.error().code))}})
      .Increment();
  if (!sent) log::warn("no reference sent", {{"leg", id}, {"why", sent.error().message}});
}

void App::on_note(std::span<const std::byte> bytes) {
  const auto note = kv::parse_note(bytes);
  if (!note) return log::warn("bad note", {{"why", note.error().message}});
  export_.on_note(*note);
}

void App::cancel(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::CancelRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  bool found = false;
  {
    const std::lock_guard lock(mutex_);
    found = requests_.erase(r->request) > 0;
    probed_.erase(r->request);
  }
  (void)loop_.cancel(r->request);
  export_.cancel(r->request);
  reply(to_json(ctl::CancelReply{found, 0}));
}

void App::probe_path(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::ProbePathRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  sender_.probe(r->data_address, r->block_bytes, [this, reply, address = r->data_address](Result<kv::LinkStats> s) {
    node_.post([reply, address, s] {
      if (!s) return reply(std::unexpected(s.error()));
      reply(to_json(ctl::LinkReport{address, s->bandwidth_bytes_per_s, s->rtt_s, s->bytes_in_flight, s->queue_bytes}));
    });
  });
}

void App::on_coordinator_lost() {
  loop_.cancel_all();
  std::vector<RequestId> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, r] : requests_) ids.push_back(id);
    requests_.clear();
    probed_.clear();
  }
  for (const RequestId id : ids) export_.cancel(id);
}

void App::set_gauges(Metrics& metrics) {
  const PrefillFigures f = loop_.figures();
  auto set = [&](const char* n, const char* help, double v) { metrics.gauge(n, help).Set(v); };
  set("sluice_kv_blocks_total", "KV blocks of this node's pool.", f.counters.total_blocks);
  set("sluice_kv_blocks_free", "KV blocks not in use.", f.counters.free_blocks);
  set("sluice_prefill_waiting", "Prompts not admitted yet: they wait for blocks, or for a pass to end.", f.waiting);
  set("sluice_prefill_queued_tokens", "Prompt tokens not computed yet.", static_cast<double>(f.queued_tokens));
  set("sluice_prefill_tokens_per_second", "EWMA of prefill speed.", f.tokens_per_s);
  set("sluice_prefill_tokens", "Prompt tokens computed since start.", static_cast<double>(f.tokens));
  set("sluice_prefill_requests_open", "Requests accepted and not reported.", static_cast<double>(open_requests()));
  for (const auto& [address, s] : sender_.stats()) {
    const Labels peer{{"peer", address}};
    metrics.gauge("sluice_link_bandwidth_bytes_per_second", "Measured bandwidth to a decode node.", peer)
        .Set(s.bandwidth_bytes_per_s);
    metrics.gauge("sluice_link_rtt_seconds", "Measured round trip to a decode node.", peer).Set(s.rtt_s);
    metrics.gauge("sluice_link_in_flight_bytes", "Sent and not given back by the decode node.", peer)
        .Set(static_cast<double>(s.bytes_in_flight));
    metrics.gauge("sluice_link_queue_bytes", "Waiting for the decode node's credit.", peer)
        .Set(static_cast<double>(s.queue_bytes));
  }
}

std::size_t App::open_requests() {
  const std::lock_guard lock(mutex_);
  return requests_.size();
}

int App::run() {
  node::NodeApp::Handlers h;
  h.on_call = [this](const std::string& t, const json& b, const ctl::Connection::Reply& r) { on_call(t, b, r); };
  h.heartbeat = [this] { return heartbeat(); };
  h.on_lost = [this] { on_coordinator_lost(); };
  h.set_gauges = [this](Metrics& m) { set_gauges(m); };
  h.open_work = [this] { return open_requests(); };
  h.housekeeping = [this, n = 0U]() mutable {
    if (++n % kTicksPerRelease == 0) export_.release_unused();
  };
  const int code = node_.run(introduction(), std::move(h));
  // The engine first, so that no new frames come; then the encoders, whose waits the transport's end releases.
  loop_.stop();
  transport_.reset();
  export_.stop();
  log::info("prefill node stopped");
  return code;
}

}  // namespace

int run_app(const AppOptions& o) { return App(o).run(); }

}  // namespace sluice::prefill
