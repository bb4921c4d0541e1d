#include "tools/profiler/problem.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sluice::profiler {
namespace {

double mean(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

/// Errors below this change nothing that can be measured.
double decades(double error) { return std::log10(std::max(error, 1e-7)); }

/// What decides how a class loses: measured errors first, then what they do not tell.
std::vector<double> features(const Space& s, const Lossy& l, const Cheap& c) {
  const kv::ClassSpec &k = s.choices[l.key].spec, &v = s.choices[l.value].spec;
  const double key = mean(c.key_error), value = mean(c.value_error);
  return {decades(key),
          decades(value),
          decades(key + value),
          decades(c.key_error.front()),
          decades(c.key_error.back()),
          decades(c.value_error.front()),
          decades(c.value_error.back()),
          std::log2(std::max(k.levels, 1U)),  // 1: lossless
          std::log2(std::max(v.levels, 1U)),
          k.transform == kv::Transform::hadamard ? 1.0 : 0.0,
          v.transform == kv::Transform::hadamard ? 1.0 : 0.0,
          k.axis == kv::Axis::channel ? std::log2(k.page) : 0.0,
          k.calibrated ? 1.0 : 0.0,
          static_cast<double>(l.guard),
          l.sinks > 0 ? 1.0 : 0.0,
          l.tail > 0 ? 1.0 : 0.0};
}

/// Stands for what remains even of 8-bit codes: attention over rounded KV is rounded too. As large as an error of this.
constexpr double kRounding = 1e-4;

/// Keys and values of the first, the inner and the last layers; the same once more of the tokens that may be kept
/// exact, since a model looks at its first and its latest tokens more than at others.
std::vector<double> grouped(const Cheap& c) {
  std::vector<double> out;
  for (const auto* e : {&c.key_error, &c.value_error}) {
    const double inner = std::accumulate(e->begin(), e->end(), 0.0) - e->front() - e->back();
    for (const double group : {e->front(), inner, e->back()})
      out.push_back(std::max(group, 0.0) / static_cast<double>(e->size()));
  }
  for (const double ends : c.ends_error) out.push_back(ends);
  out.push_back(kRounding);
  return out;
}

/// Mean 0, deviation 1; columns that never change go.
Eigen::MatrixXd standardised(const std::vector<std::vector<double>>& rows) {
  const auto n = static_cast<Eigen::Index>(rows.size());
  Eigen::MatrixXd out(n, 0);
  for (std::size_t f = 0; f < rows.front().size(); ++f) {
    Eigen::VectorXd column(n);
    for (Eigen::Index i = 0; i < n; ++i) column[i] = rows[static_cast<std::size_t>(i)][f];
    column.array() -= column.mean();
    const double deviation = std::sqrt(column.squaredNorm() / static_cast<double>(n));
    if (deviation < 1e-9) continue;
    out.conservativeResize(n, out.cols() + 1);
    out.col(out.cols() - 1) = column / deviation;
  }
  return out;
}

}  // namespace

Problem make_problem(const Space& s, std::span<const Cheap> cheap, const Limits& l) {
  Problem p{.budget = l.budget, .floor = l.floor};
  p.corners.resize(s.lossy.size());
  double slowest = HUGE_VAL;
  for (const Cheap& c : cheap) slowest = std::min(slowest, c.speed());
  std::vector<std::vector<double>> rows(s.lossy.size());
  for (std::size_t i = 0; i < s.candidates.size(); ++i) {
    const std::size_t e = s.candidates[i].lossy;
    p.corners[e].push_back({std::log2(cheap[i].ratio), std::log2(cheap[i].speed() / slowest)});
    if (!rows[e].empty()) continue;
    rows[e] = features(s, s.lossy[e], cheap[i]);
    const auto groups = grouped(cheap[i]);
    if (p.errors.size() == 0)
      p.errors.resize(static_cast<Eigen::Index>(s.lossy.size()), static_cast<Eigen::Index>(groups.size()));
    for (std::size_t g = 0; g < groups.size(); ++g)
      p.errors(static_cast<Eigen::Index>(e), static_cast<Eigen::Index>(g)) = groups[g];
  }
  p.features = standardised(rows);
  for (std::size_t e = 0; e < s.lossy.size(); ++e) {
    p.damage.push_back(rows[e][2]);
    p.lossless.push_back(s.lossless(s.lossy[e]));
  }
  p.finer = [&s](std::size_t a, std::size_t b) { return s.finer(s.lossy[a], s.lossy[b]); };
  return p;
}

}  // namespace sluice::profiler
