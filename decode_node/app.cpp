#include "decode_node/app.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/config.h"
#include "common/control/node_link.h"
#include "common/http/admin_server.h"
#include "common/log.h"
#include "decode_node/decode_loop.h"
#include "decode_node/kv_ingest.h"
#include "decode_node/token_out.h"
#include "engine/node_model.h"
#include "kvtransfer/codec/calibrate.h"
#include "kvtransfer/transport/transport.h"

namespace sluice::decode {
namespace {

namespace asio = boost::asio;
namespace ctl = control;
using nlohmann::json;

constexpr std::chrono::milliseconds kHousekeeping{200};

template <class T>
T or_throw(Result<T> r) {
  if (!r) throw std::runtime_error(r.error().message);
  return std::move(*r);
}

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
  void on_committed(const IngestResult& r);
  void housekeeping();
  void begin_drain(const char* why);
  void stop(int code);
  [[nodiscard]] std::string metrics_text();

  AppOptions o_;
  SteadyClock clock_;
  Metrics metrics_;
  asio::io_context io_{1};
  NodeId name_;
  Incarnation incarnation_;
  engine::NodeModel m_;
  std::unique_ptr<kv::CodecRegistry> codecs_;
  kv::KvLayout layout_;
  std::vector<kv::ProfileSpeedFigure> speeds_;
  TokenOut out_;
  DecodeLoop loop_;
  KvIngest ingest_;
  kv::KvReceiver receiver_;
  std::unique_ptr<kv::Transport> transport_;
  std::string data_address_;
  http::AdminServer admin_;
  asio::steady_timer timer_;
  std::optional<TimePoint> drain_until_;
  int exit_code_ = 0;
  ctl::NodeLink link_;
};

engine::NodeModel load(const AppOptions& o) { return or_throw(engine::load_node_model(o.node)); }

kv::KvLayout layout_of(const engine::KvPoolShape& s) {
  return {s.layers, s.kv_heads, s.head_dim, s.dtype == engine::DType::f32 ? kv::KvDType::f32 : kv::KvDType::bf16};
}

App::App(const AppOptions& o)
    : o_(o),
      name_(o.node.name),
      incarnation_(random_incarnation()),
      m_(load(o)),
      codecs_(kv::make_registry()),
      layout_(layout_of(m_.pool->shape())),
      speeds_(kv::calibrate(*codecs_, layout_)),
      out_(metrics_,
           [this](const char* type, json body) {
             asio::post(io_, [this, type, body = std::move(body)]() mutable { link_.notify(type, std::move(body)); });
           }),
      loop_(*m_.model, *m_.pool, m_.limits, o.max_seqs, m_.step_s, out_),
      ingest_({name_, incarnation_, m_.hash_prefix, layout_}, *codecs_, *m_.pool, clock_, o.ingest_workers, metrics_,
              {.on_committed = [this](const IngestResult& r) { on_committed(r); },
               .on_failed = [this](RequestId id, const Error& why) { loop_.fail(id, why); },
               .release = [this](const std::vector<engine::BlockHandle>& b) { loop_.release_blocks(b); }}),
      receiver_(o.receiver, ingest_),
      transport_(or_throw(kv::make_ucx_transport({.tls = o.node.ucx_tls,
                                                  .net_devices = o.node.ucx_net_devices,
                                                  .keepalive = std::chrono::milliseconds(o.node.keepalive_ms)},
                                                 receiver_))),
      admin_(io_, o.node.admin_listen,
             {{"/metrics", [this] { return http::AdminReply{200, "text/plain; version=0.0.4", metrics_text()}; }},
              {"/health",
               [this] {
                 return http::AdminReply{
                     link_.up() && !drain_until_ ? 200 : 503, "application/json",
                     json{{"registered", link_.up()}, {"draining", drain_until_.has_value()}}.dump()};
               }},
              {"/version",
               [] { return http::AdminReply{200, "application/json", json{{"version", SLUICE_VERSION}}.dump()}; }}}),
      timer_(io_),
      link_(io_, o.node.coordinator, {},
            {.on_call = [this](const std::string& t, const json& b,
                               const ctl::Connection::Reply& r) { on_call(t, b, r); },
             .heartbeat = [this] { return heartbeat(); },
             .on_lost =
                 [this] {
                   // Nobody reads these legs' tokens any more; the coordinator places them again when it is back.
                   loop_.cancel_all();
                   ingest_.revoke_all();
                 },
             .on_refused =
                 [this](const Error& e) {
                   log::error("the coordinator refuses this node", {{"code", name(e.code)}, {"why", e.message}});
                   stop(1);
                 }}) {
  receiver_.attach(*transport_);
  ingest_.set_note_sender([this](kv::ConnId conn, std::vector<std::byte> note) { receiver_.send_note(conn, note); });
  data_address_ = or_throw(transport_->listen(o.data_listen));
  link_.introduce(introduction());
}

ctl::RegisterRequest App::introduction() const {
  ctl::RegisterRequest r;
  r.role = ctl::Role::decode;
  r.node = name_;
  r.incarnation = incarnation_;
  r.model = m_.identity;
  r.model.codec_hash = codecs_->format_hash();
  r.data_address = data_address_;
  r.admin_address = admin_.address();
  r.block_size = m_.pool->shape().block_size;
  r.total_blocks = m_.pool->shape().num_blocks;
  r.max_seqs = o_.max_seqs;
  for (const auto& s : speeds_) r.profiles.push_back({s.profile, s.stated_kl, s.ratio, 0, s.decode_bps});
  r.cluster_token = o_.node.cluster_token;
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
  h.draining = drain_until_.has_value();
  for (const auto& [profile, rate] : ingest_.rates())
    h.profiles.push_back({.name = profile, .ratio = 0, .decode_bps = rate});
  return h;
}

void App::on_call(const std::string& type, const json& body, const ctl::Connection::Reply& reply) {
  if (type == ctl::type::kReserve) return reserve(body, reply);
  if (type == ctl::type::kCancel) return cancel(body, reply);
  if (type == ctl::type::kDrain) {
    begin_drain("asked by the coordinator");
    return reply(json::object());
  }
  reply(fail(Errc::unsupported, "a decode node does not answer '{}'", type));
}

void App::reserve(const json& body, const ctl::Connection::Reply& reply) {
  auto r = ctl::parse<ctl::ReserveRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  if (drain_until_) return reply(fail(Errc::unavailable, "node '{}' is draining", name_));
  LegStart leg{r->request, r->tokens, r->prompt_tokens, r->kv_tokens, r->max_new_tokens, r->sampling, r->priority};
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
    answer.ticket = kv::to_json(*ticket);
  }
  log::debug("reserved", {{"request_id", r->trace_id}, {"leg", r->request}, {"kv_tokens", r->kv_tokens}});
  reply(to_json(answer));
}

void App::cancel(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::CancelRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  ingest_.revoke(r->request);
  const auto freed = loop_.cancel(r->request);
  reply(to_json(ctl::CancelReply{freed.has_value(), freed.value_or(0)}));
}

void App::on_committed(const IngestResult& r) {
  loop_.mark_ready(r.request);
  const ctl::KvReady ready{r.request, r.decode_s, r.wall_s, r.wire_bytes};
  asio::post(io_, [this, ready] { link_.notify(ctl::type::kKvReady, to_json(ready)); });
}

std::string App::metrics_text() {
  const DecodeFigures f = loop_.figures();
  const kv::KvReceiver::Figures k = receiver_.figures();
  auto set = [&](const char* n, const char* help, double v) { metrics_.gauge(n, help).Set(v); };
  set("sluice_kv_blocks_total", "KV blocks of this node's pool.", f.counters.total_blocks);
  set("sluice_kv_blocks_free", "KV blocks not in use.", f.counters.free_blocks);
  set("sluice_legs", "Legs admitted and not ended.", f.legs);
  set("sluice_legs_awaiting_kv", "Legs whose KV is on its way.", f.counters.awaiting_kv);
  set("sluice_decode_step_seconds", "EWMA of one decode step.", f.step_s);
  set("sluice_decode_step_batch", "EWMA of a decode step's batch.", f.step_batch);
  set("sluice_decode_steps", "Engine steps run.", static_cast<double>(f.steps));
  set("sluice_kv_staged_bytes", "Received payload bytes not decoded yet.", static_cast<double>(k.staged_bytes));
  set("sluice_kv_connections", "Open KV connections.", static_cast<double>(k.connections));
  set("sluice_kv_violations", "Peers cut off for breaking the flow protocol.", static_cast<double>(k.violations));
  return metrics_.text();
}

void App::housekeeping() {
  ingest_.expire();
  if (drain_until_ && (loop_.figures().legs == 0 || clock_.now() >= *drain_until_)) return stop(0);
  timer_.expires_after(kHousekeeping);
  timer_.async_wait([this](boost::system::error_code ec) {
    if (!ec) housekeeping();
  });
}

void App::begin_drain(const char* why) {
  if (drain_until_) return;
  log::info("draining", {{"why", why}, {"legs", loop_.figures().legs}});
  drain_until_ = clock_.now() + from_seconds(o_.node.drain_timeout_s);
}

void App::stop(int code) {
  exit_code_ = code;
  link_.stop();
  io_.stop();
}

int App::run() {
  asio::signal_set signals(io_, SIGTERM, SIGINT);
  std::function<void()> wait = [&] {
    signals.async_wait([&](boost::system::error_code ec, int) {
      if (ec) return;
      if (drain_until_) return stop(0);
      begin_drain("signal");
      wait();
    });
  };
  wait();
  link_.start();
  housekeeping();
  log::info("decode node ready",
            {{"data", data_address_}, {"admin", admin_.address()}, {"transports", o_.node.ucx_tls}});
  io_.run();
  // Senders first, then the engine, then the threads that write into its memory.
  receiver_.detach();
  transport_.reset();
  ingest_.stop();
  loop_.stop();
  log::info("decode node stopped");
  return exit_code_;
}

}  // namespace

int run_app(const AppOptions& o) { return App(o).run(); }

}  // namespace sluice::decode
