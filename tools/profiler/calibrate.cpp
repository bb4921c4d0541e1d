// Mean and scale of every KV channel, for profiles that are calibrated.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/profiler/commands.h"
#include "tools/quality/channels.h"

namespace sluice::profiler {
namespace {

/// Six digits: a calibration is no more exact than its sample, and the file stays small.
nlohmann::json rounded(const std::vector<double>& v) {
  nlohmann::json out = nlohmann::json::array();
  for (const double x : v) out.push_back(std::stod(fmt::format("{:.6g}", x)));
  return out;
}

/// Scales: deviation^power, so that they have a geometric mean of 1 in each head.
std::vector<double> scales(const std::vector<double>& deviation, std::size_t head_dim, double power) {
  std::vector<double> out(deviation.size());
  for (std::size_t h = 0; h < deviation.size(); h += head_dim) {
    double logs = 0;
    for (std::size_t i = h; i < h + head_dim; ++i) logs += std::log(deviation[i]) / static_cast<double>(head_dim);
    for (std::size_t i = h; i < h + head_dim; ++i) out[i] = std::exp(power * (std::log(deviation[i]) - logs));
  }
  return out;
}

}  // namespace

Result<int> calibrate(const CalibrateOptions& o) {
  SLUICE_ASSIGN(quality::Lab lab, quality::Lab::open(o.model, {.threads = o.threads}));
  SLUICE_ASSIGN(const auto text, quality::text_windows(lab, o.text, o.window));
  const std::uint32_t count =
      std::min({o.windows, static_cast<std::uint32_t>(text.size() / o.window), lab.rows_that_fit(o.window)});
  std::vector<quality::Row> rows;
  for (std::uint32_t w = 0; w < count; ++w) {
    rows.push_back(lab.row(w, o.window));
    SLUICE_TRY(lab.run(rows.back(), std::span(text).subspan(std::size_t{w} * o.window, o.window), {}));
    std::fprintf(stderr, "calibrate: window %u of %u\r%s", w + 1, count, w + 1 == count ? "\n" : "");
  }
  const auto m = quality::channel_moments(lab, rows, o.window);
  const auto& s = lab.shape();
  nlohmann::json j{{"format", "sluice-kv-calibration/1"},
                   {"model_hash", lab.model_hash()},
                   {"tokens", count * o.window},
                   {"layers", s.layers},
                   {"kv_heads", s.kv_heads},
                   {"head_dim", s.head_dim}};
  for (const std::size_t kind : {0U, 1U})
    j[kind == 0 ? "key" : "value"] = {
        {"shift", rounded(m.mean[kind])},
        {"scale", rounded(scales(m.deviation[kind], s.head_dim, kind == 0 ? o.scale_power : 0))}};
  const std::string out = o.out.empty() ? o.model + "/kv_calibration.json" : o.out;
  std::ofstream file(out, std::ios::binary);
  file << j.dump() << '\n';
  if (!file.flush()) return fail(Errc::internal, "cannot write {}", out);
  std::printf("%s: %u tokens, %u layers\n", out.c_str(), count * o.window, s.layers);
  return 0;
}

}  // namespace sluice::profiler
