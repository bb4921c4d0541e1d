#pragma once
// How a model turns errors of its KV into KL, before anything finer is known: to second order KL is a weighted sum of
// the squared errors, with weights of the model's own. Fitted to log10 KL; a Gaussian process learns the rest. Pure.
#include <Eigen/Dense>

namespace sluice::profiler {

class ErrorModel {
 public:
  /// errors: [n, groups], each >= 0; y: [n] log10 KL. The weights are kept near one another (a prior of about a factor
  /// of 4), so that a few observations do for many groups.
  [[nodiscard]] static ErrorModel fit(const Eigen::MatrixXd& errors, const Eigen::VectorXd& y);
  /// log10 KL of each row.
  [[nodiscard]] Eigen::VectorXd predict(const Eigen::MatrixXd& errors) const;
  /// Natural logarithms.
  [[nodiscard]] const Eigen::VectorXd& weights() const noexcept { return log_weights_; }

 private:
  Eigen::VectorXd log_weights_;
};

}  // namespace sluice::profiler
