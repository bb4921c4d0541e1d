#include "tools/profiler/search.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "tools/profiler/error_model.h"
#include "tools/profiler/gp.h"

namespace sluice::profiler {
namespace {

/// A whole number below n; the same on every platform.
std::size_t below(std::mt19937_64& gen, std::size_t n) { return static_cast<std::size_t>(gen() % n); }

/// Entries that would be on the front if `damage` were the loss: no measurement among them is wasted if it nearly is.
std::vector<std::size_t> promising(const Problem& p) {
  std::vector<Point> all;
  std::vector<std::size_t> owner;
  for (std::size_t e = 0; e < p.corners.size(); ++e)
    for (const Corner& c : p.corners[e])
      if (!p.lossless[e]) all.push_back({c.x, c.y, -p.damage[e]}), owner.push_back(e);
  // Sweep from the least damage on: what no staircase covers is on the front. O(n steps), where front() is O(n^2).
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return all[a].z > all[b].z; });
  Staircase s;
  std::vector<std::size_t> out;
  for (const std::size_t i : order) {
    const Corner c{all[i].x, all[i].y};
    if (s.gain({&c, 1}) <= 0) continue;
    s.add(c);
    if (std::ranges::find(out, owner[i]) == out.end()) out.push_back(owner[i]);
  }
  return out;  // by damage, ascending
}

/// One at random from each of `count` equal stretches of the promising ones.
std::vector<std::size_t> first_picks(const Problem& p, std::size_t count, std::mt19937_64& gen) {
  const auto all = promising(p);
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < count && i < all.size(); ++i) {
    const std::size_t from = i * all.size() / std::min(count, all.size());
    const std::size_t to = (i + 1) * all.size() / std::min(count, all.size());
    out.push_back(all[from + below(gen, to - from)]);
  }
  return out;
}

class Run {
 public:
  Run(const Problem& p, const SearchOptions& o) : p_(p), o_(o), gen_(o.seed), bounds_(p, o.tolerance) {
    hyper_ = default_hyper(p.features.cols());
  }

  Result<Found> go(const Measure& measure) {
    for (const std::size_t e : first_picks(p_, std::min(o_.initial, o_.evaluations), gen_))
      SLUICE_TRY(take({.entry = e}, measure));
    while (found_.steps.size() < o_.evaluations) {
      const Step s = next();
      if (s.expected <= o_.enough * found_.hypervolume) {
        found_.exhausted = true;
        break;
      }
      SLUICE_TRY(take(s, measure));
    }
    return std::move(found_);
  }

 private:
  Result<> take(Step s, const Measure& measure) {
    SLUICE_ASSIGN(s.kl, measure(s.entry, found_));
    bounds_.add(s.entry, s.kl);
    measured_.emplace_back(s.entry, s.kl);
    found_.steps.push_back(s);
    known_ = points_of(p_, measured_);
    found_.hypervolume = hypervolume(known_);
    return {};
  }

  /// The entry whose measurement promises most.
  Step next() {
    const Posterior q = believe();
    const Improvement improvement(known_);
    std::set<std::size_t> done;
    for (const auto& m : measured_) done.insert(m.first);
    const double budget = std::log10(p_.budget), top = p_.quality(0);
    Step best;
    found_.pruned = 0;
    for (std::size_t e = 0; e < p_.corners.size(); ++e) {
      if (p_.lossless[e] || done.contains(e)) continue;
      const double most = std::min(bounds_.most(e), top);
      // At its best it would improve nothing: over the budget for sure, or worse than what is there.
      if (most <= 0 || improvement.certain(p_.corners[e], most) <= 0) {
        ++found_.pruned;
        continue;
      }
      const auto i = static_cast<Eigen::Index>(e);
      const double mean = q.mean[i], sd = q.sd[i];
      const double expected = improvement.expected(
          p_.corners[e], {.mean = budget - mean, .sd = sd, .least = std::min(bounds_.least(e), most), .most = most});
      if (expected > best.expected) best = {.entry = e, .expected = expected, .predicted = mean, .sd = sd};
    }
    return best;
  }

  /// log10 KL of every entry: the error model's, corrected by a process over what it left. Below the floor differences
  /// mean nothing.
  Posterior believe() {
    const auto n = static_cast<Eigen::Index>(measured_.size());
    Eigen::MatrixXd x(n, p_.features.cols()), errors(n, p_.errors.cols());
    Eigen::VectorXd y(n);
    for (Eigen::Index i = 0; i < n; ++i) {
      const auto& [entry, kl] = measured_[static_cast<std::size_t>(i)];
      x.row(i) = p_.features.row(static_cast<Eigen::Index>(entry));
      errors.row(i) = p_.errors.row(static_cast<Eigen::Index>(entry));
      y[i] = std::log10(std::max(kl, p_.floor / 10));
    }
    const ErrorModel model = ErrorModel::fit(errors, y);
    const Eigen::VectorXd left = y - model.predict(errors);
    const double scale = std::max(std::sqrt(left.squaredNorm() / static_cast<double>(n)), 0.1);
    const Gp gp = Gp::fit(x, left / scale, hyper_, o_.restarts, o_.seed + measured_.size());
    hyper_ = gp.hyper();
    const Posterior q = gp.predict(p_.features);
    // What the noise stands for, an entry's own deviation, is part of what a measurement of it would show.
    const double own = std::exp(2 * gp.hyper().noise);
    return {model.predict(p_.errors) + scale * q.mean, scale * (q.sd.array().square() + own).sqrt().matrix()};
  }

  const Problem& p_;
  const SearchOptions& o_;
  std::mt19937_64 gen_;
  Bounds bounds_;
  Hyper hyper_;
  std::vector<std::pair<std::size_t, double>> measured_;
  std::vector<Point> known_;
  Found found_;
};

}  // namespace

double Problem::quality(double kl) const { return std::log10(budget / std::max(kl, floor)); }

std::vector<Point> points_of(const Problem& p, const std::vector<std::pair<std::size_t, double>>& kl) {
  std::vector<Point> out;
  const auto add = [&](std::size_t e, double k) {
    const double z = p.quality(k);
    if (z <= 0) return;
    for (const Corner& c : p.corners[e]) out.push_back({c.x, c.y, z});
  };
  for (std::size_t e = 0; e < p.corners.size(); ++e)
    if (p.lossless[e]) add(e, 0);
  for (const auto& [e, k] : kl) add(e, k);
  return out;
}

Bounds::Bounds(const Problem& p, double tolerance)
    : p_(p), tolerance_(tolerance), least_(p.corners.size(), -HUGE_VAL), most_(p.corners.size(), HUGE_VAL) {}

void Bounds::add(std::size_t entry, double kl) {
  const double z = p_.quality(kl);
  for (std::size_t e = 0; e < least_.size(); ++e) {
    if (e == entry) continue;
    // At the floor the true value may lie anywhere above.
    if (p_.finer(entry, e) && z < p_.quality(0)) most_[e] = std::min(most_[e], z + tolerance_);
    if (p_.finer(e, entry)) least_[e] = std::max(least_[e], z - tolerance_);
  }
}

Result<Found> search(const Problem& p, const SearchOptions& o, const Measure& measure) {
  if (o.evaluations == 0) return fail(Errc::invalid_argument, "a search needs at least one quality evaluation");
  return Run(p, o).go(measure);
}

}  // namespace sluice::profiler
