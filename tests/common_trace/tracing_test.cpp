#include "common/trace/tracing.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "common/flags/program.h"
#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::trace;
using Catch::Contains;

TEST_CASE("without an endpoint nothing is traced, and the metric is there") {
  Metrics m;
  const Tracing off({}, "decode", "d0", m);
  CHECK(off.sink() == nullptr);
  CHECK_THAT(m.text(), Contains("# TYPE sluice_trace_spans_total counter"));
  CHECK(test::metrics_faults(m.text()) == std::vector<std::string>{});
}

TEST_CASE("an endpoint that is none ends the program, in words that name the flag") {
  Metrics m;
  CHECK_THROWS_WITH(Tracing({.endpoint = "https://otel:4318"}, "decode", "d0", m),
                    Contains("--otlp-endpoint") && Contains("without TLS"));
}

TEST_CASE("flags, and the variables that OpenTelemetry names") {
  TraceOptions o;
  {
    flags::App app("test");
    add_trace_options(app, o, Begins::yes);
    ::setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://from-env:4318", 1);
    ::setenv("OTEL_SERVICE_NAME", "chat-eu", 1);
    app.parse({"--trace-share", "0.25"});
    ::unsetenv("OTEL_EXPORTER_OTLP_ENDPOINT");
    ::unsetenv("OTEL_SERVICE_NAME");
  }
  CHECK(o.endpoint == "http://from-env:4318");
  CHECK(o.service == "chat-eu");
  CHECK(o.share == 0.25);
  flags::App node("test");
  add_trace_options(node, o, Begins::no);
  CHECK_THROWS(node.parse({"--trace-share", "0.25"}));
}
