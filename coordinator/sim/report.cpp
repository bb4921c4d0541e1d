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
  s.requests = r.requests.size();
  for (const Outcome& o : r.requests) {
    if (o.ttft_s < 0) {
      ++s.refused;
      continue;
    }
    ttft.push_back(o.ttft_s);
    e2e.push_back(o.e2e_s);
    if (o.tpot_s > 0) tpot.push_back(o.tpot_s);
    error.push_back(std::abs(o.ttft_s - o.predicted_ttft_s) / o.ttft_s);
    sum += o.ttft_s;
    met += o.met ? 1 : 0;
    raw += o.raw_bytes;
    wire += o.wire_bytes;
    s.probes += o.probe ? 1 : 0;
  }
  if (ttft.empty()) return s;
  const auto n = static_cast<double>(s.requests);
  s.ttft_mean_s = sum / static_cast<double>(ttft.size());
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
  s.probes /= n;
  return s;
}

nlohmann::json to_json(const Summary& s) {
  return {{"requests", s.requests},
          {"refused", s.refused},
          {"ttft_ms",
           {{"mean", s.ttft_mean_s * 1e3},
            {"p50", s.ttft_p50_s * 1e3},
            {"p90", s.ttft_p90_s * 1e3},
            {"p99", s.ttft_p99_s * 1e3}}},
          {"tpot_ms", {{"p50", s.tpot_p50_s * 1e3}, {"p99", s.tpot_p99_s * 1e3}}},
          {"e2e_ms", {{"p50", s.e2e_p50_s * 1e3}, {"p99", s.e2e_p99_s * 1e3}}},
          {"slo_attainment", s.attainment},
          {"goodput_per_s", s.goodput_per_s},
          {"goodput_per_node_s", s.goodput_per_node_s},
          {"kv_bytes_saved", s.bytes_saved},
          {"prediction_error_median", s.prediction_error},
          {"probe_share", s.probes}};
}

nlohmann::json profile_shares(const SimResult& r, const std::vector<ProfileSpec>& profiles) {
  std::vector<double> counts(profiles.size());
  double all = 0;
  for (const Outcome& o : r.requests)
    if (o.ttft_s >= 0) {
      ++counts[o.profile];
      ++all;
    }
  nlohmann::json out = nlohmann::json::object();
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

std::string to_svg(const Chart& c) {
  constexpr double kWidth = 720;
  constexpr double kHeight = 360;
  constexpr double kLeft = 70;
  constexpr double kRight = 190;
  constexpr double kTop = 36;
  constexpr double kBottom = 48;
  static const char* const kColours[] = {"#0b6", "#c33", "#36c", "#b80", "#839",
                                         "#077", "#777", "#d5a", "#490", "#024"};
  auto fits = [&](const std::pair<double, double>& p) {
    return std::isfinite(p.first) && std::isfinite(p.second) && (!c.log_x || p.first > 0) && (!c.log_y || p.second > 0);
  };
  auto u = [&](double x) { return c.log_x ? std::log10(x) : x; };
  auto v = [&](double y) { return c.log_y ? std::log10(y) : y; };
  double x0 = INFINITY;
  double x1 = -INFINITY;
  double y0 = c.log_y ? INFINITY : 0;
  double y1 = -INFINITY;
  for (const Line& l : c.lines)
    for (const auto& p : l.points) {
      if (!fits(p)) continue;
      x0 = std::min(x0, u(p.first));
      x1 = std::max(x1, u(p.first));
      y0 = std::min(y0, v(p.second));
      y1 = std::max(y1, v(p.second));
    }
  if (!(x1 > x0)) x1 = x0 + 1;
  if (!(y1 > y0)) y1 = y0 + 1;
  auto px = [&](double x) { return kLeft + (u(x) - x0) / (x1 - x0) * (kWidth - kLeft - kRight); };
  auto py = [&](double y) { return kHeight - kBottom - (v(y) - y0) / (y1 - y0) * (kHeight - kTop - kBottom); };
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{}\" y=\"20\" font-size=\"14\">{}</text>\n",
      kWidth, kHeight, kLeft, c.title);
  for (int i = 0; i <= 4; ++i) {
    const double fx = x0 + (x1 - x0) * i / 4;
    const double fy = y0 + (y1 - y0) * i / 4;
    const double x = kLeft + (kWidth - kLeft - kRight) * i / 4;
    const double y = kHeight - kBottom - (kHeight - kTop - kBottom) * i / 4;
    out += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{2:.1f}\" y2=\"{1:.1f}\" stroke=\"#ddd\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.3g}</text>"
        "<text x=\"{6:.1f}\" y=\"{7:.1f}\" text-anchor=\"middle\">{8:.3g}</text>\n",
        kLeft, y, kWidth - kRight, kLeft - 6, y + 4, c.log_y ? std::pow(10, fy) : fy, x, kHeight - kBottom + 16,
        c.log_x ? std::pow(10, fx) : fx);
  }
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text><text x=\"14\" y=\"{}\">{}</text>\n",
                     (kLeft + kWidth - kRight) / 2, kHeight - 10, c.x, kTop - 4, c.y);
  for (std::size_t i = 0; i < c.lines.size(); ++i) {
    const char* colour = kColours[i % std::size(kColours)];
    out += fmt::format("<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\" points=\"", colour);
    for (const auto& p : c.lines[i].points)
      if (fits(p)) out += fmt::format("{:.1f},{:.1f} ", px(p.first), py(p.second));
    const double y = kTop + 16.0 * static_cast<double>(i);
    out += fmt::format("\"/>\n<text x=\"{}\" y=\"{:.1f}\" fill=\"{}\">{}</text>\n", kWidth - kRight + 10, y, colour,
                       c.lines[i].name);
  }
  return out + "</svg>\n";
}

Result<> write_file(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) return fail(Errc::unavailable, "cannot write {}", path);
  return {};
}

}  // namespace sluice::sim
