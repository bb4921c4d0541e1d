// The decision log tells what was chosen, and of what was not chosen why.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("a leg that nobody can take is refused, and the log says why") {
  Bench b;
  const auto heard = b.start({.request_id = "r1"});
  REQUIRE(b.until([&] { return heard->over(); }));
  CHECK(heard->error->code == Errc::unavailable);
  CHECK(heard->retry_after.has_value());
  const auto d = b.decision();
  CHECK(d["request_id"] == "r1");
  CHECK(d["reason"] == "refused");
  CHECK(d["outcome"] == "unavailable");
  CHECK(d["error"]["code"] == "unavailable");
  CHECK(d["error"]["message"] == "no prefill node is ready");
  CHECK(d["prefill_node"].is_null());
  CHECK(d["decode_node"].is_null());
  CHECK(d["profile"].is_null());
  CHECK(d["considered"] == 0);
}

TEST_CASE("each refusal has its own words in the log") {
  Bench b;
  b.join(node_info(ctl::Role::prefill, "p0"));
  b.join(node_info(ctl::Role::decode, "d0"));
  auto refused = [&](LegSpec spec) {
    const auto heard = b.start(std::move(spec));
    REQUIRE(b.until([&] { return heard->over(); }));
    REQUIRE(heard->error);
    const auto d = b.decision();
    CHECK(d["reason"] == "refused");
    CHECK(d["error"]["message"] == heard->error->message);
    return d["outcome"].get<std::string>();
  };
  CHECK(refused({.profile = "nope"}) == "not_found");
  CHECK(refused({.prompt = std::make_shared<std::vector<TokenId>>(2000, 7)}) == "invalid_argument");
  CHECK(refused({.slo_ttft = Duration(1)}) == "resource_exhausted");
  b.serving.begin_drain();
  CHECK(refused({}) == "unavailable");
  CHECK(b.decision()["error"]["message"] == "the coordinator is draining; try another one");
}

TEST_CASE("a leg that ran is logged with its choice and no error") {
  Bench b;
  FakeNode& p = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d = b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = b.start({});
  REQUIRE(b.until([&] { return !p.prefills.empty(); }));
  d.tokens(b.last, 0, {1, 2});
  p.prefill_done(b.last);
  d.finished(b.last);
  REQUIRE(b.until([&] { return heard->over(); }));
  CHECK(heard->tokens == std::vector<TokenId>{1, 2});
  const auto log = b.decision();
  CHECK(log["reason"] != "refused");
  CHECK(log["error"].is_null());
  CHECK(log["outcome"] == "length");
  CHECK(log["prefill_node"] == "p0");
  CHECK(log["decode_node"] == "d0");
  CHECK(log["considered"] == 2);
  CHECK(log["pinned"] == false);
  CHECK(log["kl"].is_number());
  CHECK(log["chance"].is_number());
  CHECK(log["link_bps"].is_number());
  CHECK(log["quality_budget"].is_number());
  for (const char* stage : {"queue", "prefill", "encode", "wire", "decode", "first_step"}) {
    CHECK(log["predicted_stages_ms"][stage].is_number());
    CHECK(log["stages_ms"][stage].is_number());
  }
  CHECK(log["predicted_stages_ms"]["wire"] > 0.0);
  CHECK(log["stages_ms"]["prefill"] == 12.0);
}

TEST_CASE("a leg cancelled before it had a place is not called refused") {
  Bench b;
  const auto heard = b.start({});
  b.serving.cancel(b.last, CancelReason::client_gone);
  REQUIRE(b.until([&] { return heard->over(); }));
  CHECK(b.decision()["reason"] == "cancelled");
  CHECK(b.decision()["error"].is_null());
}

TEST_CASE("a leg whose node breaks the stream until it gives up keeps its choice and says what broke") {
  Bench b;
  FakeNode& p = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d = b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = b.start({});
  for (std::size_t tries = 1; tries <= 1 + kMaxResumes; ++tries) {
    REQUIRE(b.until([&] { return p.prefills.size() == tries; }));
    d.tokens(b.last, 3, {9});  // tokens 0 to 2 are missing
  }
  REQUIRE(b.until([&] { return heard->over(); }));
  const auto log = b.decision();
  CHECK(log["reason"] != "refused");
  CHECK(log["prefill_node"] == "p0");
  CHECK(log["resumes"] == kMaxResumes);
  CHECK(log["outcome"] == "data_corrupt");
  CHECK(log["error"]["message"] == "a token is missing in the node's stream");
}

TEST_CASE("an operator's change stands among the decisions and is no request") {
  DecisionLog log(10);
  log.record_change({{"event", "slo_changed"}, {"slo_class", "default"}, {"slo", {{"ttft_ms", 1}}}}, 5);
  Session s;
  s.asked.slo_class = "default";
  s.asked.features.prompt_tokens = 40;
  s.asked.features.ttft_slo_s = 1;
  s.asked.features.tpot_slo_s = 1;
  s.asked.spec.received = TimePoint{std::chrono::seconds(10)};
  s.answer.first_token = s.answer.last_token = TimePoint{std::chrono::milliseconds(10500)};
  s.answer.emitted = {1, 2};
  log.record(s, "length", 6);
  const auto entries = log.since(0, 10);
  REQUIRE(entries.size() == 2);
  CHECK(entries[0]["event"] == "slo_changed");
  CHECK(entries[1]["seq"] == 2);
  const RecentRequests recent = log.recent("default");
  CHECK(recent.finished == 1);
  CHECK(recent.met == 1);
  CHECK(recent.prompt_tokens == 40);
  CHECK(log.recent("other").finished == 0);
}

TEST_CASE("what a link is said to have been busy with is without the receiver's decoding") {
  Session s;
  s.seen.wire_bytes = 1 << 20;
  s.seen.link_bytes = 4 << 20;
  s.seen.link_busy_s = 1;
  s.seen.decode_s = 0.8;
  CHECK(s.measured().link_busy_s == Approx(0.8));  // a quarter of the bytes were its own
  s.seen.link_bytes = 1 << 20;
  CHECK(s.measured().link_busy_s == Approx(0.25));  // decoding beside the wire is not taken off twice
  s.seen.link_bytes = 0;
  s.seen.link_busy_s = 0;
  CHECK(s.measured().link_busy_s == 0);
}
