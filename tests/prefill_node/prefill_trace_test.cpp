#include "prefill_node/prefill_trace.h"

#include <catch2/catch.hpp>

#include "tests/support/span_list.h"

using namespace sluice;
using namespace sluice::prefill;
using namespace std::chrono_literals;
using sluice::test::attribute;

namespace {

struct Rig {
  test::SpanList spans;
  trace::SpanContext leg = trace::join_trace({}, {}, 1).context;
  TimePoint t0 = std::chrono::steady_clock::now();
  OpenRequest request;
  node::ExportEnd end;

  Rig() {
    auto& call = request.prompt.call;
    call.trace_id = "r7";
    call.attempt = 2;
    call.profile = "q8";
    call.traceparent = trace::format_traceparent(leg);
    request.prompt.ticket.decode_node = NodeId("d0");
    request.prompt.ticket.tokens = {0, 40};
    request.received = t0;
    request.times = {.queue_s = 1, .compute_s = 2, .begun = t0 + 1s, .done = t0 + 4s, .cached = 16};
    end.encode_s = 0.5;
    end.raw_bytes = 1000;
    end.wire_bytes = 400;
    end.encode_begin = t0 + 2s;
    end.encode_end = t0 + 5s;
    end.first_sent = t0 + 3s;
    end.confirmed = t0 + 6s;
  }
};

}  // namespace

TEST_CASE("a traced prompt tells its stages, within its whole") {
  Rig r;
  trace_prefill(r.request, r.end, r.t0 + 7s, r.spans);
  const trace::Span whole = r.spans.find("prefill");
  CHECK(whole.parent == r.leg.span);
  CHECK(whole.begin == r.t0);
  CHECK(whole.end == r.t0 + 7s);
  CHECK(attribute<std::string>(whole.attributes, "sluice.decode_node") == "d0");
  CHECK(attribute<std::int64_t>(whole.attributes, "sluice.tokens") == 40);
  CHECK(attribute<std::int64_t>(whole.attributes, "sluice.cached_tokens") == 16);
  CHECK(attribute<std::int64_t>(whole.attributes, "sluice.attempt") == 2);
  const std::tuple<const char*, Duration, Duration> stages[] = {
      {"prefill.queue", 0s, 1s}, {"prefill.compute", 1s, 4s}, {"encode", 2s, 5s}, {"wire", 3s, 6s}};
  for (const auto& [name, from, to] : stages) {
    INFO(name);
    REQUIRE(r.spans.count(name) == 1);
    const trace::Span s = r.spans.find(name);
    CHECK(s.context.trace == r.leg.trace);
    CHECK(s.parent == whole.context.span);
    CHECK(s.begin == r.t0 + from);
    CHECK(s.end == r.t0 + to);
  }
  for (const char* name : {"encode", "wire"}) {
    CHECK(attribute<std::int64_t>(r.spans.find(name).attributes, "sluice.kv_raw_bytes") == 1000);
    CHECK(attribute<std::int64_t>(r.spans.find(name).attributes, "sluice.kv_wire_bytes") == 400);
  }
}

TEST_CASE("of a prompt that failed early there is only what was reached") {
  Rig r;
  r.request.times = {};
  r.end = {};
  r.end.outcome = fail(Errc::unavailable, "decode node lost");
  trace_prefill(r.request, r.end, r.t0 + 1s, r.spans);
  REQUIRE(r.spans.all().size() == 1);
  CHECK(r.spans.find("prefill").error == "decode node lost");
}

TEST_CASE("a prompt that is not traced tells nothing") {
  Rig r;
  r.request.prompt.call.traceparent.clear();
  trace_prefill(r.request, r.end, r.t0, r.spans);
  CHECK(r.spans.all().empty());
}
