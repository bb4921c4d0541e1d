// How near the search comes to measuring everything: both on one table of real figures.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "common/svg/chart.h"
#include "tools/profiler/commands.h"
#include "tools/profiler/library.h"
#include "tools/profiler/problem.h"
#include "tools/profiler/progress.h"

namespace sluice::profiler {
namespace {

using Table = std::vector<std::pair<std::size_t, double>>;  // entry, mean KL

/// Hypervolume by evaluations, as a share of the whole space's.
using Curve = std::vector<double>;

Curve curve_of(const Problem& p, const Table& in_order, double whole) {
  Curve out;
  Table so_far;
  for (const auto& m : in_order) {
    so_far.push_back(m);
    out.push_back(hypervolume(points_of(p, so_far)) / whole);
  }
  return out;
}

/// What no search can do: takes each time the entry that really adds most.
Table foreseen(const Problem& p, const Table& all, std::size_t evaluations) {
  Table out;
  while (out.size() < evaluations) {
    const auto known = points_of(p, out);
    const Improvement improvement(known);
    const auto best = std::ranges::max_element(
        all, {}, [&](const auto& m) { return improvement.certain(p.corners[m.first], p.quality(m.second)); });
    out.push_back(*best);
  }
  return out;
}

Table at_random(const Table& all, std::size_t evaluations, std::uint64_t seed) {
  Table out = all;
  std::mt19937_64 gen(seed);
  for (std::size_t i = 0; i < evaluations; ++i) std::swap(out[i], out[i + gen() % (out.size() - i)]);
  out.resize(evaluations);
  return out;
}

struct Searched {
  Curve curve;
  std::size_t pruned = 0;
  double misfit = 0;  // rms of log10 predicted over measured
};

struct Order {
  std::size_t pairs = 0, worse = 0, beyond = 0;  // finer measured worse; by more than the tolerance
};
Order order_of(const Problem& p, const Table& all, double tolerance) {
  Order o;
  for (const auto& [a, fine] : all)
    for (const auto& [b, coarse] : all) {
      if (a == b || !p.finer(a, b)) continue;
      ++o.pairs;
      o.worse += fine > coarse ? 1 : 0;
      o.beyond += std::log10(fine / coarse) > tolerance ? 1 : 0;
    }
  return o;
}

class Evidence {
 public:
  Evidence(const EvidenceCommand& o, Rig& rig) : o_(o), rig_(rig), space_(rig.space()) {}

  Result<int> run() {
    SLUICE_TRY(measure());
    const double budgets[] = {o_.quality_kl, o_.quality_kl / 10};
    std::string text = head();
    for (const double budget : budgets) {
      SLUICE_ASSIGN(const std::string part, hold(budget));
      text += part;
    }
    SLUICE_TRY(write_file(o_.out + "/profile_search.md", text));
    std::printf("wrote %s/profile_search.md and profile_search.svg\n", o_.out.c_str());
    return 0;
  }

 private:
  Result<> measure() {
    ProgressBar parts("parts");
    SLUICE_TRY(rig_.measure_parts([&](std::size_t done, std::size_t of) -> Result<> {
      parts.show(done, of, done);
      return not_interrupted();
    }));
    for (const Candidate& c : space_.candidates) cheap_.push_back(rig_.cheap(c));
    ProgressBar bar("every entry");
    std::size_t spent = 0;
    for (std::size_t e = 0; e < space_.lossy.size(); ++e) {
      SLUICE_TRY(not_interrupted());
      spent += rig_.known(e) ? 0 : 1;
      SLUICE_ASSIGN(const quality::Score s, rig_.score(e));
      table_.emplace_back(e, s.kl_mean);
      bar.show(e + 1, space_.lossy.size(), spent);
    }
    return {};
  }

  [[nodiscard]] std::string head() const {
    return fmt::format(
        R"(# Profile search, held against a space measured whole

Made by `build/bin/sluice-profiler search-evidence` (with `--state FILE` it can be interrupted); do not edit. {} on one core,
`{}`, {} windows of {} tokens of which the first {} go through the codec.

The sub-space has {} candidates, {} of which differ in more than their entropy coder. A coder loses nothing, so quality is measured
once for each of these entries, by the exhaustive search and by ours alike: **{} quality evaluations against {}**, {:.0f}x fewer.
Ratio and speed of all candidates come from measuring their parts, which takes seconds and is the same for both.

A space half as large searched with a fiftieth of its own size is harder: the front shrinks less than the space. The column "after two
thirds" shows what as few evaluations do here. Seeds choose the first {} picks and the starts of the fits.

Hypervolume: log2 of the ratio, log2 of speed over the slowest candidate's, decades of mean KL below the budget down to a
thousandth of it. Figures are shares of the hypervolume of all measured entries.

)",
        rig_.header().value("processor", "?"), o_.rig.model, rig_.header().value("windows", 0), o_.rig.window,
        o_.rig.prompt, space_.candidates.size(), space_.lossy.size(), evaluations(), space_.lossy.size(),
        static_cast<double>(space_.lossy.size()) / static_cast<double>(evaluations()), SearchOptions{}.initial);
  }

  [[nodiscard]] std::size_t evaluations() const { return space_.lossy.size() / o_.fewer; }

  Searched searched(const Problem& p, double whole, std::uint64_t seed) const {
    const SearchOptions options{.evaluations = evaluations(), .seed = seed};
    const auto found =
        search(p, options, [this](std::size_t e, const Found&) -> Result<double> { return table_[e].second; });
    Searched s;
    if (!found) return s;
    Table taken;
    double squares = 0;
    std::size_t predicted = 0;
    for (const Step& step : found->steps) {
      taken.emplace_back(step.entry, step.kl);
      if (step.sd <= 0) continue;
      squares += std::pow(step.predicted - std::log10(step.kl), 2);
      ++predicted;
    }
    s.curve = curve_of(p, taken, whole);
    s.pruned = found->pruned;
    s.misfit = predicted > 0 ? std::sqrt(squares / static_cast<double>(predicted)) : 0;
    return s;
  }

  Result<std::string> hold(double budget) {
    const Problem p = make_problem(space_, cheap_, {.budget = budget, .floor = budget / 1000});
    const auto all = points_of(p, table_);
    const double whole = hypervolume(all);
    if (whole <= 0) return fail(Errc::invalid_argument, "no entry is within a KL of {}", budget);
    const auto feasible = std::ranges::count_if(table_, [&](const auto& m) { return m.second < budget; });
    const Order order = order_of(p, table_, SearchOptions{}.tolerance);
    std::string rows;
    std::vector<Searched> runs;
    double sum = 0, least = 1;
    for (std::size_t seed = 1; seed <= o_.seeds; ++seed) {
      runs.push_back(searched(p, whole, seed));
      const Searched& r = runs.back();
      if (r.curve.empty()) return fail(Errc::internal, "the search failed");
      sum += r.curve.back();
      least = std::min(least, r.curve.back());
      rows += fmt::format("| {} | {} | {:.2f}% | {:.2f}% | {:.2f}% | {:.3f} | {} |\n", seed, r.curve.size(),
                          100 * r.curve[r.curve.size() / 3], 100 * r.curve[r.curve.size() * 2 / 3],
                          100 * r.curve.back(), r.misfit, r.pruned);
    }
    const Curve best = curve_of(p, foreseen(p, table_, evaluations()), whole);
    double random = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed)
      random += curve_of(p, at_random(table_, evaluations(), seed), whole).back() / 20;
    if (budget == o_.quality_kl) SLUICE_TRY(plot(p, whole, runs, best));
    return fmt::format(
        R"(## Budget {} nats

{} of {} entries are within the budget; the front has {} candidates.

| seed | evaluations | after a third | after two thirds | hypervolume | rms error of log10 KL when chosen | needed no measurement |
|---|---|---|---|---|---|---|
{}
Mean {:.2f}%, least {:.2f}%. Entries taken at random (20 seeds): {:.2f}%. Knowing every figure beforehand and taking greedily what adds
most: {:.2f}%, which no search can beat by much.

Order by construction: of {} pairs of which one is finer everywhere, the finer measured worse in {} and by more than the tolerance
that pruning allows ({} decades) in {}.

)",
        budget, feasible, table_.size(), front_size(all), rows, 100 * sum / static_cast<double>(o_.seeds), 100 * least,
        100 * random, 100 * best.back(), order.pairs, order.worse, SearchOptions{}.tolerance, order.beyond);
  }

  static std::size_t front_size(const std::vector<Point>& all) { return front(all).size(); }

  Result<> plot(const Problem& p, double whole, const std::vector<Searched>& runs, const Curve& best) const {
    svg::Chart c{.title = "Share of the exhaustive front's hypervolume", .x = "quality evaluations", .y = "share"};
    const auto line = [&c](std::string name, const Curve& curve) {
      svg::Line l{std::move(name), {}};
      for (std::size_t i = 0; i < curve.size(); ++i) l.points.emplace_back(static_cast<double>(i + 1), curve[i]);
      c.lines.push_back(std::move(l));
    };
    for (std::size_t i = 0; i < runs.size(); ++i) line(fmt::format("search, seed {}", i + 1), runs[i].curve);
    line("all figures foreseen", best);
    line("at random", curve_of(p, at_random(table_, evaluations(), 1), whole));
    return write_file(o_.out + "/profile_search.svg", svg::to_svg(c));
  }

  const EvidenceCommand& o_;
  Rig& rig_;
  const Space& space_;
  std::vector<Cheap> cheap_;
  Table table_;
};

}  // namespace

Result<int> search_evidence(const EvidenceCommand& o) {
  note_signals();
  SLUICE_ASSIGN(const auto rig, Rig::open(o.rig));
  if (const std::size_t entries = rig->space().lossy.size(); o.fewer > entries)
    return fail_param("fewer", "--fewer {} leaves no evaluation: the sub-space has {} entries", o.fewer, entries);
  return Evidence(o, *rig).run();
}

}  // namespace sluice::profiler
