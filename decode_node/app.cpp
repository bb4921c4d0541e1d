#include "decode_node/app.h"

#include "common/log.h"
#include "decode_node/decode_loop.h"
#include "decode_node/quality_probe.h"
#include "decode_node/token_out.h"
#include "kvtransfer/codec/calibrate.h"
#include "kvtransfer/codec/library.h"
#include "node/ingest/kv_ingest.h"
#include "node/kv/pool_layout.h"
#include "node/node_app.h"
#include "node/node_model.h"
#include "node/node_transport.h"

namespace sluice::decode {
namespace {

namespace ctl = control;
using nlohmann::json;

class App {
 public:
  explicit App(const AppOptions& o);
  int run();

 private:
  [[nodiscard]] ctl::RegisterRequest introduction() const;
  [[nodiscard]] ctl::Heartbeat heartbeat();
  void on_call(const std::string& type, const json& body, const ctl::Connection::Reply& reply);
  void reserve(const json& body, const ctl::Connection::Reply& reply);
  void cancel(const json& body, const ctl::Connection::Reply& reply);
  void on_committed(const node::IngestResult& r);
  void set_gauges(Metrics& metrics);

  AppOptions o_;
  node::NodeApp node_;
  node::NodeModel m_;
  std::unique_ptr<kv::CodecRegistry> codecs_;
  kv::KvLayout layout_;
  std::vector<kv::ProfileSpeedFigure> speeds_;
  TokenOut out_;
  QualityProbe probe_;
  DecodeLoop loop_;
  node::KvIngest ingest_;
  kv::KvReceiver receiver_;
  std::unique_ptr<kv::Transport> transport_;
  std::string data_address_;
};

/// Staging memory that a burst left is returned after 5 to 10 s.
constexpr unsigned kTicksPerRelease = 25;

App::App(const AppOptions& o)
    : o_(o),
      node_(o.node, ctl::Role::decode),
      m_(or_throw(node::load_node_model(o.node))),
      codecs_(or_throw(kv::load_library(o.node.model_dir, o.node.kv_profiles, m_.identity.hash))),
      layout_(node::layout_of(m_.pool->shape())),
      speeds_(kv::calibrate(*codecs_, layout_)),
      out_(node_.metrics(), [this](const char* type, json body) { node_.notify(type, std::move(body)); }),
      probe_(node_.clock(), node_.metrics(),
             [this](const ctl::ProbeResult& r) { node_.notify(ctl::type::kProbeResult, to_json(r)); }),
      loop_(*m_.model, *m_.pool, m_.limits, o.max_seqs, m_.step_s, out_),
      ingest_({node_.name(), node_.incarnation(), m_.hash_prefix, layout_}, *codecs_, *m_.pool, node_.clock(),
              o.ingest_workers, node_.metrics(),
              {.on_committed = [this](const node::IngestResult& r) { on_committed(r); },
               .on_failed =
                   [this](RequestId id, const Error& why) {
                     probe_.drop(id);
                     loop_.fail(id, why);
                   },
               .release = [this](const std::vector<engine::BlockHandle>& b) { loop_.release_blocks(b); },
               .on_note = [this](std::span<const std::byte> n) { probe_.on_note(n); }}),
      receiver_(o.receiver, ingest_),
      transport_(or_throw(node::make_node_transport(o.node, node_.metrics(), receiver_))) {
  receiver_.attach(*transport_);
  ingest_.set_note_sender([this](kv::ConnId conn, std::vector<std::byte> note) {
    if (const auto r = receiver_.send_note(conn, note); !r)
      log::warn("note not sent", {{"conn", conn}, {"code", name(r.error().code)}, {"why", r.error().message}});
  });
  data_address_ = or_throw(transport_->listen(o.data_listen));
}

ctl::RegisterRequest App::introduction() const {
  ctl::RegisterRequest r;
  r.model = m_.identity;
  r.model.codec_hash = codecs_->format_hash();
  r.data_address = data_address_;
  r.block_size = m_.pool->shape().block_size;
  r.total_blocks = m_.pool->shape().num_blocks;
  r.max_seqs = o_.max_seqs;
  for (const auto& s : speeds_) r.profiles.push_back({s.profile, s.stated_kl, s.ratio, 0, s.decode_bps});
  return r;
}

ctl::Heartbeat App::heartbeat() {
  const DecodeFigures f = loop_.figures();
  ctl::Heartbeat h;
  h.waiting = f.counters.waiting + f.counters.awaiting_kv;
  h.running = f.counters.running;
  h.free_blocks = f.counters.free_blocks;
  h.total_blocks = f.counters.total_blocks;
  h.step_s = f.step_s;
  h.step_batch = f.step_batch;
  for (const auto& [profile, r] : ingest_.rates())
    h.profiles.push_back({.name = profile, .ratio = 0, .decode_bps = r.bps});
  return h;
}

void App::on_call(const std::string& type, const json& body, const ctl::Connection::Reply& reply) {
  if (type == ctl::type::kReserve) return reserve(body, reply);
  if (type == ctl::type::kCancel) return cancel(body, reply);
  reply(fail(Errc::unsupported, "a decode node does not answer '{}'", type));
}

void App::reserve(const json& body, const ctl::Connection::Reply& reply) {
  auto r = ctl::parse<ctl::ReserveRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  if (node_.draining()) return reply(fail(Errc::unavailable, "node '{}' is draining", node_.name()));
  LegStart leg{r->request, r->tokens, r->prompt_tokens, r->kv_tokens, r->max_new_tokens, r->sampling, r->priority};
  leg.attempt = r->attempt;
  const bool probe = r->probe && r->kv_tokens > 0 && r->kv_tokens + 1 == r->tokens.size();  // the first step is one row
  if (probe)
    leg.on_first_logits = [this, id = r->request](std::span<const float> logits) { probe_.on_own(id, logits); };
  auto blocks = loop_.admit(std::move(leg));
  if (!blocks) return reply(std::unexpected(blocks.error()));
  ctl::ReserveReply answer{.ticket = nullptr, .data_address = data_address_};
  if (r->kv_tokens > 0) {
    auto ticket =
        ingest_.expect(*r, std::move(*blocks), o_.seal == "digest" ? kv::SealMode::digest : kv::SealMode::encrypt);
    if (!ticket) {
      (void)loop_.cancel(r->request);
      return reply(std::unexpected(ticket.error()));
    }
    if (probe) probe_.expect(*ticket);
    answer.ticket = kv::to_json(*ticket);
  }
  log::debug("reserved", {{"request_id", r->trace_id}, {"leg", r->request}, {"kv_tokens", r->kv_tokens}});
  reply(to_json(answer));
}

void App::cancel(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::CancelRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  probe_.drop(r->request);
  ingest_.revoke(r->request);
  const auto freed = loop_.cancel(r->request);
  reply(to_json(ctl::CancelReply{freed.has_value(), freed.value_or(0)}));
}

void App::on_committed(const node::IngestResult& r) {
  if (r.change) probe_.drop(r.request);  // what it measured would be said of the request's own profile
  // Before the first token: with that, only the same KV continues the answer, and this says which that is.
  node_.notify(ctl::type::kKvReady, to_json(ctl::KvReady{r.request, r.decode_s, r.wall_s, r.wire_bytes, r.change}));
  loop_.mark_ready(r.request);
}

void App::set_gauges(Metrics& metrics) {
  const DecodeFigures f = loop_.figures();
  const kv::KvReceiver::Figures k = receiver_.figures();
  auto set = [&](const char* n, const char* help, double v) { metrics.gauge(n, help).Set(v); };
  set("sluice_kv_blocks_total", "KV blocks of this node's pool.", f.counters.total_blocks);
  set("sluice_kv_blocks_free", "KV blocks not in use.", f.counters.free_blocks);
  set("sluice_legs", "Legs admitted and not ended.", f.legs);
  set("sluice_legs_awaiting_kv", "Legs whose KV is on its way.", f.counters.awaiting_kv);
  set("sluice_decode_step_seconds", "EWMA of one decode step.", f.step_s);
  set("sluice_decode_step_batch", "EWMA of a decode step's batch.", f.step_batch);
  set("sluice_decode_steps", "Engine steps run.", static_cast<double>(f.steps));
  set("sluice_kv_staged_bytes", "Received payload bytes not decoded yet.", static_cast<double>(k.staged_bytes));
  set("sluice_kv_staging_mapped_bytes", "Memory of the staging pool, in use or kept for the next frames.",
      static_cast<double>(k.mapped_bytes));
  set("sluice_kv_connections", "Open KV connections.", static_cast<double>(k.connections));
  set("sluice_kv_violations", "Peers cut off for breaking the flow protocol.", static_cast<double>(k.violations));
}

int App::run() {
  node::NodeApp::Handlers h;
  h.on_call = [this](const std::string& t, const json& b, const ctl::Connection::Reply& r) { on_call(t, b, r); };
  h.heartbeat = [this] { return heartbeat(); };
  h.on_lost = [this] {
    // Nobody reads these legs' tokens any more; the coordinator places them again when it is back.
    loop_.cancel_all();
    ingest_.revoke_all();
    probe_.drop_all();
  };
  h.set_gauges = [this](Metrics& m) { set_gauges(m); };
  h.open_work = [this] { return loop_.figures().legs; };
  h.housekeeping = [this, n = 0U]() mutable {
    ingest_.expire();
    probe_.expire();
    if (++n % kTicksPerRelease == 0) receiver_.release_unused();
  };
  const int code = node_.run(introduction(), std::move(h));
  // Senders first, then the engine, then the threads that write into its memory.
  receiver_.detach();
  transport_.reset();
  ingest_.stop();
  loop_.stop();
  log::info("decode node stopped");
  return code;
}

}  // namespace

int run_app(const AppOptions& o) { return App(o).run(); }

}  // namespace sluice::decode
