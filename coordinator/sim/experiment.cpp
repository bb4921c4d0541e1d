#include "coordinator/sim/experiment.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

namespace sluice::sim {
namespace {

using nlohmann::json;

/// Reads numbers out of an object and remembers what nobody asked for.
class Reader {
 public:
  explicit Reader(const json& j) : j_(j) {}
  void number(const char* key, double& out) {
    known_.push_back(key);
    const auto it = j_.find(key);
    if (it == j_.end()) return;
    if (it->is_number() && std::isfinite(it->get<double>()))
      out = it->get<double>();
    else
      wrong_ = key;
  }
  template <class T>
  void count(const char* key, T& out) {
    double v = static_cast<double>(out);
    number(key, v);
    if (v >= 0 && v < 1e12)
      out = static_cast<T>(v);
    else
      wrong_ = key;
  }
  void flag(const char* key, bool& out) {
    known_.push_back(key);
    const auto it = j_.find(key);
    if (it == j_.end()) return;
    if (it->is_boolean())
      out = it->get<bool>();
    else
      wrong_ = key;
  }
  void text(const char* key, std::string& out) {
    known_.push_back(key);
    const auto it = j_.find(key);
    if (it == j_.end()) return;
    if (it->is_string())
      out = it->get<std::string>();
    else
      wrong_ = key;
  }
  /// [[at_s, value], ...]
  std::vector<std::pair<double, double>> steps(const char* key) {
    known_.push_back(key);
    std::vector<std::pair<double, double>> out;
    const auto it = j_.find(key);
    if (it == j_.end()) return out;
    for (const auto& s : it->is_array() ? *it : json::array()) {
      if (s.is_array() && s.size() == 2 && s[0].is_number() && s[1].is_number())
        out.emplace_back(s[0].get<double>(), s[1].get<double>());
      else
        wrong_ = key;
    }
    return out;
  }
  void note(const char* key) { known_.push_back(key); }
  [[nodiscard]] Result<> done() const {
    if (!wrong_.empty()) return fail(Errc::data_corrupt, "'{}' in the experiment has the wrong type", wrong_);
    for (const auto& [key, v] : j_.items())
      if (std::ranges::find(known_, key) == known_.end())
        return fail(Errc::data_corrupt, "'{}' in the experiment is not known", key);
    return {};
  }

 private:
  const json& j_;
  std::vector<std::string> known_;
  std::string wrong_;
};

/// Every `every_s` from `from_s` to `to_s`, a factor drawn between the two.
void add_jitter(Timeline& t, const json& j, std::uint64_t seed) {
  coordinator::FastRandom random(seed * 31 + 7);
  const double low = j.value("low", 0.5);
  const double high = j.value("high", 1.5);
  const double every = std::max(j.value("every_s", 0.5), 0.01);
  for (double at = j.value("from_s", 0.0); at < j.value("to_s", 0.0); at += every)
    t.step(at, low + (high - low) * random.uniform());
  t.step(j.value("to_s", 0.0), 1);
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
  r.note("name");
  r.note("about");
  r.note("jitter");
  r.text("model", model);
  r.text("prefill_hardware", prefill_hw);
  r.text("decode_hardware", decode_hw);
  r.text("profiles", profiles);
  r.flag("overlap", c.overlap);
  r.count("cores", c.cores);
  r.number("message_s", c.message_s);
  r.count("max_batch_tokens", c.max_batch_tokens);
  r.count("prefill_chunk", c.prefill_chunk);
  r.count("prefill_nodes", prefills);
  r.count("decode_nodes", decodes);
  r.number("link_gbps", link_gbps);
  r.number("rtt_s", c.rtt_s);
  r.number("telemetry_s", c.telemetry_s);
  r.number("spread", c.spread);
  r.number("measurement_spread", c.measurement_spread);
  r.number("max_wait_s", c.max_wait_s);
  r.number("slo_ttft_ms", ttft_ms);
  r.number("slo_tpot_ms", tpot_ms);
  r.number("quality_kl", c.slo.quality_kl);
  r.text("liar", c.liar);
  r.number("liar_factor", c.liar_factor);
  for (const auto& [at, factor] : r.steps("link_steps")) c.links.step(at, factor);
  for (const auto& [at, factor] : r.steps("flapping_steps")) c.flapping.step(at, factor);
  for (const auto& [at, factor] : r.steps("slow_first_prefill")) c.slow.push_back({at, 0, factor});
  r.count("requests", l.requests);
  r.number("rate", l.rate);
  r.number("burstiness", l.burstiness);
  r.number("prompt_mean", l.prompt_mean);
  r.number("prompt_spread", l.prompt_spread);
  r.number("output_mean", l.output_mean);
  r.number("output_spread", l.output_spread);
  r.number("shift_at", l.shift_at);
  r.number("shift_factor", l.shift_factor);
  SLUICE_TRY(r.done());
  if (j.contains("jitter") && j["jitter"].is_object()) add_jitter(c.links, j["jitter"], seed);
  SLUICE_ASSIGN(c.model, find_model(model));
  SLUICE_ASSIGN(const Hardware p, find_hardware(prefill_hw));
  SLUICE_ASSIGN(const Hardware d, find_hardware(decode_hw));
  if (prefills > 10000 || decodes > 10000) return fail(Errc::invalid_argument, "at most 10000 nodes of each kind");
  c.prefills.assign(prefills, p);
  c.decodes.assign(decodes, d);
  if (profiles.empty() && p.profiles != d.profiles)
    return fail(Errc::invalid_argument, "{} and {} have codecs of different profiles; name a set with 'profiles'",
                p.name, d.name);
  SLUICE_ASSIGN(c.profiles, find_profiles(profiles.empty() ? p.profiles : profiles));
  c.link_bps = link_gbps * 1e9 / 8;
  c.slo.ttft_s = ttft_ms * 1e-3;
  c.slo.tpot_s = tpot_ms * 1e-3;
  c.seed = seed;
  l.seed = seed * 1000003 + 17;
  return s;
}

Result<Experiment> parse_experiment(const json& j) {
  if (!j.is_object() || !j.contains("base") || !j["base"].is_object() || !j.contains("scenarios") ||
      !j["scenarios"].is_array() || !j.contains("policies") || !j["policies"].is_array())
    return fail(Errc::data_corrupt, "an experiment needs 'base', 'scenarios' and 'policies'");
  Experiment e;
  e.base = j["base"];
  for (const auto& s : j["scenarios"]) {
    if (!s.is_object() || !s.contains("name") || !s["name"].is_string())
      return fail(Errc::data_corrupt, "each scenario needs a 'name'");
    e.scenarios.push_back(s);
  }
  for (const auto& p : j["policies"]) {
    if (!p.is_string()) return fail(Errc::data_corrupt, "each policy is a string");
    e.policies.push_back(p.get<std::string>());
  }
  const double seeds = j.value("seeds", 10.0);
  for (std::uint64_t i = 1; i <= static_cast<std::uint64_t>(std::clamp(seeds, 1.0, 1000.0)); ++i) e.seeds.push_back(i);
  e.interval_s = std::max(j.value("interval_s", 5.0), 0.1);
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
  for (const json& s : e.scenarios) {
    SLUICE_ASSIGN(json r, run_scenario(e, s, progress));
    out["scenarios"].push_back(std::move(r));
  }
  return out;
}

}  // namespace sluice::sim
