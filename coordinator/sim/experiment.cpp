#include "coordinator/sim/experiment.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>

#include "common/json/reader.h"
#include "coordinator/policy/slo_book.h"
#include "coordinator/sim/goodput.h"

namespace sluice::sim {
namespace {

using nlohmann::json;

constexpr NumberRange<double> kAbove0{.most = 1e12, .above = 0};
constexpr NumberRange<double> kFrom0{.least = 0, .most = 1e12};
constexpr NumberRange<double> kFactor{.least = 1e-6, .most = 1e6};
constexpr NumberRange<double> kSpread{.least = 0, .most = 10};  // sigma of a log
constexpr NumberRange<std::size_t> kNodes{1, 10'000};
constexpr int kBillion = 1'000'000'000;

/// As people write it: 1e3 is a whole number, and null is a mistake.
JsonRules rules() {
  return {.what = "the experiment", .code = Errc::data_corrupt, .null_is_absent = false, .whole_floats = true};
}

/// [[at_s, factor], ...]
std::vector<std::pair<double, double>> read_steps(const JsonValue& list, const NumberRange<double>& factor) {
  std::vector<std::pair<double, double>> out;
  list.each({}, [&](const JsonValue& step) {
    if (!step.raw().is_array() || step.raw().size() != 2) return step.wrong_type("[seconds, factor]");
    auto& [at, by] = out.emplace_back();
    step.item(0).into(at, kFrom0);
    step.item(1).into(by, factor);
  });
  return out;
}

/// Every `every_s` from `from_s` to `to_s`, a factor drawn between the two.
Result<> add_jitter(Timeline& t, JsonObject j, std::uint64_t seed) {
  double low = 0.5, high = 1.5, every = 0.5, from = 0, to = 0;
  j.want("low").into(low, kFrom0);
  j.want("high").into(high, kFrom0);
  j.want("every_s").into(every, {.least = 0.01, .most = 1e6});
  j.want("from_s").into(from, {.least = 0, .most = 1e6});
  j.want("to_s").into(to, {.least = 0, .most = 1e6});
  j.closed();
  SLUICE_TRY(j.done());
  if ((to - from) / every > 1e6)
    return fail(Errc::data_corrupt,
                "'jitter' in the experiment has more than a million steps; let 'every_s' be larger");
  coordinator::FastRandom random(seed * 31 + 7);
  for (double at = from; at < to; at += every) t.step(at, low + (high - low) * random.uniform());
  t.step(to, 1);
  return {};
}

/// [{"requests", "rate", "prompt_mean", "output_mean"}, ...]
void read_phases(const JsonValue& list, std::vector<LoadPhase>& out) {
  list.each({}, [&](const JsonValue& phase) {
    JsonObject f = phase.object();
    LoadPhase& p = out.emplace_back();
    f.need("requests").into(p.requests, {.least = 1, .most = 100'000'000});
    f.need("rate").into(p.rate, {.least = 1e-6, .most = 1e9});
    f.need("prompt_mean").into(p.prompt_mean, kAbove0);
    f.need("output_mean").into(p.output_mean, kAbove0);
    f.closed();
  });
}

/// {"automatic", "load_s"}
void read_roles(JsonObject f, RoleSpec& out) {
  f.want("automatic").into(out.automatic);
  f.want("load_s").into(out.load_s, kFrom0);
  f.closed();
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
  JsonReader in(j, rules());
  JsonObject f = in.object();
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
  double decode_kv_gb = 0;
  f.ignore({"name", "about"});
  f.want("model").into(model);
  f.want("prefill_hardware").into(prefill_hw);
  f.want("decode_hardware").into(decode_hw);
  f.want("profiles").into(profiles);
  f.want("overlap").into(c.overlap);
  f.want("local_prefill").into(c.local_prefill);
  f.want("prefix_cache").into(c.prefix_cache);
  f.want("cores").into(c.cores, {.least = 0, .most = 1'000'000});
  f.want("message_s").into(c.message_s, kFrom0);
  f.want("max_batch_tokens").into(c.max_batch_tokens, {.least = 1, .most = kBillion});
  f.want("prefill_chunk").into(c.prefill_chunk, {.least = 1, .most = kBillion});
  f.want("prefill_nodes").into(prefills, kNodes);
  f.want("decode_nodes").into(decodes, kNodes);
  f.want("link_gbps").into(link_gbps, {.least = 1e-6, .most = 1e6});
  f.want("rtt_s").into(c.rtt_s, kFrom0);
  f.want("telemetry_s").into(c.telemetry_s, {.least = 1e-3, .most = 1e9});
  f.want("spread").into(c.spread, kSpread);
  f.want("measurement_spread").into(c.measurement_spread, kSpread);
  f.want("max_wait_s").into(c.max_wait_s, kFrom0);
  f.want("admission").into(c.admission);
  f.want("moves").into(c.moves);
  if (f.want("hidden_lengths").into(l.hidden_lengths) && l.hidden_lengths) c.memory = MemoryPolicy::sluice;
  f.want("memory").into(c.memory, kMemoryPolicies);
  f.want("context_tokens").into(c.context_tokens, {.least = 1, .most = kBillion});
  f.want("decode_kv_gb").into(decode_kv_gb, kAbove0);
  f.want("max_tpot_ms").into(max_tpot_ms, kFrom0);
  f.want("max_waiting").into(c.max_waiting, {.least = 0, .most = kBillion});
  f.want("slo_ttft_ms").into(ttft_ms, kAbove0);
  f.want("slo_tpot_ms").into(tpot_ms, kAbove0);
  f.want("quality_kl").into(c.slo.quality_kl, kFrom0);
  f.want("objective").into(c.slo.objective, coordinator::kObjectives);
  f.want("attainment").into(c.slo.attainment, {.least = 0, .most = 1});
  f.want("liar").into(c.liar);
  f.want("liar_factor").into(c.liar_factor, {.least = 1e-6, .most = 1e6});
  for (const auto& [at, factor] : read_steps(f.want("link_steps"), kFrom0)) c.links.step(at, factor);
  for (const auto& [at, factor] : read_steps(f.want("flapping_steps"), kFrom0)) c.flapping.step(at, factor);
  for (const auto& [at, factor] : read_steps(f.want("slow_first_prefill"), kFactor)) c.slow.push_back({at, 0, factor});
  f.want("requests").into(l.requests, {.least = 1, .most = 100'000'000});
  f.want("rate").into(l.rate, {.least = 1e-6, .most = 1e9});
  f.want("burstiness").into(l.burstiness, {.least = 0, .most = 1e3});
  f.want("prompt_mean").into(l.prompt_mean, kAbove0);
  f.want("prompt_spread").into(l.prompt_spread, kSpread);
  f.want("output_mean").into(l.output_mean, kAbove0);
  f.want("output_spread").into(l.output_spread, kSpread);
  f.want("max_tokens").into(l.stated, {.least = 1, .most = kBillion});
  f.want("shift_at").into(l.shift_at, kFrom0);
  f.want("shift_factor").into(l.shift_factor, kAbove0);
  read_phases(f.want("phases"), l.phases);
  if (f.has("roles")) read_roles(f.want("roles").object(), c.roles.emplace());
  if (f.has("jitter")) SLUICE_TRY(add_jitter(c.links, f.want("jitter").object(), seed));
  f.closed();
  SLUICE_TRY(in.done());
  if (l.stated != kNoLimit && !l.hidden_lengths)
    return fail(Errc::invalid_argument,
                "'max_tokens' in the experiment is what requests state where 'hidden_lengths' is true");
  SLUICE_ASSIGN(c.model, find_model(model));
  SLUICE_ASSIGN(const Hardware p, find_hardware(prefill_hw));
  SLUICE_ASSIGN(const Hardware d, find_hardware(decode_hw));
  c.prefills.assign(prefills, p);
  c.decodes.assign(decodes, d);
  if (decode_kv_gb > 0)
    for (Hardware& h : c.decodes) h.kv_bytes = decode_kv_gb * 1e9;
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

Result<Experiment> parse_experiment(const json& j) {
  JsonReader in(j, rules());
  JsonObject f = in.object();
  Experiment e;
  std::uint64_t seeds = 10;
  e.interval_s = 5;
  if (f.need("base").object().present()) e.base = f.need("base").raw();
  f.need("scenarios").each({}, [&](const JsonValue& s) {
    std::string name;
    JsonObject scenario = s.object();
    scenario.need("name").into(name);
    e.scenarios.push_back(s.raw());
  });
  f.need("policies").into(e.policies, Length{});
  f.want("seeds").into(seeds, {.least = 1, .most = 1000});
  f.want("interval_s").into(e.interval_s, {.least = 0.1, .most = 1e6});
  if (f.has("goodput")) {  // {"attainment": share, "policies": [...], "seeds": count}
    JsonObject g = f.want("goodput").object();
    g.need("policies").into(e.goodput_policies, Length{});
    g.want("attainment").into(e.goodput_attainment, {.most = 1, .above = 0});
    g.want("seeds").into(e.goodput_seeds, {.least = 1, .most = 1000});
    g.closed();
  }
  SLUICE_TRY(in.done());
  // Policies are compared on all that comes: who has others refused would look fast. A scenario may ask for it.
  if (!e.base.contains("admission")) e.base["admission"] = false;
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
    std::vector<double> mean, p50, p99, attained, goodput, oracle, hindsight, error, kl, local, cut;
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
      kl.push_back(own.summary.kl_mean);
      local.push_back(own.summary.local);
      cut.push_back(own.summary.cut);
    }
    out["policies"][name] = {{"ttft_mean_ms", spread_json(mean, 1e3)},
                             {"ttft_p50_ms", spread_json(p50, 1e3)},
                             {"ttft_p99_ms", spread_json(p99, 1e3)},
                             {"slo_attainment", spread_json(attained)},
                             {"goodput_per_s", spread_json(goodput)},
                             {"regret_to_oracle", spread_json(oracle)},
                             {"over_best_static", spread_json(hindsight)},
                             {"prediction_error", spread_json(error)},
                             {"kl_mean", spread_json(kl)},
                             {"local_share", spread_json(local)},
                             {"cut_share", spread_json(cut)}};
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
