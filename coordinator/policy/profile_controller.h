#pragma once
// The bandit over candidates (prefill, decode, profile): learns what the latency model gets wrong, knows how sure it
// is, and picks. Pure logic: events in, a choice out; time and randomness are given. Not thread-safe.
//
// log(actual / modelled TTFT) of a candidate is taken to be
//     w . x  +  a[prefill]  +  b[decode]  +  c[profile]  +  e[prefill, decode]
// with shared weights w over features (bytes, bandwidth, load, length) and one effect per entity, all Gaussian. So what
// one request shows of a link serves every profile over it, and a decision over thousands of arms learns from tens of
// requests. Weights and effects discount the past; deviations that add up on an entity make it forget (its variance is
// raised). Choices go by the posterior mean. A share of them, which a user sets, is drawn from the posterior instead
// (Thompson sampling), and taken only where it is safe: the drawn candidate's chance to meet its SLO is high, or no
// worse than the best one's, and its expected time is no more than kExploreFactor of the best one's.
// Quality is a hard constraint, applied before any score. A pair of nodes on which a request failed rests for a while.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "coordinator/policy/bayes_linear.h"
#include "coordinator/policy/candidates.h"
#include "coordinator/policy/directory.h"
#include "coordinator/policy/estimate.h"
#include "coordinator/policy/fast_random.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct ControllerOptions {
  double explore_share = 0.05;  // of decisions that may be drawn from the posterior
  double tie_share = 0.01;      // predictions closer than this share are equal, and the better quality wins
  double cooldown_s = 5.0;      // rest of a pair after a failure
  std::uint64_t seed = 1;
};
inline constexpr double kExploreFactor = 2.0;
inline constexpr double kSafeChance = 0.9;
/// What all requests share of the residual never multiplies a prediction by more than this, either way; what one
/// node, profile or pair adds, by no more than kEntityBound: what happened on a link once must not banish a node.
inline constexpr double kResidualBound = 8.0;
inline constexpr double kEntityBound = 1.5;

enum class ChoiceReason { best, explore, only, cooled_fallback };
[[nodiscard]] std::string_view name(ChoiceReason r) noexcept;

/// One entity's share of the residual, in log.
struct Effect {
  float mean = 0, var = 0;
  float up = 0, down = 0;  // CUSUM
  std::uint32_t count = 0;
  TimePoint aged{};
};

class ProfileController {
 public:
  ProfileController(Directory& names, const ControllerOptions& o);

  /// Follows the bound snapshot; call after Directory::bind said that something changed.
  void grow();

  /// The features of a candidate whose stages are known.
  [[nodiscard]] static Features features(const Candidate& k, double max_seqs, double bandwidth_bps);
  /// Multiplier and standard deviation (of the log) of the model's TTFT.
  [[nodiscard]] double correction(const Candidate& k) const;
  [[nodiscard]] double spread(const Candidate& k) const;
  /// Probability that a candidate with predictions filled in meets both objectives.
  [[nodiscard]] double chance(const Candidate& k, const RequestFeatures& r) const { return chance(k, r, spread(k)); }
  [[nodiscard]] static double chance(const Candidate& k, const RequestFeatures& r, double spread);

  /// Fills the table's multipliers with posterior means, or with one draw from the posterior.
  void weigh(CandidateTable& t, bool drawn, TimePoint now);
  /// Whether this decision may explore; takes its share of the budget.
  [[nodiscard]] bool may_explore();
  [[nodiscard]] const ControllerOptions& options() const noexcept { return options_; }
  [[nodiscard]] FastRandom& random() noexcept { return random_; }
  [[nodiscard]] bool any_resting(TimePoint now) const noexcept { return last_rest_ > now; }
  [[nodiscard]] bool resting(Slot prefill, Slot decode, TimePoint now) const;

  /// As LatencyModel::touch.
  void touch(Slot prefill, Slot decode) const noexcept { __builtin_prefetch(&pairs_[prefill][decode]); }

  /// What a finished request took. False when nothing could be learned.
  bool observe(const Candidate& k, double ttft_s, TimePoint now);
  /// A request on the pair failed (node or link): rest it at once.
  void observe_failure(const Candidate& k, TimePoint now);

  [[nodiscard]] std::uint64_t changes() const noexcept { return changes_; }
  [[nodiscard]] nlohmann::json save() const;
  void load(const nlohmann::json& j, TimePoint now);

 private:
  struct Pair {
    Effect effect;
    TimePoint rest_until{};
  };
  [[nodiscard]] static Effect fresh(float var) { return {.var = var}; }
  void size_up();
  void share_out(Slot own, Effect& pair);

  Directory& names_;
  ControllerOptions options_;
  FastRandom random_;
  BayesLinear<kFeatures> shared_;
  std::vector<Effect> prefills_, decodes_, profiles_;  // by slot
  std::vector<float> use_;                             // of profiles, lately; adds up to 1
  std::vector<std::vector<Pair>> pairs_;               // [prefill slot][decode slot]
  TimePoint last_rest_{};                              // the latest rest_until
  double noise_ = 0.02;                                // variance of one request's log residual
  std::uint64_t seen_ = 0, changes_ = 0;
  double credit_ = 0;
};

}  // namespace sluice::coordinator
