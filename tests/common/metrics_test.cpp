#include "common/metrics.h"

#include <catch2/catch.hpp>
#include <ctime>

#include "common/process_metrics.h"
#include "tests/support/metrics_lint.h"

using namespace sluice;
using Catch::Contains;

TEST_CASE("one name is one family, whoever asks") {
  Metrics m;
  const Counters c = m.counters("sluice_things_total", "Things.");
  c.with({{"kind", "a"}}).add();
  m.counter("sluice_things_total", "", {{"kind", "a"}}).add(2);
  m.counter("sluice_things_total", "", {{"kind", "b"}}).add();
  m.gauge("sluice_level", "Level.").set(7);
  m.histogram("sluice_wait_seconds", "Wait.", {.1, 1}).observe(.5);
  const std::string text = m.text();
  CHECK_THAT(text, Contains("# HELP sluice_things_total Things.\n# TYPE sluice_things_total counter\n"));
  CHECK_THAT(text, Contains("sluice_things_total{kind=\"a\"} 3") && Contains("sluice_things_total{kind=\"b\"} 1"));
  CHECK_THAT(text, Contains("# TYPE sluice_level gauge\nsluice_level 7"));
  CHECK_THAT(text, Contains("sluice_wait_seconds_bucket{le=\"0.1\"} 0") && Contains("sluice_wait_seconds_count 1"));
}

TEST_CASE("a family is told before it has a series") {
  Metrics m;
  (void)m.counters("sluice_things_total", "Things.");
  CHECK_THAT(m.text(), Contains("# TYPE sluice_things_total counter"));
}

TEST_CASE("two types under one name: the second is not told, and harms nobody") {
  Metrics m;
  m.gauge("sluice_level", "Level.").set(7);
  m.counter("sluice_level", "Level.").add();
  CHECK_THAT(m.text(), Contains("sluice_level 7") && !Contains("counter"));
}

TEST_CASE("what is counted elsewhere never falls") {
  Metrics m;
  const Counter c = m.counter("sluice_steps_total", "Steps.");
  c.raise_to(5);
  c.raise_to(3);
  CHECK(c.value() == 5);
  c.raise_to(8);
  CHECK(c.value() == 8);
}

// Nodes with random names would add series for ever.
TEST_CASE("the series of a label's value that is no more are dropped in all families, and start anew") {
  Metrics m;
  const Counters decisions = m.counters("sluice_decisions_total", "Decisions.");
  const Counter held = decisions.with({{"node", "n1"}, {"why", "x"}});
  held.add(4);
  decisions.with({{"node", "n2"}, {"why", "n1"}}).add();
  m.gauge("sluice_load", "Load.", {{"node", "n1"}}).set(1);
  m.forget("node", "n1");
  CHECK_THAT(m.text(), !Contains("node=\"n1\"") && Contains("node=\"n2\""));
  CHECK_THAT(m.text(), Contains("# TYPE sluice_load gauge"));
  held.add();  // whoever still has it may use it
  CHECK_THAT(m.text(), !Contains("node=\"n1\""));
  decisions.with({{"node", "n1"}, {"why", "x"}}).add();
  CHECK_THAT(m.text(), Contains("{node=\"n1\",why=\"x\"} 1"));
}

TEST_CASE("gauges that are written anew leave nothing behind") {
  Metrics m;
  const Gauges links = m.gauges("sluice_link_rtt_seconds", "Round trip.");
  links.with({{"to", "a"}}).set(1);
  links.clear();
  links.with({{"to", "b"}}).set(2);
  CHECK_THAT(m.text(), !Contains("to=\"a\"") && Contains("{to=\"b\"} 2"));
}

TEST_CASE("whoever wants to is asked before each exposition") {
  Metrics m;
  int asked = 0;
  m.before_text([&] { m.gauge("sluice_asked", "Times.").set(++asked); });
  CHECK_THAT(m.text(), Contains("sluice_asked 1"));
  CHECK_THAT(m.text(), Contains("sluice_asked 2"));
}

TEST_CASE("counts have round buckets") {
  CHECK(count_buckets(40) == Buckets{1, 2, 5, 10, 20});
  CHECK(count_buckets(100).back() == 100);
}

TEST_CASE("a process tells what Prometheus' own libraries would") {
  Metrics m;
  export_process(m, "prefill");
  const std::string text = m.text();
  CHECK(test::metrics_faults(text) == std::vector<std::string>{});
  CHECK_THAT(text, Contains("sluice_build_info{role=\"prefill\",version=\"" SLUICE_VERSION "\"} 1"));
  CHECK_THAT(text, Contains("# TYPE process_cpu_seconds_total counter"));
  const auto value = [&](const char* name) { return m.gauge(name, "").value(); };
  CHECK(value("process_resident_memory_bytes") > 1 << 20);
  CHECK(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
  CHECK(value("process_open_fds") >= 3);
  CHECK(value("process_max_fds") >= value("process_open_fds"));
  const double age = static_cast<double>(std::time(nullptr)) - value("process_start_time_seconds");
  CHECK(age > -2);
  CHECK(age < 3600);
}

TEST_CASE("the lint finds what it should") {
  const auto faults = [](const std::string& text) { return test::metrics_faults(text).size(); };
  CHECK(faults("# HELP sluice_a_total A.\n# TYPE sluice_a_total counter\nsluice_a_total 1\n") == 0);
  CHECK(faults("# HELP sluice_a A.\n# TYPE sluice_a counter\nsluice_a 1\n") == 1);
  CHECK(faults("# HELP sluice_a_total A.\n# TYPE sluice_a_total gauge\nsluice_a_total 1\n") == 1);
  CHECK(faults("# TYPE sluice_a gauge\nsluice_a 1\n") == 1);
  CHECK(faults("# HELP sluice_a_ms A.\n# TYPE sluice_a_ms gauge\n") == 1);
  CHECK(faults("# HELP sluice_seconds_a A.\n# TYPE sluice_seconds_a gauge\n") == 1);
  CHECK(faults("# HELP sluice_a A.\n# TYPE sluice_a histogram\n") == 1);
  CHECK(faults("# HELP other A.\n# TYPE other gauge\n") == 1);
  CHECK(faults("# HELP sluice_a A.\n# TYPE sluice_a gauge\nsluice_a{peer=\"10.0.0.1:80\"} 1\n") == 1);
  CHECK(faults("sluice_a 1\n") == 1);
}
