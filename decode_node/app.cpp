#include "decode_node/app.h"

#include "common/digest.h"
#include "common/log.h"
#include "common/log_gate.h"
#include "decode_node/decode_gauges.h"
#include "kvtransfer/flow/kv_sender.h"
#include "kvtransfer/flow/two_way.h"
#include "kvtransfer/wire/ticket.h"
#include "node/export/link_gauges.h"
#include "node/export/sender_out.h"
#include "node/host_report.h"
#include "node/node_app.h"
#include "node/node_figures.h"
#include "node/node_kv.h"
#include "node/node_model.h"
#include "node/node_transport.h"
#include "text/tokenizer/tokenizer.h"

namespace sluice::decode {
namespace {

namespace ctl = control;
using nlohmann::json;

class App {
 public:
  explicit App(const AppOptions& o);
  node::RunEnd run();

 private:
  [[nodiscard]] ctl::RegisterRequest introduction() const;
  [[nodiscard]] ctl::Heartbeat heartbeat(ctl::LegSpace to) const;
  void on_call(const std::string& type, const json& body, const ctl::Connection::Reply& reply);
  void reserve(const json& body, const ctl::Connection::Reply& reply);
  void cancel(const json& body, const ctl::Connection::Reply& reply);
  void move(const json& body, const ctl::Connection::Reply& reply);
  void go_on(const json& body, const ctl::Connection::Reply& reply);
  void stay(const json& body, const ctl::Connection::Reply& reply);
  [[nodiscard]] node::NodeApp::Engine engine() const;

  const AppOptions o_;
  node::NodeApp node_;
  node::NodeModel m_;
  node::NodeKv kv_;
  DecodeGauges gauges_;
  node::LinkGauges links_;  // to other decode nodes
  node::PeerNames peers_;
  const VocabularyPtr vocabulary_;  // null: the model has no tokenizer
  LogGate unsent_notes_;
  kv::KvSender sender_;  // of sequences that go to other decode nodes
  node::SenderOut frames_;
  DecodeService service_;
  const std::string data_key_ = hex(random_bytes(32));  // new each start; the coordinator hands it to prefill nodes
  kv::KvReceiver receiver_;
  kv::TwoWay flow_;
  std::unique_ptr<kv::Transport> transport_;
  node::HostReport host_;
  std::string data_address_;
};

/// Said at once, not after the model is loaded.
AppOptions checked(const AppOptions& o) {
  check_options(o);
  return o;
}

/// A node without it serves all but answers that are bound to a grammar.
VocabularyPtr vocabulary(const node::NodeOptions& o, const engine::Model& model) {
  const auto tokenizer = text::Tokenizer::load(o.model_dir);
  if (tokenizer) return vocabulary_of(*tokenizer, model.config().vocab_size, model.config().eos);
  log::warn("no answers to grammars here", {{"model", o.model_dir}, {"why", tokenizer.error().message}});
  return nullptr;
}

/// Answers that are decoded wait for the chunks in their passes.
engine::PlanLimits one_chunk_a_pass(engine::PlanLimits l) {
  l.most_prompt_rows = l.prefill_chunk;
  return l;
}

App::App(const AppOptions& o)
    : o_(checked(o)),
      node_(o.node, ctl::Role::decode),
      m_(or_throw(node::load_node_model(o.node, o.decode.max_seqs))),
      kv_(or_throw(node::NodeKv::load(o.node, m_))),
      gauges_(node_.metrics()),
      links_(node_.metrics()),
      vocabulary_(vocabulary(o.node, *m_.model)),
      sender_(kv_.hello(node_.name(), node_.incarnation()), {}, node_.clock(),
              {.on_note = [this](const std::string&, std::span<const std::byte> n) { service_.on_note(n); },
               .on_peer_down =
                   [this](const std::string& a, const Error& why) {
                     peers_.forget(a);
                     service_.on_peer_down(a, why);
                   }}),
      frames_(sender_),
      service_(
          kv_.identity(node_.name(), node_.incarnation()), kv_.codecs(),
          {*m_.model, *m_.pool, one_chunk_a_pass(m_.limits), {m_.step_s, m_.prefill_tokens_per_s}, vocabulary_},
          o.decode, node_.clock(), node_.metrics(),
          [this](RequestId leg, const char* type, json body) { node_.notify(leg, type, std::move(body)); },
          node_.spans(),
          MovesOutside{.frames = frames_, .post = [this](std::function<void()> f) { node_.post(std::move(f)); }}),
      receiver_(o.receiver, service_.frames()),
      flow_(receiver_, sender_),
      transport_(or_throw(node::make_node_transport(o.node, node_.metrics(), flow_, data_key_))),
      host_(o.node, "decode") {
  receiver_.attach(*transport_);
  sender_.attach(*transport_);
  service_.set_note_sender([this](kv::ConnId conn, std::vector<std::byte> note) {
    const auto r = receiver_.send_note(conn, note);
    if (r) return;
    // One for each transfer of a connection that broke.
    if (const auto held = unsent_notes_.pass(0, node_.clock().now()))
      log::warn("note not sent",
                {{"conn", conn}, {"code", name(r.error().code)}, {"why", r.error().message}, {"held_back", *held}});
  });
  data_address_ = node::advertised(o.node, "--data-listen", or_throw(transport_->listen(o.data_listen)));
}

ctl::RegisterRequest App::introduction() const {
  ctl::RegisterRequest r = kv_.introduction(ctl::Role::decode);
  r.data_address = data_address_;
  r.data_key = data_key_;
  r.max_seqs = o_.decode.max_seqs;
  r.grammars = vocabulary_ != nullptr;
  r.moves = service_.moves();
  r.grows = o_.decode.kv_on_demand;
  return r;
}

ctl::Heartbeat App::heartbeat(ctl::LegSpace to) const {
  const DecodeFigures f = service_.figures();
  ctl::Heartbeat h;
  node::tell_blocks(f.counters, h);
  h.waiting = f.counters.waiting + f.counters.awaiting_kv;
  h.running = f.counters.running;
  h.step_s = f.step_s;
  h.step_batch = f.step_batch;
  h.prefill_tokens_per_s = f.prompt_tokens_per_s;
  h.queued_tokens = f.prompt_tokens;
  h.parked = f.counters.parked;
  h.parked_blocks = f.counters.parked_blocks;
  h.preemptions = f.counters.preemptions;
  const HeldLegs others = service_.held_by_others(to);
  h.others_blocks = others.blocks;
  h.others_seqs = others.legs;
  h.others_tokens = others.prompt_tokens;
  for (const auto& [address, s] : sender_.stats())
    h.links.push_back({address, s.bandwidth_bytes_per_s, s.rtt_s, s.bytes_in_flight, s.queue_bytes});
  for (const auto& [profile, r] : service_.rates())
    h.profiles.push_back({.name = profile, .ratio = 0, .decode_bps = r.bps});
  for (const auto& [profile, r] : service_.sending_rates())
    h.profiles.push_back({.name = profile, .ratio = r.ratio, .encode_bps = r.bps});
  return h;
}

void App::on_call(const std::string& type, const json& body, const ctl::Connection::Reply& reply) {
  if (type == ctl::type::kReserve) return reserve(body, reply);
  if (type == ctl::type::kCancel) return cancel(body, reply);
  if (type == ctl::type::kMove) return move(body, reply);
  if (type == ctl::type::kGoOn) return go_on(body, reply);
  if (type == ctl::type::kStay) return stay(body, reply);
  reply(fail(Errc::unsupported, "a decode node does not answer '{}'", type));
}

void App::reserve(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::ReserveRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  if (node_.draining()) return reply(fail(Errc::unavailable, "node '{}' is draining", node_.name()));
  const auto ticket = service_.reserve(*r);
  if (!ticket) return reply(std::unexpected(ticket.error()));
  reply(to_json(ctl::ReserveReply{.ticket = *ticket ? kv::to_json(**ticket) : json(nullptr),
                                  .data_address = data_address_,
                                  .data_key = data_key_}));
}

void App::cancel(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::CancelRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  const auto freed = service_.cancel(r->request);
  reply(to_json(ctl::CancelReply{freed.has_value(), freed.value_or(0)}));
}

void App::move(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::MoveRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  if (const auto t = kv::ticket_from_json(r->ticket)) peers_.learn(r->data_address, t->decode_node);
  transport_->introduce(r->data_address, r->data_key);
  const auto begun = service_.move(*r);
  if (!begun) return reply(std::unexpected(begun.error()));
  reply(to_json(*begun));
}

void App::go_on(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::GoOnRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  if (const auto done = service_.go_on(*r); !done) return reply(std::unexpected(done.error()));
  reply(json::object());
}

void App::stay(const json& body, const ctl::Connection::Reply& reply) {
  const auto r = ctl::parse<ctl::StayRequest>(body);
  if (!r) return reply(std::unexpected(r.error()));
  if (const auto done = service_.stay(*r); !done) return reply(std::unexpected(done.error()));
  reply(json::object());
}

/// Legs whose KV is on its way are not the engine's work yet; nor is what has no block for its next row.
node::NodeApp::Engine App::engine() const {
  const DecodeFigures f = service_.figures();
  return {f.pulse.turns, f.pulse.computing || f.counters.waiting + f.counters.running > f.counters.starved};
}

node::RunEnd App::run() {
  node::NodeApp::Handlers h;
  h.on_call = [this](const std::string& t, const json& b, const ctl::Connection::Reply& r) { on_call(t, b, r); };
  h.heartbeat = [this](ctl::LegSpace to) { return heartbeat(to); };
  h.on_lost = [this](ctl::LegSpace of) { service_.cancel_all(of); };  // it places its legs again when it is back
  h.set_gauges = [this] {
    gauges_.set(service_.figures(), service_.grammars(), receiver_.figures());
    links_.set(sender_.stats(), peers_);
  };
  h.host = [this] { return host_.now(transport_->open_paths()); };
  h.engine = [this] { return engine(); };
  h.open_work = [this] { return service_.open_work(); };
  h.housekeeping = [this] { service_.expire(); };
  h.release_unused = [this] {
    receiver_.release_unused();
    service_.release_unused();
  };
  const int code = node_.run(introduction(), std::move(h));
  // Senders first, then the threads that write what came, then the engine.
  receiver_.detach();
  sender_.detach();
  transport_.reset();
  service_.stop();
  log::info("decode node stopped");
  return {code, node_.changes_role()};
}

}  // namespace

void check_options(const AppOptions& o) { (void)node::advertised(o.node, "--data-listen", o.data_listen); }

node::RunEnd run_app(const AppOptions& o) { return App(o).run(); }

}  // namespace sluice::decode
