#include "coordinator/sim/experiment.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>

#include "coordinator/sim/goodput.h"

namespace sluice::sim {
namespace {

using nlohmann::json;

/// What a number may be: from `least` (or only above it) to `most`.
struct Limits {
  double least = 0, most = 1e12;
  bool above = false;
};
constexpr Limits kAbove0{.above = true};
constexpr Limits kFrom0{};
constexpr Limits kSpread{.most = 10};  // sigma of a log
constexpr Limits kNodes{1, 1e4};

std::string text_of(const Limits& l) {
  return l.above ? fmt::format("above {:g} and at most {:g}", l.least, l.most)
                 : fmt::format("from {:g} to {:g}", l.least, l.most);
}

bool within(const json& j, const Limits& l) {
  if (!j.is_number()) return false;
  const double v = j.get<double>();
  return v <= l.most && (l.above ? v > l.least : v >= l.least);
}

/// Reads the fields of an object, and remembers the first that is wrong and what nobody asked for.
class Reader {
 public:
  explicit Reader(const json& j, std::string prefix = "") : j_(j), prefix_(std::move(prefix)) {}
  void number(const char* key, double& out, const Limits& l) {
    const json* v = look(key);
    if (v == nullptr) return;
    if (!within(*v, l)) return wrong(key, "a number " + text_of(l));
    out = v->get<double>();
  }
  template <class T>
  void count(const char* key, T& out, const Limits& l) {
    const json* v = look(key);
    if (v == nullptr) return;
    if (!within(*v, l) || v->get<double>() != std::floor(v->get<double>()))
      return wrong(key, "a whole number " + text_of(l));
    out = static_cast<T>(v->get<double>());
  }
  void flag(const char* key, bool& out) {
    const json* v = look(key);
    if (v == nullptr) return;
    if (!v->is_boolean()) return wrong(key, "true or false");
    out = v->get<bool>();
  }
  void text(const char* key, std::string& out) {
    const json* v = look(key);
    if (v == nullptr) return;
    if (!v->is_string()) return wrong(key, "a string");
    out = v->get<std::string>();
  }
  /// [[at_s, factor], ...]
  std::vector<std::pair<double, double>> steps(const char* key, const Limits& factor) {
    std::vector<std::pair<double, double>> out;
    const json* v = look(key);
    if (v == nullptr) return out;
    const std::string allowed = "a list of [seconds, factor], each factor " + text_of(factor);
    if (!v->is_array()) wrong(key, allowed);
    for (const auto& s : v->is_array() ? *v : json::array()) {
      if (s.is_array() && s.size() == 2 && within(s[0], kFrom0) && within(s[1], factor))
        out.emplace_back(s[0].get<double>(), s[1].get<double>());
      else
        wrong(key, allowed);
    }
    return out;
  }
  void note(const char* key) { known_.push_back(key); }
  /// Nothing that was read is wrong.
  [[nodiscard]] Result<> right() const {
    if (wrong_) return std::unexpected(*wrong_);
    return {};
  }
  /// Nothing that was read is wrong, and nothing is left.
  [[nodiscard]] Result<> done() const {
    SLUICE_TRY(right());
    for (const auto& [key, v] : j_.items())
      if (std::ranges::find(known_, key) == known_.end())
        return fail(Errc::data_corrupt, "'{}{}' in the experiment is not known", prefix_, key);
    return {};
  }

 private:
  const json* look(const char* key) {
    note(key);
    const auto it = j_.find(key);
    return it == j_.end() ? nullptr : &*it;
  }
  void wrong(const char* key, const std::string& allowed) {
    if (!wrong_)
      wrong_ = Error{Errc::data_corrupt, fmt::format("'{}{}' in the experiment must be {}", prefix_, key, allowed),
                     prefix_ + key};
  }

  const json& j_;
  std::string prefix_;
  std::vector<std::string> known_;
  std::optional<Error> wrong_;
};

/// Every `every_s` from `from_s` to `to_s`, a factor drawn between the two.
Result<> add_jitter(Timeline& t, const json& j, std::uint64_t seed) {
  if (!j.is_object())
    return fail(Errc::data_corrupt, "'jitter' in the experiment must be an object: low, high, every_s, from_s, to_s");
  double low = 0.5, high = 1.5, every = 0.5, from = 0, to = 0;
  Reader r(j, "jitter.");
  r.number("low", low, kFrom0);
  r.number("high", high, kFrom0);
  r.number("every_s", every, {0.01, 1e6});
  r.number("from_s", from, {0, 1e6});
  r.number("to_s", to, {0, 1e6});
  SLUICE_TRY(r.done());
  if ((to - from) / every > 1e6)
    return fail(Errc::data_corrupt,
                "'jitter' in the experiment has more than a million steps; let 'every_s' be larger");
  coordinator::FastRandom random(seed * 31 + 7);
  for (double at = from; at < to; at += every) t.step(at, low + (high - low) * random.uniform());
  t.step(to, 1);
  return {};
}

struct RunFigures {
  Summary summary;
  std::vector<double> intervals;
};

/// What the mean of a refused request counts as: the longest anyone would have waited.
double refused_s(const ClusterSpec& c) { return c.max_wait_s; }

json spread_json(const std::vector<double>& v, double scale = 1) {
  const Spread s = spread_of(v);
  return {{"mean", s.mean * scale}, {"ci95", s.half_width * scale}};
}

}  // namespace

Spread spread_of(const std::vector<double>& v) {
  static constexpr double kT[] = {0,     12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                  2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086};
  Spread s;
  if (v.empty()) return s;
  for (const double x : v) s.mean += x / static_cast<double>(v.size());
  if (v.size() < 2) return s;
  double square = 0;
  for (const double x : v) square += (x - s.mean) * (x - s.mean);
  const auto n = static_cast<double>(v.size());
  const std::size_t freedom = v.size() - 1;
  s.half_width = (freedom < std::size(kT) ? kT[freedom] : 1.96) * std::sqrt(square / (n - 1) / n);
  return s;
}

Result<Scenario> make_scenario(const json& base, const json& changes, std::uint64_t seed) {
  json j = base;
  j.merge_patch(changes);
  Scenario s;
  ClusterSpec& c = s.cluster;
  LoadSpec& l = s.load;
  Reader r(j);
  std::string model = "llama-3.1-8b";
  std::string prefill_hw = "h100";
  std::string decode_hw = "h100";
  std::string profiles;
  std::size_t prefills = 2;
  std::size_t decodes = 2;
  double link_gbps = c.link_bps * 8e-9;
  double ttft_ms = 1000;
  double tpot_ms = 50;
  double max_tpot_ms = 0;
  r.note("name");
  r.note("about");
  r.note("jitter");
  r.text("model", model);
  r.text("prefill_hardware", prefill_hw);
  r.text("decode_hardware", decode_hw);
  r.text("profiles", profiles);
  r.flag("overlap", c.overlap);
  r.count("cores", c.cores, {0, 1e6});
  r.number("message_s", c.message_s, kFrom0);
  r.count("max_batch_tokens", c.max_batch_tokens, {1, 1e9});
  r.count("prefill_chunk", c.prefill_chunk, {1, 1e9});
  r.count("prefill_nodes", prefills, kNodes);
  r.count("decode_nodes", decodes, kNodes);
  r.number("link_gbps", link_gbps, {1e-6, 1e6});
  r.number("rtt_s", c.rtt_s, kFrom0);
  r.number("telemetry_s", c.telemetry_s, {1e-3, 1e9});
  r.number("spread", c.spread, kSpread);
  r.number("measurement_spread", c.measurement_spread, kSpread);
  r.number("max_wait_s", c.max_wait_s, kFrom0);
  r.flag("admission", c.admission);
  r.number("max_tpot_ms", max_tpot_ms, kFrom0);
  r.count("max_waiting", c.max_waiting, {0, 1e9});
  r.number("slo_ttft_ms", ttft_ms, kAbove0);
  r.number("slo_tpot_ms", tpot_ms, kAbove0);
  r.number("quality_kl", c.slo.quality_kl, kFrom0);
  r.text("liar", c.liar);
  r.number("liar_factor", c.liar_factor, {1e-6, 1e6});
  for (const auto& [at, factor] : r.steps("link_steps", kFrom0)) c.links.step(at, factor);
  for (const auto& [at, factor] : r.steps("flapping_steps", kFrom0)) c.flapping.step(at, factor);
  for (const auto& [at, factor] : r.steps("slow_first_prefill", {1e-6, 1e6})) c.slow.push_back({at, 0, factor});
  r.count("requests", l.requests, {1, 1e8});
  r.number("rate", l.rate, {1e-6, 1e9});
  r.number("burstiness", l.burstiness, {0, 1e3});
  r.number("prompt_mean", l.prompt_mean, kAbove0);
  r.number("prompt_spread", l.prompt_spread, kSpread);
  r.number("output_mean", l.output_mean, kAbove0);
  r.number("output_spread", l.output_spread, kSpread);
  r.number("shift_at", l.shift_at, kFrom0);
  r.number("shift_factor", l.shift_factor, kAbove0);
  SLUICE_TRY(r.done());
  if (j.contains("jitter")) SLUICE_TRY(add_jitter(c.links, j["jitter"], seed));
  SLUICE_ASSIGN(c.model, find_model(model));
  SLUICE_ASSIGN(const Hardware p, find_hardware(prefill_hw));
  SLUICE_ASSIGN(const Hardware d, find_hardware(decode_hw));
  c.prefills.assign(prefills, p);
  c.decodes.assign(decodes, d);
  if (profiles.empty() && p.profiles != d.profiles)
    return fail(Errc::invalid_argument, "{} and {} have codecs of different profiles; name a set with 'profiles'",
                p.name, d.name);
  SLUICE_ASSIGN(c.profiles, find_profiles(profiles.empty() ? p.profiles : profiles));
  c.link_bps = link_gbps * 1e9 / 8;
  c.slo.ttft_s = ttft_ms * 1e-3;
  c.slo.tpot_s = tpot_ms * 1e-3;
  c.max_tpot_s = max_tpot_ms * 1e-3;
  c.seed = seed;
  l.seed = seed * 1000003 + 17;
  return s;
}

namespace {

Result<std::vector<std::string>> names_of(const json& j) {
  std::vector<std::string> out;
  for (const auto& p : j) {
    if (!p.is_string()) return fail(Errc::data_corrupt, "each policy is a string");
    out.push_back(p.get<std::string>());
  }
  return out;
}

/// {"attainment": share, "policies": [...], "seeds": count}
Result<> read_goodput(const json& j, Experiment& e) {
  if (!j.is_object() || !j.contains("policies") || !j["policies"].is_array())
    return fail(Errc::data_corrupt, "'goodput' in the experiment must be an object with 'attainment' and 'policies'");
  Reader r(j, "goodput.");
  r.note("policies");
  r.number("attainment", e.goodput_attainment, {.most = 1, .above = true});
  r.count("seeds", e.goodput_seeds, {1, 1000});
  SLUICE_TRY(r.done());
  SLUICE_ASSIGN(e.goodput_policies, names_of(j["policies"]));
  return {};
}

}  // namespace

Result<Experiment> parse_experiment(const json& j) {
  if (!j.is_object() || !j.contains("base") || !j["base"].is_object() || !j.contains("scenarios") ||
      !j["scenarios"].is_array() || !j.contains("policies") || !j["policies"].is_array())
    return fail(Errc::data_corrupt, "an experiment needs 'base', 'scenarios' and 'policies'");
  Experiment e;
  e.base = j["base"];
  // Policies are compared on all that comes: who has others refused would look fast. A scenario may ask for it.
  if (!e.base.contains("admission")) e.base["admission"] = false;
  for (const auto& s : j["scenarios"]) {
    if (!s.is_object() || !s.contains("name") || !s["name"].is_string())
      return fail(Errc::data_corrupt, "each scenario needs a 'name'");
    e.scenarios.push_back(s);
  }
  SLUICE_ASSIGN(e.policies, names_of(j["policies"]));
  Reader r(j);
  std::uint64_t seeds = 10;
  e.interval_s = 5;
  r.count("seeds", seeds, {1, 1000});
  r.number("interval_s", e.interval_s, {0.1, 1e6});
  SLUICE_TRY(r.right());
  if (j.contains("goodput")) SLUICE_TRY(read_goodput(j["goodput"], e));
  for (std::uint64_t i = 1; i <= seeds; ++i) e.seeds.push_back(i);
  return e;
}

namespace {

/// One scenario: every static profile within the budget, then every policy, on the same seeds.
Result<json> run_scenario(const Experiment& e, const json& scenario,
                          const std::function<void(const std::string&)>& progress) {
  std::map<std::string, std::vector<RunFigures>> runs;
  std::vector<std::string> statics;
  std::vector<std::string> names = e.policies;
  SLUICE_ASSIGN(const Scenario shape, make_scenario(e.base, scenario, 1));
  for (const auto& f : shape.cluster.profiles)
    if (f.kl <= shape.cluster.slo.quality_kl) statics.push_back("static:" + f.name);
  names.insert(names.end(), statics.begin(), statics.end());
  const std::size_t nodes = shape.cluster.prefills.size() + shape.cluster.decodes.size();
  for (const std::uint64_t seed : e.seeds) {
    SLUICE_ASSIGN(const Scenario s, make_scenario(e.base, scenario, seed));
    const Load load = make_load(s.load);
    for (const std::string& name : names) {
      SLUICE_ASSIGN(const auto policy, make_policy(name, {.seed = seed}));
      SLUICE_ASSIGN(const SimResult r, simulate(s.cluster, load, *policy));
      runs[name].push_back({summarize(r, nodes), by_interval(r, e.interval_s, refused_s(s.cluster))});
    }
    progress(fmt::format("{} seed {}", scenario["name"].get<std::string>(), seed));
  }
  json out{{"name", scenario["name"]}};
  auto mean_of = [&](const std::string& name, std::size_t seed) {
    double sum = 0;
    double n = 0;
    for (const double v : runs[name][seed].intervals)
      if (std::isfinite(v)) {
        sum += v;
        ++n;
      }
    return sum / std::max(n, 1.0);
  };
  for (const std::string& name : names) {
    std::vector<double> mean, p50, p99, attained, goodput, oracle, hindsight, error;
    for (std::size_t i = 0; i < e.seeds.size(); ++i) {
      std::vector<std::vector<double>> others;
      double best = INFINITY;
      for (const std::string& s : statics) {
        others.push_back(runs[s][i].intervals);
        best = std::min(best, mean_of(s, i));
      }
      const RunFigures& own = runs[name][i];
      mean.push_back(mean_of(name, i));
      p50.push_back(own.summary.ttft_p50_s);
      p99.push_back(own.summary.ttft_p99_s);
      attained.push_back(own.summary.attainment);
      goodput.push_back(own.summary.goodput_per_s);
      oracle.push_back(regret(own.intervals, others));
      hindsight.push_back(mean_of(name, i) / best - 1);
      error.push_back(own.summary.prediction_error);
    }
    out["policies"][name] = {{"ttft_mean_ms", spread_json(mean, 1e3)},     {"ttft_p50_ms", spread_json(p50, 1e3)},
                             {"ttft_p99_ms", spread_json(p99, 1e3)},       {"slo_attainment", spread_json(attained)},
                             {"goodput_per_s", spread_json(goodput)},      {"regret_to_oracle", spread_json(oracle)},
                             {"over_best_static", spread_json(hindsight)}, {"prediction_error", spread_json(error)}};
  }
  return out;
}

}  // namespace

Result<json> run_experiment(const Experiment& e, const std::function<void(const std::string&)>& progress) {
  json out{{"seeds", e.seeds.size()}, {"interval_s", e.interval_s}, {"base", e.base}, {"scenarios", json::array()}};
  if (!e.goodput_policies.empty()) out["goodput_attainment"] = e.goodput_attainment;
  for (const json& s : e.scenarios) {
    SLUICE_ASSIGN(json r, run_scenario(e, s, progress));
    for (const std::string& p : e.goodput_policies) {
      SLUICE_ASSIGN(r["goodput_at_attainment"][p], goodput_at(e, s, p, e.goodput_attainment));
      progress(fmt::format("{} goodput of {}", s["name"].get<std::string>(), p));
    }
    out["scenarios"].push_back(std::move(r));
  }
  return out;
}

}  // namespace sluice::sim
