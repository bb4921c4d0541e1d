#pragma once
// Linear regression that knows how sure it is: Gaussian weights with a full covariance, one sample at a time, old
// samples discounted. Small N, no allocation. Pure; not thread-safe.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace sluice::coordinator {

template <std::size_t N>
class BayesLinear {
 public:
  using Vector = std::array<double, N>;
  static constexpr double kClip = 3.0;       // a sample counts for at most so many standard deviations
  static constexpr double kSlack = 0.75;     // as Estimate
  static constexpr double kThreshold = 4.0;  // as Estimate

  void set_prior(const Vector& mean, const Vector& sd) {
    mean_ = mean;
    prior_sd_ = sd;
    reset_covariance();
  }
  [[nodiscard]] bool ready() const noexcept { return prior_sd_[0] > 0; }

  [[nodiscard]] double predict(const Vector& x) const { return dot(mean_, x); }
  [[nodiscard]] double variance(const Vector& x) const { return dot(times(x), x); }

  /// True when this sample completed a change; certainty is then back at the prior's, around the present mean.
  /// Its noise moves the fit by `clip` standard deviations at most: small, the fit goes for the median of what is seen
  /// rather than for its mean. What the fit itself may be wrong by it still follows.
  bool observe(const Vector& x, double y, double noise_var, double discount, double clip = kClip) {
    forget(discount);
    const double spread = std::sqrt(variance(x) + noise_var);
    const double z = std::clamp((y - predict(x)) / spread, -kClip, kClip);
    up_ = std::max(0.0, up_ + z - kSlack);
    down_ = std::max(0.0, down_ - z - kSlack);
    if (std::max(up_, down_) <= kThreshold) {
      take(x, y, noise_var, clip);
      return false;
    }
    up_ = down_ = 0;
    reset_covariance();
    take(x, y, noise_var, std::numeric_limits<double>::infinity());
    return true;
  }

  /// As observe(), for what does not change.
  void settle(const Vector& x, double y, double noise_var, double discount, double clip) {
    forget(discount);
    take(x, y, noise_var, clip);
  }

  /// Multiplies what is known, weights and certainty: the quantity is said to have changed by this factor.
  void scale(double factor) {
    for (auto& m : mean_) m *= factor;
    reset_covariance();
  }
  void reset_covariance() {
    for (std::size_t i = 0; i < N; ++i)
      for (std::size_t j = 0; j < N; ++j) cov_[i][j] = i == j ? prior_sd_[i] * prior_sd_[i] : 0;
  }

  /// mean + L z with cov = L L^T.
  [[nodiscard]] Vector sample(const Vector& z) const {
    Matrix l{};
    for (std::size_t i = 0; i < N; ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        double sum = cov_[i][j];
        for (std::size_t k = 0; k < j; ++k) sum -= l[i][k] * l[j][k];
        l[i][j] = i == j ? std::sqrt(std::max(sum, 0.0)) : (l[j][j] > 0 ? sum / l[j][j] : 0);
      }
    Vector out = mean_;
    for (std::size_t i = 0; i < N; ++i)
      for (std::size_t j = 0; j <= i; ++j) out[i] += l[i][j] * z[j];
    return out;
  }

  [[nodiscard]] const Vector& mean() const noexcept { return mean_; }
  [[nodiscard]] double weight_sd(std::size_t i) const { return std::sqrt(cov_[i][i]); }
  /// Weights from an earlier run: kept, at `doubt` times the prior's standard deviation.
  void restore(const Vector& mean, double doubt) {
    mean_ = mean;
    reset_covariance();
    for (std::size_t i = 0; i < N; ++i) cov_[i][i] *= doubt * doubt;
  }

 private:
  using Matrix = std::array<Vector, N>;
  [[nodiscard]] static double dot(const Vector& a, const Vector& b) {
    double s = 0;
    for (std::size_t i = 0; i < N; ++i) s += a[i] * b[i];
    return s;
  }
  /// Grows the covariance, but no weight gets less sure than its prior. Rows and columns are scaled together, which
  /// keeps it a covariance.
  void forget(double discount) {
    Vector scale;
    for (std::size_t i = 0; i < N; ++i)
      scale[i] = std::min(std::sqrt(1 / discount), prior_sd_[i] / std::sqrt(std::max(cov_[i][i], 1e-300)));
    for (std::size_t i = 0; i < N; ++i)
      for (std::size_t j = 0; j < N; ++j) cov_[i][j] *= scale[i] * scale[j];
  }
  void take(const Vector& x, double y, double noise_var, double clip) {
    const Vector k = times(x);
    const double own = dot(k, x);
    const double s = own + noise_var;
    const double most = std::sqrt(kClip * kClip * own + clip * clip * noise_var);
    const double e = std::clamp(y - predict(x), -most, most);
    for (std::size_t i = 0; i < N; ++i) mean_[i] += k[i] / s * e;
    for (std::size_t i = 0; i < N; ++i)
      for (std::size_t j = 0; j < N; ++j) cov_[i][j] -= k[i] * k[j] / s;
    for (std::size_t i = 0; i < N; ++i) cov_[i][i] += 1e-9 * prior_sd_[i] * prior_sd_[i];
  }
  [[nodiscard]] Vector times(const Vector& x) const {
    Vector out{};
    for (std::size_t i = 0; i < N; ++i) out[i] = dot(cov_[i], x);
    return out;
  }

  Vector mean_{}, prior_sd_{};
  Matrix cov_{};
  double up_ = 0, down_ = 0;
};

}  // namespace sluice::coordinator
