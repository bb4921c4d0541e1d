// A decode node gives a leg back: it has no room for it any more. Nothing failed, and the answer goes on.
#include "coordinator/serving/answer_bits.h"
#include "coordinator/serving/leg_placer.h"
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/// A leg on p0 and d0 whose client has read two tokens.
struct Running {
  Bench b;
  FakeNode& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  std::shared_ptr<Heard> heard;
  RequestId id;
  std::size_t times = 1;  // that it was placed

  Running() {
    heard = b.start({.profile = "q8"});
    id = b.last;
    begun();
    d0.tokens(id, 0, {11, 12});
    REQUIRE(b.until([&] { return heard->tokens.size() == 2; }));
  }
  void begun() {
    REQUIRE(b.until([&] { return p0.prefills.size() == times || heard->over(); }));
    if (!heard->over()) p0.prefill_done(id);
  }
  void give_back(std::uint32_t swapped = 0) {
    d0.end({.request = id,
            .attempt = d0.reserves.back().attempt,
            .reason = "preempted",
            .swapped = swapped,
            .recomputed = 1,
            .parked_s = 0.25});
    ++times;
    begun();
  }
};

}  // namespace

TEST_CASE("an answer that its node gives back goes on, and that costs it no try") {
  Running r;
  CHECK(r.d0.reserves[0].grows);
  r.give_back(2);
  REQUIRE(r.d0.reserves.size() == 2);
  const auto& again = r.d0.reserves[1];
  CHECK(again.profile == "q8");
  CHECK(std::vector<TokenId>(again.tokens.end() - 2, again.tokens.end()) == std::vector<TokenId>{11, 12});
  CHECK(again.attempt > r.d0.reserves[0].attempt);
  r.d0.tokens(r.id, 2, {13});
  r.d0.end({.request = r.id, .attempt = again.attempt, .reason = "length", .swapped = 1});
  REQUIRE(r.b.until([&] { return r.heard->over(); }));
  CHECK(r.heard->end == LegEnd::length);
  CHECK(r.heard->tokens == std::vector<TokenId>{11, 12, 13});
  CHECK_FALSE(r.heard->stats.extra.contains("resumes"));
  CHECK(r.heard->stats.extra["preempted"] ==
        nlohmann::json{{"swap", 3}, {"recompute", 1}, {"return", 1}, {"parked_ms", 250.0}});
  CHECK_THAT(r.b.serving.metrics_text(), Catch::Contains("\nsluice_resumes_total 0\n"));
  CHECK(r.b.until([&] { return r.b.serving.view().find(NodeId("d0"))->reserved_blocks == 0; }));
}

TEST_CASE("an answer that nobody preempted says nothing of it") {
  Running r;
  r.d0.finished(r.id);
  REQUIRE(r.b.until([&] { return r.heard->over(); }));
  CHECK_FALSE(r.heard->stats.extra.contains("preempted"));
}

TEST_CASE("an answer that is given back time and again ends in the end, with an error") {
  Running r;
  int times = 0;
  for (; !r.heard->over() && times < 100; ++times) r.give_back();
  CHECK(r.d0.reserves[1].grows);
  CHECK_FALSE(r.d0.reserves[2].grows);  // all of its blocks at once: a node that keeps to that gives it back no more
  CHECK(times == kMostReturns + kMaxResumes + 1);
  REQUIRE(r.heard->error);
  CHECK(r.heard->error->code == Errc::unavailable);
  CHECK_THAT(r.heard->error->message, Catch::Contains("no room"));
}

TEST_CASE("an end of an earlier attempt gives nothing back") {
  Running r;
  r.give_back();
  r.d0.end({.request = r.id, .attempt = r.d0.reserves[0].attempt, .reason = "preempted"});
  r.d0.tokens(r.id, 2, {13});
  REQUIRE(r.b.until([&] { return r.heard->tokens.size() == 3; }));
  CHECK(r.d0.reserves.size() == 2);
}

TEST_CASE("the node is told whether it could compute the KV itself") {
  Session s;
  s.run.profile = "raw";
  s.answer.prefill_bits = {"avx2", "bf16", 512, 256, "1.0"};
  s.answer.decode_bits = {"avx2", "bf16", 0, 0, "1.0"};
  CHECK(exact_kv(s));
  s.answer.decode_bits.backend = "avx512";
  CHECK_FALSE(exact_kv(s));
  s.run.local = true;
  CHECK(exact_kv(s));
  s.run.local = false;
  s.answer.decode_bits = {"avx2", "bf16", 0, 0, ""};
  s.answer.prefill_bits.version = "";
  CHECK_FALSE(exact_kv(s));
  s.answer.prefill_bits.version = s.answer.decode_bits.version = "1.0";
  s.run.kl = 0.001;
  CHECK_FALSE(exact_kv(s));
  s.run.kl = 0;
  s.answer.change = ctl::ProfileChange{.to = "h4", .from = {}};
  CHECK_FALSE(exact_kv(s));
}

TEST_CASE("preemptions of nodes are counted under vLLM's name, over nodes that start anew") {
  Bench b;
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  const auto counted = [&](const std::string& n) {
    return b.until([&] {
      return b.serving.metrics_text().find("\nvllm:num_preemptions_total{model_name=\"fake\"} " + n + "\n") !=
             std::string::npos;
    });
  };
  REQUIRE(b.until([&] { return b.serving.view().find(NodeId("d0"))->told; }));
  d0.preemptions = 3;
  CHECK(counted("3"));
  b.lose("d0");
  FakeNode& again = b.join(node_info(ctl::Role::decode, "d0"));
  REQUIRE(b.until([&] { return b.serving.view().find(NodeId("d0"))->told; }));
  again.preemptions = 2;
  CHECK(counted("5"));
}
