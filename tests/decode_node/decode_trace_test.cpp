#include "decode_node/decode_trace.h"

#include <catch2/catch.hpp>

#include "tests/support/span_list.h"

using namespace sluice;
using namespace sluice::decode;
using namespace std::chrono_literals;
using sluice::test::attribute;

namespace {

struct Rig {
  test::SpanList spans;
  trace::SpanContext leg = trace::join_trace({}, {}, 1).context;
  TimePoint t0 = std::chrono::steady_clock::now();

  control::ReserveRequest call(std::uint32_t kv_tokens) const {
    control::ReserveRequest r;
    r.request = RequestId(1);
    r.attempt = 2;
    r.trace_id = "r7";
    r.kv_tokens = kv_tokens;
    r.profile = "q8";
    r.prefill_node = NodeId("p0");
    r.traceparent = trace::format_traceparent(leg);
    return r;
  }
};

}  // namespace

TEST_CASE("a traced leg tells when its KV came, and its decode") {
  Rig r;
  const auto tell = tell_trace_of(r.call(19), &r.spans);
  REQUIRE(tell);
  tell({.admitted = r.t0,
        .ready = r.t0 + 2s,
        .first_token = r.t0 + 3s,
        .ended = r.t0 + 5s,
        .kv = {0.5, 1000, 400, "h4"},
        .tokens = 7,
        .reason = "stop"});
  REQUIRE(r.spans.all().size() == 2);
  const trace::Span receive = r.spans.find("receive");
  CHECK(receive.parent == r.leg.span);
  CHECK(receive.context.trace == r.leg.trace);
  CHECK(receive.begin == r.t0);
  CHECK(receive.end == r.t0 + 2s);
  CHECK(attribute<std::string>(receive.attributes, "sluice.prefill_node") == "p0");
  CHECK(attribute<std::int64_t>(receive.attributes, "sluice.kv_raw_bytes") == 1000);
  CHECK(attribute<std::int64_t>(receive.attributes, "sluice.kv_wire_bytes") == 400);
  CHECK(attribute<std::string>(receive.attributes, "sluice.changed_to") == "h4");
  const trace::Span decode = r.spans.find("decode");
  CHECK(decode.parent == r.leg.span);
  CHECK(decode.begin == r.t0 + 2s);
  CHECK(decode.end == r.t0 + 5s);
  CHECK(attribute<std::int64_t>(decode.attributes, "gen_ai.usage.output_tokens") == 7);
  CHECK(attribute<std::int64_t>(decode.attributes, "sluice.attempt") == 2);
  CHECK(attribute<std::string>(decode.attributes, "gen_ai.request.id") == "r7");
  REQUIRE(decode.events.size() == 1);
  CHECK(decode.events[0].at == r.t0 + 3s);
  CHECK_FALSE(decode.error);
}

TEST_CASE("a leg whose KV did not come has waited for it in vain") {
  Rig r;
  tell_trace_of(r.call(19), &r.spans)({.admitted = r.t0,
                                       .ended = r.t0 + 1s,
                                       .reason = "error",
                                       .error = Error{Errc::deadline_exceeded, "KV did not arrive in time", {}}});
  REQUIRE(r.spans.all().size() == 1);
  const trace::Span s = r.spans.find("receive");
  CHECK(s.error == "KV did not arrive in time");
  CHECK(attribute<std::string>(s.attributes, "error.type") == "deadline_exceeded");
}

TEST_CASE("one that computes its prompt itself receives nothing") {
  Rig r;
  tell_trace_of(r.call(0), &r.spans)({.admitted = r.t0, .ready = r.t0, .ended = r.t0 + 1s, .reason = "cancelled"});
  REQUIRE(r.spans.all().size() == 1);
  CHECK(r.spans.find("decode").events.empty());
  CHECK_FALSE(r.spans.find("decode").error);
}

TEST_CASE("the copy of a leg that moves is told of") {
  Rig r;
  CopyTrace c{.request_id = "r7",
              .target = "d1",
              .profile = "raw",
              .stop = 40,
              .parent = trace::named_parent(trace::format_traceparent(r.leg), {}, &r.spans)};
  control::Moved m{.attempt = 3, .wall_s = 2, .exposed_s = 0.5, .raw_bytes = 1000, .wire_bytes = 900};
  SECTION("it is there") {
    trace_copy(c, {.began = r.t0, .halted = r.t0 + 1s, .ended = r.t0 + 2s}, m);
    const trace::Span s = r.spans.find("copy");
    CHECK(s.parent == r.leg.span);
    CHECK(s.end == r.t0 + 2s);
    CHECK(attribute<std::string>(s.attributes, "sluice.to_node") == "d1");
    CHECK(attribute<std::int64_t>(s.attributes, "sluice.attempt") == 3);
    CHECK(attribute<double>(s.attributes, "sluice.exposed_seconds") == 0.5);
    REQUIRE(s.events.size() == 1);
    CHECK(s.events[0].at == r.t0 + 1s);
    CHECK_FALSE(s.error);
  }
  SECTION("it failed before the leg halted") {
    m.error = Error{Errc::data_corrupt, "a seal", {}};
    trace_copy(c, {.began = r.t0, .halted = {}, .ended = r.t0 + 2s}, m);
    CHECK(r.spans.find("copy").events.empty());
    CHECK(r.spans.find("copy").error == "a seal");
  }
  SECTION("of one that is not traced nothing is") {
    c.parent = {};
    trace_copy(c, {.began = r.t0, .halted = {}, .ended = r.t0 + 2s}, m);
    CHECK(r.spans.all().empty());
  }
}

TEST_CASE("nothing is followed without a sink or a parent that is sampled") {
  Rig r;
  CHECK_FALSE(tell_trace_of(r.call(19), nullptr));
  control::ReserveRequest none = r.call(19);
  none.traceparent.clear();
  CHECK_FALSE(tell_trace_of(none, &r.spans));
  r.leg.sampled = false;
  CHECK_FALSE(tell_trace_of(r.call(19), &r.spans));
}
