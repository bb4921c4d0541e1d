#include "tools/profiler/error_model.h"

#include <cmath>
#include <numbers>

namespace sluice::profiler {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kLeast = 1e-9;   // of an error: lossless parts lose next to nothing
constexpr double kSpread = 1.4;   // prior deviation of a weight's logarithm from the others'
constexpr double kMisfit = 0.15;  // decades that the sum is expected to be off
constexpr int kSteps = 50;

/// [n, groups]: each group's part of a row's sum.
MatrixXd parts(const MatrixXd& errors, const VectorXd& log_weights) {
  return (errors.array() + kLeast).matrix() * VectorXd(log_weights.array().exp()).asDiagonal();
}

}  // namespace

VectorXd ErrorModel::predict(const MatrixXd& errors) const {
  return parts(errors, log_weights_).rowwise().sum().array().log10();
}

ErrorModel ErrorModel::fit(const MatrixXd& errors, const VectorXd& y) {
  const Index n = errors.rows(), d = errors.cols();
  ErrorModel m;
  // The level that fits if all weighed the same.
  m.log_weights_ = VectorXd::Zero(d);
  m.log_weights_.array() += (y - m.predict(errors)).mean() * std::numbers::ln10;
  // Gauss-Newton on [misfit; distance of the weights from their mean], a little damped.
  const MatrixXd apart = (MatrixXd::Identity(d, d) - MatrixXd::Constant(d, d, 1.0 / static_cast<double>(d))) / kSpread;
  for (int i = 0; i < kSteps; ++i) {
    const MatrixXd p = parts(errors, m.log_weights_);
    const VectorXd sums = p.rowwise().sum();
    MatrixXd slope(n + d, d);
    slope << (p.array().colwise() / sums.array()).matrix() / (std::numbers::ln10 * kMisfit), apart;
    VectorXd off(n + d);
    off << (y.array() - sums.array().log10()).matrix() / kMisfit, -(apart * m.log_weights_);
    MatrixXd normal = slope.transpose() * slope;
    normal.diagonal().array() += 1e-3;
    const VectorXd step = normal.ldlt().solve(slope.transpose() * off);
    m.log_weights_ += step.cwiseMax(-1.0).cwiseMin(1.0);
    if (step.cwiseAbs().maxCoeff() < 1e-6) break;
  }
  return m;
}

}  // namespace sluice::profiler
