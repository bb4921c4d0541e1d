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
  m.on_send(1000, t);
  m.on_ack(1000, t + std::chrono::milliseconds(1));
  CHECK(m.bytes_per_s() == 0);
  t += std::chrono::hours(1);  // idle
  m.on_send(BandwidthMeter::kMinSampleBytes, t);
  m.on_ack(BandwidthMeter::kMinSampleBytes, t + std::chrono::seconds(1));
  CHECK(m.bytes_per_s() == Approx(static_cast<double>(BandwidthMeter::kMinSampleBytes)));
}

TEST_CASE("bandwidth is learned from frames that wait for computation in between, less a round trip each") {
  BandwidthMeter m;
  m.on_probe(1e6, 1e-3);
  TimePoint t{std::chrono::seconds(100)};
  const std::uint64_t frame = 256U << 10;
  const double wire_s = static_cast<double>(frame) / 1e8;
  for (int i = 0; i < 100; ++i) {
    m.on_send(frame, t);
    t += from_seconds(wire_s + 1e-3);
    m.on_ack(frame, t);
    t += std::chrono::milliseconds(50);  // the next chunk computes
  }
  CHECK(m.bytes_per_s() == Approx(1e8).epsilon(0.02));
  CHECK(m.busy_bytes() == 100 * frame);
  CHECK(static_cast<double>(m.busy_bytes()) / m.busy_s() == Approx(1e8).epsilon(0.001));
}

TEST_CASE("a round trip that met other traffic does not make a link endlessly fast") {
  CHECK(wire_time(3e-3, 1e-3) == Approx(2e-3));
  // Pings of a starting cluster took 0.3 ms, and the block of 1 MiB after them 0.25 ms: it was taken for 1 PB/s.
  CHECK(wire_time(0.25e-3, 0.3e-3) == Approx(0.125e-3));
  CHECK(wire_time(1e-3, 0) == 1e-3);
}

// A probe of two clusters that started together on a slow link said 6 ms for what is 0.1 ms: at 1 Gb/s all of the wire
// was taken for latency.
TEST_CASE("a message that is back sooner than the probed round trip corrects it") {
  BandwidthMeter m;
  m.on_probe(1e6, 6e-3);
  TimePoint t{std::chrono::seconds(100)};
  m.on_send(1000, t);
  t += std::chrono::microseconds(200);
  m.on_ack(1000, t);
  CHECK(m.rtt_s() == Approx(2e-4));
  m.on_send(1U << 20, t);
  t += std::chrono::milliseconds(8);
  m.on_ack(1U << 20, t);
  CHECK(m.rtt_s() == Approx(2e-4));  // slower ones say nothing
  CHECK(m.busy_s() == Approx(8e-3 - 2e-4));
}

TEST_CASE("a burst that does not end is counted as it goes") {
  BandwidthMeter m;
  m.on_probe(1e6, 0);
  TimePoint t{std::chrono::seconds(100)};
  m.on_send(BandwidthMeter::kMinSampleBytes / 2, t);
  for (int i = 0; i < 8; ++i) {
    m.on_send(BandwidthMeter::kMinSampleBytes / 2, t);  // one more is always in flight
    t += std::chrono::milliseconds(10);
    m.on_ack(BandwidthMeter::kMinSampleBytes / 2, t);
  }
  CHECK(m.busy_bytes() == 4 * BandwidthMeter::kMinSampleBytes);
  CHECK(m.busy_s() == Approx(0.08));
}

TEST_CASE("what is late bounds a link's speed before a sample of it exists") {
  BandwidthMeter m;
  TimePoint t{std::chrono::seconds(100)};
  CHECK(m.bytes_per_s(t) == 0);
  m.on_probe(1e9, 1e-3);
  const TimePoint start = t;
  m.on_send(1'000'000, t);
  m.on_send(1'000'000, t);
  CHECK(m.bytes_per_s(start + std::chrono::milliseconds(3)) == Approx(1e9));  // none of it can be here
  CHECK(m.bytes_per_s(start + std::chrono::milliseconds(101)) == Approx(1e7));
  m.on_ack(1'000'000, start + std::chrono::milliseconds(101));
  // The second was behind the first.
  CHECK(m.bytes_per_s(start + std::chrono::milliseconds(151)) == Approx(2e6 / 0.15));
  m.on_ack(1'000'000, start + std::chrono::milliseconds(201));
  CHECK(m.bytes_per_s(start + std::chrono::hours(1)) == m.bytes_per_s());  // idle: only the mean is left
  m.on_send(1'000'000, start + std::chrono::hours(1));
  CHECK(m.bytes_per_s(start + std::chrono::hours(1)) == m.bytes_per_s());
}
