#include "prefill_node/prefill_service.h"

#include <catch2/catch.hpp>

#include "kvtransfer/wire/reference.h"
#include "tests/prefill_node/service_rig.h"
#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::prefill;
using Rig = prefill::test::ServiceRig;

TEST_CASE("a prompt is computed, sent, confirmed and reported, and holds nothing then") {
  Rig r;
  const auto t = r.ticket(1);
  REQUIRE(r.start(prefill::test::call(t)));
  CHECK(r.service.open_requests() == 1);
  r.leaves(1);
  r.note(t, true);
  r.reported(1);
  CHECK(r.reports[0].request == RequestId(1));
  CHECK(r.reports[0].attempt == 2);
  CHECK(r.reports[0].tokens == 40);
  CHECK_FALSE(r.reports[0].error);
  CHECK(r.service.open_requests() == 0);
  CHECK(r.comes([&] { return r.free() == 32; }));
}

TEST_CASE("a request is taken once, and again after its end") {
  Rig r;
  const auto t = r.ticket(1);
  REQUIRE(r.start(prefill::test::call(t)));
  CHECK(r.start(prefill::test::call(r.ticket(1))).error().code == Errc::already_exists);
  r.leaves(1);
  r.note(t, false);
  r.reported(1);
  CHECK(r.reports[0].error->code == Errc::data_corrupt);
  CHECK(r.comes([&] { return r.free() == 32; }));
  CHECK(r.start(prefill::test::call(r.ticket(1))));
}

TEST_CASE("what the loop refuses leaves no request behind") {
  Rig r;
  auto call = prefill::test::call(r.ticket(1));
  call.tokens[3] = sluice::test::FakeModel::kVocab;
  CHECK(r.start(call).error().param == "tokens");
  CHECK(r.start(prefill::test::call(r.ticket(2, 1000))).error().code == Errc::invalid_argument);
  CHECK(r.service.open_requests() == 0);
}

TEST_CASE("a cancelled request is not reported, and its blocks come back") {
  Rig r;
  REQUIRE(r.start(prefill::test::call(r.ticket(1))));
  const bool all = GENERATE(false, true);
  if (all) r.service.cancel_all({});
  if (!all) CHECK(r.service.cancel(RequestId(1)));
  CHECK_FALSE(r.service.cancel(RequestId(1)));
  CHECK(r.comes([&] { return r.free() == 32; }));
  const auto t = r.ticket(2);
  REQUIRE(r.start(prefill::test::call(t)));
  r.leaves(2);
  r.note(t, true);
  r.reported(1);
  CHECK(r.reports[0].request == RequestId(2));
}

TEST_CASE("a lost decode node fails what goes to it") {
  Rig r;
  REQUIRE(r.start(prefill::test::call(r.ticket(1))));
  r.leaves(1);
  r.service.on_peer_down("elsewhere", Error{Errc::unavailable, "gone", {}});
  r.service.on_peer_down("10.0.0.1:99", Error{Errc::unavailable, "gone", {}});
  r.reported(1);
  CHECK(r.reports[0].error->code == Errc::unavailable);
  CHECK(r.comes([&] { return r.free() == 32; }));
}

TEST_CASE("a probed request's reference follows its confirmation") {
  Rig r;
  const auto t = r.ticket(1);
  auto call = prefill::test::call(t);
  call.probe_token = 5;
  REQUIRE(r.start(call));
  r.leaves(1);
  CHECK(r.references == 0);
  r.note(t, true);
  r.reported(1);
  std::unique_lock lock(r.mutex);
  CHECK(r.changed.wait_for(lock, std::chrono::seconds(30), [&] { return r.references == 1; }));
  lock.unlock();
  CHECK(r.comes([&] { return r.free() == 32; }));
}

TEST_CASE("what the service counts keeps the rules of names") {
  Rig r;
  CHECK(sluice::test::metrics_faults(r.metrics.text()) == std::vector<std::string>{});
}

TEST_CASE("noise for a note harms nobody") {
  Rig r;
  r.service.on_note({});
  r.service.on_note(std::vector<std::byte>(64));
  CHECK(r.reports.empty());
}

TEST_CASE("a prompt's log-probabilities leave in order, in bounded parts, before its report") {
  Rig r;
  const auto t = r.ticket(1);
  auto call = prefill::test::call(t);
  call.prompt_logprobs = control::PromptRating{.top = 2, .last = 5};
  REQUIRE(r.start(call));
  r.leaves(1);
  r.note(t, true);
  r.reported(1);
  CHECK_FALSE(r.reports[0].error);
  std::uint32_t next = 1;
  TokenId last = -1;
  for (const control::PromptLogprobs& l : r.logprobs) {
    CHECK(l.request == RequestId(1));
    CHECK(l.attempt == 2);
    CHECK(l.first == next);
    CHECK(l.tokens.front().top.size() == 2);
    next += static_cast<std::uint32_t>(l.tokens.size());
    last = l.tokens.back().id;
  }
  CHECK(next == 41);
  CHECK(last == 5);
}

TEST_CASE("log-probabilities of a long pass are cut, and those of another run of the id are dropped") {
  Rig r;
  const std::vector<engine::RatedToken> many(1100, engine::RatedToken{7, -0.5F, 2, {{3, -0.25F}}});
  REQUIRE(r.start(prefill::test::call(r.ticket(1, 128))));
  r.leaves(1);
  REQUIRE(r.start(prefill::test::call(r.ticket(2, 40))));  // no room: its run has not begun
  r.service.on_rated(RequestId(1), 3, many);
  r.service.on_rated(RequestId(2), 1, many);
  r.service.on_rated(RequestId(3), 1, many);
  REQUIRE(r.logprobs.size() == 3);
  CHECK(r.logprobs[0].first == 3);
  CHECK(r.logprobs[0].tokens.size() == control::kMaxRatedTokens);
  CHECK(r.logprobs[2].first == 3 + 2 * control::kMaxRatedTokens);
  CHECK(r.logprobs[2].tokens.size() == 1100 - 2 * control::kMaxRatedTokens);
  CHECK(r.logprobs[2].tokens[0].rank == 2);
  CHECK(r.logprobs[2].tokens[0].top[0].id == 3);
}
