#pragma once
// A leg on p0 and d0 whose client has read three tokens, and a second decode node d1 that it may move to.
#include "tests/coordinator_serving/serving_fixture.h"

namespace sluice::test {

inline ctl::RegisterRequest mover_node(const std::string& name, std::uint32_t blocks = 100) {
  auto r = node_info(ctl::Role::decode, name);
  r.moves = true;
  r.grows = true;
  r.total_blocks = blocks;
  return r;
}

struct MovingLeg {
  Bench b;
  FakeNode& p0;
  FakeNode& d0;
  FakeNode* d1 = nullptr;
  std::shared_ptr<Heard> heard;
  RequestId id;
  std::optional<Result<nlohmann::json>> said;  // of the order to move
  std::uint32_t made = 3;                      // tokens

  explicit MovingLeg(const MoverOptions& o = {.rebalance = false}, std::uint32_t d0_blocks = 100,
                     std::uint32_t d1_blocks = 100)
      : b({.mover = o, .registry = {.lease_ms = 3'600'000}}),
        p0(b.join(node_info(ctl::Role::prefill, "p0"))),
        d0(b.join(mover_node("d0", d0_blocks))) {
    LegSpec spec{.profile = "q8"};
    spec.request_id = "req-1";
    heard = b.start(std::move(spec));
    id = b.last;
    REQUIRE(b.until([&] { return p0.prefills.size() == 1; }));
    p0.prefill_done(id);
    d0.tokens(id, 0, {11, 12, 13});
    REQUIRE(b.until([&] { return heard->tokens.size() == 3 && blocks("d0") > 0; }));
    d1 = &b.join(mover_node("d1", d1_blocks));
    d0.step_s = d1->step_s = 0.01;
    REQUIRE(b.until([&] { return step_s("d0") > 0 && step_s("d1") > 0; }));
  }
  void order(const std::string& to = "d1") {
    b.serving.migrate("req-1", NodeId(to), [this](Result<nlohmann::json> r) { said = std::move(r); });
  }
  /// The copy goes, and the source makes tokens until its stop.
  void until_copying() {
    order();
    REQUIRE(b.until([&] { return !d0.moves.empty(); }));
  }
  [[nodiscard]] std::uint32_t stop() const { return d0.moves.back().stop; }
  void make_until_halt() {
    std::vector<TokenId> rest;
    for (; 40 + made < stop() + 1; ++made) rest.push_back(static_cast<TokenId>(11 + made));
    d0.tokens(id, made - static_cast<std::uint32_t>(rest.size()), rest);
    REQUIRE(b.until([&] { return heard->tokens.size() == made; }));
  }
  void halt() {
    make_until_halt();
    d0.halted(id, d0.moves.back().attempt, stop() + 1);
    REQUIRE(b.until([&] { return !d1->go_ons.empty(); }));
  }
  /// The leg is over, d1 drains, and another one is to be decoded on d0: its prompt is at p0.
  std::shared_ptr<Heard> another_on_d0() {
    end_on(d0);
    REQUIRE(b.serving.drain_node(NodeId("d1"), false));
    auto next = b.start({});
    REQUIRE(b.until([&] { return p0.prefills.size() == 2; }));
    return next;
  }
  void token(FakeNode& of) {
    of.tokens(id, made, {static_cast<TokenId>(11 + made)});
    ++made;
    REQUIRE(b.until([&] { return heard->tokens.size() == made; }));
  }
  void end_on(FakeNode& of) {
    of.finished(id);
    REQUIRE(b.until([&] { return heard->over(); }));
    CHECK(heard->end == LegEnd::length);
    check_tokens();
  }
  void check_tokens() const {
    REQUIRE(heard->tokens.size() == made);
    for (std::uint32_t i = 0; i < made; ++i) CHECK(heard->tokens[i] == static_cast<TokenId>(11 + i));
  }
  [[nodiscard]] double step_s(const std::string& node) const {
    return b.serving.view().find(NodeId(node))->last.step_s;
  }
  /// That this coordinator's account says are held on a node.
  [[nodiscard]] std::uint32_t blocks(const std::string& node) const {
    const NodeRecord* n = b.serving.view().find(NodeId(node));
    return n == nullptr ? 0 : n->reserved_blocks;
  }
  /// Nothing is held anywhere any more.
  void check_given_back() {
    CHECK(b.until([&] { return blocks("d0") == 0 && blocks("d1") == 0; }));
    for (const char* name : {"d0", "d1"})
      if (const NodeRecord* n = b.serving.view().find(NodeId(name))) CHECK(n->seqs == 0);
  }
  void spin(int ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    while (std::chrono::steady_clock::now() < end) b.io.run_one_for(std::chrono::milliseconds(5));
  }
  [[nodiscard]] double count(const std::string& reason, const std::string& outcome) {
    return b.metrics.counters("sluice_moves_total", "").with({{"reason", reason}, {"outcome", outcome}}).value();
  }
};

}  // namespace sluice::test
