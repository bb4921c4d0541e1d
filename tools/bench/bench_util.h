#pragma once
// What the suites share: repeated timing, the limits of this machine, and how results are written out.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tools/bench/suites.h"

namespace sluice::bench {

/// Median of a non-empty list.
[[nodiscard]] double median(std::vector<double> values);

/// Wall seconds of one call.
template <class F>
[[nodiscard]] double seconds_of(F&& fn) {
  const auto start = std::chrono::steady_clock::now();
  fn();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Median wall seconds of one call: at least `repeats` calls after one to warm up, more until `least_seconds` have
/// been spent.
template <class F>
[[nodiscard]] double median_seconds(std::size_t repeats, double least_seconds, F&& fn) {
  fn();
  std::vector<double> times;
  double spent = 0;
  while (times.size() < repeats || (spent < least_seconds && times.size() < 1000)) {
    times.push_back(seconds_of(fn));
    spent += times.back();
  }
  return median(std::move(times));
}

/// Bytes per second that `threads` threads together read from memory (buffers far larger than the caches).
[[nodiscard]] double read_bandwidth(std::uint32_t threads, bool quick);
/// Bytes per second that `threads` threads together copy with memcpy (bytes copied, not read + written).
[[nodiscard]] double copy_bandwidth(std::uint32_t threads, bool quick);

/// Cores this process may run on.
[[nodiscard]] std::uint32_t core_count();
/// {cpu, cores, isa}
[[nodiscard]] nlohmann::json machine_json();
/// {suite, machine, figures: [{name, value, unit, reference: {name, value, unit}, ratio}]}
[[nodiscard]] nlohmann::json to_json(std::string_view suite, const std::vector<Figure>& figures);
/// The same as an aligned table for people.
[[nodiscard]] std::string to_table(std::string_view suite, const std::vector<Figure>& figures);

}  // namespace sluice::bench
