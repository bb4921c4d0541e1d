#pragma once
// Whether prefill nodes are worth it on this cluster, as measured: what requests took whose prompt a prefill node
// computed, beside those of like length whose decode node did. Of the last kKept of each kind and length. Requests are
// not assigned by chance: each went where it was expected to be served sooner at that moment. `sluicectl doctor --pd`
// compares both in turns, on an otherwise idle cluster. Pure state; not thread-safe; bounded.
#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json_fwd.hpp>

namespace sluice::coordinator {

class PdWorth {
 public:
  static constexpr std::size_t kKept = 256;
  static constexpr std::size_t kEnough = 8;  // requests of either kind, for a verdict

  /// A request of an undisturbed attempt. ttft_s: since it was decided on. tpot_s: 0 when it had one token.
  void add(bool split, std::uint32_t prompt_tokens, double ttft_s, double tpot_s);
  /// {"lengths": [{"from", "below", "split": {"requests", "ttft_ms", "tpot_ms"}, "local": {...}}], "verdict"}, medians.
  [[nodiscard]] nlohmann::json to_json() const;

 private:
  struct Sample {
    double ttft_s = 0, tpot_s = 0;
  };
  struct Length {
    std::deque<Sample> split, local;
  };
  std::map<int, Length> lengths_;  // by the power of two of prompt tokens
};

}  // namespace sluice::coordinator
