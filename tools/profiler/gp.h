#pragma once
// Gaussian-process regression: Matern 5/2 with a length for every feature (automatic relevance determination) plus a
// linear part, Gaussian noise; Rasmussen & Williams, Gaussian Processes for Machine Learning, algorithm 2.1. Pure and
// deterministic. Threading: const methods are thread-safe.
#include <Eigen/Dense>
#include <cstdint>

namespace sluice::profiler {

/// All in logarithms. k(a, b) = signal^2 matern52(|(a - b) / length|) + linear^2 (1 + a.b) + [a is b] noise^2.
struct Hyper {
  Eigen::VectorXd length;  // [features]
  double signal = 0, linear = 0, noise = 0;
};

struct Posterior {
  Eigen::VectorXd mean, sd;  // [queries], of the function without noise
};

class Gp {
 public:
  /// x: [n, features], y: [n]; n >= 1.
  Gp(Eigen::MatrixXd x, Eigen::VectorXd y, Hyper h);
  /// As above, with the most likely hyperparameters under a weak prior (lengths near 3, little noise: in units of
  /// standardised features and of y's deviation), the best of `restarts` climbs; the first begins at `start`.
  [[nodiscard]] static Gp fit(const Eigen::MatrixXd& x, const Eigen::VectorXd& y, const Hyper& start, int restarts,
                              std::uint64_t seed);

  /// q: [queries, features].
  [[nodiscard]] Posterior predict(const Eigen::MatrixXd& q) const;
  /// log p(y | x, hyperparameters).
  [[nodiscard]] double log_likelihood() const noexcept { return log_likelihood_; }
  /// Its gradient by [length..., signal, linear, noise].
  [[nodiscard]] Eigen::VectorXd gradient() const;
  [[nodiscard]] const Hyper& hyper() const noexcept { return h_; }

 private:
  [[nodiscard]] Eigen::MatrixXd kernel(const Eigen::MatrixXd& a, const Eigen::MatrixXd& b) const;

  Eigen::MatrixXd x_;
  Eigen::VectorXd alpha_;
  Hyper h_;
  Eigen::LLT<Eigen::MatrixXd> chol_;
  double log_likelihood_ = 0;
};

/// Where fit() starts for so many features.
[[nodiscard]] Hyper default_hyper(Eigen::Index features);

}  // namespace sluice::profiler
