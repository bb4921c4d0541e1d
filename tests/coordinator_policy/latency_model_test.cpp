#include "coordinator/policy/latency_model.h"

#include <catch2/catch.hpp>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

TEST_CASE("stage times follow bytes, rates and ratio") {
  auto c = test::cluster(1, 1);
  c.prefills[0].queued_tokens = 5000;
  c.links[0].backlog_bytes = 1000000;
  const auto r = test::request(4097);
  const StageTimes raw = stage_times(c, 0, 0, 0, r);
  const double bytes = 4096.0 * 131072;
  CHECK(raw.queue_s == Approx(0.5));
  CHECK(raw.prefill_s == Approx(0.4096));
  CHECK(raw.encode_s == Approx(bytes / 8e9));
  CHECK(raw.wire_s == Approx((bytes + 1e6) / 1e9 + 1e-4));
  const StageTimes h4 = stage_times(c, 0, 0, 2, r);
  CHECK(h4.wire_s == Approx((bytes / 3.8 + 1e6) / 1e9 + 1e-4));
  CHECK(h4.encode_s > raw.encode_s);
}

TEST_CASE("a one-token prompt moves no KV") {
  const auto c = test::cluster(1, 1);
  const StageTimes t = stage_times(c, 0, 0, 0, test::request(1));
  CHECK(t.prefill_s == 0);
  CHECK(t.encode_s == 0);
  CHECK(t.wire_s == Approx(1e-4));
}

TEST_CASE("a pipeline costs its bottleneck, plus one unit of the rest") {
  StageTimes t;
  t.prefill_s = 1.0;
  t.wire_s = 0.5;
  t.encode_s = 0.25;
  CHECK(pipeline_ttft(t, 1) == Approx(1.75));  // one unit: nothing overlaps
  CHECK(pipeline_ttft(t, 10) == Approx(1.0 + 0.75 / 10));
  t.wire_s = 4.0;
  CHECK(pipeline_ttft(t, 10) == Approx(4.0 + 1.25 / 10));  // the wire is the bottleneck now
  t.queue_s = 2.0;
  t.step_s = 0.01;
  CHECK(pipeline_ttft(t, 10) == Approx(2.0 + 4.0 + 1.25 / 10 + 0.01));
}

TEST_CASE("predicted TPOT grows with the batch and never vanishes") {
  auto c = test::cluster(1, 1);
  const double alone = predict_tpot(c.decodes[0]);
  CHECK(alone == Approx(0.01));
  c.decodes[0].seqs = 8;
  CHECK(predict_tpot(c.decodes[0]) > alone);
  c.decodes[0].seqs = 0;
  c.decodes[0].step_batch = 64;
  CHECK(predict_tpot(c.decodes[0]) > 0);
}
