#include <catch2/catch.hpp>
#include <random>

#include "kvtransfer/flow/credit.h"
#include "kvtransfer/flow/link_stats.h"
#include "kvtransfer/flow/staging.h"

using namespace sluice;
using namespace sluice::kv;

TEST_CASE("a credit window neither loses nor invents bytes") {
  CreditWindow w(1000);
  std::mt19937 rng(1);
  std::uint64_t out = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::uint64_t n = rng() % 1500;
    if (rng() % 2) {
      const bool fits = n <= 1000 - out;
      REQUIRE(w.take(n) == fits);
      if (fits) out += n;
    } else {
      const bool fits = n <= out;
      REQUIRE(w.give(n) == fits);
      if (fits) out -= n;
    }
    REQUIRE(w.outstanding() == out);
    REQUIRE(w.available() + w.outstanding() == w.window());
  }
  CHECK_FALSE(w.take(~0ULL));
  CHECK_FALSE(w.give(~0ULL));
}

TEST_CASE("a staging buffer gives its bytes back exactly once, wherever it ends up") {
  std::size_t back = 0;
  int times = 0;
  BufferPool pool(1U << 20);
  const auto release = [&](std::size_t n) { back += n, ++times; };
  {
    StagingBuffer a(pool.take(10), release);
    StagingBuffer b(std::move(a));
    a = StagingBuffer(pool.take(20), release);
    b = std::move(a);
    CHECK(times == 1);
    CHECK(back == 10);
    CHECK(b.bytes().size() == 20);
  }
  CHECK(times == 2);
  CHECK(back == 30);
}

TEST_CASE("bandwidth counts busy time only and ignores bursts that latency rules") {
  BandwidthMeter m;
  TimePoint t{std::chrono::seconds(100)};
  m.on_send(t);
  m.on_ack(1000, t + std::chrono::milliseconds(1));
  CHECK(m.bytes_per_s() == 0);
  t += std::chrono::hours(1);  // idle
  m.on_send(t);
  m.on_ack(BandwidthMeter::kMinSampleBytes, t + std::chrono::seconds(1));
  CHECK(m.bytes_per_s() == Approx(static_cast<double>(BandwidthMeter::kMinSampleBytes)));
}
