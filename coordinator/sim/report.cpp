#include "coordinator/sim/report.h"

#include <algorithm>
#include <cmath>
#include <fstream>

namespace sluice::sim {
namespace {

double quantile(std::vector<double>& v, double share) {
  if (v.empty()) return 0;
  const auto i = static_cast<std::ptrdiff_t>(share * static_cast<double>(v.size() - 1));
  std::nth_element(v.begin(), v.begin() + i, v.end());
  return v[static_cast<std::size_t>(i)];
}

}  // namespace

Summary summarize(const SimResult& r, std::size_t nodes) {
  Summary s;
  std::vector<double> ttft;
  std::vector<double> tpot;
  std::vector<double> e2e;
  std::vector<double> error;
  double met = 0;
  double raw = 0;
  double wire = 0;
  double sum = 0;
  double prompts = 0;
  s.requests = r.requests.size();
  for (const Outcome& o : r.requests) {
    if (o.ttft_s < 0) {
      ++s.refused;
      s.rejected += o.rejected ? 1 : 0;
      continue;
    }
    ttft.push_back(o.ttft_s);
    e2e.push_back(o.e2e_s);
    s.e2e_mean_s += o.e2e_s;
    if (o.tpot_s > 0) tpot.push_back(o.tpot_s);
    error.push_back(std::abs(o.ttft_s - o.predicted_ttft_s) / o.ttft_s);
    sum += o.ttft_s;
    met += o.met ? 1 : 0;
    raw += o.raw_bytes;
    wire += o.wire_bytes;
    s.explored += o.explored ? 1 : 0;
    s.local += o.local ? 1 : 0;
    s.cut += !o.local && o.cut_off > 0 ? 1 : 0;
    s.kl_mean += o.kl;
    s.had += o.had;
    s.oracle_had += o.oracle_had;
    prompts += o.prompt;
  }
  if (ttft.empty()) return s;
  const auto n = static_cast<double>(s.requests);
  s.ttft_mean_s = sum / static_cast<double>(ttft.size());
  s.e2e_mean_s /= static_cast<double>(ttft.size());
  s.ttft_p50_s = quantile(ttft, 0.5);
  s.ttft_p90_s = quantile(ttft, 0.9);
  s.ttft_p99_s = quantile(ttft, 0.99);
  s.tpot_p50_s = quantile(tpot, 0.5);
  s.tpot_p99_s = quantile(tpot, 0.99);
  s.e2e_p50_s = quantile(e2e, 0.5);
  s.e2e_p99_s = quantile(e2e, 0.99);
  s.attainment = met / n;
  s.goodput_per_s = r.end_s > 0 ? met / r.end_s : 0;
  s.goodput_per_node_s = s.goodput_per_s / static_cast<double>(std::max<std::size_t>(nodes, 1));
  s.bytes_saved = raw > 0 ? 1 - wire / raw : 0;
  s.prediction_error = quantile(error, 0.5);
  s.explored /= n;
  s.local /= n;
  s.cut /= n;
  s.kl_mean /= static_cast<double>(ttft.size());
  s.had /= std::max(prompts, 1.0);
  s.oracle_had /= std::max(prompts, 1.0);
  return s;
}

nlohmann::json to_json(const Summary& s) {
  return {{"requests", s.requests},
          {"refused", s.refused},
          {"rejected", s.rejected},
          {"ttft_ms",
           {{"mean", s.ttft_mean_s * 1e3},
            {"p50", s.ttft_p50_s * 1e3},
            {"p90", s.ttft_p90_s * 1e3},
            {"p99", s.ttft_p99_s * 1e3}}},
          {"tpot_ms", {{"p50", s.tpot_p50_s * 1e3}, {"p99", s.tpot_p99_s * 1e3}}},
          {"e2e_ms", {{"mean", s.e2e_mean_s * 1e3}, {"p50", s.e2e_p50_s * 1e3}, {"p99", s.e2e_p99_s * 1e3}}},
          {"slo_attainment", s.attainment},
          {"goodput_per_s", s.goodput_per_s},
          {"goodput_per_node_s", s.goodput_per_node_s},
          {"kv_bytes_saved", s.bytes_saved},
          {"kl_mean", s.kl_mean},
          {"prediction_error_median", s.prediction_error},
          {"explore_share", s.explored},
          {"local_share", s.local},
          {"cut_share", s.cut},
          {"cached_share", s.had},
          {"cached_share_oracle", s.oracle_had}};
}

nlohmann::json profile_shares(const SimResult& r, const std::vector<ProfileSpec>& profiles) {
  std::vector<double> counts(profiles.size());
  double all = 0;
  double local = 0;
  for (const Outcome& o : r.requests)
    if (o.ttft_s >= 0) {
      ++(o.local ? local : counts[o.profile]);
      ++all;
    }
  nlohmann::json out = nlohmann::json::object();
  if (local > 0) out["none"] = local / all;
  for (std::size_t f = 0; f < profiles.size(); ++f)
    if (counts[f] > 0) out[profiles[f].name] = counts[f] / all;
  return out;
}

std::vector<double> by_interval(const SimResult& r, double width_s, double refused_s) {
  std::vector<double> sum;
  std::vector<double> count;
  for (const Outcome& o : r.requests) {
    const auto i = static_cast<std::size_t>(o.at_s / width_s);
    if (i >= sum.size()) {
      sum.resize(i + 1);
      count.resize(i + 1);
    }
    sum[i] += o.ttft_s < 0 ? refused_s : o.ttft_s;
    ++count[i];
  }
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = count[i] > 0 ? sum[i] / count[i] : NAN;
  return sum;
}

double regret(const std::vector<double>& own, const std::vector<std::vector<double>>& others) {
  double own_sum = 0;
  double best_sum = 0;
  for (std::size_t i = 0; i < own.size(); ++i) {
    double best = INFINITY;
    for (const auto& o : others)
      if (i < o.size() && o[i] < best) best = o[i];
    if (!std::isfinite(own[i]) || !std::isfinite(best)) continue;
    own_sum += own[i];
    best_sum += best;
  }
  return best_sum > 0 ? own_sum / best_sum - 1 : 0;
}

Result<> write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) return fail(Errc::unavailable, "cannot write {}", path);
  return {};
}

}  // namespace sluice::sim
