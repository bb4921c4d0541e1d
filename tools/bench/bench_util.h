#pragma once
// What the suites share: repeated timing, the limits of this machine, and how results are written out.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tools/bench/suites.h"

namespace sluice::bench {

/// Median of a non-empty list.
[[nodiscard]] double median(std::vector<double> values);

/// Seconds on the clock that suits work of `threads` threads. With one it is the calling thread's CPU time, so that
/// what else the machine does at the time counts little; with more it is wall time.
[[nodiscard]] double clock_for(std::uint32_t threads);

/// Seconds of one call, by clock_for(threads).
template <class F>
[[nodiscard]] double seconds_of(std::uint32_t threads, F&& fn) {
  const double start = clock_for(threads);
  fn();
  return clock_for(threads) - start;
}

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

/// Speed of this machine's memory with some threads, over buffers far larger than the caches.
class MemoryProbe {
 public:
  explicit MemoryProbe(std::uint32_t threads, bool quick = false);
  /// Bytes per second that all threads together read, in one pass.
  double read();
  /// Bytes per second that all threads together copy with memcpy (bytes copied, not read + written).
  double copy();

 private:
  using Line = std::uint64_t __attribute__((vector_size(64)));
  struct Free {
    void operator()(Line* p) const { std::free(p); }
  };
  template <class F>
  double together(F&& body);

  std::uint32_t threads_;
  std::size_t lines_;  // of each thread
  std::vector<std::unique_ptr<Line[], Free>> data_;
};

/// Medians of several passes.
[[nodiscard]] double read_bandwidth(std::uint32_t threads, bool quick);
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
