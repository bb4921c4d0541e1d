#include "tools/profiler/library.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "common/svg/chart.h"

namespace sluice::profiler {
namespace {

using nlohmann::json;

/// As many digits as the measurement is worth; never below what was measured.
double rounded_up(double v, int digits) {
  if (v <= 0) return 0;
  const double unit = std::pow(10.0, std::floor(std::log10(v)) - digits + 1);
  return std::stod(fmt::format("{:.{}g}", std::ceil(v / unit - 1e-9) * unit, digits));
}
double rounded(double v, int digits = 4) { return std::stod(fmt::format("{:.{}g}", v, digits)); }

json measured(const Entry& e) {
  json j{{"ratio", rounded(e.cheap.ratio)},
         {"encode_bytes_per_s", rounded(e.cheap.encode_bytes_per_s)},
         {"decode_bytes_per_s", rounded(e.cheap.decode_bytes_per_s)},
         {"kl_mean", rounded(e.score.kl_mean)},
         {"kl_error", rounded(e.score.kl_error)},
         {"kl_p99", rounded(e.score.kl_p99)},
         {"kl_first", rounded(e.score.kl_first)},
         {"kl_first_error", rounded(e.score.kl_first_error)},
         {"top1", rounded(e.score.top1)},
         {"top1_95", {rounded(e.score.top1_95.low), rounded(e.score.top1_95.high)}},
         {"perplexity_change", rounded(e.score.perplexity_change)}};
  if (e.recall) {
    j["recall"] = rounded(e.recall->share);
    j["recall_unchanged"] = rounded(e.recall_unchanged->share);
  }
  for (const Rig::Speed& s : e.speeds)
    j["speeds"].push_back({{"backend", s.backend},
                           {"segment_tokens", s.tokens},
                           {"encode_bytes_per_s", rounded(s.encode_bytes_per_s)},
                           {"decode_bytes_per_s", rounded(s.decode_bytes_per_s)}});
  return j;
}

}  // namespace

double stated_kl(const quality::Score& s) {
  // A lossy profile must not state 0, even if nothing was seen.
  const double all = s.kl_mean + 2 * s.kl_error;
  const double first = s.kl_first + 2 * s.kl_first_error;
  return std::max(rounded_up(std::max(all, first), 2), 1e-7);
}

json library_json(const Space& s, std::span<const Entry> entries, const LibraryContext& c) {
  json profiles{{{"name", "raw"}, {"codec", "raw"}, {"nominal_ratio", 1.0}},
                {{"name", "ll"}, {"codec", "ll"}, {"nominal_ratio", 1.4}}};
  std::vector<const Entry*> order;
  for (const Entry& e : entries) order.push_back(&e);
  std::ranges::stable_sort(order, {}, [](const Entry* e) { return e->cheap.ratio; });
  for (const Entry* e : order) {
    const Candidate& candidate = s.candidates[e->candidate];
    kv::ProfileSpec p = s.profile(candidate);
    p.nominal_ratio = std::clamp(rounded(e->cheap.ratio, 3), 0.5, 64.0);
    p.stated_kl = s.lossless(s.lossy[candidate.lossy]) ? 0 : stated_kl(e->score);
    json j = to_json(p);
    j["measured"] = measured(*e);
    profiles.push_back(std::move(j));
  }
  return {{"format", "sluice-profile-library"},
          {"version", 1},
          {"model_hash", c.measured_on.value("model_hash", "")},
          {"quality_kl", c.budget},
          {"measured_on", c.measured_on},
          {"search", c.search},
          {"profiles", std::move(profiles)}};
}

std::string front_svg(std::span<const Entry> entries, double budget) {
  svg::Chart chart{.title = "Pareto set: quality against ratio, coloured by speed",
                   .x = "raw bytes / wire bytes",
                   .y = "mean KL, nats per token",
                   .log_y = true};
  double slow = HUGE_VAL, fast = 0;
  for (const Entry& e : entries) slow = std::min(slow, e.cheap.speed()), fast = std::max(fast, e.cheap.speed());
  for (const Entry& e : entries) {
    const double share = fast > slow ? std::log(e.cheap.speed() / slow) / std::log(fast / slow) : 0;
    chart.dots.push_back({e.cheap.ratio, e.score.kl_mean, svg::heat(share), ""});
  }
  if (!entries.empty()) {
    const auto [low, high] = std::ranges::minmax(entries, {}, [](const Entry& e) { return e.cheap.ratio; });
    chart.lines.push_back(
        {fmt::format("budget {:.3g}", budget), {{low.cheap.ratio, budget}, {high.cheap.ratio, budget}}});
    for (int i = 0; i <= 4; ++i)
      chart.notes.push_back(
          {svg::heat(i / 4.0), fmt::format("{:.2f} GB/s a core", slow * std::pow(fast / slow, i / 4.0) / 1e9)});
  }
  return svg::to_svg(chart);
}

Result<> write_file(const std::string& path, const std::string& text) {
  const std::string beside = path + ".new";
  std::ofstream out(beside, std::ios::binary);
  out << text;
  out.close();
  if (!out || std::rename(beside.c_str(), path.c_str()) != 0) return fail(Errc::unavailable, "cannot write {}", path);
  return {};
}

}  // namespace sluice::profiler
