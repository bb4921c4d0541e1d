#include "common/trace/span.h"

#include <catch2/catch.hpp>

#include "tests/support/span_list.h"

using namespace sluice;
using namespace sluice::trace;
using namespace std::chrono_literals;

TEST_CASE("a child belongs to its parent's trace") {
  const SpanContext parent = join_trace({}, {}, 1).context;
  const TimePoint t = std::chrono::steady_clock::now();
  const Span s = child_span(parent, "queue", t, t + 1s);
  CHECK(s.context.trace == parent.trace);
  CHECK(s.parent == parent.span);
  CHECK(s.context.span != parent.span);
  CHECK(s.context.sampled);
  CHECK(s.end - s.begin == 1s);
}

TEST_CASE("a parent that another process names is followed when it is sampled") {
  test::SpanList sink;
  SpanContext c = join_trace({}, {}, 1).context;
  const Parent p = named_parent(format_traceparent(c), "a=1", &sink);
  REQUIRE(p);
  CHECK(p.context.span == c.span);
  CHECK(p.context.state == "a=1");
  CHECK_FALSE(named_parent(format_traceparent(c), "", nullptr));
  CHECK_FALSE(named_parent("", "", &sink));
  CHECK_FALSE(named_parent("00-from-another-world", "", &sink));
  c.sampled = false;
  CHECK_FALSE(named_parent(format_traceparent(c), "", &sink));
}

TEST_CASE("wall times keep the distances of the monotonic clock") {
  const TimePoint t = std::chrono::steady_clock::now();
  const std::int64_t first = unix_nanos(t);
  for (int i = 0; i < 1000; ++i) REQUIRE(unix_nanos(t + 5ns) == first + 5);
  const auto now =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  CHECK(std::abs(now - first) < 1'000'000'000);
}

TEST_CASE("attributes keep their types") {
  Attributes a;
  a.set("yes", true);
  a.set("count", std::uint64_t{7});
  a.set("share", 0.5F);
  a.set("word", "text");
  a.set("words", std::vector<std::string>{"a", "b"});
  CHECK(test::attribute<bool>(a, "yes"));
  CHECK(test::attribute<std::int64_t>(a, "count") == 7);
  CHECK(test::attribute<double>(a, "share") == 0.5);
  CHECK(test::attribute<std::string>(a, "word") == "text");
  CHECK(test::attribute<std::vector<std::string>>(a, "words").size() == 2);
  CHECK(a.find("none") == nullptr);
}
