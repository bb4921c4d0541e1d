#pragma once
// The serving backend with nodes that do what a test says, all on one io_context that the test runs.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <memory>

#include "common/control/move_messages.h"
#include "coordinator/serving/serving.h"
#include "node/node_link.h"
#include "tests/support/fake_model_text.h"

namespace sluice::test {

using namespace sluice::coordinator;
namespace ctl = sluice::control;

/// A node's introduction; tests change what they are about.
inline ctl::RegisterRequest node_info(ctl::Role role, const std::string& name) {
  static std::uint64_t incarnations = 0;
  ctl::RegisterRequest r;
  r.role = role;
  r.node = NodeId(name);
  r.incarnation = Incarnation(++incarnations);
  r.model.name = "fake";
  r.model.hash = "abc";
  r.model.layers = 2;
  r.model.kv_heads = 2;
  r.model.head_dim = 16;
  r.model.vocab_size = kFakeVocab;
  r.model.max_context = 4096;
  r.model.backend = "scalar";
  r.data_address = role == ctl::Role::decode ? "127.0.0.1:9" : "";
  r.block_size = 16;
  r.total_blocks = 100;
  r.max_seqs = 8;
  r.profiles = {{"raw", 0.0, 1.0, 1e9, 1e9}, {"q8", 0.001, 2.0, 1e9, 1e9}};
  return r;
}

/// Registers, answers every call well, and remembers what it was asked.
class FakeNode {
 public:
  FakeNode(boost::asio::io_context& io, const std::string& coordinator, ctl::RegisterRequest me)
      : link_(io, coordinator, std::move(me),
              {.on_call = [this](const std::string& t, const nlohmann::json& b,
                                 const ctl::Connection::Reply& r) { answer(t, b, r); },
               .heartbeat =
                   [this] {
                     return ctl::Heartbeat{.waiting = waiting,
                                           .free_blocks = 100,
                                           .total_blocks = 100,
                                           .prefill_tokens_per_s = prompt_tokens_per_s,
                                           .step_s = step_s,
                                           .draining = draining,
                                           .links = links,
                                           .parked = parked,
                                           .preemptions = preemptions,
                                           .prefixes = std::exchange(prefixes, std::nullopt)};
                   },
               .on_lost = [] {},
               .on_refused = [this](const Error& e) { refused = e; }}) {
    link_.start();
  }
  ~FakeNode() { link_.stop(); }
  FakeNode(const FakeNode&) = delete;

  void vanish() { link_.stop(); }
  void tokens(RequestId id, std::uint32_t first, const std::vector<TokenId>& ids) {
    ctl::Tokens t;
    for (const TokenId token : ids) t.items.push_back({id, first++, {.id = token}});
    link_.notify(ctl::type::kTokens, to_json(t));
  }
  void finished(RequestId id) {
    link_.notify(ctl::type::kFinished, to_json(ctl::Finished{.request = id, .reason = "length"}));
  }
  void end(const ctl::Finished& f) { link_.notify(ctl::type::kFinished, to_json(f)); }
  void prefill_done(RequestId id) {
    ctl::PrefillDone d;
    d.request = id;
    d.compute_s = 0.012;
    report(d);
  }
  void report(const ctl::PrefillDone& d) { link_.notify(ctl::type::kPrefillDone, to_json(d)); }
  void rated(const ctl::PromptLogprobs& l) { link_.notify(ctl::type::kPromptLogprobs, to_json(l)); }
  void kv_ready(RequestId id, std::optional<ctl::ProfileChange> change) {
    ctl::KvReady k;
    k.request = id;
    k.change = std::move(change);
    link_.notify(ctl::type::kKvReady, to_json(k));
  }
  void failed(RequestId id, std::uint32_t attempt) {
    const Error why{Errc::unavailable, "the KV will not come", {}};
    link_.notify(ctl::type::kFinished,
                 to_json(ctl::Finished{.request = id, .attempt = attempt, .reason = "error", .error = why}));
  }
  void prefill_failed(RequestId id, std::uint32_t attempt = 0) {
    ctl::PrefillDone d;
    d.request = id;
    d.attempt = attempt;
    d.error = Error{Errc::unavailable, "the link broke", {}};
    link_.notify(ctl::type::kPrefillDone, to_json(d));
  }

  void halted(RequestId id, std::uint32_t attempt, std::uint32_t tokens) {
    link_.notify(ctl::type::kHalted, to_json(ctl::Halted{id, attempt, tokens}));
  }
  void moved(const ctl::Moved& m) { link_.notify(ctl::type::kMoved, to_json(m)); }
  void finished(const ctl::Finished& f) { link_.notify(ctl::type::kFinished, to_json(f)); }

  void probed(const ctl::ProbeResult& r) { link_.notify(ctl::type::kProbeResult, to_json(r)); }

  /// It has let go of what was cancelled.
  void let_go() {
    for (const auto& reply : held) reply(to_json(ctl::CancelReply{true, 0}));
    held.clear();
  }

  std::uint32_t waiting = 0;                  // prompts in its queue, as heartbeats say
  double prompt_tokens_per_s = 0;             // as heartbeats say
  int refusals = 0;                           // reserves that it has no room for, from now on
  bool hold_cancels = false;                  // until let_go()
  double step_s = 0;                          // as heartbeats say
  bool draining = false;                      // as heartbeats say
  std::uint32_t parked = 0;                   // as heartbeats say
  std::uint64_t preemptions = 0;              // as heartbeats say
  std::optional<ctl::PrefixReport> prefixes;  // of the next heartbeat alone
  std::optional<Error> refuses_move, refuses_go_on, refuses_stay;
  bool hold_moves = false;  // moves are not answered
  std::vector<ctl::Connection::Reply> held;
  std::vector<ctl::ReserveRequest> reserves;
  std::vector<ctl::MoveRequest> moves;
  std::vector<ctl::GoOnRequest> go_ons;
  std::vector<ctl::StayRequest> stays;
  std::vector<RequestId> cancels;
  std::vector<ctl::PrefillRequest> prefills;
  std::vector<ctl::ProbePathRequest> path_probes;
  std::optional<Error> refused;
  std::vector<ctl::LinkReport> links;  // what heartbeats say of them

 private:
  void answer(const std::string& type, const nlohmann::json& body, const ctl::Connection::Reply& reply) {
    if (type == ctl::type::kReserve && refusals > 0) {
      --refusals;
      return reply(fail(Errc::resource_exhausted, "3 KV blocks needed, 0 of 100 are free"));
    }
    if (type == ctl::type::kReserve) {
      reserves.push_back(ctl::parse<ctl::ReserveRequest>(body).value());
      return reply(to_json(ctl::ReserveReply{nlohmann::json::object(), "127.0.0.1:9"}));
    }
    if (type == ctl::type::kPrefill) prefills.push_back(ctl::parse<ctl::PrefillRequest>(body).value());
    if (type == ctl::type::kCancel) cancels.push_back(ctl::parse<ctl::CancelRequest>(body).value().request);
    if (type == ctl::type::kMove) {
      moves.push_back(ctl::parse<ctl::MoveRequest>(body).value());
      if (hold_moves) return held.push_back(reply);
      if (refuses_move) return reply(std::unexpected(*refuses_move));
      return reply(to_json(ctl::MoveReply{moves.back().stop - 1}));
    }
    if (type == ctl::type::kGoOn) {
      go_ons.push_back(ctl::parse<ctl::GoOnRequest>(body).value());
      if (refuses_go_on) return reply(std::unexpected(*refuses_go_on));
    }
    if (type == ctl::type::kStay) {
      stays.push_back(ctl::parse<ctl::StayRequest>(body).value());
      if (refuses_stay) return reply(std::unexpected(*refuses_stay));
    }
    if (type == ctl::type::kCancel && hold_cancels) return held.push_back(reply);
    if (type == ctl::type::kCancel) return reply(to_json(ctl::CancelReply{true, 0}));
    if (type == ctl::type::kProbePath) path_probes.push_back(ctl::parse<ctl::ProbePathRequest>(body).value());
    if (type == ctl::type::kProbePath) return reply(to_json(ctl::LinkReport{"127.0.0.1:9", 1e9, 1e-4, 0, 0}));
    reply(nlohmann::json::object());
  }

  node::NodeLink link_;
};

/// What a leg gave its client.
struct Heard final : LegSink {
  void on_begin(const std::string& f) override {
    CHECK(tokens.empty());
    CHECK(fingerprint.empty());
    fingerprint = f;
  }
  void on_tokens(std::span<const TokenEvent> t) override {
    for (const auto& e : t) tokens.push_back(e.id);
  }
  void on_prompt_logprobs(std::size_t first, std::span<const RatedToken> t) override {
    rated.resize(std::max(rated.size(), first + t.size()));
    std::ranges::copy(t, rated.begin() + static_cast<std::ptrdiff_t>(first));
    if (first == 1) ++reports;
  }
  void on_finish(LegEnd e, const LegStats& s) override {
    end = e;
    stats = s;
  }
  void on_error(const Error& e, std::optional<Duration> after) override {
    error = e;
    retry_after = after;
  }
  [[nodiscard]] bool over() const { return end || error; }

  std::string fingerprint;
  std::vector<TokenId> tokens;
  std::vector<RatedToken> rated;  // by position
  int reports = 0;                // begun
  std::optional<LegEnd> end;
  LegStats stats;
  std::optional<Error> error;
  std::optional<Duration> retry_after;
};

/// The monotonic clock, which a test may put forward. Read and written on one thread.
class ForwardClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return SteadyClock().now() + ahead_; }
  void advance(Duration d) noexcept { ahead_ += d; }

 private:
  Duration ahead_{};
};

struct Bench {
  boost::asio::io_context io;
  ForwardClock clock;
  Metrics metrics;
  Serving serving;
  std::map<std::string, std::unique_ptr<FakeNode>> nodes;

  explicit Bench(ServingOptions o = {})
      : serving(io, clock, o, ModelInfo{.id = "fake", .max_model_len = 256}, std::make_unique<FakeModelText>(),
                metrics) {}
  ~Bench() {
    for (auto& [name, node] : nodes) node->vanish();
    serving.stop();  // the closing runs below, while the links are still there
    io.run_for(std::chrono::milliseconds(100));
  }

  FakeNode& join(ctl::RegisterRequest info) {
    const NodeId name = info.node;
    auto& node = nodes[name.value()];
    node = std::make_unique<FakeNode>(io, serving.control_address(), std::move(info));
    REQUIRE(until([&] { return serving.view().find(name) != nullptr || node->refused; }));
    return *node;
  }
  /// The node's process is gone, and the coordinator has seen it.
  void lose(const std::string& name) {
    nodes.at(name)->vanish();
    REQUIRE(until([&] { return serving.view().find(NodeId(name)) == nullptr; }));
  }
  std::shared_ptr<Heard> start(LegSpec spec, int max_tokens = 20) {
    auto sink = std::make_shared<Heard>();
    if (!spec.prompt) spec.prompt = std::make_shared<std::vector<TokenId>>(40, 7);
    spec.sampling.max_tokens = max_tokens;
    spec.received = clock.now();
    last = serving.start(std::move(spec), sink);
    return sink;
  }
  /// Runs the io_context until pred holds; false when it does not within 10 s.
  template <class Pred>
  [[nodiscard]] bool until(Pred pred) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!pred() && std::chrono::steady_clock::now() < end) io.run_one_for(std::chrono::milliseconds(20));
    return pred();
  }
  [[nodiscard]] nlohmann::json decision() const { return serving.decisions().since(0, 1).at(0); }

  RequestId last;
};

}  // namespace sluice::test
