// What the coordinator's /metrics says: of requests, under both sets of names, and by Prometheus' rules.
#include "tests/coordinator_serving/serving_fixture.h"
#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::test;
using Catch::Contains;

TEST_CASE("every metric keeps the rules of names, before and after requests") {
  Bench b;
  CHECK(metrics_faults(b.serving.metrics_text()) == std::vector<std::string>{});
  FakeNode& p = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d = b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = b.start({});
  REQUIRE(b.until([&] { return !p.prefills.empty(); }));
  d.tokens(b.last, 0, {1, 2, 3});
  ctl::PrefillDone done;
  done.request = b.last;
  done.raw_bytes = 1000;
  done.wire_bytes = 500;
  p.report(done);
  d.finished(b.last);
  REQUIRE(b.until([&] { return heard->over(); }));
  const auto refused = b.start({.profile = "nope"});
  REQUIRE(b.until([&] { return refused->over() && !p.path_probes.empty(); }));
  const std::string text = b.serving.metrics_text();
  CHECK(metrics_faults(text) == std::vector<std::string>{});
  CHECK_THAT(text, Contains("sluice_decisions_total{decode_node=\"d0\",prefill_node=\"p0\",profile="));
  CHECK_THAT(text, Contains("sluice_link_probes_total{decode_node=\"d0\",outcome=\"ok\",prefill_node=\"p0\"} 1"));
  CHECK(p.path_probes[0].decode_node == NodeId("d0"));  // the node labels its own figures with it
  CHECK_THAT(text, Contains("sluice_output_tokens_total 3"));
}

TEST_CASE("a finished request is told under vLLM's names, old and new") {
  Bench b;
  FakeNode& p = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d = b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = b.start({});
  REQUIRE(b.until([&] { return !p.prefills.empty(); }));
  d.tokens(b.last, 0, {1, 2, 3});
  p.prefill_done(b.last);
  d.finished(b.last);
  REQUIRE(b.until([&] { return heard->over(); }));
  const std::string text = b.serving.metrics_text();
  const std::string model = "{model_name=\"fake\"} ";
  for (const char* once :
       {"time_to_first_token_seconds", "e2e_request_latency_seconds", "request_time_per_output_token_seconds",
        "request_queue_time_seconds", "request_prefill_time_seconds", "request_decode_time_seconds",
        "request_inference_time_seconds", "request_prompt_tokens", "request_generation_tokens"})
    CHECK_THAT(text, Contains(fmt::format("vllm:{}_count{}1\n", once, model)));
  for (const char* twice : {"inter_token_latency_seconds", "time_per_output_token_seconds"})
    CHECK_THAT(text, Contains(fmt::format("vllm:{}_count{}2\n", twice, model)));
  CHECK_THAT(text, Contains("vllm:request_prompt_tokens_sum" + model + "40\n"));
  CHECK_THAT(text, Contains("vllm:request_generation_tokens_sum" + model + "3\n"));
  CHECK_THAT(text, Contains("vllm:prompt_tokens_total" + model + "40\n"));
  CHECK_THAT(text, Contains("vllm:generation_tokens_total" + model + "3\n"));
  CHECK_THAT(text, Contains("vllm:request_success_total{finished_reason=\"length\",model_name=\"fake\"} 1"));
  CHECK_THAT(text, Contains("vllm:kv_cache_usage_perc" + model + "0\n") &&
                       Contains("vllm:gpu_cache_usage_perc" + model + "0\n"));
}

TEST_CASE("a client that went away is an abort, and its tokens were generated all the same") {
  Bench b;
  FakeNode& p = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d = b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = b.start({});
  REQUIRE(b.until([&] { return !p.prefills.empty(); }));
  d.tokens(b.last, 0, {1, 2});
  REQUIRE(b.until([&] { return heard->tokens.size() == 2; }));
  b.serving.cancel(b.last, CancelReason::client_gone);
  REQUIRE(b.until([&] { return heard->over(); }));
  const std::string text = b.serving.metrics_text();
  CHECK_THAT(text, Contains("vllm:request_success_total{finished_reason=\"abort\",model_name=\"fake\"} 1"));
  CHECK_THAT(text, Contains("vllm:generation_tokens_total{model_name=\"fake\"} 2"));
  CHECK_THAT(text, Contains("vllm:e2e_request_latency_seconds_count{model_name=\"fake\"} 0"));
}

TEST_CASE("what waits on a prefill node waits") {
  Bench b;
  FakeNode& p = b.join(node_info(ctl::Role::prefill, "p0"));
  b.join(node_info(ctl::Role::decode, "d0"));
  std::vector<std::shared_ptr<Heard>> all;
  for (int i = 0; i < 3; ++i) all.push_back(b.start({}));
  REQUIRE(b.until([&] { return p.prefills.size() == 3; }));
  p.waiting = 2;
  REQUIRE(b.until([&] { return b.serving.waiting() == 2; }));
  const std::string text = b.serving.metrics_text();
  CHECK_THAT(text, Contains("sluice_requests_waiting 2") && Contains("sluice_requests_running 1"));
  CHECK_THAT(text, Contains("vllm:num_requests_waiting{model_name=\"fake\"} 2"));
}

TEST_CASE("attainment is told by class and objective, beside what the class promises") {
  Bench b;
  FakeNode& p = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d = b.join(node_info(ctl::Role::decode, "d0"));
  REQUIRE(b.serving.slos().change("gold", {{"ttft_ms", 60000}, {"tpot_ms", 60000}, {"attainment", 0.9}}, "test"));
  const auto answer = [&] {
    const std::size_t before = p.prefills.size();
    const auto heard = b.start({.slo_class = "gold"});
    REQUIRE(b.until([&] { return p.prefills.size() > before; }));
    d.tokens(b.last, 0, {1});
    REQUIRE(b.until([&] { return heard->tokens.size() == 1; }));
    d.tokens(b.last, 1, {2});
    p.prefill_done(b.last);
    d.finished(b.last);
    REQUIRE(b.until([&] { return heard->over(); }));
  };
  answer();
  REQUIRE(b.serving.slos().change("gold", {{"ttft_ms", 0.001}}, "test"));
  answer();
  REQUIRE(b.serving.slos().change("gold", {{"ttft_ms", 60000}}, "test"));
  const std::string text = b.serving.metrics_text();
  CHECK(metrics_faults(text) == std::vector<std::string>{});
  for (const char* line : {"sluice_slo_requests_total{class=\"gold\",met=\"false\"} 1\n",
                           "sluice_slo_requests_total{class=\"gold\",met=\"true\"} 1\n",
                           "sluice_slo_objectives_total{class=\"gold\",met=\"false\",objective=\"ttft\"} 1\n",
                           "sluice_slo_objectives_total{class=\"gold\",met=\"true\",objective=\"ttft\"} 1\n",
                           "sluice_slo_objectives_total{class=\"gold\",met=\"false\",objective=\"tpot\"} 0\n",
                           "sluice_slo_objectives_total{class=\"gold\",met=\"true\",objective=\"tpot\"} 2\n",
                           "sluice_slo_attainment_ratio{class=\"gold\"} 0.9\n",
                           "sluice_slo_objective_seconds{class=\"gold\",objective=\"ttft\"} 60\n"})
    CHECK_THAT(text, Contains(line));
  REQUIRE(b.serving.slos().remove("gold", "test"));
  CHECK_THAT(b.serving.metrics_text(), !Contains("sluice_slo_attainment_ratio{class=\"gold\"}"));
}

TEST_CASE("predictions are told beside what came of them") {
  Bench b;
  FakeNode& p = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d = b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = b.start({});
  REQUIRE(b.until([&] { return !p.prefills.empty(); }));
  d.tokens(b.last, 0, {1, 2, 3});
  p.prefill_done(b.last);
  d.finished(b.last);
  REQUIRE(b.until([&] { return heard->over(); }));
  const std::string text = b.serving.metrics_text();
  for (const char* both : {"sluice_ttft_predicted_seconds_count 1\n", "sluice_ttft_prediction_error_ratio_count 1\n",
                           "sluice_ttft_seconds_count 1\n"})
    CHECK_THAT(text, Contains(both));
}
