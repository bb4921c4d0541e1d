// The spans of a leg: what it waited for, what was decided, what nodes are told of it, how it ended.
#include "coordinator/serving/leg_trace.h"

#include "tests/coordinator_serving/serving_fixture.h"
#include "tests/support/openmetrics_lint.h"
#include "tests/support/span_list.h"

using namespace sluice;
using namespace sluice::test;
using Catch::Contains;

namespace {

struct Traced {
  SpanList spans;
  trace::SpanContext request =
      trace::join_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1", 0).context;
  Bench b;
  FakeNode& p = b.join(node_info(ctl::Role::prefill, "p0"));

  LegSpec spec() { return {.request_id = "r7", .trace = {request, &spans}}; }
  std::string id(const trace::Span& s) const { return s.context.span.hex(); }
  /// The leg's tokens come, and its end.
  void serve(FakeNode& d) {
    d.tokens(b.last, 0, {1, 2, 3});
    ctl::PrefillDone done;
    done.request = b.last;
    done.compute_s = 0.001;
    done.raw_bytes = 1000;
    done.wire_bytes = 500;
    p.report(done);
    d.finished(b.last);
  }
};

}  // namespace

TEST_CASE("a leg's spans are below the request's, and nodes are told of the leg's own") {
  Traced t;
  FakeNode& d = t.b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = t.b.start(t.spec());
  REQUIRE(t.b.until([&] { return !t.p.prefills.empty(); }));
  t.serve(d);
  REQUIRE(t.b.until([&] { return heard->over(); }));
  const trace::Span leg = t.spans.find("leg");
  CHECK(leg.parent == t.request.span);
  for (const char* told : {"queue", "decide", "reserve"}) {
    INFO(told);
    const trace::Span s = t.spans.find(told);
    CHECK(t.spans.count(told) == 1);
    CHECK(s.context.trace == t.request.trace);
    CHECK(s.parent == leg.context.span);
    CHECK(s.begin >= leg.begin);
    CHECK(s.end <= leg.end);
    CHECK(s.begin <= s.end);
  }
  for (const auto& [parent, state] : {std::pair(d.reserves[0].traceparent, d.reserves[0].tracestate),
                                      std::pair(t.p.prefills[0].traceparent, t.p.prefills[0].tracestate)}) {
    CHECK(parent == trace::format_traceparent(leg.context));
    CHECK(state == "a=1");
  }
  const trace::Span decide = t.spans.find("decide");
  CHECK(attribute<std::string>(decide.attributes, "sluice.prefill_node") == "p0");
  CHECK(attribute<std::string>(decide.attributes, "sluice.decode_node") == "d0");
  CHECK_FALSE(attribute<std::string>(decide.attributes, "sluice.profile").empty());
  CHECK(attribute<std::int64_t>(decide.attributes, "sluice.considered") == 2);
  CHECK(attribute<double>(decide.attributes, "sluice.predicted_ttft_seconds") > 0);
  CHECK(attribute<std::string>(leg.attributes, "sluice.outcome") == "length");
  CHECK(attribute<std::string>(leg.attributes, "gen_ai.request.id") == "r7");
  CHECK(attribute<std::int64_t>(leg.attributes, "gen_ai.usage.output_tokens") == 3);
  CHECK(attribute<std::int64_t>(leg.attributes, "sluice.kv_wire_bytes") == 500);
  CHECK(attribute<double>(leg.attributes, "gen_ai.latency.time_to_first_token") > 0);
  CHECK(attribute<double>(leg.attributes, "gen_ai.latency.e2e") >=
        attribute<double>(leg.attributes, "gen_ai.latency.time_to_first_token"));
  CHECK_FALSE(leg.error);
  REQUIRE(leg.events.size() == 1);
  CHECK(leg.events[0].name == "first token");
}

TEST_CASE("a leg that is placed again says why, and what it was about then") {
  Traced t;
  FakeNode& first = t.b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = t.b.start(t.spec());
  REQUIRE(t.b.until([&] { return !t.p.prefills.empty(); }));
  first.tokens(t.b.last, 0, {1});
  REQUIRE(t.b.until([&] { return heard->tokens.size() == 1; }));
  t.b.lose("d0");
  FakeNode& second = t.b.join(node_info(ctl::Role::decode, "d1"));
  REQUIRE(t.b.until([&] { return t.p.prefills.size() == 2; }));
  t.serve(second);
  REQUIRE(t.b.until([&] { return heard->over(); }));
  const trace::Span leg = t.spans.find("leg");
  for (const char* twice : {"queue", "decide", "reserve"}) CHECK(t.spans.count(twice) == 2);
  REQUIRE(leg.events.size() == 2);
  const auto& failed = leg.events[0];
  CHECK(failed.name == "attempt failed");
  CHECK(attribute<std::string>(failed.attributes, "sluice.decode_node") == "d0");
  CHECK(attribute<std::string>(failed.attributes, "error.type") == "unavailable");
  CHECK(attribute<std::int64_t>(failed.attributes, "sluice.tokens_sent") == 1);
  CHECK(attribute<std::int64_t>(leg.attributes, "sluice.resumes") == 1);
  CHECK(attribute<std::int64_t>(leg.attributes, "sluice.attempt") == 2);
  CHECK(leg.attributes.find("gen_ai.latency.time_in_model_prefill") == nullptr);
}

TEST_CASE("a leg that is refused has waited, and says why it failed") {
  Traced t;
  t.b.join(node_info(ctl::Role::decode, "d0"));
  LegSpec spec = t.spec();
  spec.profile = "nope";
  const auto heard = t.b.start(std::move(spec));
  REQUIRE(t.b.until([&] { return heard->over(); }));
  const trace::Span leg = t.spans.find("leg");
  CHECK(leg.error);
  CHECK(attribute<std::string>(leg.attributes, "error.type") == "not_found");
  CHECK(t.spans.count("queue") == 1);
  CHECK(t.spans.count("decide") == 0);
}

TEST_CASE("a leg that is not traced is told to nobody") {
  Traced t;
  FakeNode& d = t.b.join(node_info(ctl::Role::decode, "d0"));
  const auto heard = t.b.start({});
  REQUIRE(t.b.until([&] { return !t.p.prefills.empty(); }));
  t.serve(d);
  REQUIRE(t.b.until([&] { return heard->over(); }));
  CHECK(t.spans.all().empty());
  CHECK(d.reserves[0].traceparent.empty());
  CHECK(t.p.prefills[0].traceparent.empty());
}

TEST_CASE("exemplars of latencies name the trace, or the request where there is none") {
  Traced t;
  FakeNode& d = t.b.join(node_info(ctl::Role::decode, "d0"));
  for (const bool traced : {true, false}) {
    LegSpec spec = t.spec();
    if (!traced) spec.trace = {};
    const auto heard = t.b.start(std::move(spec));
    const std::size_t so_far = t.p.prefills.size();
    REQUIRE(t.b.until([&] { return t.p.prefills.size() > so_far; }));
    t.serve(d);
    REQUIRE(t.b.until([&] { return heard->over(); }));
    const std::string text = t.b.serving.openmetrics_text();
    CHECK(openmetrics_faults(text) == std::vector<std::string>{});
    const std::string named = traced ? "{trace_id=\"" + t.request.trace.hex() + "\"}" : "{request_id=\"r7\"}";
    for (const char* of : {"sluice_ttft_seconds", "sluice_itl_seconds", "sluice_tpot_seconds", "sluice_e2e_seconds",
                           "vllm:time_to_first_token_seconds", "vllm:e2e_request_latency_seconds"}) {
      INFO(of);
      const std::size_t begin = text.find(fmt::format("# TYPE {} ", of));
      REQUIRE(begin != std::string::npos);
      CHECK_THAT(text.substr(begin, text.find("# HELP", begin) - begin), Contains(" # " + named + " "));
    }
    CHECK_THAT(t.b.serving.metrics_text(), !Contains(named));
  }
}
