#include "coordinator/ctl/doctor/pd.h"

#include "tests/coordinator_ctl_doctor/findings.h"

using namespace sluice;
using namespace sluice::ctl::doctor;

namespace {

PdLength length(std::uint64_t tokens, std::vector<double> split, std::vector<double> colocated) {
  return {tokens, std::move(split), std::move(colocated), {5, 5, 5, 5, 5}, {6, 6, 6, 6, 6}};
}

PdFacts measured() {
  PdFacts f;
  f.lengths = {length(64, {20, 21, 22, 20, 21}, {10, 11, 10, 12, 11}),
               length(2000, {100, 101, 99, 100, 98}, {150, 152, 149, 151, 150})};
  f.beside = {2000, 5, {10, 11, 9, 10, 10}, {60, 58, 61, 60, 59}, {6, 6, 6, 6, 6}, {20, 20, 20, 20, 20}, 0};
  return f;
}

}  // namespace

TEST_CASE("who wins changes with the length, and running answers are spared") {
  const Findings all = judge_pd(measured());
  const Finding verdict = only(all, "pd");
  INFO(verdict.found);
  CHECK(verdict.severity == Severity::note);
  CHECK_THAT(verdict.found,
             Catch::Contains("up to 64 prompt tokens colocated is faster (split takes up to 1.91x as long)"));
  CHECK_THAT(verdict.found, Catch::Contains("from 2000 prompt tokens split is faster (up to 1.50x)"));
  CHECK_THAT(verdict.found, Catch::Contains("longest pause is 6.0x shorter"));
  CHECK_THAT(verdict.set, Catch::Contains("colocated"));
  CHECK_THAT(all[0].found, Catch::Contains("split was slower in 5 of 5 rounds"));
  CHECK_THAT(only(all, "pd-beside").found,
             Catch::Contains("5.00 ms a token alone") && Catch::Contains("10.0 ms and 60.0 ms"));
  CHECK(pd_json(measured())["lengths"][1]["verdict"] == "split is 1.50x faster");
  CHECK(pd_json(measured())["lengths"][0]["chance"] == Approx(0.0625));
}

TEST_CASE("noise is no verdict") {
  PdFacts f = measured();
  f.lengths = {length(64, {20, 10, 20, 10}, {10, 20, 10, 20}), length(128, {10.2, 10.1}, {10.0, 10.0})};
  CHECK_THAT(only(judge_pd(f), "pd").found, Catch::Contains("at every length measured there is no clear difference"));
  CHECK_THAT(judge_pd(f)[0].found, Catch::Contains("so not sure"));
  CHECK(only(judge_pd(f), "pd").set.empty());
}

TEST_CASE("few rounds are said to be few") {
  PdFacts f = measured();
  f.lengths = {length(64, {20}, {10})};
  CHECK_THAT(judge_pd(f)[0].found, Catch::Contains("1 of 1 rounds") && Catch::Contains("not sure"));
}

TEST_CASE("what could not be measured is said") {
  PdFacts f = measured();
  f.beside.colocated_worst_ms.clear();
  f.beside.elsewhere = 5;
  CHECK(only(judge_pd(f), "pd-beside").severity == Severity::note);
  f.error = Error{Errc::unavailable, "no prefill node", {}};
  check_told(only(judge_pd(f), "pd"), Severity::warning, "no prefill node", "message");
}

TEST_CASE("medians") {
  CHECK(median({}) == 0);
  CHECK(median({3, 1, 2}) == 2);
  CHECK(median({4, 1, 2, 3}) == 2.5);
}
