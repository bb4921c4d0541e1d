// Log-probabilities of a prompt's own tokens: asked of the prefill node, brought to the client, waited for.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

const std::vector<TokenId> kPrompt{7, 8, 9, 10, 11, 12};

LegSpec asking(int top) {
  LegSpec spec;
  spec.prompt = std::make_shared<const std::vector<TokenId>>(kPrompt);
  spec.prompt_logprobs = top;
  return spec;
}

/// What a prefill node says of positions [first, end): figures that name their position.
ctl::PromptLogprobs part(RequestId id, std::uint32_t attempt, std::uint32_t first, std::uint32_t end, float salt = 0) {
  ctl::PromptLogprobs l{.request = id, .attempt = attempt, .first = first};
  for (std::uint32_t p = first; p < end; ++p)
    l.tokens.push_back({kPrompt[p], -salt - static_cast<float>(p), p, {{kPrompt[p], -1.0F}, {3, -2.0F}}});
  return l;
}

struct Pair {
  Bench b;
  FakeNode& p0;
  FakeNode& d0;
  std::shared_ptr<Heard> heard;
  RequestId id;

  explicit Pair(LegSpec spec, ServingOptions o = {})
      : b(o),
        p0(b.join(node_info(ctl::Role::prefill, "p0"))),
        d0(b.join(node_info(ctl::Role::decode, "d0"))),
        heard(b.start(std::move(spec))),
        id(b.last) {
    REQUIRE(b.until([&] { return p0.prefills.size() == 1; }));
  }
  [[nodiscard]] std::uint32_t attempt() const { return p0.prefills.back().attempt; }
  void decoded() {
    d0.tokens(id, 0, {21});
    d0.finished(id);
    REQUIRE(b.until([&] { return heard->tokens.size() == 1; }));
  }
  void run(std::chrono::milliseconds t) { b.io.run_for(t); }
  void over() {
    REQUIRE(b.until([&] { return heard->over(); }));
  }
};

}  // namespace

TEST_CASE("a prompt's log-probabilities are asked of the prefill node and come by position") {
  Pair r(asking(2));
  REQUIRE(r.p0.prefills[0].prompt_logprobs);
  CHECK(r.p0.prefills[0].prompt_logprobs->top == 2);
  CHECK(r.p0.prefills[0].prompt_logprobs->last == 12);
  CHECK(r.p0.prefills[0].tokens.size() == 5);
  CHECK_FALSE(r.d0.reserves[0].sampling.logprobs);
  r.p0.rated(part(r.id, r.attempt(), 1, 3));
  r.p0.rated(part(r.id, r.attempt(), 3, 6));
  r.p0.prefill_done(r.id);
  r.decoded();
  r.over();
  CHECK(r.heard->end == LegEnd::length);
  REQUIRE(r.heard->rated.size() == 6);
  for (std::size_t p = 1; p < 6; ++p) {
    CHECK(r.heard->rated[p].id == kPrompt[p]);
    CHECK(r.heard->rated[p].logprob == -static_cast<float>(p));
    CHECK(r.heard->rated[p].rank == static_cast<int>(p));
    REQUIRE(r.heard->rated[p].top.size() == 2);
    CHECK(r.heard->rated[p].top[1].id == 3);
  }
}

TEST_CASE("who does not ask is told nothing, and nothing is asked for it") {
  LegSpec spec = asking(2);
  spec.prompt_logprobs.reset();
  Pair r(std::move(spec));
  CHECK_FALSE(r.p0.prefills[0].prompt_logprobs);
  r.p0.rated(part(r.id, r.attempt(), 1, 6));
  r.p0.prefill_done(r.id);
  r.decoded();
  r.over();
  CHECK(r.heard->end == LegEnd::length);
  CHECK(r.heard->rated.empty());
}

// Rating a long prompt takes longer than its last layer's KV and one token.
TEST_CASE("a short answer waits for its prompt's log-probabilities as long as it takes") {
  Pair r(asking(0));
  r.p0.rated(part(r.id, r.attempt(), 1, 4));
  r.decoded();
  r.run(std::chrono::milliseconds(600));  // far beyond what a report is waited for
  CHECK_FALSE(r.heard->over());
  r.p0.rated(part(r.id, r.attempt(), 4, 6));
  r.p0.prefill_done(r.id);
  r.over();
  CHECK(r.heard->end == LegEnd::length);
}

TEST_CASE("an answer without its prompt's log-probabilities is an error that says so") {
  Pair r(asking(0));
  const int what = GENERATE(range(0, 6));
  CAPTURE(what);
  auto bad = part(r.id, r.attempt(), 1, 6);
  if (what == 0) bad = part(r.id, r.attempt(), 1, 5);  // some are missing
  if (what == 1) bad = part(r.id, r.attempt(), 2, 6);  // the first is
  if (what == 2) bad.tokens[3].id = 99;                // of another prompt
  if (what == 3) bad.tokens.push_back(bad.tokens[0]);  // beyond its end
  if (what == 4) bad.attempt = r.attempt() + 1;
  if (what < 5) r.p0.rated(bad);
  r.decoded();
  r.p0.prefill_done(r.id);
  r.over();
  REQUIRE(r.heard->error);
  CHECK(r.heard->error->code == Errc::unavailable);
  CHECK_THAT(r.heard->error->message, Catch::Contains("log-probabilities"));
  CHECK(r.b.serving.active() == 0);
}

TEST_CASE("a leg that is placed again reports anew, and what its earlier attempt says comes too late") {
  Pair r(asking(1));
  const std::uint32_t first = r.attempt();
  r.p0.rated(part(r.id, first, 1, 4, 100));
  REQUIRE(r.b.until([&] { return r.heard->rated.size() == 4; }));
  FakeNode& d1 = r.b.join(node_info(ctl::Role::decode, "d1"));
  r.b.lose("d0");
  REQUIRE(r.b.until([&] { return r.p0.prefills.size() == 2; }));
  r.p0.rated(part(r.id, first, 4, 6, 100));
  r.p0.rated(part(r.id, r.attempt(), 1, 6));
  r.p0.prefill_done(r.id);
  d1.tokens(r.id, 0, {21});
  d1.finished(r.id);
  r.over();
  CHECK(r.heard->end == LegEnd::length);
  CHECK(r.heard->reports == 2);
  for (std::size_t p = 1; p < 6; ++p) CHECK(r.heard->rated[p].logprob == -static_cast<float>(p));
}

TEST_CASE("a prefill node that is lost with log-probabilities is not waited for") {
  Pair r(asking(1));
  SECTION("the answer is done: an error") {
    r.decoded();
    r.run(std::chrono::milliseconds(50));
    r.b.lose("p0");
    r.over();
    CHECK(r.heard->error->code == Errc::unavailable);
  }
  SECTION("the answer goes on: elsewhere, with what the client has") {
    r.d0.tokens(r.id, 0, {21});
    REQUIRE(r.b.until([&] { return r.heard->tokens.size() == 1; }));
    FakeNode& p1 = r.b.join(node_info(ctl::Role::prefill, "p1"));
    r.b.lose("p0");
    REQUIRE(r.b.until([&] { return p1.prefills.size() == 1; }));
    CHECK(r.d0.reserves.back().tokens.back() == 21);
    p1.rated(part(r.id, p1.prefills[0].attempt, 1, 6));
    p1.prefill_done(r.id);
    r.d0.finished(r.id);
    r.over();
    CHECK(r.heard->end == LegEnd::length);
  }
  SECTION("they are here: nothing is lost") {
    r.p0.rated(part(r.id, r.attempt(), 1, 6));
    r.d0.tokens(r.id, 0, {21});
    REQUIRE(r.b.until([&] { return r.heard->tokens.size() == 1 && r.heard->rated.size() == 6; }));
    r.b.lose("p0");
    r.d0.finished(r.id);
    r.over();
    CHECK(r.heard->end == LegEnd::length);
    CHECK(r.d0.reserves.size() == 1);
  }
}

// The stop string came with a token of the same message that ended the KV: cancelling the leg took its prompt's figures
// away.
TEST_CASE("a stop string ends the decoding, not the rating") {
  Pair r(asking(1));
  r.d0.tokens(r.id, 0, {21});
  REQUIRE(r.b.until([&] { return r.heard->tokens.size() == 1; }));
  r.d0.hold_cancels = r.p0.hold_cancels = true;
  r.b.serving.cancel(r.id, CancelReason::stop_string);
  r.b.serving.cancel(r.id, CancelReason::stop_string);
  REQUIRE(r.b.until([&] { return r.d0.held.size() == 1; }));
  CHECK(r.p0.held.empty());
  CHECK_FALSE(r.heard->over());
  r.p0.rated(part(r.id, r.attempt(), 1, 6));
  r.p0.prefill_done(r.id);
  r.over();
  CHECK(r.heard->end == LegEnd::stop);
  r.d0.let_go();
}

TEST_CASE("a client that goes while its prompt is rated frees the prefill node") {
  Pair r(asking(1));
  r.decoded();
  r.run(std::chrono::milliseconds(50));
  r.p0.hold_cancels = true;
  r.b.serving.cancel(r.id, CancelReason::client_gone);
  REQUIRE(r.b.until([&] { return r.p0.held.size() == 1; }));
  r.over();
  CHECK(r.heard->end == LegEnd::cancelled);
  r.p0.let_go();
}

TEST_CASE("a prompt that is rated for longer than a request may take ends with an error") {
  ServingOptions o;
  o.request_timeout_s = 0.5;
  Pair r(asking(1), o);
  r.decoded();
  r.over();
  CHECK(r.heard->error->code == Errc::deadline_exceeded);
}
