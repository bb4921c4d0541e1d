// A link of 1 MB/s that the pace makes of a fast one: what leaves takes its time on the wire, whoever asks and when.
#include "kvtransfer/transport/link_pace.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::kv;
using namespace std::chrono_literals;

namespace {

constexpr double kMegabyte = 1e6;  // per second: a byte a microsecond
constexpr TimePoint kStart{1000s};

/// When the head leaves that is first asked for at `now`, and then whenever it is due.
TimePoint leaves(LinkPace& pace, std::size_t bytes, TimePoint now) {
  while (!pace.pass(bytes, now)) {
    REQUIRE(pace.due().has_value());
    REQUIRE(*pace.due() > now);
    now = *pace.due();
  }
  CHECK_FALSE(pace.due().has_value());
  return now;
}

}  // namespace

TEST_CASE("a message leaves after its own time on the wire, less what was saved up") {
  LinkPace pace(kMegabyte);
  CHECK(leaves(pace, 50'000, kStart) == kStart + 50ms - LinkPace::kBurst);
  CHECK(leaves(pace, 50'000, kStart + 50ms - LinkPace::kBurst) == kStart + 100ms - LinkPace::kBurst);
}

TEST_CASE("a small message on an idle link does not wait") {
  LinkPace pace(kMegabyte);
  CHECK(pace.pass(100, kStart));
  CHECK_FALSE(pace.pass(50'000, kStart));
  CHECK(pace.due() > kStart);
}

TEST_CASE("who is woken late makes up for it, by no more than the burst") {
  LinkPace late(kMegabyte);
  TimePoint now = kStart;
  for (int i = 0; i < 100; ++i) now = leaves(late, 10'000, now) + 1ms;
  CHECK(now - kStart <= 100 * 10ms + 1ms);
  CHECK(now - kStart >= 100 * 10ms - LinkPace::kBurst);

  LinkPace very_late(kMegabyte);
  now = kStart;
  for (int i = 0; i < 10; ++i) now = leaves(very_late, 10'000, now) + 7ms;
  CHECK(now - kStart >= 10 * (17ms - LinkPace::kBurst));
}

TEST_CASE("an idle time saves up a burst and no more") {
  LinkPace pace(kMegabyte);
  (void)leaves(pace, 10'000, kStart);
  CHECK(leaves(pace, 10'000, kStart + 1h) == kStart + 1h + 10ms - LinkPace::kBurst);
}
