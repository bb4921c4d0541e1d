#include "tools/profiler/gp.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tools/profiler/error_model.h"

using namespace sluice::profiler;
using Eigen::MatrixXd;
using Eigen::VectorXd;

namespace {

Hyper plain(double length, double signal, double linear, double noise) {
  return {VectorXd::Constant(1, std::log(length)), std::log(signal), std::log(linear), std::log(noise)};
}

double kernel(double a, double b, double length, double signal, double linear) {
  const double r = std::sqrt(5.0) * std::abs(a - b) / length;
  return signal * signal * (1 + r + r * r / 3) * std::exp(-r) + linear * linear * (1 + a * b);
}

MatrixXd column(std::initializer_list<double> v) {
  MatrixXd m(static_cast<Eigen::Index>(v.size()), 1);
  Eigen::Index i = 0;
  for (const double x : v) m(i++, 0) = x;
  return m;
}

}  // namespace

TEST_CASE("the posterior of two observations is the closed form") {
  const double l = 0.8, s = 1.3, b = 0.4, n = 0.1;
  const MatrixXd x = column({-0.5, 1.0});
  const VectorXd y = (VectorXd(2) << 0.7, -0.2).finished();
  const Gp gp(x, y, plain(l, s, b, n));
  const double a = kernel(-0.5, -0.5, l, s, b) + n * n, d = kernel(1, 1, l, s, b) + n * n, c = kernel(-0.5, 1, l, s, b);
  const double det = a * d - c * c;
  for (const double q : {-2.0, -0.5, 0.3, 1.0, 4.0}) {
    CAPTURE(q);
    const double u = kernel(q, -0.5, l, s, b), v = kernel(q, 1, l, s, b);
    const double mean = (u * (d * 0.7 - c * -0.2) + v * (-c * 0.7 + a * -0.2)) / det;
    const double variance = kernel(q, q, l, s, b) - (u * (d * u - c * v) + v * (-c * u + a * v)) / det;
    const Posterior p = gp.predict(column({q}));
    CHECK(p.mean[0] == Approx(mean).margin(1e-6));
    CHECK(p.sd[0] == Approx(std::sqrt(variance)).margin(1e-4));
  }
  const double quadratic = (d * 0.49 - 2 * c * 0.7 * -0.2 + a * 0.04) / det;
  CHECK(gp.log_likelihood() == Approx(-0.5 * quadratic - 0.5 * std::log(det) - std::log(2 * M_PI)).epsilon(1e-6));
}

TEST_CASE("the likelihood's gradient is its slope") {
  const MatrixXd x = (MatrixXd(5, 2) << 0, 1, 1, 0, 2, -1, 0.5, 0.5, -1, 2).finished();
  const VectorXd y = (VectorXd(5) << 0.1, 0.9, -0.3, 0.4, 1.2).finished();
  Hyper h = default_hyper(2);
  h.length << 0.2, 0.7;
  const VectorXd g = Gp(x, y, h).gradient();
  double* const all[] = {&h.length[0], &h.length[1], &h.signal, &h.linear, &h.noise};
  for (Eigen::Index i = 0; i < 5; ++i) {
    CAPTURE(i);
    double& v = *all[i];
    const double at = v, step = 1e-5;
    v = at + step;
    const double up = Gp(x, y, h).log_likelihood();
    v = at - step;
    const double down = Gp(x, y, h).log_likelihood();
    v = at;
    CHECK(g[i] == Approx((up - down) / (2 * step)).margin(1e-5));
  }
}

TEST_CASE("the fit finds out which feature matters, and the same from the same seed") {
  MatrixXd x(25, 2);
  VectorXd y(25);
  for (Eigen::Index i = 0; i < 25; ++i) {
    x(i, 0) = static_cast<double>(i % 5) - 2;
    x(i, 1) = static_cast<double>(i / 5) - 2;
    y[i] = std::sin(2 * x(i, 0));
  }
  const Gp gp = Gp::fit(x, y, default_hyper(2), 3, 7);
  CHECK(gp.hyper().length[0] + 1 < gp.hyper().length[1]);
  CHECK(gp.log_likelihood() > Gp(x, y, default_hyper(2)).log_likelihood());
  CHECK(Gp::fit(x, y, default_hyper(2), 3, 7).log_likelihood() == gp.log_likelihood());
}

TEST_CASE("the error model finds the weights that made the figures") {
  MatrixXd e(12, 2);
  VectorXd y(12);
  for (Eigen::Index i = 0; i < 12; ++i) {
    e(i, 0) = std::pow(10, -static_cast<double>(i % 4));
    e(i, 1) = std::pow(10, -static_cast<double>(i / 4));
    y[i] = std::log10(0.5 * e(i, 0) + 0.1 * e(i, 1));
  }
  const ErrorModel m = ErrorModel::fit(e, y);
  CHECK((m.predict(e) - y).cwiseAbs().maxCoeff() < 0.05);
  CHECK(m.weights()[0] - m.weights()[1] == Approx(std::log(5)).margin(0.2));
}

TEST_CASE("one observation moves all weights alike") {
  const MatrixXd e = (MatrixXd(1, 3) << 0.1, 0.2, 0.3).finished();
  const ErrorModel m = ErrorModel::fit(e, VectorXd::Constant(1, -3));
  CHECK(m.predict(e)[0] == Approx(-3).margin(1e-2));
  CHECK(m.weights().maxCoeff() - m.weights().minCoeff() < 1e-2);
}
