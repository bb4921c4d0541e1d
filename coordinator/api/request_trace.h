#pragma once
// A request's own span, from its first byte to its answer's end, and the span of how it was read. The span's context
// comes from the request's `traceparent` and goes back in the answer's, sampled or not.
//
// One that is not sampled has a context and no spans. Ownership: the responder that traced() makes, and the request's
// Generation, hold it; the span is told when the last of them lets go, so that the legs' spans lie within it.
// Threading: the front thread.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/trace/span.h"
#include "coordinator/api/requests.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

/// Whether requests are traced. Without a sink they are not.
struct RequestTracing {
  trace::SpanSink* sink = nullptr;
  double share = 1;  // of those that bring no parent
};

/// What became of a request, in numbers.
struct TracedUsage {
  std::size_t input_tokens = 0, output_tokens = 0;
  std::optional<Duration> ttft;  // of the first choice that had a token
  std::vector<std::string> finish_reasons;
};

class RequestTrace {
 public:
  /// Null where nothing is traced. operation: "chat", "text_completion".
  [[nodiscard]] static std::shared_ptr<RequestTrace> begin(const RequestTracing& how, const HttpRequest& q,
                                                           std::string_view operation, const std::string& model);
  RequestTrace(const RequestTracing& how, const HttpRequest& q, std::string_view operation, const std::string& model);
  ~RequestTrace();
  RequestTrace(const RequestTrace&) = delete;
  RequestTrace& operator=(const RequestTrace&) = delete;

  /// Whose children the legs' spans are; without a sink when it is not sampled.
  [[nodiscard]] trace::Parent parent() const { return {span_.context, sink_}; }
  [[nodiscard]] std::string traceparent() const { return trace::format_traceparent(span_.context); }

  /// Its text has become tokens, or was refused.
  void read(TimePoint now);
  /// seeded: the seed is the client's own.
  void asked(const GenerateRequest& q, bool seeded);
  void served(const TracedUsage& u);
  /// The answer's status line. code: of an error.
  void answered(int status, const std::string& code);
  /// The answer failed after its status line was out.
  void failed(const Error& why);
  /// The client is gone.
  void cut(Disconnect why);
  /// The answer is complete.
  void complete(TimePoint now);

 private:
  trace::SpanSink* sink_;  // null: not sampled
  std::size_t body_bytes_;
  trace::Span span_;
};

/// Hands everything on to `out`, with `traceparent` among the answer's headers, and tells the trace how it went.
[[nodiscard]] std::shared_ptr<Responder> traced(std::shared_ptr<Responder> out, std::shared_ptr<RequestTrace> trace);

}  // namespace sluice::coordinator
