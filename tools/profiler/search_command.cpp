// `sluice-profiler search`: measure cheaply, search, measure what was found once more, write the library.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>

#include "tools/profiler/commands.h"
#include "tools/profiler/library.h"
#include "tools/profiler/problem.h"
#include "tools/profiler/progress.h"

namespace sluice::profiler {
namespace {

using nlohmann::json;

volatile std::sig_atomic_t noted = 0;

/// A candidate whose quality was measured.
struct Measured {
  std::size_t candidate = 0;
  Point point;
};

class Searcher {
 public:
  Searcher(const SearchCommand& o, Rig& rig) : o_(o), rig_(rig), space_(rig.space()) {}

  Result<int> run() {
    std::fprintf(stderr, "search: %zu candidates, %zu of them apart from their coders\n", space_.candidates.size(),
                 space_.lossy.size());
    SLUICE_TRY(cheap());
    SLUICE_TRY(find());
    SLUICE_TRY(restate());
    return write();
  }

 private:
  /// Bytes, errors and speeds of all candidates.
  Result<> cheap() {
    ProgressBar bar("parts");
    SLUICE_TRY(rig_.measure_parts([&bar](std::size_t done, std::size_t of) -> Result<> {
      bar.show(done, of, done);
      return not_interrupted();
    }));
    cheap_.reserve(space_.candidates.size());
    for (const Candidate& c : space_.candidates) cheap_.push_back(rig_.cheap(c));
    problem_ = make_problem(space_, cheap_, {.budget = o_.quality_kl, .floor = o_.quality_kl / 1000});
    return {};
  }

  /// Spends the evaluations.
  Result<> find() {
    ProgressBar bar("quality");
    std::size_t spent = 0;
    const auto measure = [&](std::size_t e, const Found& so_far) -> Result<double> {
      SLUICE_TRY(not_interrupted());
      spent += rig_.known(e) ? 0 : 1;
      SLUICE_ASSIGN(const quality::Score s, rig_.score(e));
      bar.show(so_far.steps.size() + 1, o_.budget, spent, space_.id(space_.lossy[e]));
      return s.kl_mean;
    };
    SLUICE_ASSIGN(found_, search(problem_, {.evaluations = o_.budget, .seed = o_.seed}, measure));
    spent_ = spent;
    return {};
  }

  /// Candidates of the measured entries that are within the budget, by `kl`.
  template <class Kl>
  std::vector<Measured> measured(Kl&& kl) const {
    std::vector<Measured> all;
    std::vector<std::size_t> entries;
    for (std::size_t e = 0; e < space_.lossy.size(); ++e)
      if (problem_.lossless[e]) entries.push_back(e);
    for (const Step& s : found_.steps) entries.push_back(s.entry);
    for (const std::size_t e : entries) {
      const double z = problem_.quality(problem_.lossless[e] ? 0 : kl(e));
      const auto first = std::ranges::lower_bound(space_.candidates, e, {}, &Candidate::lossy);
      for (std::size_t i = 0; i < problem_.corners[e].size() && z > 0; ++i) {
        const Corner& c = problem_.corners[e][i];
        all.push_back({static_cast<std::size_t>(first - space_.candidates.begin()) + i, {c.x, c.y, z}});
      }
    }
    return all;
  }

  static std::vector<Measured> only_front(const std::vector<Measured>& all) {
    std::vector<Point> points;
    for (const Measured& m : all) points.push_back(m.point);
    std::vector<Measured> out;
    for (const std::size_t i : front(points)) out.push_back(all[i]);
    return out;
  }

  /// The `most` that cover most of the front's volume, the most valuable first.
  static std::vector<Measured> thinned(std::vector<Measured> all, std::size_t most) {
    std::vector<Measured> out;
    std::vector<Point> known;
    while (out.size() < most && !all.empty()) {
      const Improvement improvement(known);
      const auto worth = [&](const Measured& m) {
        const Corner c{m.point.x, m.point.y};
        return improvement.certain({&c, 1}, m.point.z);
      };
      const auto best = std::ranges::max_element(all, {}, worth);
      known.push_back(best->point);
      out.push_back(*best);
      all.erase(best);
    }
    return out;
  }

  /// The front's figures once more, on text that had no part in choosing it: the least of many noisy figures is
  /// flattered.
  Result<> restate() {
    const auto lookup = [this](std::size_t e) { return std::ranges::find(found_.steps, e, &Step::entry)->kl; };
    std::vector<Measured> chosen = thinned(only_front(measured(lookup)), o_.keep);
    front_size_ = only_front(measured(lookup)).size();
    ProgressBar bar("restating");
    std::vector<Measured> kept;
    std::map<std::size_t, quality::Score> scores;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      SLUICE_TRY(not_interrupted());
      const std::size_t e = space_.candidates[chosen[i].candidate].lossy;
      if (!scores.contains(e)) {
        SLUICE_ASSIGN(scores[e], rig_.score_held_out(e));
      }
      chosen[i].point.z = problem_.quality(problem_.lossless[e] ? 0 : scores[e].kl_mean);
      if (chosen[i].point.z > 0) kept.push_back(chosen[i]);
      bar.show(i + 1, chosen.size(), i + 1);
    }
    return speeds(only_front(kept), scores);
  }

  Result<> speeds(const std::vector<Measured>& kept, const std::map<std::size_t, quality::Score>& scores) {
    ProgressBar bar("speeds");
    std::vector<Candidate> candidates;
    for (const Measured& m : kept) {
      SLUICE_TRY(not_interrupted());
      const Candidate& c = space_.candidates[m.candidate];
      Entry e{.candidate = m.candidate, .cheap = cheap_[m.candidate], .score = scores.at(c.lossy)};
      SLUICE_ASSIGN(e.speeds, rig_.speeds(c));
      entries_.push_back(std::move(e));
      candidates.push_back(c);
      bar.show(entries_.size(), kept.size(), entries_.size());
    }
    SLUICE_ASSIGN(const auto recall, rig_.recall(candidates));
    for (std::size_t i = 0; i + 1 < recall.size(); ++i)
      entries_[i].recall = recall[i + 1], entries_[i].recall_unchanged = recall[0];
    return {};
  }

  Result<int> write() {
    const json search{{"candidates", space_.candidates.size()},
                      {"entries", space_.lossy.size()},
                      {"evaluations", found_.steps.size()},
                      {"evaluations_asked", o_.budget},
                      {"pruned", found_.pruned},
                      {"exhausted", found_.exhausted},
                      {"hypervolume", found_.hypervolume},
                      {"front", front_size_},
                      {"held_out_windows", rig_.held_out_windows()},
                      {"seed", o_.seed}};
    const json library = library_json(space_, entries_, {rig_.header(), search, o_.quality_kl});
    SLUICE_TRY(kv::parse_profiles(library.dump()));
    SLUICE_TRY(write_file(o_.out, library.dump(1) + '\n'));
    std::string plot = o_.plot;
    if (plot.empty()) plot = (o_.out.ends_with(".json") ? o_.out.substr(0, o_.out.size() - 5) : o_.out) + ".svg";
    SLUICE_TRY(write_file(plot, front_svg(entries_, o_.quality_kl)));
    if (o_.json) {
      json result{{"library", o_.out}, {"plot", plot}, {"search", search}, {"measured_now", spent_}};
      result["profiles"] = library["profiles"];
      std::printf("%s\n", result.dump(2).c_str());
    } else {
      table(library["profiles"]);
      std::printf("%s: %zu profiles; %s: plot; %zu quality evaluations, %zu of them new\n", o_.out.c_str(),
                  library["profiles"].size(), plot.c_str(), found_.steps.size(), spent_);
    }
    return 0;
  }

  static void table(const json& profiles) {
    std::printf("%-28s %6s %12s %12s %9s %9s %7s\n", "profile", "ratio", "encode MB/s", "decode MB/s", "KL mean",
                "KL p99", "top-1");
    for (const json& p : profiles) {
      if (!p.contains("measured")) continue;
      const json& m = p["measured"];
      std::printf("%-28s %6.2f %12.0f %12.0f %9.2g %9.2g %7.4f\n", p["name"].get<std::string>().c_str(),
                  m["ratio"].get<double>(), m["encode_bytes_per_s"].get<double>() / 1e6,
                  m["decode_bytes_per_s"].get<double>() / 1e6, m["kl_mean"].get<double>(), m["kl_p99"].get<double>(),
                  m["top1"].get<double>());
    }
  }

  const SearchCommand& o_;
  Rig& rig_;
  const Space& space_;
  std::vector<Cheap> cheap_;
  Problem problem_;
  Found found_;
  std::size_t spent_ = 0, front_size_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace

void note_signals() {
  struct sigaction a{};
  a.sa_handler = [](int) { noted = 1; };
  a.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &a, nullptr);
  sigaction(SIGTERM, &a, nullptr);
}

Result<> not_interrupted() {
  if (noted != 0) return fail(Errc::cancelled, "interrupted; what was measured is kept, the same command goes on");
  return {};
}

Result<int> search_profiles(const SearchCommand& command) {
  SearchCommand o = command;
  if (o.rig.state.empty()) o.rig.state = o.out + ".state";
  note_signals();
  SLUICE_ASSIGN(const auto rig, Rig::open(o.rig));
  return Searcher(o, *rig).run();
}

}  // namespace sluice::profiler
