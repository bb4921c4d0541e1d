#include "coordinator/ctl/load/stats.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace sluice::ctl::load {
namespace {

constexpr std::size_t kSlices = 60;
constexpr double kLeastSlice = 0.25;  // s

bool within(const std::optional<double>& limit, const std::optional<double>& value) {
  return !limit || !value || *value <= *limit;
}

Latencies latencies_of(std::vector<double> values) {
  Latencies l;
  l.sorted = std::move(values);
  std::ranges::sort(l.sorted);
  if (!l.sorted.empty())
    l.mean = std::accumulate(l.sorted.begin(), l.sorted.end(), 0.0) / static_cast<double>(l.sorted.size());
  return l;
}

/// Spreads an answer's tokens over the slices in which its pieces came.
void add_tokens(std::vector<Slice>& slices, double width, const RequestResult& r) {
  const auto pieces = static_cast<double>(r.itl_ms.size() + 1);
  double at = r.start_s + r.ttft_ms / 1000;
  const auto add = [&] {
    const auto i = std::min(static_cast<std::size_t>(std::max(0.0, at / width)), slices.size() - 1);
    slices[i].output_tokens += static_cast<double>(r.output_tokens) / pieces;
  };
  add();
  for (const float gap : r.itl_ms) {
    at += gap / 1000;
    add();
  }
}

std::vector<Slice> slices_of(const std::vector<RequestResult>& results, double duration_s) {
  if (!(duration_s > 0)) return {};
  const double width = std::max(kLeastSlice, duration_s / kSlices);
  std::vector<Slice> slices(static_cast<std::size_t>(std::ceil(duration_s / width)));
  std::vector<std::vector<double>> ttft(slices.size()), tpot(slices.size());
  for (const auto& r : results) {
    if (!r.error.empty()) continue;
    const auto i = std::min(static_cast<std::size_t>(std::max(0.0, r.start_s / width)), slices.size() - 1);
    ++slices[i].started;
    ttft[i].push_back(r.ttft_ms);
    if (const auto t = r.tpot_ms()) tpot[i].push_back(*t);
    add_tokens(slices, width, r);
  }
  for (std::size_t i = 0; i < slices.size(); ++i) {
    Slice& s = slices[i];
    s.from_s = width * static_cast<double>(i);
    s.to_s = std::min(duration_s, s.from_s + width);
    s.ttft_p50_ms = percentile(ttft[i], 50);
    s.ttft_p95_ms = percentile(ttft[i], 95);
    s.tpot_p50_ms = percentile(tpot[i], 50);
    s.tpot_p95_ms = percentile(tpot[i], 95);
  }
  return slices;
}

void add_explained(KvSummary& kv, const Explained& e) {
  ++kv.requests;
  if (!e.profile.empty()) ++kv.profiles[e.profile];
  kv.raw_bytes += e.kv_raw_bytes;
  kv.wire_bytes += e.kv_wire_bytes;
  if (e.ttft_ms && e.predicted_ttft_ms && *e.ttft_ms > 0)
    kv.prediction_errors.push_back(std::abs(*e.predicted_ttft_ms - *e.ttft_ms) / *e.ttft_ms);
}

}  // namespace

std::optional<double> RequestResult::tpot_ms() const {
  if (output_tokens < 2) return std::nullopt;
  return (e2el_ms - ttft_ms) / static_cast<double>(output_tokens - 1);
}

bool Goodput::met_by(const RequestResult& r) const {
  return r.error.empty() && within(ttft, r.ttft_ms) && within(tpot, r.tpot_ms()) && within(e2el, r.e2el_ms);
}

Result<Goodput> parse_goodput(const std::vector<std::string>& settings) {
  Goodput g;
  for (const auto& s : settings) {
    const auto colon = s.find(':');
    const std::string key = s.substr(0, colon);
    auto* slot = key == "ttft" ? &g.ttft : key == "tpot" ? &g.tpot : key == "e2el" ? &g.e2el : nullptr;
    double ms = 0;
    const char* begin = s.data() + (colon == std::string::npos ? s.size() : colon + 1);
    const auto r = std::from_chars(begin, s.data() + s.size(), ms);
    if (slot == nullptr || r.ec != std::errc() || r.ptr != s.data() + s.size() || !std::isfinite(ms) || ms <= 0)
      return fail_param("goodput", "'{}' is no objective; write ttft:MS, tpot:MS or e2el:MS", s);
    *slot = ms;
  }
  return g;
}

double percentile_of_sorted(const std::vector<double>& sorted, double p) {
  if (sorted.empty()) return 0;
  const double at = std::clamp(p, 0.0, 100.0) / 100 * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, sorted.size() - 1);
  return std::lerp(sorted[low], sorted[high], at - static_cast<double>(low));
}

double percentile(std::vector<double> values, double p) {
  std::ranges::sort(values);
  return percentile_of_sorted(values, p);
}

std::optional<double> LoadSummary::request_goodput() const {
  return goal.any() ? std::optional(per_second(static_cast<double>(good))) : std::nullopt;
}

std::optional<double> LoadSummary::attainment() const {
  if (!goal.any() || completed + failed == 0) return std::nullopt;
  return static_cast<double>(good) / static_cast<double>(completed + failed);
}

double LoadSummary::cpu_us_per_token() const {
  return output_tokens > 0 ? client.cpu_s * 1e6 / static_cast<double>(output_tokens) : 0;
}

LoadSummary summarize(const std::vector<RequestResult>& results, double duration_s, const Goodput& goal) {
  LoadSummary s;
  s.duration_s = duration_s;
  s.goal = goal;
  std::vector<double> ttft, tpot, itl, e2el;
  for (const auto& r : results) {
    s.clipped += r.clipped ? 1U : 0U;
    if (!r.error.empty()) {
      if (s.failed++ == 0) s.first_error = r.error;
      ++s.errors[r.error_kind.empty() ? "other" : r.error_kind];
      continue;
    }
    ++s.completed;
    s.input_tokens += r.input_tokens;
    s.output_tokens += r.output_tokens;
    s.without_usage += r.usage ? 0U : 1U;
    ttft.push_back(r.ttft_ms);
    e2el.push_back(r.e2el_ms);
    if (const auto t = r.tpot_ms()) tpot.push_back(*t);
    itl.insert(itl.end(), r.itl_ms.begin(), r.itl_ms.end());
    s.good += goal.met_by(r) ? 1U : 0U;
    if (r.explained) add_explained(s.kv, *r.explained);
  }
  s.ttft = latencies_of(std::move(ttft));
  s.tpot = latencies_of(std::move(tpot));
  s.itl = latencies_of(std::move(itl));
  s.e2el = latencies_of(std::move(e2el));
  std::ranges::sort(s.kv.prediction_errors);
  s.slices = slices_of(results, duration_s);
  return s;
}

}  // namespace sluice::ctl::load
