#include "coordinator/policy/fast_random.h"

#include <cmath>
#include <numbers>

namespace sluice::coordinator {

/// By bisection of erfc: made once, exact to a float.
const float* FastRandom::quantiles() {
  static const auto made = [] {
    std::array<float, kTable> t{};
    for (std::size_t i = 0; i < kTable; ++i) {
      const double p = (static_cast<double>(i) + 0.5) / kTable;
      double low = -8;
      double high = 8;
      for (int step = 0; step < 60; ++step) {
        const double mid = 0.5 * (low + high);
        (0.5 * std::erfc(-mid / std::numbers::sqrt2) < p ? low : high) = mid;
      }
      t[i] = static_cast<float>(low);
    }
    return t;
  }();
  return made.data();
}

}  // namespace sluice::coordinator
