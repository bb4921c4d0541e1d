#include "coordinator/api/request_trace.h"

#include <chrono>
#include <utility>

namespace sluice::coordinator {
namespace {

TimePoint now() { return std::chrono::steady_clock::now(); }

/// Two of them are as good as none. Several `tracestate` are one list.
trace::Joined join(const HttpHeaders& headers, double share) {
  std::optional<std::string_view> parent;
  std::string state;
  int parents = 0;
  for (const auto& [name, value] : headers) {
    if (equals_ignore_case(name, "traceparent")) {
      parent = value;
      ++parents;
    } else if (equals_ignore_case(name, "tracestate")) {
      state += (state.empty() ? "" : ",") + value;
    }
  }
  return trace::join_trace(parents == 1 ? parent : std::nullopt, state, share);
}

class TracedStream final : public StreamWriter {
 public:
  TracedStream(std::shared_ptr<StreamWriter> out, std::shared_ptr<RequestTrace> trace)
      : out_(std::move(out)), trace_(std::move(trace)) {}
  void write(std::string_view bytes) override { out_->write(bytes); }
  void finish() override {
    out_->finish();
    trace_->complete(now());
  }
  [[nodiscard]] bool closed() const override { return out_->closed(); }

 private:
  std::shared_ptr<StreamWriter> out_;
  std::shared_ptr<RequestTrace> trace_;
};

class TracedResponder final : public Responder {
 public:
  TracedResponder(std::shared_ptr<Responder> out, std::shared_ptr<RequestTrace> trace)
      : out_(std::move(out)), trace_(std::move(trace)) {}
  void respond(HttpResponse response) override {
    if (closed()) return;
    response.headers.add("traceparent", trace_->traceparent());
    trace_->answered(response.status, response.code);
    out_->respond(std::move(response));
    trace_->complete(now());
  }
  std::shared_ptr<StreamWriter> begin_stream(int status, HttpHeaders headers) override {
    headers.add("traceparent", trace_->traceparent());
    trace_->answered(status, {});
    return std::make_shared<TracedStream>(out_->begin_stream(status, std::move(headers)), trace_);
  }
  void on_disconnect(std::function<void(Disconnect)> gone) override {
    out_->on_disconnect([trace = std::weak_ptr(trace_), gone = std::move(gone)](Disconnect why) {
      if (const auto t = trace.lock()) t->cut(why);
      gone(why);
    });
  }
  void keep_alive(std::string comment, std::function<void()> begin) override {
    out_->keep_alive(std::move(comment), std::move(begin));
  }
  [[nodiscard]] bool closed() const override { return out_->closed(); }

 private:
  std::shared_ptr<Responder> out_;
  std::shared_ptr<RequestTrace> trace_;
};

}  // namespace

std::shared_ptr<Responder> traced(std::shared_ptr<Responder> out, std::shared_ptr<RequestTrace> trace) {
  return std::make_shared<TracedResponder>(std::move(out), std::move(trace));
}

std::shared_ptr<RequestTrace> RequestTrace::begin(const RequestTracing& how, const HttpRequest& q,
                                                  std::string_view operation, const std::string& model) {
  if (how.sink == nullptr || operation.empty()) return nullptr;
  return std::make_shared<RequestTrace>(how, q, operation, model);
}

RequestTrace::RequestTrace(const RequestTracing& how, const HttpRequest& q, std::string_view operation,
                           const std::string& model)
    : sink_(how.sink), body_bytes_(q.body.size()) {
  trace::Joined j = join(q.headers, how.share);
  span_.context = std::move(j.context);
  if (!span_.context.sampled) sink_ = nullptr;
  if (sink_ == nullptr) return;
  span_.parent = j.parent;
  span_.name = fmt::format("{} {}", operation, model);
  span_.kind = trace::Kind::server;
  span_.begin = q.received;
  auto& a = span_.attributes;
  a.set("http.request.method", q.method);
  a.set("http.route", q.path);
  a.set("url.path", q.path);
  a.set("gen_ai.operation.name", operation);
  a.set("gen_ai.provider.name", "sluice");
  a.set("gen_ai.request.model", model);
  a.set("gen_ai.response.model", model);
  a.set("gen_ai.request.id", q.request_id);
}

RequestTrace::~RequestTrace() {
  if (sink_ == nullptr) return;
  if (span_.end == TimePoint{}) span_.end = now();
  sink_->add(std::move(span_));
}

void RequestTrace::read(TimePoint when) {
  if (sink_ == nullptr) return;
  trace::Span s = trace::child_span(span_.context, "read", span_.begin, when);
  s.attributes.set("http.request.body.size", body_bytes_);
  sink_->add(std::move(s));
}

void RequestTrace::asked(const GenerateRequest& q, bool seeded) {
  if (sink_ == nullptr) return;
  auto& a = span_.attributes;
  if (q.max_tokens) a.set("gen_ai.request.max_tokens", *q.max_tokens);
  a.set("gen_ai.request.temperature", q.sampling.temperature);
  a.set("gen_ai.request.top_p", q.sampling.top_p);
  if (q.n != 1) a.set("gen_ai.request.choice.count", q.n);
  if (seeded && q.seed) a.set("gen_ai.request.seed", *q.seed);
  a.set("gen_ai.request.stream", q.stream);
}

void RequestTrace::served(const TracedUsage& u) {
  if (sink_ == nullptr) return;
  auto& a = span_.attributes;
  a.set("gen_ai.usage.input_tokens", u.input_tokens);
  a.set("gen_ai.usage.output_tokens", u.output_tokens);
  a.set("gen_ai.response.finish_reasons", u.finish_reasons);
  if (u.ttft) a.set("gen_ai.server.time_to_first_token", seconds(*u.ttft));
}

void RequestTrace::answered(int status, const std::string& code) {
  if (sink_ == nullptr) return;
  span_.attributes.set("http.response.status_code", status);
  if (!code.empty()) span_.attributes.set("error.type", code);
  if (status >= 500) span_.error = code;  // what is the client's fault is no error of a server's span
}

void RequestTrace::failed(const Error& why) {
  if (sink_ == nullptr) return;
  span_.attributes.set("error.type", name(why.code));
  span_.error = why.message;
}

void RequestTrace::cut(Disconnect why) {
  if (sink_ == nullptr) return;
  span_.attributes.set("error.type", name(why));
  span_.error = "the answer was not delivered";
}

void RequestTrace::complete(TimePoint when) { span_.end = when; }

}  // namespace sluice::coordinator
