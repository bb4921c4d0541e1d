#pragma once
// What prompts take to compute on one prefill node: so much as such, per token and per square of tokens, times a factor
// of the moment.
//
// A node's times differ in one direction: never faster than the hardware, and slower by turns, while something else
// wants its cores or its memory. So the shape is learned slowly, from what prompts take beside the moment's factor, and
// the factor is the median of what the latest prompts took over the shape: half of them may be slow and it stays. When
// several in a row are off by much, and all in one direction, the node has changed, and what was before is forgotten.
// So is a factor that nothing confirmed for long, once the next prompt comes.
//
// Pure, time given; not thread-safe; allocates nothing.
#include <array>
#include <cstdint>

#include "common/clock.h"
#include "coordinator/policy/bayes_linear.h"

namespace sluice::coordinator {

class PromptTime {
 public:
  using Terms = BayesLinear<3>::Vector;  // of prompts together: {count, tokens / 1000, sum of (tokens / 1000)^2}
  static constexpr std::size_t kWindow = 15;
  static constexpr std::size_t kNews = 3;     // prompts in a row that tell a change ...
  static constexpr double kNewsFactor = 1.5;  // ... when each is off by more

  [[nodiscard]] static Terms terms(double tokens);
  /// Of a prompt whose first positions [0, from) are computed already, up to `to`.
  [[nodiscard]] static Terms terms(double from, double to);

  /// What the node says of itself. It counts before anything was measured, and when it changes by much while nothing
  /// is.
  void report(double tokens_per_s, TimePoint now);
  /// Seconds; 0 before anything was reported.
  [[nodiscard]] double predict(const Terms& t) const;
  /// Prompts that were computed together. True when they completed a change.
  bool observe(const Terms& t, double took_s, TimePoint now);
  /// Another process under the same name: what is known is a guess.
  void doubt();

  [[nodiscard]] bool ready() const noexcept { return shape_.ready(); }
  /// Variance of the log of a prompt's time.
  [[nodiscard]] double noise() const noexcept { return noise_; }
  [[nodiscard]] bool learned() const noexcept { return learned_ != TimePoint{}; }
  /// The shape times the moment's factor, for a file; and back, as a guess whose doubt is a share of a prior's.
  [[nodiscard]] Terms weights() const;
  void restore(const Terms& weights, double doubt, TimePoint now);

 private:
  void set_prior(const Terms& mean, double slope);
  void forget_moment();
  bool update_moment(double log_ratio);

  BayesLinear<3> shape_;
  double rate_ = 0;      // as reported
  double noise_ = 0.01;  // variance of a prompt's time, as a share of it
  TimePoint learned_{};
  std::array<float, kWindow> ratios_{};  // log of took / shape, the latest last
  std::uint32_t known_ = 0;              // of them
  double factor_ = 1;
};

}  // namespace sluice::coordinator
