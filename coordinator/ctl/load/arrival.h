#pragma once
// When requests arrive in an open loop. Pure; the same seed gives the same times on every machine (the standard
// library's distributions differ between libraries, so the draws are our own).
#include <cstdint>
#include <random>

#include "common/result.h"

namespace sluice::ctl::load {

enum class Process : std::uint8_t { poisson, gamma, constant };

/// Times of one process, one after another; the first is 0.
class Arrivals {
 public:
  /// rate: per second, above 0. burstiness: the shape of gamma's gaps, as vLLM's benchmark means it: 1 is Poisson,
  /// below it arrivals come in bursts, above it they are more even.
  Arrivals(Process process, double rate, double burstiness, std::uint64_t seed)
      : process_(process), rate_(rate), shape_(burstiness), random_(seed) {}
  double next();

 private:
  double uniform();  // 0 <= u < 1
  double normal();
  double gamma(double shape);

  Process process_;
  double rate_;
  double shape_;
  std::mt19937_64 random_;
  double at_ = 0;
};

/// From --arrival and --burstiness. A burstiness makes a Poisson process a gamma one.
[[nodiscard]] Process process_of(const std::string& name, double burstiness);

}  // namespace sluice::ctl::load
