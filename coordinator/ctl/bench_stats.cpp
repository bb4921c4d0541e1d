#include "coordinator/ctl/bench_stats.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace sluice::ctl {
namespace {

struct Latency {
  const char* name;
  const char* title;
  const std::vector<double> BenchSummary::* values;
};
constexpr Latency kLatencies[] = {{"ttft", "Time to First Token", &BenchSummary::ttft_ms},
                                  {"tpot", "Time per Output Token (excl. 1st token)", &BenchSummary::tpot_ms},
                                  {"itl", "Inter-token Latency", &BenchSummary::itl_ms},
                                  {"e2el", "End-to-end Latency", &BenchSummary::e2el_ms}};

double mean(const std::vector<double>& v) {
  return v.empty() ? 0 : std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

double per_second(double count, double seconds) { return seconds > 0 ? count / seconds : 0; }

std::string line(std::string_view label, const std::string& value) {
  return fmt::format("{:<40}{:>10}\n", label, value);
}
std::string line(std::string_view label, double value) { return line(label, fmt::format("{:.2f}", value)); }
std::string line(std::string_view label, std::uint64_t value) { return line(label, std::to_string(value)); }

bool within(const std::optional<double>& limit, const std::optional<double>& value) {
  return !limit || !value || *value <= *limit;
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

double percentile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const double at = std::clamp(p, 0.0, 100.0) / 100 * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return std::lerp(values[low], values[high], at - static_cast<double>(low));
}

BenchSummary summarize(const std::vector<RequestResult>& results, double duration_s, const Goodput& goal) {
  BenchSummary s;
  s.duration_s = duration_s;
  std::size_t good = 0;
  for (const auto& r : results) {
    if (!r.error.empty()) {
      if (s.failed++ == 0) s.first_error = r.error;
      continue;
    }
    ++s.completed;
    s.input_tokens += r.input_tokens;
    s.output_tokens += r.output_tokens;
    s.ttft_ms.push_back(r.ttft_ms);
    s.e2el_ms.push_back(r.e2el_ms);
    if (const auto tpot = r.tpot_ms()) s.tpot_ms.push_back(*tpot);
    s.itl_ms.insert(s.itl_ms.end(), r.itl_ms.begin(), r.itl_ms.end());
    good += goal.met_by(r) ? 1U : 0U;
  }
  if (goal.any()) s.request_goodput = per_second(static_cast<double>(good), duration_s);
  return s;
}

nlohmann::json bench_json(const BenchSummary& s) {
  nlohmann::json j{
      {"completed", s.completed},
      {"failed", s.failed},
      {"clipped", s.clipped},
      {"duration", s.duration_s},
      {"latest_start_ms", s.latest_start_ms},
      {"total_input_tokens", s.input_tokens},
      {"total_output_tokens", s.output_tokens},
      {"request_throughput", per_second(static_cast<double>(s.completed), s.duration_s)},
      {"output_throughput", per_second(static_cast<double>(s.output_tokens), s.duration_s)},
      {"total_token_throughput", per_second(static_cast<double>(s.input_tokens + s.output_tokens), s.duration_s)},
      {"request_goodput", s.request_goodput ? nlohmann::json(*s.request_goodput) : nlohmann::json(nullptr)}};
  if (!s.first_error.empty()) j["first_error"] = s.first_error;
  for (const auto& l : kLatencies) {
    const auto& v = s.*l.values;
    j[fmt::format("mean_{}_ms", l.name)] = mean(v);
    j[fmt::format("median_{}_ms", l.name)] = percentile(v, 50);
    j[fmt::format("p99_{}_ms", l.name)] = percentile(v, 99);
  }
  return j;
}

std::string bench_text(const BenchSummary& s) {
  std::string out = fmt::format("{:=^50}\n", " Serving Benchmark Result ");
  out += line("Successful requests:", s.completed);
  out += line("Failed requests:", s.failed);
  if (s.clipped > 0) out += line("Clipped to the context:", s.clipped);
  out += line("Benchmark duration (s):", s.duration_s);
  out += line("Total input tokens:", s.input_tokens);
  out += line("Total generated tokens:", s.output_tokens);
  out += line("Request throughput (req/s):", per_second(static_cast<double>(s.completed), s.duration_s));
  if (s.request_goodput) out += line("Request goodput (req/s):", *s.request_goodput);
  out += line("Output token throughput (tok/s):", per_second(static_cast<double>(s.output_tokens), s.duration_s));
  out += line("Total token throughput (tok/s):",
              per_second(static_cast<double>(s.input_tokens + s.output_tokens), s.duration_s));
  for (const auto& l : kLatencies) {
    std::string upper(l.name);
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const auto& v = s.*l.values;
    out += fmt::format("{:-^50}\n", l.title);
    out += line(fmt::format("Mean {} (ms):", upper), mean(v));
    out += line(fmt::format("Median {} (ms):", upper), percentile(v, 50));
    out += line(fmt::format("P99 {} (ms):", upper), percentile(v, 99));
  }
  out += std::string(50, '=') + '\n';
  if (!s.first_error.empty()) out += "first error: " + s.first_error + '\n';
  return out;
}

}  // namespace sluice::ctl
