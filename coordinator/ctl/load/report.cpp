#include "coordinator/ctl/load/report.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <numeric>

namespace sluice::ctl::load {
namespace {

using nlohmann::json;

struct Kind {
  const char* name;
  const char* title;
  Latencies LoadSummary::* values;
};
constexpr Kind kKinds[] = {{"ttft", "Time to First Token", &LoadSummary::ttft},
                           {"tpot", "Time per Output Token (excl. 1st token)", &LoadSummary::tpot},
                           {"itl", "Inter-token Latency", &LoadSummary::itl},
                           {"e2el", "End-to-end Latency", &LoadSummary::e2el}};

std::string line(std::string_view label, const std::string& value) {
  return fmt::format("{:<40}{:>10}\n", label, value);
}
std::string line(std::string_view label, double value) { return line(label, fmt::format("{:.2f}", value)); }
std::string line(std::string_view label, std::uint64_t value) { return line(label, std::to_string(value)); }

json or_null(const std::optional<double>& v) { return v ? json(*v) : json(nullptr); }

json kv_json(const KvSummary& kv) {
  const auto& e = kv.prediction_errors;
  return {{"requests", kv.requests},
          {"profiles", kv.profiles},
          {"kv_raw_bytes", kv.raw_bytes},
          {"kv_wire_bytes", kv.wire_bytes},
          {"kv_bytes_saved", kv.raw_bytes > kv.wire_bytes ? kv.raw_bytes - kv.wire_bytes : 0},
          {"median_ttft_prediction_error", e.empty() ? json(nullptr) : json(percentile_of_sorted(e, 50))},
          {"p90_ttft_prediction_error", e.empty() ? json(nullptr) : json(percentile_of_sorted(e, 90))}};
}

std::string kv_text(const KvSummary& kv) {
  std::string out = fmt::format("{:-^50}\n", "KV (from Sluice's explain)");
  for (const auto& [profile, n] : kv.profiles) out += line(fmt::format("Requests with profile {}:", profile), n);
  out += line("KV raw (MB):", static_cast<double>(kv.raw_bytes) / 1e6);
  out += line("KV on the wire (MB):", static_cast<double>(kv.wire_bytes) / 1e6);
  if (!kv.prediction_errors.empty())
    out += line("Median TTFT prediction error (%):", percentile_of_sorted(kv.prediction_errors, 50) * 100);
  return out;
}

}  // namespace

std::string token_source(const LoadSummary& s) {
  if (s.without_usage == 0) return "usage";
  return s.without_usage == s.completed ? "chunks" : "mixed";
}

std::vector<std::string> notes_of(const Report& r) {
  std::vector<std::string> notes;
  notes.emplace_back(
      r.open_loop
          ? "Latencies count from the moment a request was due, not from when it was sent: what waits behind a "
            "slow server, or behind --concurrency, is in the figures (no coordinated omission)."
          : "A closed loop: latencies count from when a request was sent, and a slow server is asked less often.");
  const auto any = [&](auto holds) {
    return std::ranges::any_of(r.steps, [&](const Step& s) { return holds(s.summary); });
  };
  if (any([](const LoadSummary& s) { return s.completed > 0 && s.without_usage > 0; }))
    notes.emplace_back(
        "The server sent no usage in its streams: output tokens are the chunks that had text, so token counts, TPOT "
        "and "
        "throughput are only as good as that.");
  if (any([](const LoadSummary& s) { return s.clipped > 0; }))
    notes.emplace_back("Some requests were shortened to fit the model's context.");
  if (any([](const LoadSummary& s) { return s.cpu_share() > 0.8; }))
    notes.emplace_back(
        "The load generator used most of its core: figures may be its own and not the server's. Run it on another "
        "machine, or with a lower rate.");
  notes.insert(notes.end(), r.further_notes.begin(), r.further_notes.end());
  return notes;
}

json bench_json(const LoadSummary& s) {
  const auto per_second = [&](std::uint64_t n) { return s.per_second(static_cast<double>(n)); };
  json j{{"completed", s.completed},
         {"failed", s.failed},
         {"clipped", s.clipped},
         {"duration", s.duration_s},
         {"latest_start_ms", s.latest_start_ms},
         {"total_input_tokens", s.input_tokens},
         {"total_output_tokens", s.output_tokens},
         {"request_throughput", per_second(s.completed)},
         {"output_throughput", per_second(s.output_tokens)},
         {"total_token_throughput", per_second(s.input_tokens + s.output_tokens)},
         {"request_goodput", or_null(s.request_goodput())},
         {"slo_attainment", or_null(s.attainment())},
         {"errors", s.errors},
         {"tokens_counted_by", token_source(s)},
         {"client_cpu_us_per_token", s.cpu_us_per_token()},
         {"client_cpu_share", s.cpu_share()}};
  if (!s.first_error.empty()) j["first_error"] = s.first_error;
  if (s.kv.requests > 0) j["sluice"] = kv_json(s.kv);
  for (const auto& k : kKinds) {
    const Latencies& l = s.*k.values;
    j[fmt::format("mean_{}_ms", k.name)] = l.mean;
    j[fmt::format("median_{}_ms", k.name)] = l.at(50);
    for (const int p : {90, 95, 99}) j[fmt::format("p{}_{}_ms", p, k.name)] = l.at(p);
  }
  return j;
}

json report_json(const Report& r) {
  json j = r.ramp ? json::object() : bench_json(r.steps.front().summary);
  json setup = json::object();
  for (const auto& [name, value] : r.setup) setup[name] = value;
  j["setup"] = std::move(setup);
  j["latency_from"] = r.open_loop ? "due" : "sent";
  j["notes"] = notes_of(r);
  if (!r.ramp) return j;
  for (const Step& s : r.steps) {
    json step = bench_json(s.summary);
    step["rate"] = s.rate;
    j["rates"].push_back(std::move(step));
  }
  j["knee"] = nullptr;
  if (r.knee)
    j["knee"] = {{"rate", r.knee->rate},
                 {"request_goodput", r.knee->goodput},
                 {"slo_attainment_share", r.share},
                 {"crossing_rate", or_null(r.knee->crossing)},
                 {"beyond_measured", r.knee->all_kept}};
  return j;
}

std::string bench_text(const LoadSummary& s) {
  std::string out = fmt::format("{:=^50}\n", " Serving Benchmark Result ");
  out += line("Successful requests:", s.completed);
  out += line("Failed requests:", s.failed);
  for (const auto& [kind, n] : s.errors) out += line(fmt::format("  {}:", kind), n);
  if (s.clipped > 0) out += line("Clipped to the context:", s.clipped);
  out += line("Benchmark duration (s):", s.duration_s);
  out += line("Total input tokens:", s.input_tokens);
  out += line("Total generated tokens:", s.output_tokens);
  out += line("Request throughput (req/s):", s.per_second(static_cast<double>(s.completed)));
  if (const auto g = s.request_goodput()) out += line("Request goodput (req/s):", *g);
  if (const auto a = s.attainment()) out += line("SLO attainment (%):", *a * 100);
  out += line("Output token throughput (tok/s):", s.per_second(static_cast<double>(s.output_tokens)));
  out += line("Total token throughput (tok/s):", s.per_second(static_cast<double>(s.input_tokens + s.output_tokens)));
  for (const auto& k : kKinds) {
    std::string upper(k.name);
    std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const Latencies& l = s.*k.values;
    out += fmt::format("{:-^50}\n", k.title);
    out += line(fmt::format("Mean {} (ms):", upper), l.mean);
    out += line(fmt::format("Median {} (ms):", upper), l.at(50));
    for (const int p : {90, 95, 99}) out += line(fmt::format("P{} {} (ms):", p, upper), l.at(p));
  }
  if (s.kv.requests > 0) out += kv_text(s.kv);
  out += fmt::format("{:-^50}\n", "This client");
  out += line("CPU per output token (us):", s.cpu_us_per_token());
  out += line("CPU of its one core (%):", s.cpu_share() * 100);
  if (s.latest_start_ms > 0) out += line("Latest start (ms):", s.latest_start_ms);
  out += fmt::format("{:=^50}\n", "");
  if (!s.first_error.empty()) out += "first error: " + s.first_error + '\n';
  return out;
}

std::string report_text(const Report& r) {
  std::string out;
  if (!r.ramp) {
    out = bench_text(r.steps.front().summary);
  } else {
    out += fmt::format("{:>8} {:>9} {:>9} {:>9} {:>7} {:>10} {:>10} {:>10} {:>10}\n", "rate", "req/s", "goodput",
                       "attained", "failed", "TTFT p50", "TTFT p95", "TPOT p50", "TPOT p95");
    for (const Step& step : r.steps) {
      const LoadSummary& s = step.summary;
      const auto shown = [](const std::optional<double>& v, double scale, std::string_view unit) {
        return v ? fmt::format("{:.2f}{}", *v * scale, unit) : std::string("-");
      };
      out += fmt::format("{:>8g} {:>9.2f} {:>9} {:>9} {:>7} {:>10.2f} {:>10.2f} {:>10.2f} {:>10.2f}\n", step.rate,
                         s.per_second(static_cast<double>(s.completed)), shown(s.request_goodput(), 1, ""),
                         shown(s.attainment(), 100, "%"), s.failed, s.ttft.at(50), s.ttft.at(95), s.tpot.at(50),
                         s.tpot.at(95));
    }
    out += "knee: " + knee_text(r) + '\n';
  }
  for (const auto& n : notes_of(r)) out += "note: " + n + '\n';
  return out;
}

std::string knee_text(const Report& r) {
  const auto percent = r.share * 100;
  if (!r.knee) {
    const bool any = std::ranges::any_of(r.steps, [](const Step& s) { return s.summary.goal.any(); });
    return any ? fmt::format("none: fewer than {:g}% of requests meet the objectives at the lowest rate", percent)
               : std::string("none: give objectives, --slo-ttft-ms or --slo-tpot-ms");
  }
  const Knee& k = *r.knee;
  std::string out = fmt::format("{:g} requests/s keep {:g}% within the objectives, with a goodput of {:.2f}/s", k.rate,
                                percent, k.goodput);
  if (k.crossing) out += fmt::format("; attainment falls below {:g}% at about {:.2f}/s", percent, *k.crossing);
  if (k.all_kept) out += "; no rate was too much, so the knee lies beyond";
  return out;
}

}  // namespace sluice::ctl::load
