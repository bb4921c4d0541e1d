#include "tools/profiler/search.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <set>

using namespace sluice;
using namespace sluice::profiler;

namespace {

/// Keys and values of 1 to `side` bits, with and without a guard; two coders each. KL is what a model might do with
/// the errors, which the search has to find out.
struct Toy {
  std::size_t side;
  Problem problem;
  std::vector<double> kl;

  explicit Toy(std::size_t bits, double budget = 0.05) : side(bits) {
    const std::size_t n = side * side * 2;
    Problem& p = problem;
    p.budget = budget;
    p.floor = budget / 1000;
    p.features.resize(static_cast<Eigen::Index>(n), 3);
    p.errors.resize(static_cast<Eigen::Index>(n), 2);
    for (std::size_t e = 0; e < n; ++e) {
      const auto i = static_cast<Eigen::Index>(e);
      const double k = 1 + 8.0 * static_cast<double>(key(e)) / static_cast<double>(side);
      const double v = 1 + 8.0 * static_cast<double>(value(e)) / static_cast<double>(side);
      const double guard = guarded(e) ? 1 : 0;
      p.features.row(i) << k / 3 - 1.5, v / 3 - 1.5, guard;
      p.errors.row(i) << std::pow(4, -k), std::pow(4, -v);
      p.damage.push_back(p.errors.row(i).sum());
      p.lossless.push_back(false);
      const double ratio = 32 / (k + v + 2 * guard);
      p.corners.push_back({{std::log2(ratio), 2 + 0.1 * k}, {std::log2(ratio) + 0.2, 1 + 0.05 * v}});
      // Keys matter more, and errors help one another; a guard halves the loss.
      kl.push_back((0.8 * p.errors(i, 0) + 0.1 * p.errors(i, 1) + std::sqrt(p.errors(i, 0) * p.errors(i, 1)) * 0.2) *
                   (guarded(e) ? 0.5 : 1));
    }
    p.finer = [this](std::size_t a, std::size_t b) {
      return key(a) >= key(b) && value(a) >= value(b) && guarded(a) >= guarded(b);
    };
  }
  Toy(const Toy&) = delete;
  [[nodiscard]] std::size_t key(std::size_t e) const { return e / 2 % side; }
  [[nodiscard]] std::size_t value(std::size_t e) const { return e / 2 / side; }
  [[nodiscard]] bool guarded(std::size_t e) const { return e % 2 == 1; }
  [[nodiscard]] double whole() const {
    std::vector<std::pair<std::size_t, double>> all;
    for (std::size_t e = 0; e < kl.size(); ++e) all.emplace_back(e, kl[e]);
    return hypervolume(points_of(problem, all));
  }
  [[nodiscard]] Measure measure() const {
    return [this](std::size_t e, const Found&) -> Result<double> { return kl[e]; };
  }
};

bool same(const Found& a, const Found& b) {
  if (a.steps.size() != b.steps.size() || a.hypervolume != b.hypervolume) return false;
  for (std::size_t i = 0; i < a.steps.size(); ++i)
    if (a.steps[i].entry != b.steps[i].entry || a.steps[i].expected != b.steps[i].expected) return false;
  return true;
}

}  // namespace

TEST_CASE("a fiftieth of the evaluations finds nearly all of the front") {
  const Toy toy(32);  // 2,048 entries
  const double whole = toy.whole();
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Found f = or_throw(search(toy.problem, {.evaluations = toy.kl.size() / 50, .seed = seed}, toy.measure()));
    CAPTURE(seed, f.hypervolume / whole);
    CHECK(f.hypervolume >= 0.98 * whole);
    CHECK(f.hypervolume <= whole * (1 + 1e-12));
    std::set<std::size_t> distinct;
    for (const Step& s : f.steps) distinct.insert(s.entry);
    CHECK(distinct.size() == f.steps.size());
  }
}

TEST_CASE("the same seed takes the same steps, another other ones") {
  const Toy toy(12);
  const SearchOptions o{.evaluations = 15, .seed = 3};
  const Found a = or_throw(search(toy.problem, o, toy.measure()));
  CHECK(same(a, or_throw(search(toy.problem, o, toy.measure()))));
  CHECK_FALSE(same(a, or_throw(search(toy.problem, {.evaluations = 15, .seed = 4}, toy.measure()))));
}

TEST_CASE("a search that was interrupted and asked again ends as one that was not") {
  const Toy toy(12);
  const SearchOptions o{.evaluations = 15, .seed = 3};
  const Found whole = or_throw(search(toy.problem, o, toy.measure()));
  for (const std::size_t after : {0UL, 3UL, 9UL, 14UL}) {
    std::map<std::size_t, double> known;
    std::size_t measured = 0;
    const auto interrupted = search(toy.problem, o, [&](std::size_t e, const Found&) -> Result<double> {
      if (measured == after) return fail(Errc::cancelled, "interrupted");
      ++measured;
      return known[e] = toy.kl[e];
    });
    REQUIRE_FALSE(interrupted);
    CHECK(interrupted.error().code == Errc::cancelled);
    const Found resumed = or_throw(search(toy.problem, o, [&](std::size_t e, const Found&) -> Result<double> {
      if (const auto it = known.find(e); it != known.end()) return it->second;
      ++measured;
      return toy.kl[e];
    }));
    CHECK(same(whole, resumed));
    CHECK(measured == whole.steps.size());  // nothing twice
  }
}

TEST_CASE("more evaluations begin with the same ones") {
  const Toy toy(12);
  const Found few = or_throw(search(toy.problem, {.evaluations = 10}, toy.measure()));
  const Found more = or_throw(search(toy.problem, {.evaluations = 14}, toy.measure()));
  for (std::size_t i = 0; i < few.steps.size(); ++i) CHECK(few.steps[i].entry == more.steps[i].entry);
}

TEST_CASE("bounds are sound: what is measured lies within them, so pruning loses nothing") {
  const Toy toy(10);
  Bounds bounds(toy.problem, 0.1);
  for (std::size_t e = 0; e < toy.kl.size(); e += 3) bounds.add(e, toy.kl[e]);
  std::size_t bounded = 0;
  for (std::size_t e = 0; e < toy.kl.size(); ++e) {
    const double z = toy.problem.quality(toy.kl[e]);
    CHECK(z >= bounds.least(e));
    CHECK(z <= bounds.most(e));
    bounded += std::isfinite(bounds.most(e)) && std::isfinite(bounds.least(e)) ? 1 : 0;
  }
  CHECK(bounded > toy.kl.size() / 4);
}

TEST_CASE("what is coarser than a candidate far over the budget is pruned, what is finer is not") {
  const Toy toy(6);
  const std::size_t over = 2 * (2 * 6 + 2);  // keys and values of the third fineness, no guard
  Bounds bounds(toy.problem, 0.1);
  bounds.add(over, 10 * toy.problem.budget);
  for (std::size_t e = 0; e < toy.kl.size(); ++e) {
    const bool coarser = e != over && toy.problem.finer(over, e);
    CHECK((bounds.most(e) <= 0) == coarser);
  }
}

TEST_CASE("a space without anything feasible ends without a front") {
  const Toy toy(6, 1e-9);
  const Found f = or_throw(search(toy.problem, {.evaluations = 20}, toy.measure()));
  CHECK(f.hypervolume == 0);
}

TEST_CASE("lossless entries count without being measured") {
  Toy toy(6);
  toy.problem.lossless[0] = true;
  CHECK(points_of(toy.problem, {}).size() == 2);
  const Found f = or_throw(search(toy.problem, {.evaluations = 20}, toy.measure()));
  for (const Step& s : f.steps) CHECK(s.entry != 0);
  CHECK_FALSE(search(toy.problem, {.evaluations = 0}, toy.measure()));
}
