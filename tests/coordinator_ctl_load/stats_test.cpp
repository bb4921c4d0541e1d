#include <catch2/catch.hpp>

#include "coordinator/ctl/load/report.h"
#include "coordinator/ctl/load/stats.h"

using namespace sluice;
using namespace sluice::ctl::load;

namespace {

RequestResult completed(double ttft, double e2el, std::uint64_t output) {
  return {.error = {}, .input_tokens = 10, .output_tokens = output, .ttft_ms = ttft, .e2el_ms = e2el, .itl_ms = {}};
}

}  // namespace

TEST_CASE("percentiles interpolate as numpy's do") {
  const std::vector<double> v{15, 20, 35, 40, 50};  // numpy.percentile(v, [0, 25, 40, 50, 99, 100])
  CHECK(percentile(v, 0) == 15);
  CHECK(percentile(v, 25) == 20);
  CHECK(percentile(v, 40) == Approx(29));
  CHECK(percentile(v, 50) == 35);
  CHECK(percentile(v, 99) == Approx(49.6));
  CHECK(percentile(v, 100) == 50);
  CHECK(percentile({40, 15, 50, 20, 35}, 50) == 35);  // in any order
  CHECK(percentile({7}, 99) == 7);
  CHECK(percentile({}, 50) == 0);
}

TEST_CASE("TPOT leaves the first token out and needs two") {
  CHECK(completed(100, 400, 4).tpot_ms() == Approx(100));
  CHECK_FALSE(completed(100, 100, 1).tpot_ms().has_value());
  CHECK_FALSE(completed(100, 100, 0).tpot_ms().has_value());
}

TEST_CASE("goodput objectives are read strictly") {
  const auto g = parse_goodput({"ttft:500", "tpot:50.5"}).value();
  CHECK(g.ttft == 500);
  CHECK(g.tpot == 50.5);
  CHECK_FALSE(g.e2el);
  CHECK_FALSE(parse_goodput({}).value().any());
  for (const char* bad :
       {"ttft", "ttft:", "ttft:x", "ttft:5x", "ttft:-1", "ttft:0", "ttft:nan", "ttft:inf", "xx:5", ":5", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_goodput({bad}));
  }
}

TEST_CASE("goodput counts requests that met every objective") {
  const auto goal = parse_goodput({"ttft:500", "tpot:50"}).value();
  CHECK(goal.met_by(completed(500, 550, 2)));
  CHECK_FALSE(goal.met_by(completed(501, 551, 2)));  // late first token
  CHECK_FALSE(goal.met_by(completed(100, 151, 2)));  // slow after it
  CHECK(goal.met_by(completed(100, 9999, 1)));       // one token has no TPOT to miss
  auto failed = completed(1, 2, 2);
  failed.error = "refused";
  CHECK_FALSE(goal.met_by(failed));
}

TEST_CASE("a summary counts failures apart and rates by the whole duration") {
  auto failed = completed(0, 0, 0);
  failed.error = "429";
  auto first = completed(100, 300, 3);
  first.itl_ms = {80, 120};
  const auto s = summarize({first, failed, completed(200, 1200, 11)}, 2, parse_goodput({"ttft:150"}).value());
  CHECK(s.completed == 2);
  CHECK(s.failed == 1);
  CHECK(s.first_error == "429");
  CHECK(s.request_goodput() == 0.5);
  const auto j = bench_json(s);
  CHECK(j["request_throughput"] == 1.0);
  CHECK(j["output_throughput"] == 7.0);
  CHECK(j["total_token_throughput"] == 17.0);
  CHECK(j["mean_ttft_ms"] == 150.0);
  CHECK(j["median_tpot_ms"] == 100.0);
  CHECK(j["mean_itl_ms"] == 100.0);
  CHECK(bench_text(s).find("P99 E2EL (ms):") != std::string::npos);
}

TEST_CASE("a test in which nothing completed still has a summary") {
  const auto j = bench_json(summarize({}, 0, {}));
  CHECK(j["completed"] == 0);
  CHECK(j["request_throughput"] == 0);
  CHECK(j["p99_ttft_ms"] == 0);
  CHECK(j["request_goodput"].is_null());
}
