#pragma once
// What a sender measures of one link. Pure logic with time given; the owner serialises calls.
#include <cstdint>

#include "common/clock.h"

namespace sluice::kv {

struct LinkStats {
  double bandwidth_bytes_per_s = 0;  // 0 = not measured
  double rtt_s = 0;
  std::uint64_t bytes_in_flight = 0;  // sent, not given back by the receiver
  std::uint64_t queue_bytes = 0;      // waiting for credit
  std::uint64_t sent_bytes = 0;       // ever given back
};

/// Bandwidth from acknowledged bytes over busy time: idle gaps do not count, and short bursts, which latency rules, are
/// not used.
class BandwidthMeter {
 public:
  static constexpr std::uint64_t kMinSampleBytes = 1U << 20;
  static constexpr double kEwma = 0.2;

  void on_send(TimePoint now) noexcept {
    if (busy_++ == 0) {
      since_ = now;
      acked_ = 0;
    }
  }
  /// One message's bytes came back.
  void on_ack(std::uint64_t bytes, TimePoint now) noexcept {
    acked_ += bytes;
    if (busy_ > 0) --busy_;
    const double took = seconds(now - since_);
    if (acked_ < kMinSampleBytes || took <= 0) return;
    set(static_cast<double>(acked_) / took, kEwma);
    since_ = now;
    acked_ = 0;
  }
  /// A deliberate measurement: replaces what is known.
  void on_probe(double bytes_per_s) noexcept { set(bytes_per_s, 1.0); }
  [[nodiscard]] double bytes_per_s() const noexcept { return bps_; }

 private:
  void set(double sample, double weight) noexcept { bps_ = bps_ == 0 ? sample : bps_ + weight * (sample - bps_); }
  std::uint64_t acked_ = 0;
  std::uint32_t busy_ = 0;
  TimePoint since_{};
  double bps_ = 0;
};

}  // namespace sluice::kv
