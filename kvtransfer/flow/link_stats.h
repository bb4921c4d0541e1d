#pragma once
// What a sender measures of one link. Pure logic with time given; the owner serialises calls.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>

#include "common/clock.h"
#include "common/transfer/tightening.h"

namespace sluice::kv {

struct LinkStats {
  double bandwidth_bytes_per_s = 0;  // 0 = not measured
  double now_bytes_per_s = 0;        // no more than bandwidth, and less when what is in flight is late; 0 = not known
  double rtt_s = 0;
  std::uint64_t bytes_in_flight = 0;  // sent, not given back by the receiver
  std::uint64_t queue_bytes = 0;      // waiting for credit
  std::uint64_t sent_bytes = 0;       // ever given back
  // What the bandwidth was measured on, ever: over a time, the difference of one by the difference of the other.
  std::uint64_t busy_bytes = 0;
  double busy_s = 0;
};

/// What bytes took on the wire, of a time from sending them to hearing that they are there: the round trip is taken
/// off, but half of the time at most. A round trip measured while other traffic was about can exceed the whole.
[[nodiscard]] inline double wire_time(double took_s, double rtt_s) noexcept {
  return took_s - std::min(rtt_s, 0.5 * took_s);
}

/// Bandwidth from acknowledged bytes over the time with bytes in flight: idle gaps do not count, so a sender that waits
/// for computation between two frames still learns its link. Small bursts, which latency rules, are not used; of the
/// others the round trip is taken off. What is not acknowledged in time bounds the speed before any sample of it
/// exists.
class BandwidthMeter {
 public:
  static constexpr std::uint64_t kMinSampleBytes = 1U << 20;
  static constexpr std::uint64_t kLeastBurstBytes = 64U << 10;
  static constexpr double kEwma = 0.2;

  void on_send(std::uint64_t bytes, TimePoint now) {
    sent_ += bytes;
    under_way_.push_back({now, sent_, sent_ - acked_});
    if (busy_++ > 0) return;
    since_ = now;
    burst_ = 0;
    lag_ = rtt_;
  }
  /// One message's bytes came back.
  void on_ack(std::uint64_t bytes, TimePoint now) noexcept {
    acked_ += bytes;
    while (!under_way_.empty() && under_way_.front().end <= acked_) under_way_.pop_front();
    burst_ += bytes;
    if (busy_ > 0) --busy_;
    const double took = seconds(now - since_);
    // What left on an idle link was back no sooner than a round trip: a probe that met other traffic said too much.
    if (lag_ > 0 && took > 0) lag_ = rtt_ = std::min(rtt_, took);
    if (busy_ > 0 && burst_ < kMinSampleBytes) return;
    if (burst_ >= kLeastBurstBytes && took > 0) count(burst_, wire_time(took, lag_));
    since_ = now;
    burst_ = 0;
    lag_ = 0;  // what follows without a gap waits for no round trip
  }
  /// A deliberate measurement: replaces what is known.
  void on_probe(double bytes_per_s, double rtt_s) noexcept {
    rtt_ = rtt_s;
    set(bytes_per_s, 1.0);
  }
  [[nodiscard]] double bytes_per_s() const noexcept { return bps_; }
  /// What the link does now at most: the mean, or less when the oldest message under way is late.
  [[nodiscard]] double bytes_per_s(TimePoint now) const noexcept {
    if (under_way_.empty()) return bps_;
    const Sent& oldest = under_way_.front();
    const double bound = speed_bound(static_cast<double>(oldest.ahead), seconds(now - oldest.at), rtt_);
    if (bps_ == 0) return std::isinf(bound) ? 0 : bound;
    return std::min(bps_, bound);
  }
  /// As probed, or less when a message was back sooner.
  [[nodiscard]] double rtt_s() const noexcept { return rtt_; }
  [[nodiscard]] std::uint64_t busy_bytes() const noexcept { return busy_bytes_; }
  [[nodiscard]] double busy_s() const noexcept { return busy_s_; }

 private:
  void count(std::uint64_t bytes, double took) noexcept {
    busy_bytes_ += bytes;
    busy_s_ += took;
    sample_bytes_ += bytes;
    sample_s_ += took;
    if (sample_bytes_ < kMinSampleBytes) return;
    set(static_cast<double>(sample_bytes_) / sample_s_, kEwma);
    sample_bytes_ = 0;
    sample_s_ = 0;
  }
  void set(double sample, double weight) noexcept { bps_ = bps_ == 0 ? sample : bps_ + weight * (sample - bps_); }

  /// A message under way: all bytes sent up to its end, and those of them that were under way when it was handed over.
  struct Sent {
    TimePoint at;
    std::uint64_t end, ahead;
  };
  std::deque<Sent> under_way_;
  std::uint64_t sent_ = 0, acked_ = 0;
  std::uint32_t busy_ = 0;  // messages in flight
  TimePoint since_{};
  std::uint64_t burst_ = 0;
  double rtt_ = 0, lag_ = 0;
  std::uint64_t sample_bytes_ = 0, busy_bytes_ = 0;
  double sample_s_ = 0, busy_s_ = 0;
  double bps_ = 0;
};

}  // namespace sluice::kv
