// A request's own span: from whose trace, with what in it, however the request ends.
#include "coordinator/api/request_trace.h"

#include "tests/coordinator_api/api_fixture.h"
#include "tests/support/span_list.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using Catch::Contains;

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string kParent = "00f067aa0ba902b7";

std::string traceparent(const char* flags) {
  return "traceparent: 00-" + kTrace + "-" + kParent + "-" + flags + "\r\n";
}

struct Traced {
  SpanList spans;
  Api api;
  explicit Traced(double share = 1) : api(nullptr, RequestTracing{&spans, share}) {}
  /// The request's own span, which comes last.
  trace::Span root(const std::string& name) {
    REQUIRE(api.eventually([&](auto&) { return spans.count(name) > 0; }));
    return spans.find(name);
  }
};

const json kChat = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"max_tokens", 9}};

}  // namespace

TEST_CASE("a sampled request has a span below its sender's, and says which") {
  Traced t(0);
  const Answer a =
      t.api.post("/v1/chat/completions", kChat, traceparent("01") + "tracestate: a=1\r\nx-request-id: r7\r\n");
  REQUIRE(a.status == 200);
  const trace::Span s = t.root("chat fake");
  CHECK(s.context.trace.hex() == kTrace);
  CHECK(s.parent.hex() == kParent);
  CHECK(s.context.state == "a=1");
  CHECK(s.kind == trace::Kind::server);
  CHECK_FALSE(s.error);
  CHECK_THAT(a.head, Contains("traceparent: 00-" + kTrace + "-" + s.context.span.hex() + "-01\r\n"));
  CHECK(attribute<std::string>(s.attributes, "gen_ai.operation.name") == "chat");
  CHECK(attribute<std::string>(s.attributes, "gen_ai.request.model") == "fake");
  CHECK(attribute<std::string>(s.attributes, "gen_ai.request.id") == "r7");
  CHECK(attribute<std::string>(s.attributes, "http.route") == "/v1/chat/completions");
  CHECK(attribute<std::int64_t>(s.attributes, "http.response.status_code") == 200);
  CHECK(attribute<std::int64_t>(s.attributes, "gen_ai.request.max_tokens") == 9);
  CHECK(s.attributes.find("gen_ai.request.seed") == nullptr);  // the one that is drawn is not the client's
  CHECK(attribute<std::int64_t>(s.attributes, "gen_ai.usage.input_tokens") == a.body["usage"]["prompt_tokens"]);
  CHECK(attribute<std::int64_t>(s.attributes, "gen_ai.usage.output_tokens") == a.body["usage"]["completion_tokens"]);
  CHECK(attribute<std::vector<std::string>>(s.attributes, "gen_ai.response.finish_reasons") ==
        std::vector<std::string>{a.body["choices"][0]["finish_reason"]});
  CHECK(attribute<double>(s.attributes, "gen_ai.server.time_to_first_token") == 0.02);

  const trace::Span read = t.spans.find("read");
  CHECK(read.parent == s.context.span);
  CHECK(read.begin == s.begin);
  CHECK(read.end <= s.end);
  const trace::Parent leg = t.api.on_io([&] { return t.api.backend().legs.begin()->second.spec.trace; });
  CHECK(leg.context.span == s.context.span);
  CHECK(leg.sink == &t.spans);
}

TEST_CASE("no prompt and no answer is in any span") {
  Traced t;
  REQUIRE(t.api.post("/v1/completions", {{"prompt", "a secret word"}, {"max_tokens", 20}}).status == 200);
  (void)t.root("text_completion fake");
  for (const trace::Span& s : t.spans.all())
    for (const auto& a : s.attributes.list())
      if (const auto* text = std::get_if<std::string>(&a.value)) CHECK(text->find("secret") == std::string::npos);
}

TEST_CASE("a stream's span ends with the stream") {
  Traced t;
  json body = kChat;
  body["stream"] = true;
  const Answer a = t.api.post("/v1/chat/completions", body);
  REQUIRE(a.done);
  const trace::Span s = t.root("chat fake");
  CHECK_THAT(a.head, Contains("traceparent: 00-" + s.context.trace.hex() + "-" + s.context.span.hex() + "-01"));
  CHECK_FALSE(s.parent);
  CHECK(attribute<bool>(s.attributes, "gen_ai.request.stream"));
  CHECK(attribute<std::int64_t>(s.attributes, "gen_ai.usage.output_tokens") > 0);
}

TEST_CASE("one that is not sampled has a context and no spans") {
  Traced t(1);
  const Answer followed = t.api.post("/v1/chat/completions", kChat, traceparent("00"));
  CHECK_THAT(followed.head, Contains("traceparent: 00-" + kTrace + "-") && Contains("-00\r\n"));
  CHECK_FALSE(t.api.on_io([&] { return t.api.backend().legs.begin()->second.spec.trace; }));
  Traced none(0);
  CHECK_THAT(none.api.post("/v1/chat/completions", kChat).head, Contains("traceparent: 00-") && Contains("-00\r\n"));
  CHECK(t.spans.all().empty());
  CHECK(none.spans.all().empty());
}

TEST_CASE("two traceparents, or a bad one, begin a new trace") {
  for (const std::string& headers : {traceparent("01") + traceparent("01"), std::string("traceparent: 00-x\r\n")}) {
    Traced t;
    REQUIRE(t.api.post("/v1/chat/completions", kChat, headers).status == 200);
    const trace::Span s = t.root("chat fake");
    CHECK_FALSE(s.parent);
    CHECK(s.context.trace.hex() != kTrace);
  }
}

TEST_CASE("a refused request has a span that says so; the client's fault is no error of ours") {
  Traced t;
  const Answer a = t.api.post("/v1/chat/completions", {{"messages", 7}});
  REQUIRE(a.status == 400);
  const trace::Span s = t.root("chat fake");
  CHECK(attribute<std::int64_t>(s.attributes, "http.response.status_code") == 400);
  CHECK(attribute<std::string>(s.attributes, "error.type") == a.body["error"]["code"]);
  CHECK_FALSE(s.error);
  CHECK(t.spans.count("read") == 1);
}

TEST_CASE("a client that goes leaves an error in the span") {
  Traced t;
  t.api.on_io([&] { t.api.backend().script = [](FakeBackend&, RequestId) {}; });
  {
    RawClient c(t.api.port());
    c.send(Api::post_text("/v1/chat/completions", kChat.dump()));
    REQUIRE(t.api.eventually([](FakeBackend& b) { return !b.legs.empty(); }));
  }
  const trace::Span s = t.root("chat fake");
  CHECK(s.error);
  CHECK(attribute<std::string>(s.attributes, "error.type") == "client_closed");
}

TEST_CASE("other routes are not traced, and without a sink none is") {
  Traced t;
  CHECK_THAT(t.api.post("/tokenize", {{"prompt", "x"}}).head, !Contains("traceparent"));
  CHECK(t.spans.all().empty());
  Api off;
  CHECK_THAT(off.post("/v1/chat/completions", kChat, traceparent("01")).head, !Contains("traceparent"));
}

TEST_CASE("metrics are plain text unless OpenMetrics is asked for") {
  Api api;
  const auto get = [&](const std::string& headers) {
    RawClient c(api.port());
    c.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "\r\n");
    return c.read_all();
  };
  CHECK_THAT(get(""), Contains("content-type: text/plain; version=0.0.4; charset=utf-8") && !Contains("# EOF"));
  CHECK_THAT(get("Accept: application/openmetrics-text\r\n"),
             Contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8") && Contains("# EOF"));
}

}  // namespace sluice::test
