#include "coordinator/ctl/simulate.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "coordinator/ctl/table.h"
#include "coordinator/ctl/trace.h"
#include "coordinator/sim/experiment.h"
#include "coordinator/sim/search.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

Result<std::string> read_text(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(Errc::not_found, "cannot read {}", file);
  return std::string{std::istreambuf_iterator<char>(in), {}};
}

Result<json> read_object(const std::string& file) {
  SLUICE_ASSIGN(const std::string text, read_text(file));
  auto j = json::parse(text, nullptr, false);
  if (!j.is_object()) return fail(Errc::data_corrupt, "{} holds no JSON object", file);
  return j;
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
  number("slo_ttft_ms", o.slo_ttft_ms);
  number("slo_tpot_ms", o.slo_tpot_ms);
  number("max_tpot_ms", o.max_tpot_ms);
  if (o.no_admission) j["admission"] = false;
  if (o.quality_kl >= 0) j["quality_kl"] = o.quality_kl;
  return j;
}

/// A trace's requests; it is repeated until there are as many as asked for.
Result<sim::Load> load_of_trace(const SimulateOptions& o, std::size_t requests) {
  SLUICE_ASSIGN(const std::string text, read_text(o.trace));
  SLUICE_ASSIGN(const Plan plan, parse_trace(text));
  const std::size_t wanted = requests > 0 ? requests : plan.size();
  const double length = plan.back().at_s + plan.back().at_s / static_cast<double>(plan.size()) + 1e-9;
  std::vector<std::shared_ptr<const std::vector<std::uint32_t>>> blocks(plan.size());
  for (std::size_t i = 0; i < std::min(plan.size(), wanted); ++i)
    if (!plan[i].prefix_blocks.empty())
      blocks[i] = std::make_shared<const std::vector<std::uint32_t>>(plan[i].prefix_blocks);
  sim::Load load;
  for (std::size_t i = 0; i < wanted; ++i) {
    const PlannedRequest& q = plan[i % plan.size()];
    const std::size_t round = i / plan.size();
    const double at = q.at_s + length * static_cast<double>(round);
    load.push_back({at * o.time_scale,
                    static_cast<std::uint32_t>(std::clamp<std::uint64_t>(q.input_tokens, 2, 1U << 20U)),
                    static_cast<std::uint32_t>(std::clamp<std::uint64_t>(q.output_tokens, 1, 1U << 20U)),
                    blocks[i % plan.size()]});
  }
  return load;
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
                     s["prediction_error_median"].get<double>() * 100, s["probe_share"].get<double>() * 100,
                     r["changes"].get<std::uint64_t>());
  return out + fmt::format("simulated   {:.1f} s, {} events, in {:.2f} s\n", r["simulated_s"].get<double>(),
                           r["events"].get<std::uint64_t>(), r["wall_s"].get<double>());
}

/// One line per request, in order of arrival; what a plot or a question needs that the summary does not answer.
std::string requests_csv(const sim::SimResult& r, const std::vector<sim::ProfileSpec>& profiles) {
  std::string out =
      "arrival_s,ttft_s,predicted_ttft_s,tpot_s,e2e_s,prefill,decode,profile,raw_bytes,wire_bytes,met,probe\n";
  for (const auto& o : r.requests)
    fmt::format_to(std::back_inserter(out), "{:.6f},{:.6f},{:.6f},{:.6f},{:.6f},{},{},{},{:.0f},{:.0f},{:d},{:d}\n",
                   o.at_s, o.ttft_s, o.predicted_ttft_s, o.tpot_s, o.e2e_s, o.prefill, o.decode,
                   profiles[o.profile].name, o.raw_bytes, o.wire_bytes, o.met, o.probe);
  return out;
}

Result<> write_run(const std::string& dir, const json& result, const sim::SimResult& r,
                   const std::vector<sim::ProfileSpec>& profiles) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  SLUICE_TRY(sim::write_file(dir + "/requests.csv", requests_csv(r, profiles)));
  SLUICE_TRY(sim::write_file(dir + "/result.json", result.dump(2) + "\n"));
  const double width = std::max(r.requests.empty() ? 1.0 : r.requests.back().at_s / 100, 0.1);
  sim::Chart time{"Mean TTFT by time of arrival", "seconds", "seconds", {{"TTFT", {}}}};
  const auto means = sim::by_interval(r, width, NAN);
  for (std::size_t i = 0; i < means.size(); ++i)
    time.lines[0].points.emplace_back((static_cast<double>(i) + 0.5) * width, means[i]);
  SLUICE_TRY(sim::write_file(dir + "/ttft_by_time.svg", sim::to_svg(time)));
  std::vector<double> sorted;
  for (const auto& o : r.requests)
    if (o.ttft_s >= 0) sorted.push_back(o.ttft_s);
  std::ranges::sort(sorted);
  sim::Chart share{"Share of requests with a TTFT up to", "seconds", "share", {{"TTFT", {}}}, true};
  for (std::size_t i = 0; i < 200 && !sorted.empty(); ++i)
    share.lines[0].points.emplace_back(sorted[(sorted.size() - 1) * i / 199], static_cast<double>(i) / 199);
  return sim::write_file(dir + "/ttft_share.svg", sim::to_svg(share));
}

Result<sim::Scenario> scenario_of(const SimulateOptions& o) {
  json base = json::object();
  if (!o.scenario.empty()) {
    SLUICE_ASSIGN(base, read_object(o.scenario));
  }
  return sim::make_scenario(base, changes_of(o), o.seed);
}

Result<int> run_one(const SimulateOptions& o) {
  SLUICE_ASSIGN(const sim::Scenario s, scenario_of(o));
  SLUICE_ASSIGN(const sim::Load load,
                o.trace.empty() ? Result<sim::Load>(sim::make_load(s.load)) : load_of_trace(o, o.requests));
  SLUICE_ASSIGN(const auto policy, sim::make_policy(o.policy, {.seed = o.seed}));
  const auto start = std::chrono::steady_clock::now();
  SLUICE_ASSIGN(const sim::SimResult r, sim::simulate(s.cluster, load, *policy));
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const json result{{"policy", o.policy},
                    {"summary", sim::to_json(sim::summarize(r, s.cluster.prefills.size() + s.cluster.decodes.size()))},
                    {"profiles", sim::profile_shares(r, s.cluster.profiles)},
                    {"simulated_s", r.end_s},
                    {"events", r.events},
                    {"changes", r.changes},
                    {"profile_changes", r.tightened},
                    {"seed", o.seed},
                    {"wall_s", wall}};
  if (!o.out.empty()) SLUICE_TRY(write_run(o.out, result, r, s.cluster.profiles));
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

/// "h100" or "h100:2.5": hardware and the price of one node per hour.
Result<std::vector<sim::Offer>> offers_of(const SimulateOptions& o) {
  std::vector<sim::Offer> out;
  for (const std::string& text : o.hardware.empty() ? std::vector<std::string>{"h100"} : o.hardware) {
    const auto colon = text.rfind(':');
    SLUICE_ASSIGN(sim::Hardware h, sim::find_hardware(text.substr(0, colon)));
    double price = 1;
    if (colon != std::string::npos) {
      const char* end = text.data() + text.size();
      const auto r = std::from_chars(text.data() + colon + 1, end, price);
      if (r.ec != std::errc() || r.ptr != end || !(price > 0))
        return fail_param("hardware", "'{}' has no price above 0 after its colon", text);
    }
    out.push_back({std::move(h), price});
  }
  return out;
}

/// Goodput by split: a line for each pair of hardware and policy.
svg::Chart chart_of(const std::vector<sim::Found>& found, bool priced) {
  svg::Chart c{"Goodput within the objectives, by split",
               "prefill nodes",
               priced ? "requests/s per price" : "requests/s per node",
               {}};
  std::map<std::string, std::map<std::size_t, double>> lines;
  for (const sim::Found& f : found)
    lines[fmt::format("{} + {}, {}", f.prefill_hardware, f.decode_hardware, f.policy)][f.prefill] = f.goodput_per_price;
  for (const auto& [name, points] : lines) {
    svg::Line line{name, {}};
    for (const auto& [p, goodput] : points) line.points.emplace_back(p, goodput);
    c.lines.push_back(std::move(line));
  }
  return c;
}

/// TTFT and TPOT of each candidate at its own highest rate; the brighter the better its goodput.
svg::Chart frontier_of(const std::vector<sim::Found>& found) {
  svg::Chart c{"p99 at each candidate's highest rate", "TTFT, ms", "TPOT, ms", {}};
  for (const sim::Found& f : found) {
    if (f.rate <= 0) continue;
    const double share = f.goodput_per_price / std::max(found.front().goodput_per_price, 1e-12);
    c.dots.push_back({f.summary.ttft_p99_s * 1e3, f.summary.tpot_p99_s * 1e3, svg::heat(share),
                      &f - found.data() < 5 ? fmt::format("{}P{}D", f.prefill, f.decode) : std::string()});
  }
  c.notes = {{svg::heat(1), "best goodput"}, {svg::heat(0.5), "half of it"}, {svg::heat(0), "none"}};
  return c;
}

std::string search_text(const std::vector<sim::Found>& found, bool priced) {
  std::vector<std::string> headings{
      ">PREFILL",     ">DECODE", "HARDWARE",     "POLICY", ">RATE /s",   ">GOODPUT PER NODE /s",
      ">TTFT p50 ms", ">p99",    ">TPOT p50 ms", ">p99",   ">KV SAVED %"};
  if (priced) headings.emplace_back(">GOODPUT PER PRICE /s");
  Table t(headings);
  constexpr std::size_t kRows = 20;
  for (std::size_t i = 0; i < std::min(kRows, found.size()); ++i) {
    const sim::Found& f = found[i];
    const std::string other = f.prefill_hardware == f.decode_hardware ? "" : " + " + f.decode_hardware;
    const sim::Summary& y = f.summary;
    t.row({fmt::format("{}", f.prefill), fmt::format("{}", f.decode), f.prefill_hardware + other, f.policy,
           fmt::format("{:.3g}", f.rate), fmt::format("{:.3g}", f.goodput_per_node_s),
           fmt::format("{:.1f}", y.ttft_p50_s * 1e3), fmt::format("{:.1f}", y.ttft_p99_s * 1e3),
           fmt::format("{:.2f}", y.tpot_p50_s * 1e3), fmt::format("{:.2f}", y.tpot_p99_s * 1e3),
           fmt::format("{:.0f}", y.bytes_saved * 100), fmt::format("{:.3g}", f.goodput_per_price)});
  }
  return t.text() + (found.size() > kRows ? fmt::format("... and {} more\n", found.size() - kRows) : "");
}

/// Arrivals of the trace, or made up, at any rate.
Result<std::function<sim::Load(double, std::size_t)>> load_by_rate(const SimulateOptions& o,
                                                                   const sim::LoadSpec& spec) {
  if (o.trace.empty())
    return [spec](double rate, std::size_t requests) {
      sim::LoadSpec at = spec;
      at.rate = rate;
      at.requests = requests;
      return sim::make_load(at);
    };
  SLUICE_ASSIGN(const sim::Load once, load_of_trace(o, 0));
  const double mean = std::max(once.back().at_s, 1e-9) / static_cast<double>(once.size());
  return [once, mean](double rate, std::size_t requests) {
    sim::Load load;
    for (std::size_t i = 0; i < requests; ++i) {
      load.push_back(once[i % once.size()]);
      const std::size_t before = i / once.size() * once.size();  // requests of the rounds that are over
      load.back().at_s = (load.back().at_s + mean * static_cast<double>(before)) / (mean * rate);
    }
    return load;
  };
}

Result<int> run_search(const SimulateOptions& o) {
  SLUICE_ASSIGN(const sim::Scenario s, scenario_of(o));
  sim::SearchSpec spec{.base = s.cluster};
  SLUICE_ASSIGN(spec.offers, offers_of(o));
  if (o.profiles.empty()) {
    SLUICE_ASSIGN(spec.base.profiles, sim::find_profiles(spec.offers.front().hardware.profiles));
  }
  SLUICE_ASSIGN(spec.load, load_by_rate(o, s.load));
  spec.nodes = o.nodes;
  spec.budget = o.budget;
  spec.attainment = o.attainment;
  spec.policies.clear();
  for (std::size_t from = 0; from <= o.policy.size();) {
    const std::size_t comma = std::min(o.policy.find(',', from), o.policy.size());
    spec.policies.push_back(o.policy.substr(from, comma - from));
    from = comma + 1;
  }
  SLUICE_ASSIGN(const auto found, sim::search(spec, [](const std::string& what) { fmt::print(stderr, "{}\n", what); }));
  const bool priced = std::ranges::any_of(spec.offers, [](const sim::Offer& x) { return x.price != 1; });
  json result{{"nodes", o.nodes},
              {"budget", o.budget},
              {"attainment", o.attainment},
              {"slo_ttft_ms", s.cluster.slo.ttft_s * 1e3},
              {"slo_tpot_ms", s.cluster.slo.tpot_s * 1e3},
              {"found", json::array()}};
  for (const auto& f : found) result["found"].push_back(sim::to_json(f));
  if (!o.out.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(o.out, failed);
    SLUICE_TRY(sim::write_file(o.out + "/search.json", result.dump(2) + "\n"));
    SLUICE_TRY(sim::write_file(o.out + "/goodput_by_split.svg", svg::to_svg(chart_of(found, priced))));
    SLUICE_TRY(sim::write_file(o.out + "/frontier.svg", svg::to_svg(frontier_of(found))));
  }
  fmt::print("{}", o.json ? result.dump(2) + "\n" : search_text(found, priced));
  return 0;
}

}  // namespace

Result<int> simulate(const SimulateOptions& o) {
  if (!o.search && o.hardware.size() > 1)
    return fail_param("hardware",
                      "{} kinds of --hardware are for --search; all nodes have one, or --prefill-hardware and "
                      "--decode-hardware tell them apart",
                      o.hardware.size());
  if (o.search) return run_search(o);
  return o.experiment.empty() ? run_one(o) : run_registered(o);
}

}  // namespace sluice::ctl
