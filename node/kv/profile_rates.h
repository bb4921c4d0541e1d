#pragma once
// How fast this node's codec is under each profile, and how small KV becomes: what heartbeats report. Export and ingest
// each keep one, of encoding and of decoding. Threading: any thread; one mutex.
#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

#include "node/kv/rate_meter.h"

namespace sluice::node {

struct ProfileRate {
  double bps = 0;    // raw bytes per second of one worker
  double ratio = 0;  // raw bytes per wire byte
};

class ProfileRates {
 public:
  /// One transfer's worth. busy_s: workers' time in codec and seal.
  void add(const std::string& profile, std::uint64_t raw_bytes, std::uint64_t wire_bytes, double busy_s);
  /// By name, of profiles that enough went under.
  [[nodiscard]] std::unordered_map<std::string, ProfileRate> get() const;

 private:
  struct Meters {
    RateMeter speed, ratio;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Meters> meters_;
};

}  // namespace sluice::node
