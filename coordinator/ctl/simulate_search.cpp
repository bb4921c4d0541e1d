#include "coordinator/ctl/simulate_search.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <map>

#include "coordinator/ctl/table.h"
#include "coordinator/sim/search.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

/// What was found for one pair of objectives, best first.
struct Objective {
  double ttft_s = 0, tpot_s = 0;
  std::vector<sim::Found> found;
  [[nodiscard]] std::string name() const { return fmt::format("TTFT {:g} TPOT {:g} ms", ttft_s * 1e3, tpot_s * 1e3); }
};

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

/// Goodput by split: a line for each pair of hardware, policy and, where there are several, objectives.
svg::Chart chart_of(const std::vector<Objective>& all, bool priced) {
  svg::Chart c{"Goodput within the objectives, by split",
               "prefill nodes",
               priced ? "requests/s per price" : "requests/s per node",
               {}};
  std::map<std::string, std::map<std::size_t, double>> lines;
  for (const Objective& o : all)
    for (const sim::Found& f : o.found) {
      const std::string line = fmt::format("{} + {}, {}", f.prefill_hardware, f.decode_hardware, f.policy);
      lines[all.size() > 1 ? line + ", " + o.name() : line][f.prefill] = f.goodput_per_price;
    }
  for (const auto& [name, points] : lines) {
    svg::Line line{name, {}};
    for (const auto& [p, goodput] : points) line.points.emplace_back(p, goodput);
    c.lines.push_back(std::move(line));
  }
  return c;
}

/// TTFT and TPOT of each candidate at its own highest rate; the brighter the better its goodput.
svg::Chart frontier_of(const std::vector<Objective>& all) {
  svg::Chart c{"p99 at each candidate's highest rate", "TTFT, ms", "TPOT, ms", {}};
  constexpr std::size_t kNamed = 5;
  double most = 1e-12;
  for (const Objective& o : all) most = std::max(most, o.found.front().goodput_per_price);
  for (const Objective& o : all)
    for (const sim::Found& f : o.found) {
      if (f.rate <= 0) continue;
      const bool named = static_cast<std::size_t>(&f - o.found.data()) * all.size() < kNamed;
      c.dots.push_back({f.summary.ttft_p99_s * 1e3, f.summary.tpot_p99_s * 1e3, svg::heat(f.goodput_per_price / most),
                        named ? fmt::format("{}P{}D", f.prefill, f.decode) : std::string()});
    }
  c.notes = {{svg::heat(1), "best goodput"}, {svg::heat(0.5), "half of it"}, {svg::heat(0), "none"}};
  return c;
}

/// The best of each pair of objectives, so many rows in all.
std::string search_text(const std::vector<Objective>& all, bool priced) {
  constexpr std::size_t kRows = 20;
  const bool several = all.size() > 1;
  std::vector<std::string> headings{
      ">PREFILL",     ">DECODE", "HARDWARE",     "POLICY", ">RATE /s",   ">GOODPUT PER NODE /s",
      ">TTFT p50 ms", ">p99",    ">TPOT p50 ms", ">p99",   ">KV SAVED %"};
  if (several) headings.insert(headings.begin(), "OBJECTIVES");
  if (priced) headings.emplace_back(">GOODPUT PER PRICE /s");
  Table t(headings);
  const std::size_t each = several ? std::max<std::size_t>(3, kRows / all.size()) : kRows;
  std::size_t left_out = 0;
  for (const Objective& o : all) {
    left_out += o.found.size() - std::min(each, o.found.size());
    for (std::size_t i = 0; i < std::min(each, o.found.size()); ++i) {
      const sim::Found& f = o.found[i];
      const std::string other = f.prefill_hardware == f.decode_hardware ? "" : " + " + f.decode_hardware;
      const sim::Summary& y = f.summary;
      std::vector<std::string> row{fmt::format("{}", f.prefill),
                                   fmt::format("{}", f.decode),
                                   f.prefill_hardware + other,
                                   f.policy,
                                   fmt::format("{:.3g}", f.rate),
                                   fmt::format("{:.3g}", f.goodput_per_node_s),
                                   fmt::format("{:.1f}", y.ttft_p50_s * 1e3),
                                   fmt::format("{:.1f}", y.ttft_p99_s * 1e3),
                                   fmt::format("{:.2f}", y.tpot_p50_s * 1e3),
                                   fmt::format("{:.2f}", y.tpot_p99_s * 1e3),
                                   fmt::format("{:.0f}", y.bytes_saved * 100),
                                   fmt::format("{:.3g}", f.goodput_per_price)};
      if (several) row.insert(row.begin(), o.name());
      t.row(std::move(row));
    }
  }
  return t.text() + (left_out > 0 ? fmt::format("... and {} more\n", left_out) : "");
}

json to_json(const SimulateOptions& o, std::size_t most_nodes, const std::vector<Objective>& all) {
  json out{{"nodes", most_nodes},
           {"budget", o.budget},
           {"attainment", o.attainment},
           {"objectives", json::array()},
           {"found", json::array()}};
  for (const Objective& x : all) {
    const json slo{{"slo_ttft_ms", x.ttft_s * 1e3}, {"slo_tpot_ms", x.tpot_s * 1e3}};
    out["objectives"].push_back(slo);
    for (const sim::Found& f : x.found) {
      json j = sim::to_json(f);
      j.update(slo);
      out["found"].push_back(std::move(j));
    }
  }
  return out;
}

Result<> write_search(const std::string& dir, const json& result, const std::vector<Objective>& all, bool priced) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  SLUICE_TRY(sim::write_file(dir + "/search.json", result.dump(2) + "\n"));
  SLUICE_TRY(sim::write_file(dir + "/goodput_by_split.svg", svg::to_svg(chart_of(all, priced))));
  return sim::write_file(dir + "/frontier.svg", svg::to_svg(frontier_of(all)));
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
  SLUICE_ASSIGN(const sim::Load once, load_of_trace(o, spec, 0));
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

Result<std::vector<std::string>> policies_of(const SimulateOptions& o) {
  std::vector<std::string> out;
  for (std::size_t from = 0; from <= o.policy.size();) {
    const std::size_t comma = std::min(o.policy.find(',', from), o.policy.size());
    out.push_back(o.policy.substr(from, comma - from));
    SLUICE_TRY(sim::make_policy(out.back(), {}));
    from = comma + 1;
  }
  return out;
}

/// One search for every pair of a TTFT and a TPOT objective; without any, for the scenario's own.
Result<std::vector<Objective>> search_all(const SimulateOptions& o, sim::SearchSpec& spec) {
  std::vector<double> ttfts = o.slo_ttft_ms;
  std::vector<double> tpots = o.slo_tpot_ms;
  if (ttfts.empty()) ttfts.push_back(spec.base.slo.ttft_s * 1e3);
  if (tpots.empty()) tpots.push_back(spec.base.slo.tpot_s * 1e3);
  std::vector<Objective> all;
  for (const double ttft_ms : ttfts)
    for (const double tpot_ms : tpots) {
      Objective x{ttft_ms * 1e-3, tpot_ms * 1e-3, {}};
      spec.base.slo.ttft_s = x.ttft_s;
      spec.base.slo.tpot_s = x.tpot_s;
      if (ttfts.size() * tpots.size() > 1) fmt::print(stderr, "objectives: {}\n", x.name());
      SLUICE_ASSIGN(x.found, sim::search(spec, [](const std::string& what) { fmt::print(stderr, "{}\n", what); }));
      all.push_back(std::move(x));
    }
  return all;
}

}  // namespace

Result<int> run_search(const SimulateOptions& o) {
  SLUICE_ASSIGN(const sim::Scenario s, scenario_of(o));
  sim::SearchSpec spec{.base = s.cluster};
  SLUICE_ASSIGN(spec.offers, offers_of(o));
  if (o.profiles.empty()) {
    SLUICE_ASSIGN(spec.base.profiles, sim::find_profiles(spec.offers.front().hardware.profiles));
  }
  SLUICE_ASSIGN(spec.load, load_by_rate(o, s.load));
  SLUICE_ASSIGN(spec.policies, policies_of(o));
  spec.nodes = o.nodes;
  spec.budget = o.budget;
  spec.attainment = o.attainment;
  SLUICE_ASSIGN(const std::vector<Objective> all, search_all(o, spec));
  const bool priced = std::ranges::any_of(spec.offers, [](const sim::Offer& x) { return x.price != 1; });
  const json result = to_json(o, sim::most_nodes(spec), all);
  if (!o.out.empty()) SLUICE_TRY(write_search(o.out, result, all, priced));
  fmt::print("{}", o.json ? result.dump(2) + "\n" : search_text(all, priced));
  return 0;
}

}  // namespace sluice::ctl
