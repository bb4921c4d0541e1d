#pragma once
// Spans on their way to a collector: a bounded queue, and a thread of its own that sends what is there in batches.
//
// Nobody waits for it. A queue that is full drops what comes; a receiver that is slow, away or full costs spans, never
// a request. What a receiver says is worth another try gets one, at growing distances (retry.h); each batch ends sent
// or given up. Every span is counted once: exported, dropped (the queue was full, or the process ended) or failed.
// Threading: add() from any thread, one short mutex. Lifetime: the destructor sends what is left for at most
// `flush_time`; a thread that hangs even then, in a send that was begun before, is left behind with a state of its own.
#include <chrono>
#include <memory>
#include <thread>

#include "common/metrics.h"
#include "common/trace/endpoint.h"
#include "common/trace/otlp_json.h"
#include "common/trace/retry.h"
#include "common/trace/span.h"

namespace sluice::trace {

struct ExporterOptions {
  Endpoint endpoint;
  Resource resource;
  std::size_t max_queue = 8192;  // spans, 1 KiB or so each
  std::size_t max_batch = 512;
  Duration interval = std::chrono::seconds(1);  // how long a span may wait for others
  std::chrono::milliseconds timeout{10'000};    // of a send without progress
  std::chrono::milliseconds flush_time{std::chrono::seconds(2)};
  RetryOptions retry;
};

class Exporter final : public SpanSink {
 public:
  /// spans: by outcome.
  Exporter(ExporterOptions o, const Counters& spans);
  ~Exporter() override;
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;
  void add(Span span) override;

 private:
  class Sender;
  std::shared_ptr<Sender> sender_;
  std::thread thread_;
};

}  // namespace sluice::trace
