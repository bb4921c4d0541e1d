#include "coordinator/ctl/simulate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/files.h"
#include "common/json/parse.h"
#include "coordinator/ctl/load/trace.h"
#include "coordinator/ctl/simulate_memory.h"
#include "coordinator/ctl/simulate_search.h"
#include "coordinator/ctl/table.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxFile = std::size_t{1} << 30;  // traces are large

Result<json> read_object(const std::string& file) {
  SLUICE_ASSIGN(const std::string text, read_file(file, kMaxFile));
  return parse_json_object(text, {.what = file, .code = Errc::data_corrupt, .refuse_repeated = true});
}

/// The flags that were given, as a scenario's fields.
json changes_of(const SimulateOptions& o) {
  json j = json::object();
  auto text = [&](const char* key, const std::string& v) {
    if (!v.empty()) j[key] = v;
  };
  auto number = [&](const char* key, double v) {
    if (v > 0) j[key] = v;
  };
  text("model", o.model);
  text("profiles", o.profiles);
  if (!o.search && o.hardware.size() == 1) j["prefill_hardware"] = j["decode_hardware"] = o.hardware.front();
  text("prefill_hardware", o.prefill_hardware);
  text("decode_hardware", o.decode_hardware);
  number("prefill_nodes", static_cast<double>(o.prefill));
  number("decode_nodes", static_cast<double>(o.decode));
  number("requests", static_cast<double>(o.requests));
  number("link_gbps", o.link_gbps);
  number("rate", o.rate);
  number("burstiness", o.burstiness);
  number("prompt_mean", o.input_len);
  number("output_mean", o.output_len);
  if (!o.slo_ttft_ms.empty()) j["slo_ttft_ms"] = o.slo_ttft_ms.front();
  if (!o.slo_tpot_ms.empty()) j["slo_tpot_ms"] = o.slo_tpot_ms.front();
  number("max_tpot_ms", o.max_tpot_ms);
  if (o.no_admission) j["admission"] = false;
  if (o.moves) j["moves"] = true;
  if (o.memory.size() == 1) j["memory"] = o.memory.front();
  if (o.hidden_lengths) j["hidden_lengths"] = true;
  number("max_tokens", static_cast<double>(o.max_tokens));
  number("context_tokens", static_cast<double>(o.context_tokens));
  number("decode_kv_gb", o.decode_kv_gb);
  if (o.quality_kl >= 0) j["quality_kl"] = o.quality_kl;
  if (!o.objective.empty()) j["objective"] = o.objective;
  return j;
}

std::string summary_text(const json& r) {
  auto ms = [](const json& j, const char* key) { return millis_text(j[key].get<double>()); };
  const json& s = r["summary"];
  std::string out =
      fmt::format("policy      {}, {} requests, {} refused, {} of them early\n", r["policy"].get<std::string>(),
                  s["requests"].get<std::size_t>(), s["refused"].get<std::size_t>(), s["rejected"].get<std::size_t>());
  out += fmt::format("TTFT        mean {}, p50 {}, p90 {}, p99 {}\n", ms(s["ttft_ms"], "mean"), ms(s["ttft_ms"], "p50"),
                     ms(s["ttft_ms"], "p90"), ms(s["ttft_ms"], "p99"));
  out += fmt::format("TPOT        p50 {}, p99 {}\n", ms(s["tpot_ms"], "p50"), ms(s["tpot_ms"], "p99"));
  out += fmt::format("E2E         p50 {}, p99 {}\n", ms(s["e2e_ms"], "p50"), ms(s["e2e_ms"], "p99"));
  out += fmt::format("SLO         {:.2f}% met both; goodput {:.3g} requests/s, {:.3g} per node\n",
                     s["slo_attainment"].get<double>() * 100, s["goodput_per_s"].get<double>(),
                     s["goodput_per_node_s"].get<double>());
  out += fmt::format("KV          {:.1f}% of its bytes saved; profiles", s["kv_bytes_saved"].get<double>() * 100);
  for (const auto& [name, share] : r["profiles"].items())
    out += fmt::format(" {} {:.1f}%", name, share.get<double>() * 100);
  out += fmt::format("\nprediction  median error {:.1f}%; {:.2f}% of decisions probed, {} changes seen\n",
                     s["prediction_error_median"].get<double>() * 100, s["explore_share"].get<double>() * 100,
                     r["changes"].get<std::uint64_t>());
  if (r.contains("regret"))
    out +=
        fmt::format("regret      {:+.1f}% to the best static ({}), {:+.1f}% to the best of each {:g} s\n",
                    r["regret"]["over_best_static"].get<double>() * 100, r["regret"]["best_static"].get<std::string>(),
                    r["regret"]["to_oracle"].get<double>() * 100, r["regret"]["interval_s"].get<double>());
  if (r.contains("role_changes"))
    for (const json& m : r["role_changes"])
      out += fmt::format("role        machine {} became a {} node, decided at {:.1f} s\n", m["machine"].get<int>(),
                         m["to"].get<std::string>(), m["at_s"].get<double>());
  return out + fmt::format("simulated   {:.1f} s, {} events, in {:.2f} s\n", r["simulated_s"].get<double>(),
                           r["events"].get<std::uint64_t>(), r["wall_s"].get<double>());
}

/// What the static profiles within the budget made of the same load.
struct Beside {
  std::string best;                      // in hindsight
  double over_best = 0, to_oracle = 0;   // shares
  std::map<std::string, double> mean_s;  // of each
  std::vector<double> best_by_interval, oracle;
};

/// Mean over intervals, so that each counts alike, as in a registered experiment.
double mean_of(const std::vector<double>& intervals) {
  double sum = 0;
  double n = 0;
  for (const double v : intervals)
    if (std::isfinite(v)) sum += v, ++n;
  return sum / std::max(n, 1.0);
}

Result<Beside> beside_statics(const SimulateOptions& o, const sim::ClusterSpec& c, const sim::Load& load,
                              const std::vector<double>& own) {
  Beside out;
  std::vector<std::vector<double>> all;
  double least = INFINITY;
  for (const auto& profile : c.profiles) {
    if (profile.kl > c.slo.quality_kl) continue;
    fmt::print(stderr, "static:{}\n", profile.name);
    SLUICE_ASSIGN(const auto policy, sim::make_policy("static:" + profile.name, {.seed = o.seed}));
    SLUICE_ASSIGN(const sim::SimResult r, sim::simulate(c, load, *policy));
    all.push_back(sim::by_interval(r, o.interval_s, c.max_wait_s));
    const double mean = out.mean_s[profile.name] = mean_of(all.back());
    if (mean >= least) continue;
    least = mean;
    out.best = profile.name;
    out.best_by_interval = all.back();
  }
  if (all.empty()) return fail_param("quality_kl", "no profile is within the quality budget {:g}", c.slo.quality_kl);
  out.over_best = mean_of(own) / least - 1;
  out.to_oracle = sim::regret(own, all);
  out.oracle.assign(own.size(), NAN);
  for (const auto& intervals : all)
    for (std::size_t i = 0; i < std::min(own.size(), intervals.size()); ++i)
      out.oracle[i] = std::fmin(out.oracle[i], intervals[i]);
  return out;
}

json to_json(const Beside& b, double interval_s) {
  json statics = json::object();
  for (const auto& [name, mean] : b.mean_s) statics[name] = mean * 1e3;
  return {{"best_static", b.best},
          {"over_best_static", b.over_best},
          {"to_oracle", b.to_oracle},
          {"interval_s", interval_s},
          {"statics_ttft_mean_ms", statics}};
}

/// The cluster offers what a static policy keeps to.
Result<> check_static(const std::string& policy, const std::vector<sim::ProfileSpec>& profiles) {
  constexpr std::string_view kStatic = "static:";
  if (!policy.starts_with(kStatic)) return {};
  std::string known;
  for (const auto& p : profiles) {
    if (policy.substr(kStatic.size()) == p.name) return {};
    known += (known.empty() ? "" : ", ") + p.name;
  }
  return fail_param("policy", "there is no profile '{}' in this cluster; it has {}", policy.substr(kStatic.size()),
                    known);
}

/// One line per request, in order of arrival; what a plot or a question needs that the summary does not answer.
std::string requests_csv(const sim::SimResult& r, const std::vector<sim::ProfileSpec>& profiles) {
  std::string out =
      "arrival_s,ttft_s,predicted_ttft_s,tpot_s,e2e_s,prefill,decode,profile,raw_bytes,wire_bytes,met,explored\n";
  for (const auto& o : r.requests)
    fmt::format_to(std::back_inserter(out), "{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},{},{},{},{:.0f},{:.0f},{:d},{:d}\n",
                   o.at_s, o.ttft_s, o.predicted_ttft_s, o.tpot_s, o.e2e_s, o.prefill, o.decode,
                   profiles[o.profile].name, o.raw_bytes, o.wire_bytes, o.met, o.explored);
  return out;
}

svg::Line by_time(const std::string& name, const std::vector<double>& intervals, double width) {
  svg::Line line{name, {}};
  for (std::size_t i = 0; i < intervals.size(); ++i)
    line.points.emplace_back((static_cast<double>(i) + 0.5) * width, intervals[i]);
  return line;
}

Result<> write_run(const std::string& dir, const json& result, const sim::SimResult& r,
                   const std::vector<sim::ProfileSpec>& profiles, const std::optional<Beside>& beside,
                   double interval_s) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  SLUICE_TRY(sim::write_file(dir + "/requests.csv", requests_csv(r, profiles)));
  SLUICE_TRY(sim::write_file(dir + "/result.json", result.dump(2) + "\n"));
  const double width = beside ? interval_s : std::max(r.requests.empty() ? 1.0 : r.requests.back().at_s / 100, 0.1);
  sim::Chart time{"Mean TTFT by time of arrival", "seconds", "seconds", {}};
  const std::string policy = result["policy"];
  time.lines.push_back(by_time(policy, sim::by_interval(r, width, NAN), width));
  if (beside) {
    time.lines.push_back(by_time("best static: " + beside->best, beside->best_by_interval, width));
    time.lines.push_back(by_time("oracle", beside->oracle, width));
  }
  SLUICE_TRY(sim::write_file(dir + "/ttft_by_time.svg", sim::to_svg(time)));
  std::vector<double> sorted;
  for (const auto& o : r.requests)
    if (o.ttft_s >= 0) sorted.push_back(o.ttft_s);
  std::ranges::sort(sorted);
  sim::Chart share{"Share of requests with a TTFT up to", "seconds", "share", {{policy, {}}}, true};
  for (std::size_t i = 0; i < 200 && !sorted.empty(); ++i)
    share.lines[0].points.emplace_back(sorted[(sorted.size() - 1) * i / 199], static_cast<double>(i) / 199);
  return sim::write_file(dir + "/ttft_share.svg", sim::to_svg(share));
}

json role_changes(const sim::SimResult& r) {
  json all = json::array();
  for (const auto& m : r.roles)
    all.push_back({{"at_s", m.at_s},
                   {"machine", m.machine},
                   {"to", m.to_decode ? "decode" : "prefill"},
                   {"done_s", m.done_s >= 0 ? json(m.done_s) : json(nullptr)}});
  return all;
}

Result<int> run_one(const SimulateOptions& o) {
  SLUICE_ASSIGN(const sim::Scenario s, scenario_of(o));
  SLUICE_ASSIGN(const sim::Load load, load_of(o, s.load));
  SLUICE_ASSIGN(const auto policy, sim::make_policy(o.policy, {.seed = o.seed}));
  SLUICE_TRY(check_static(o.policy, s.cluster.profiles));
  const auto start = std::chrono::steady_clock::now();
  SLUICE_ASSIGN(const sim::SimResult r, sim::simulate(s.cluster, load, *policy));
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  json result{{"policy", o.policy},
              {"summary", sim::to_json(sim::summarize(r, s.cluster.prefills.size() + s.cluster.decodes.size()))},
              {"profiles", sim::profile_shares(r, s.cluster.profiles)},
              {"simulated_s", r.end_s},
              {"events", r.events},
              {"changes", r.changes},
              {"profile_changes", r.tightened},
              {"moves", r.moves},
              {"memory_figures", memory_figures(r)},
              {"seed", o.seed},
              {"wall_s", wall}};
  if (s.cluster.roles) result["role_changes"] = role_changes(r);
  std::optional<Beside> beside;
  if (o.regret) {
    SLUICE_ASSIGN(beside, beside_statics(o, s.cluster, load, sim::by_interval(r, o.interval_s, s.cluster.max_wait_s)));
    result["regret"] = to_json(*beside, o.interval_s);
  }
  if (!o.out.empty()) SLUICE_TRY(write_run(o.out, result, r, s.cluster.profiles, beside, o.interval_s));
  fmt::print("{}", o.json ? result.dump(2) + "\n" : summary_text(result));
  return 0;
}

std::string with_spread(const json& s, int digits, double scale = 1) {
  return fmt::format("{:.{}f} ± {:.{}f}", s["mean"].get<double>() * scale, digits, s["ci95"].get<double>() * scale,
                     digits);
}

std::string experiment_text(const json& result) {
  std::string out;
  for (const auto& s : result["scenarios"]) {
    out += fmt::format("\n{}\n", s["name"].get<std::string>());
    Table t({"POLICY", ">MEAN TTFT ms", ">P99 TTFT ms", ">SLO MET %", ">GOODPUT /s", ">REGRET TO ORACLE %",
             ">OVER BEST STATIC %"});
    for (const auto& [name, p] : s["policies"].items())
      t.row({name, with_spread(p["ttft_mean_ms"], 1), with_spread(p["ttft_p99_ms"], 1),
             with_spread(p["slo_attainment"], 2, 100), with_spread(p["goodput_per_s"], 2),
             with_spread(p["regret_to_oracle"], 1, 100), with_spread(p["over_best_static"], 1, 100)});
    out += t.text();
  }
  return out;
}

Result<int> run_registered(const SimulateOptions& o) {
  SLUICE_ASSIGN(const json j, read_object(o.experiment));
  SLUICE_ASSIGN(const sim::Experiment e, sim::parse_experiment(j));
  SLUICE_ASSIGN(const json result,
                sim::run_experiment(e, [](const std::string& what) { fmt::print(stderr, "{}\n", what); }));
  if (!o.out.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(o.out, failed);
    SLUICE_TRY(sim::write_file(o.out + "/result.json", result.dump(1) + "\n"));
  }
  fmt::print("{}", o.json ? result.dump(2) + "\n" : experiment_text(result));
  return 0;
}

}  // namespace

Result<sim::Scenario> scenario_of(const SimulateOptions& o) {
  json base = json::object();
  if (!o.scenario.empty()) {
    SLUICE_ASSIGN(base, read_object(o.scenario));
  }
  return sim::make_scenario(base, changes_of(o), o.seed);
}

Result<sim::Load> load_of_trace(const SimulateOptions& o, const sim::LoadSpec& s, std::size_t requests) {
  SLUICE_ASSIGN(const std::string text, read_file(o.trace, kMaxFile));
  SLUICE_ASSIGN(const load::Plan plan, load::parse_trace(text));
  const std::size_t wanted = requests > 0 ? requests : plan.size();
  const double length = plan.back().at_s + plan.back().at_s / static_cast<double>(plan.size()) + 1e-9;
  std::vector<std::shared_ptr<const std::vector<std::uint32_t>>> blocks(plan.size());
  for (std::size_t i = 0; i < std::min(plan.size(), wanted); ++i)
    if (!plan[i].prefix_blocks.empty())
      blocks[i] = std::make_shared<const std::vector<std::uint32_t>>(plan[i].prefix_blocks);
  sim::Load load;
  for (std::size_t i = 0; i < wanted; ++i) {
    const load::PlannedRequest& q = plan[i % plan.size()];
    const std::size_t round = i / plan.size();
    const double at = q.at_s + length * static_cast<double>(round);
    load.push_back({at * o.time_scale,
                    static_cast<std::uint32_t>(std::clamp<std::uint64_t>(q.input_tokens, 2, 1U << 20U)),
                    static_cast<std::uint32_t>(std::clamp<std::uint64_t>(q.output_tokens, 1, 1U << 20U)),
                    blocks[i % plan.size()]});
  }
  sim::hide_lengths(load, s);
  return load;
}

Result<sim::Load> load_of(const SimulateOptions& o, const sim::LoadSpec& s) {
  return o.trace.empty() ? Result<sim::Load>(sim::make_load(s)) : load_of_trace(o, s, o.requests);
}

Result<int> simulate(const SimulateOptions& o) {
  if (!o.search && o.hardware.size() > 1)
    return fail_param("hardware",
                      "{} kinds of --hardware are for --search; all nodes have one, or --prefill-hardware and "
                      "--decode-hardware tell them apart",
                      o.hardware.size());
  if (!o.search && (o.slo_ttft_ms.size() > 1 || o.slo_tpot_ms.size() > 1))
    return fail_param("slo_ttft_ms", "several objectives are for --search; a run has one of each");
  if (o.memory.size() > 1 && (o.search || o.regret || !o.experiment.empty()))
    return fail_param("memory", "several ways to give out memory are compared in a plain run only");
  if (o.search) return run_search(o);
  if (o.memory.size() > 1) return compare_memory(o);
  return o.experiment.empty() ? run_one(o) : run_registered(o);
}

}  // namespace sluice::ctl
