#include "tools/profiler/pareto.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace sluice::profiler {
namespace {

/// Of a standard normal.
double density(double u) { return std::exp(-0.5 * u * u) / std::sqrt(2 * std::numbers::pi); }
double below(double u) { return 0.5 * std::erfc(-u / std::numbers::sqrt2); }

/// Integral from lo to hi of P(Z >= t) dt, Z normal.
double chance(double mean, double sd, double lo, double hi) {
  if (!(hi > lo)) return 0;
  if (sd <= 0) return std::clamp(mean, lo, hi) - lo;
  const auto g = [](double u) { return u * below(u) + density(u); };
  return std::max(sd * (g((mean - lo) / sd) - g((mean - hi) / sd)), 0.0);
}

/// As chance(), of a Z that is cut to [least, most].
double chance(const Belief& b, double lo, double hi) {
  const double sure = std::max(std::min(hi, b.least) - lo, 0.0);
  return sure + chance(b.mean, b.sd, std::max(lo, b.least), std::min(hi, b.most));
}

/// Indices in descending z; equal ones in ascending index.
std::vector<std::size_t> by_quality(std::span<const Point> all) {
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return all[a].z > all[b].z; });
  return order;
}

}  // namespace

bool dominates(const Point& a, const Point& b) noexcept {
  return a.x >= b.x && a.y >= b.y && a.z >= b.z && (a.x > b.x || a.y > b.y || a.z > b.z);
}

std::vector<std::size_t> front(std::span<const Point> all) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < all.size(); ++i) {
    bool beaten = false;
    for (std::size_t j = 0; j < all.size() && !beaten; ++j) {
      const bool equal = all[i].x == all[j].x && all[i].y == all[j].y && all[i].z == all[j].z;
      beaten = dominates(all[j], all[i]) || (equal && j < i);
    }
    if (!beaten) out.push_back(i);
  }
  return out;
}

double hypervolume(std::span<const Point> all) {
  Staircase s;
  double volume = 0;
  const auto order = by_quality(all);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Point& p = all[order[i]];
    if (p.z <= 0) break;
    s.add({p.x, p.y});
    const double next = i + 1 < order.size() ? std::max(all[order[i + 1]].z, 0.0) : 0;
    volume += s.area() * (p.z - next);
  }
  return volume;
}

void Staircase::add(Corner c) {
  if (c.x <= 0 || c.y <= 0) return;
  const double more = gain({&c, 1});
  if (more <= 0) return;
  area_ += more;
  std::erase_if(steps_, [&](const Corner& s) { return s.x <= c.x && s.y <= c.y; });
  steps_.insert(std::ranges::lower_bound(steps_, c.x, {}, &Corner::x), c);
}

double Staircase::gain(std::span<const Corner> corners) const {
  if (corners.size() != 1) {
    Staircase copy = *this;
    for (const Corner& c : corners) copy.add(c);
    return copy.area_ - area_;
  }
  const Corner c = corners.front();
  if (c.x <= 0 || c.y <= 0) return 0;
  double added = 0, from = 0;
  for (const Corner& s : steps_) {  // heights fall from step to step
    if (from >= c.x) break;
    added += std::max(c.y - s.y, 0.0) * (std::min(s.x, c.x) - from);
    from = std::min(s.x, c.x);
  }
  return added + c.y * (c.x - from);
}

Improvement::Improvement(std::span<const Point> known) {
  Staircase s;
  for (const std::size_t i : by_quality(known)) {
    const Point& p = known[i];
    if (p.z <= 0 || p.x <= 0 || p.y <= 0) continue;
    s.add({p.x, p.y});
    if (!levels_.empty() && levels_.back() == p.z)
      stairs_.back() = s;
    else
      levels_.push_back(p.z), stairs_.push_back(s);
  }
}

/// Sum over the slices of z of the area that corners add there times between(lower end, upper end).
template <class Weight>
double Improvement::sum(std::span<const Corner> corners, Weight&& between) const {
  double total = Staircase().gain(corners) * between(levels_.empty() ? 0.0 : levels_.front(), HUGE_VAL);
  for (std::size_t j = 0; j < levels_.size(); ++j) {
    const double more = stairs_[j].gain(corners);
    if (more <= 0) break;  // and none below, where the staircase is larger
    total += more * between(j + 1 < levels_.size() ? levels_[j + 1] : 0.0, levels_[j]);
  }
  return total;
}

double Improvement::certain(std::span<const Corner> corners, double z) const {
  return sum(corners, [z](double lo, double hi) { return std::max(std::min(z, hi) - lo, 0.0); });
}

double Improvement::expected(std::span<const Corner> corners, const Belief& b) const {
  return sum(corners, [&b](double lo, double hi) { return chance(b, lo, hi); });
}

}  // namespace sluice::profiler
