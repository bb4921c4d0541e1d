#include "coordinator/ctl/simulate_memory.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "coordinator/ctl/table.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

std::string memory_text(const json& runs) {
  Table t({"MEMORY", ">SEQUENCES AT A TIME", ">SLO MET %", ">GOODPUT /s", ">TTFT p50 ms", ">p99", ">TPOT p50 ms",
           ">p99", ">REFUSED", ">PREEMPTIONS PER REQUEST", ">STALL p99 ms"});
  for (const json& r : runs) {
    const json& s = r["summary"];
    const json& m = r["memory_figures"];
    t.row({r["memory"].get<std::string>(), fmt::format("{:.1f}", m["concurrency"].get<double>()),
           fmt::format("{:.1f}", s["slo_attainment"].get<double>() * 100),
           fmt::format("{:.2f}", s["goodput_per_s"].get<double>()),
           fmt::format("{:.0f}", s["ttft_ms"]["p50"].get<double>()),
           fmt::format("{:.0f}", s["ttft_ms"]["p99"].get<double>()),
           fmt::format("{:.1f}", s["tpot_ms"]["p50"].get<double>()),
           fmt::format("{:.1f}", s["tpot_ms"]["p99"].get<double>()), fmt::format("{}", s["refused"].get<std::size_t>()),
           fmt::format("{:.4f}", m["preemptions_per_request"].get<double>()),
           fmt::format("{:.0f}", m["stall_ms"]["p99"].get<double>())});
  }
  return t.text();
}

}  // namespace

json memory_figures(const sim::SimResult& r) {
  std::vector<float> stalls;  // of those that were preempted
  std::uint64_t preemptions = 0;
  for (const sim::Outcome& o : r.requests) {
    preemptions += o.preemptions;
    if (o.preemptions > 0) stalls.push_back(o.stalled_s);
  }
  std::ranges::sort(stalls);
  const auto at = [&](double share) {
    return stalls.empty() ? 0.0
                          : stalls[static_cast<std::size_t>(share * static_cast<double>(stalls.size() - 1))] * 1e3;
  };
  const auto n = static_cast<double>(std::max<std::size_t>(r.requests.size(), 1));
  return {{"concurrency", r.concurrency},
          {"preemptions", preemptions},
          {"preemptions_per_request", static_cast<double>(preemptions) / n},
          {"preempted_requests", stalls.size()},
          {"by_way", {{"swap", r.swaps}, {"recompute", r.recomputes}}},
          {"stall_ms", {{"p50", at(0.5)}, {"p99", at(0.99)}, {"most", at(1)}}}};
}

Result<int> compare_memory(const SimulateOptions& o) {
  json runs = json::array();
  for (const std::string& way : o.memory) {
    SimulateOptions one = o;
    one.memory = {way};
    SLUICE_ASSIGN(const sim::Scenario s, scenario_of(one));
    SLUICE_ASSIGN(const sim::Load load, load_of(one, s.load));
    SLUICE_ASSIGN(const auto policy, sim::make_policy(o.policy, {.seed = o.seed}));
    SLUICE_ASSIGN(const sim::SimResult r, sim::simulate(s.cluster, load, *policy));
    const std::size_t nodes = s.cluster.prefills.size() + s.cluster.decodes.size();
    runs.push_back({{"memory", way},
                    {"summary", sim::to_json(sim::summarize(r, nodes))},
                    {"memory_figures", memory_figures(r)},
                    {"simulated_s", r.end_s},
                    {"events", r.events},
                    {"moves", r.moves}});
  }
  fmt::print("{}", o.json ? json{{"seed", o.seed}, {"runs", runs}}.dump(2) + "\n" : memory_text(runs));
  return 0;
}

}  // namespace sluice::ctl
