#include "common/trace/tracing.h"

#include "common/flags/program.h"
#include "common/log.h"
#include "common/trace/exporter.h"

namespace sluice::trace {

void add_trace_options(flags::App& app, TraceOptions& o, Begins begins) {
  app.add_option("--otlp-endpoint", o.endpoint,
                 "Send spans of requests to this OpenTelemetry receiver, an OTLP/HTTP base URL such as "
                 "http://localhost:4318; without it nothing is traced")
      ->envname("OTEL_EXPORTER_OTLP_ENDPOINT");
  app.add_option("--otlp-service", o.service, "service.name of the spans; default: the program's name")
      ->envname("OTEL_SERVICE_NAME");
  if (begins == Begins::yes)
    app.add_option("--trace-share", o.share,
                   "Share of requests to trace, of those that bring no traceparent; one that does is traced when its "
                   "sender says so")
        ->capture_default_str()
        ->check(flags::range(0.0, 1.0));
}

Tracing::Tracing(const TraceOptions& o, const std::string& role, const std::string& instance, Metrics& metrics)
    : share_(o.share) {
  const Counters spans =
      metrics.counters("sluice_trace_spans_total",
                       "Spans that were exported, dropped (queue full) or failed (the receiver did not take them).");
  if (o.endpoint.empty()) return;
  auto endpoint = parse_endpoint(o.endpoint);
  if (!endpoint) throw UsageError("--otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)", endpoint.error().message);
  log::info("requests are traced", {{"receiver", endpoint->address + endpoint->target}});
  exporter_ = std::make_unique<Exporter>(
      ExporterOptions{.endpoint = std::move(*endpoint),
                      .resource = {.service = o.service.empty() ? "sluice-" + role : o.service, .instance = instance}},
      spans);
}

Tracing::~Tracing() = default;

SpanSink* Tracing::sink() const noexcept { return exporter_.get(); }

}  // namespace sluice::trace
