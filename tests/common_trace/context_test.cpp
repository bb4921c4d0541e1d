#include "common/trace/context.h"

#include <catch2/catch.hpp>
#include <set>

using namespace sluice;
using namespace sluice::trace;

namespace {

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string kSpan = "00f067aa0ba902b7";
const std::string kGood = "00-" + kTrace + "-" + kSpan + "-01";

/// With what g++ 12 knows at compile time it sees overruns in it.
std::string row_of(char c, std::size_t n) {
  std::string row;
  while (row.size() < n) row += c;
  return row;
}

}  // namespace

TEST_CASE("a traceparent is read, and written as it was") {
  const auto c = parse_traceparent(kGood);
  REQUIRE(c);
  CHECK(c->trace.hex() == kTrace);
  CHECK(c->span.hex() == kSpan);
  CHECK(c->sampled);
  CHECK(format_traceparent(*c) == kGood);
  CHECK_FALSE(parse_traceparent("00-" + kTrace + "-" + kSpan + "-00")->sampled);
  CHECK_FALSE(parse_traceparent("00-" + kTrace + "-" + kSpan + "-fe")->sampled);
  CHECK(parse_traceparent("00-" + kTrace + "-" + kSpan + "-ff")->sampled);
}

TEST_CASE("of a later version the known fields count") {
  CHECK(parse_traceparent("01-" + kTrace + "-" + kSpan + "-01")->sampled);
  CHECK(parse_traceparent("cc-" + kTrace + "-" + kSpan + "-01-what-the-future-holds")->trace.hex() == kTrace);
  CHECK_FALSE(parse_traceparent("cc-" + kTrace + "-" + kSpan + "-01.what"));
}

TEST_CASE("a traceparent that is none is refused, by what is wrong with it") {
  const std::string zeroes(32, '0');
  for (const std::string& bad :
       {std::string(), std::string("00"), "ff-" + kTrace + "-" + kSpan + "-01", "0-" + kTrace + "-" + kSpan + "-01",
        "00-" + zeroes + "-" + kSpan + "-01", "00-" + kTrace + "-" + zeroes.substr(16) + "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + kSpan + "-01", "00-" + kTrace + "-" + kSpan + "-0x",
        "00-" + kTrace + "-" + kSpan + "-01-", "00-" + kTrace + "-" + kSpan + "-01-more",
        "00_" + kTrace + "_" + kSpan + "_01", kGood + row_of('-', 200), " " + kGood, "0g" + kGood.substr(2)}) {
    INFO(bad);
    const auto c = parse_traceparent(bad);
    REQUIRE_FALSE(c);
    CHECK(c.error().param == "traceparent");
  }
}

TEST_CASE("a tracestate is handed on, tidied") {
  CHECK(parse_tracestate("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE").value() ==
        "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
  CHECK(parse_tracestate(" a=1 ,, \tb@c=2, ").value() == "a=1,b@c=2");
  CHECK(parse_tracestate("0tenant@v=a b!").value() == "0tenant@v=a b!");
  CHECK(parse_tracestate("").value().empty());
}

TEST_CASE("a tracestate that is none is refused") {
  std::string many = "k0=1";
  for (int i = 1; i <= 32; ++i) many += ",k" + std::to_string(i) + "=1";
  for (const std::string& bad : {std::string("a"), std::string("=1"), std::string("A=1"), std::string("a=1,a=2"),
                                 std::string("a=b=c"), std::string("a="), std::string("a=\x80"), std::string("1a=1"),
                                 std::string("a@=1"), "a=" + row_of('x', 257), row_of('a', 257) + "=1", many})
    CHECK_FALSE(parse_tracestate(bad));
}

TEST_CASE("of a tracestate that is too long the long members go first, then the last") {
  const std::string big = "big=" + row_of('x', 200);
  std::string state = "first=1," + big;
  for (int i = 0; i < 30; ++i) state += ",k" + std::to_string(i) + "=" + std::string(20, 'y');
  const std::string kept = parse_tracestate(state).value();
  CHECK(kept.size() <= kMaxTracestate);
  CHECK(kept.starts_with("first=1,k0="));
  CHECK(kept.find("big") == std::string::npos);
  CHECK(kept.find("k19=") != std::string::npos);
  CHECK(kept.find("k20=") == std::string::npos);
}

TEST_CASE("a request joins its sender's trace, or begins one") {
  const Joined j = join_trace(kGood, "a=1", 0);
  CHECK(j.context.trace.hex() == kTrace);
  CHECK(j.parent.hex() == kSpan);
  CHECK(j.context.span != j.parent);
  CHECK(j.context.sampled);
  CHECK(j.context.state == "a=1");
  CHECK(join_trace(kGood, "A", 0).context.state.empty());

  const Joined unsampled = join_trace(kGood.substr(0, 53) + "00", "", 1);
  CHECK(unsampled.context.trace.hex() == kTrace);
  CHECK_FALSE(unsampled.context.sampled);

  for (const std::optional<std::string_view>& none :
       {std::optional<std::string_view>(), std::optional<std::string_view>("nonsense")}) {
    const Joined own = join_trace(none, "a=1", 1);
    CHECK(own.context.trace);
    CHECK_FALSE(own.parent);
    CHECK(own.context.sampled);
    CHECK(own.context.state.empty());  // without its parent it belongs to no trace
    CHECK_FALSE(join_trace(none, "", 0).context.sampled);
  }
}

TEST_CASE("a share of traces is sampled, by their ids alone") {
  int sampled = 0;
  for (int i = 0; i < 4000; ++i) {
    const TraceId id = random_trace_id();
    CHECK(within_share(id, 0.25) == within_share(id, 0.25));
    CHECK((!within_share(id, 0.25) || within_share(id, 0.5)));
    sampled += within_share(id, 0.25) ? 1 : 0;
  }
  CHECK(sampled > 800);
  CHECK(sampled < 1200);
  TraceId last;
  last.bytes.fill(0xff);
  CHECK(within_share(last, 1));
  CHECK_FALSE(within_share(last, 0.999));
  CHECK_FALSE(within_share(TraceId{}, 0));
}

TEST_CASE("ids are not drawn twice") {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    ids.insert(random_span_id().hex());
    ids.insert(random_trace_id().hex());
  }
  CHECK(ids.size() == 2000);
}
