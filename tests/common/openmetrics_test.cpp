#include "common/openmetrics.h"

#include <catch2/catch.hpp>
#include <limits>

#include "common/metrics.h"
#include "tests/support/openmetrics_lint.h"

using namespace sluice;
using Catch::Contains;
using Catch::EndsWith;

namespace {

constexpr const char* kOpen = "application/openmetrics-text";

}  // namespace

TEST_CASE("metrics in OpenMetrics' text") {
  Metrics m;
  m.counter("sluice_things_total", "Things \"made\" in\\out.", {{"kind", "a\"b\\c\nd"}}).add(3);
  m.gauge("sluice_level", "Level.").set(std::numeric_limits<double>::infinity());
  m.histogram("sluice_wait_seconds", "Wait.", {0.5, 1, 10}).observe(0.7);
  (void)m.counters("sluice_none_total", "None yet.");
  const std::string text = m.openmetrics();
  CHECK(test::openmetrics_faults(text) == std::vector<std::string>{});
  CHECK_THAT(text, Contains("# HELP sluice_things Things \\\"made\\\" in\\\\out.\n# TYPE sluice_things counter\n"
                            "sluice_things_total{kind=\"a\\\"b\\\\c\\nd\"} 3\n"));
  CHECK_THAT(text, Contains("sluice_level +Inf\n"));
  CHECK_THAT(text, Contains("sluice_wait_seconds_bucket{le=\"0.5\"} 0\nsluice_wait_seconds_bucket{le=\"1.0\"} 1\n"
                            "sluice_wait_seconds_bucket{le=\"10.0\"} 1\nsluice_wait_seconds_bucket{le=\"+Inf\"} 1\n"
                            "sluice_wait_seconds_count 1\nsluice_wait_seconds_sum 0.7\n"));
  CHECK_THAT(text, Contains("# TYPE sluice_none counter\n"));
  CHECK_THAT(text, EndsWith("# EOF\n"));
}

TEST_CASE("each bucket names the last one it was told of, in OpenMetrics alone") {
  Metrics m;
  const Histogram h = m.histogram("sluice_wait_seconds", "Wait.", {0.5, 1}, {{"class", "gold"}});
  h.observe(0.1, {"trace_id", "aaaa"});
  h.observe(0.2, {"trace_id", "bbbb"});
  h.observe(0.3);
  h.observe(0.5, {"request_id", "on \"the\" bound"});
  h.observe(7, {"trace_id", "cccc"});
  h.observe(0.9, {"request_id", std::string(119, 'x')});  // more than a label set may have
  h.observe(0.9, {"request_id", ""});
  CHECK(h.count() == 7);
  const std::string text = m.openmetrics();
  CHECK(test::openmetrics_faults(text) == std::vector<std::string>{});
  CHECK_THAT(text, Contains("le=\"0.5\"} 4 # {request_id=\"on \\\"the\\\" bound\"} 0.5 1"));
  CHECK_THAT(text, Contains("le=\"1.0\"} 6\n"));
  CHECK_THAT(text, Contains("le=\"+Inf\"} 7 # {trace_id=\"cccc\"} 7 1"));
  CHECK_THAT(m.text(), !Contains("cccc") && !Contains("EOF"));
}

TEST_CASE("OpenMetrics goes to who asks for it, and prefers it") {
  CHECK(prefers_openmetrics(kOpen));
  CHECK(prefers_openmetrics("Application/OpenMetrics-Text; version=1.0.0; charset=utf-8"));
  CHECK(prefers_openmetrics("application/openmetrics-text; version=\"0.0.1\""));
  // Prometheus 2.42 and 3.
  CHECK(prefers_openmetrics(
      "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
      "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
  CHECK(prefers_openmetrics("text/plain;q=0.2, application/openmetrics-text;q=0.2"));
  CHECK_FALSE(prefers_openmetrics(""));
  CHECK_FALSE(prefers_openmetrics("*/*"));
  CHECK_FALSE(prefers_openmetrics("text/plain"));
  CHECK_FALSE(prefers_openmetrics("text/html,*/*;q=0.8"));
  CHECK_FALSE(prefers_openmetrics("application/openmetrics-text;q=0"));
  CHECK_FALSE(prefers_openmetrics("application/openmetrics-text;q=x"));
  CHECK_FALSE(prefers_openmetrics("application/openmetrics-text;version=2.0.0"));
  CHECK_FALSE(prefers_openmetrics("application/openmetrics-text;q=0.1, text/plain"));
  CHECK_FALSE(prefers_openmetrics("application/openmetrics-text-not"));
  CHECK_FALSE(prefers_openmetrics(",;,=;;q"));
}

TEST_CASE("the lint of OpenMetrics finds what it should") {
  const auto faults = [](const std::string& text) { return test::openmetrics_faults(text).size(); };
  const std::string good =
      "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1.0\"} 1 # {x=\"y\"} 0.5 1.5\na_bucket{le=\"+Inf\"} 1\na_count "
      "1\n"
      "a_sum 0.5\n# EOF\n";
  CHECK(faults(good) == 0);
  CHECK(faults(good.substr(0, good.size() - 6)) == 1);
  CHECK(faults(good + "b 1\n") >= 1);
  CHECK(faults("# HELP a A.\n# TYPE a counter\na 1\n# EOF\n") == 1);
  CHECK(faults("# HELP a_total A.\n# TYPE a_total counter\n# EOF\n") == 1);
  CHECK(faults("# HELP a A.\n# TYPE a gauge\n# HELP a A.\n# TYPE a gauge\n# EOF\n") >= 1);
  CHECK(faults("# HELP a A.\n# TYPE a gauge\na 1 # {x=\"y\"} 1 1\n# EOF\n") == 1);
  CHECK(faults("# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 1\n# EOF\n") == 1);
  CHECK(faults("# HELP a A.\n# TYPE a gauge\na 1\n\na 2\n# EOF\n") >= 1);
}
