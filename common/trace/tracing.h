#pragma once
// A daemon's tracing: its flags, and the exporter they ask for. Off without an endpoint: then sink() is null, and
// whoever would make spans has a branch to pay.
// Threading: start-up, and sink() from any thread. Failure: the constructor throws UsageError for an endpoint that is
// none. Lifetime: outlives all who hold the sink; the destructor flushes (exporter.h).
#include <memory>
#include <string>

#include "common/flags/flags.h"
#include "common/metrics.h"
#include "common/trace/span.h"

namespace sluice::trace {

struct TraceOptions {
  std::string endpoint;  // base URL of an OTLP/HTTP receiver; empty: off
  std::string service;   // service.name; empty: "sluice-<role>"
  double share = 1;      // of traces that begin here
};

/// Whether traces begin in this daemon, or it only adds to those of others.
enum class Begins : std::uint8_t { no, yes };

/// --otlp-endpoint and --otlp-service, with the environment variables that OpenTelemetry names; --trace-share where
/// traces begin.
void add_trace_options(flags::App& app, TraceOptions& o, Begins begins);

class Exporter;

class Tracing {
 public:
  /// role: "coordinator", "prefill", "decode". instance: the daemon's name in its cluster.
  Tracing(const TraceOptions& o, const std::string& role, const std::string& instance, Metrics& metrics);
  ~Tracing();
  Tracing(const Tracing&) = delete;
  Tracing& operator=(const Tracing&) = delete;

  /// Null: off.
  [[nodiscard]] SpanSink* sink() const noexcept;
  [[nodiscard]] double share() const noexcept { return share_; }

 private:
  double share_;
  std::unique_ptr<Exporter> exporter_;
};

}  // namespace sluice::trace
