#include "tools/profiler/gp.h"

#include <cmath>
#include <numbers>
#include <random>
#include <utility>

namespace sluice::profiler {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kJitter = 1e-8;

/// Squared distances of rows after division by `length`.
MatrixXd scaled_distances(const MatrixXd& a, const MatrixXd& b, const VectorXd& length) {
  const VectorXd inverse = (-length).array().exp();
  const MatrixXd u = a * inverse.asDiagonal(), v = b * inverse.asDiagonal();
  MatrixXd d = -2 * u * v.transpose();
  d.colwise() += u.rowwise().squaredNorm();
  d.rowwise() += v.rowwise().squaredNorm().transpose();
  return d.cwiseMax(0);
}

VectorXd packed(const Hyper& h) {
  VectorXd v(h.length.size() + 3);
  v << h.length, h.signal, h.linear, h.noise;
  return v;
}
Hyper unpacked(const VectorXd& v) {
  const Index d = v.size() - 3;
  return {v.head(d), v[d], v[d + 1], v[d + 2]};
}

/// Normal priors of the logarithms: keeps lengths that the data say nothing about where they do no harm.
struct Prior {
  VectorXd mean, sd;
  explicit Prior(Index features) : mean(packed(default_hyper(features))), sd(VectorXd::Constant(features + 3, 1.0)) {}
  [[nodiscard]] double log(const VectorXd& v) const { return -0.5 * ((v - mean).array() / sd.array()).square().sum(); }
  [[nodiscard]] VectorXd gradient(const VectorXd& v) const { return -(v - mean).array() / sd.array().square(); }
};

/// Climbs by the gradient's signs (Rprop): no step length to tune, and it stops where signs keep turning.
std::pair<VectorXd, double> climb(const MatrixXd& x, const VectorXd& y, VectorXd at, const Prior& prior) {
  constexpr int kSteps = 60;
  VectorXd step = VectorXd::Constant(at.size(), 0.2), last = VectorXd::Zero(at.size()), best = at;
  double best_value = -HUGE_VAL;
  for (int i = 0; i < kSteps; ++i) {
    const Gp gp(x, y, unpacked(at));
    const double value = gp.log_likelihood() + prior.log(at);
    if (value > best_value) best = at, best_value = value;
    const VectorXd g = gp.gradient() + prior.gradient(at);
    for (Index k = 0; k < at.size(); ++k) {
      const double turn = g[k] * last[k];
      step[k] = turn > 0 ? std::min(step[k] * 1.2, 0.5) : turn < 0 ? step[k] * 0.5 : step[k];
      at[k] += g[k] > 0 ? step[k] : g[k] < 0 ? -step[k] : 0;
      last[k] = g[k];
    }
    if (step.maxCoeff() < 1e-3) break;
  }
  return {best, best_value};
}

}  // namespace

Hyper default_hyper(Index features) {
  return {VectorXd::Constant(features, std::log(3.0)), std::log(0.5), std::log(0.5), std::log(0.05)};
}

Gp::Gp(MatrixXd x, VectorXd y, Hyper h) : x_(std::move(x)), h_(std::move(h)) {
  MatrixXd k = kernel(x_, x_);
  k.diagonal().array() += std::exp(2 * h_.noise) + kJitter;
  chol_.compute(k);
  alpha_ = chol_.solve(y);
  const double log_root = chol_.matrixLLT().diagonal().array().log().sum();  // of the determinant
  log_likelihood_ =
      -0.5 * y.dot(alpha_) - log_root - 0.5 * static_cast<double>(y.size()) * std::log(2 * std::numbers::pi);
}

MatrixXd Gp::kernel(const MatrixXd& a, const MatrixXd& b) const {
  const Eigen::ArrayXXd r = scaled_distances(a, b, h_.length).array().sqrt() * std::sqrt(5.0);
  MatrixXd k = std::exp(2 * h_.signal) * (1 + r + r.square() / 3) * (-r).exp();
  k.noalias() += std::exp(2 * h_.linear) * (a * b.transpose());
  k.array() += std::exp(2 * h_.linear);
  return k;
}

Posterior Gp::predict(const MatrixXd& q) const {
  const MatrixXd k = kernel(x_, q);
  const MatrixXd v = chol_.matrixL().solve(k);
  const VectorXd own = std::exp(2 * h_.signal) + std::exp(2 * h_.linear) * (1 + q.rowwise().squaredNorm().array());
  return {k.transpose() * alpha_, (own - v.colwise().squaredNorm().transpose()).cwiseMax(0).cwiseSqrt()};
}

VectorXd Gp::gradient() const {
  const Index n = x_.rows(), d = h_.length.size();
  MatrixXd w = alpha_ * alpha_.transpose() - chol_.solve(MatrixXd::Identity(n, n));
  const Eigen::ArrayXXd r = scaled_distances(x_, x_, h_.length).array().sqrt() * std::sqrt(5.0);
  const double signal = std::exp(2 * h_.signal), linear = std::exp(2 * h_.linear);
  VectorXd g(d + 3);
  const Eigen::ArrayXXd fall = w.array() * (signal * (5.0 / 3.0) * (1 + r) * (-r).exp());
  for (Index k = 0; k < d; ++k) {
    const VectorXd column = x_.col(k) * std::exp(-h_.length[k]);
    const Eigen::ArrayXXd apart = (column.replicate(1, n) - column.transpose().replicate(n, 1)).array().square();
    g[k] = 0.5 * (fall * apart).sum();
  }
  g[d] = (w.array() * (signal * (1 + r + r.square() / 3) * (-r).exp())).sum();
  g[d + 1] = linear * (w.array() * ((x_ * x_.transpose()).array() + 1)).sum();
  g[d + 2] = std::exp(2 * h_.noise) * w.trace();
  return g;
}

Gp Gp::fit(const MatrixXd& x, const VectorXd& y, const Hyper& start, int restarts, std::uint64_t seed) {
  const Prior prior(x.cols());
  std::mt19937_64 gen(seed);
  auto best = climb(x, y, packed(start), prior);
  for (int i = 1; i < restarts; ++i) {
    VectorXd at = prior.mean;
    // Uniform within the prior's deviation; not std::normal_distribution, whose values differ between libraries.
    for (Index k = 0; k < at.size(); ++k) at[k] += prior.sd[k] * (2 * static_cast<double>(gen() >> 11) * 0x1p-53 - 1);
    if (auto other = climb(x, y, at, prior); other.second > best.second) best = std::move(other);
  }
  return Gp(x, y, unpacked(best.first));
}

}  // namespace sluice::profiler
