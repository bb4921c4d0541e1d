#pragma once
// Learns what the latency model gets wrong and picks among candidates. Pure logic: events in, a choice out; time and
// randomness are given. Not thread-safe.
//
// Each arm (prefill, decode, profile) keeps an EWMA of log(actual / predicted TTFT), so a prediction is corrected by
// exp(residual). A share epsilon of choices explores among candidates that are predicted to meet their SLO. An arm that
// misses its SLO kMissesToCool times in a row rests for cooldown_s. Quality is a hard constraint, applied before any
// score.
#include <cstdint>
#include <random>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/clock.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct ControllerOptions {
  double epsilon = 0.05;
  double eta = 0.3;  // EWMA weight of the newest residual
  double cooldown_s = 5.0;
  std::uint64_t seed = 1;
};
inline constexpr int kMissesToCool = 3;
/// Predictions closer than this share are equal, and the better quality wins.
inline constexpr double kTieShare = 0.02;

struct Candidate {
  std::size_t prefill = 0, decode = 0, profile = 0;  // indices into the snapshot
  std::uint64_t arm = 0;
  double model_ttft_s = 0;      // from the latency model
  double predicted_ttft_s = 0;  // corrected
  double predicted_tpot_s = 0;
  double kl = 0;
};

enum class ChoiceReason { best, explore, only, cooled_fallback };
[[nodiscard]] std::string_view name(ChoiceReason r) noexcept;

struct Choice {
  std::size_t index = 0;  // into the candidates
  ChoiceReason reason = ChoiceReason::best;
};

class ProfileController {
 public:
  explicit ProfileController(const ControllerOptions& o) : options_(o), rng_(o.seed) {}

  /// Stable key of an arm across snapshots.
  [[nodiscard]] static std::uint64_t arm_key(const NodeId& p, const NodeId& d, const std::string& profile);
  /// model_ttft corrected by what was learned of the arm.
  [[nodiscard]] double corrected(std::uint64_t arm, double model_ttft_s) const;

  /// candidates: not empty, all within the quality budget, predictions filled in.
  [[nodiscard]] Choice choose(std::span<const Candidate> candidates, const RequestFeatures& r, TimePoint now);

  /// What a finished request measured. ttft_s counts from when the decision was made.
  void observe(std::uint64_t arm, double model_ttft_s, double ttft_s, bool met_slo, TimePoint now);
  /// A request on the arm failed (node or link): rest it at once.
  void observe_failure(std::uint64_t arm, TimePoint now);

  struct ArmState {
    double log_residual = 0;
    std::uint64_t count = 0;
    int misses = 0;
    TimePoint cooled_until{};
  };
  [[nodiscard]] const ArmState* arm(std::uint64_t key) const;

 private:
  [[nodiscard]] bool cooled(std::uint64_t arm, TimePoint now) const;
  ControllerOptions options_;
  std::mt19937_64 rng_;
  std::unordered_map<std::uint64_t, ArmState> arms_;
  std::vector<std::size_t> open_;  // scratch of choose()
};

}  // namespace sluice::coordinator
