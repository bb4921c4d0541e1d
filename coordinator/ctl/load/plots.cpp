#include "coordinator/ctl/load/plots.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace sluice::ctl::load {
namespace {

constexpr int kCdfPoints = 200;
constexpr double kFarAway = 3;  // times the largest value: an objective beyond that would squash the rest

std::string name_of(const Step& s) { return s.rate > 0 ? fmt::format("{:g}/s", s.rate) : std::string("all requests"); }

double spread(const Latencies& l) { return l.at(50) > 0 ? l.sorted.back() / l.at(50) : 1; }

}  // namespace

svg::Chart cdf_chart(const std::vector<Step>& steps, Latencies LoadSummary::* which, std::string title,
                     const std::optional<double>& objective_ms) {
  svg::Chart c;
  c.title = std::move(title);
  c.x = "ms";
  c.y = "% of requests";
  double most = 0;
  for (const Step& step : steps) {
    const Latencies& l = step.summary.*which;
    if (l.sorted.empty()) continue;
    most = std::max(most, l.sorted.back());
    c.log_x = c.log_x || (l.sorted.front() > 0 && spread(l) > 8);
    svg::Line line{.name = name_of(step), .points = {}};
    for (int i = 0; i <= kCdfPoints; ++i) {
      const double p = 100.0 * i / kCdfPoints;
      line.points.emplace_back(l.at(p), p);
    }
    c.lines.push_back(std::move(line));
  }
  if (objective_ms && *objective_ms <= most * kFarAway)
    c.rules.push_back({.at = *objective_ms, .name = fmt::format("SLO {:g} ms", *objective_ms), .level = false});
  else if (objective_ms)
    c.notes.push_back({{}, fmt::format("The SLO, {:g} ms, lies far to the right.", *objective_ms)});
  return c;
}

svg::Chart latency_over_time(const LoadSummary& s, bool tpot, std::string title) {
  svg::Chart c;
  c.title = std::move(title);
  c.x = "s after the start";
  c.y = "ms";
  svg::Line median{.name = "median", .points = {}}, tail{.name = "95th percentile", .points = {}};
  for (const Slice& slice : s.slices) {
    if (slice.started == 0) continue;
    const double at = (slice.from_s + slice.to_s) / 2;
    median.points.emplace_back(at, tpot ? slice.tpot_p50_ms : slice.ttft_p50_ms);
    tail.points.emplace_back(at, tpot ? slice.tpot_p95_ms : slice.ttft_p95_ms);
  }
  c.lines = {std::move(median), std::move(tail)};
  return c;
}

svg::Chart throughput_over_time(const LoadSummary& s) {
  svg::Chart c;
  c.title = "Output throughput over time";
  c.x = "s after the start";
  c.y = "tokens/s";
  svg::Line line{.name = "output tokens", .points = {}};
  for (const Slice& slice : s.slices)
    if (const double width = slice.to_s - slice.from_s; width > 1e-3)
      line.points.emplace_back((slice.from_s + slice.to_s) / 2, slice.output_tokens / width);
  c.lines = {std::move(line)};
  return c;
}

svg::Chart ramp_chart(const std::vector<Step>& steps) {
  svg::Chart c;
  c.title = "Requests per second, asked for and answered";
  c.x = "requests/s asked for";
  c.y = "requests/s";
  svg::Line done{.name = "completed", .points = {}}, good{.name = "goodput: within the objectives", .points = {}};
  for (const Step& s : steps) {
    done.points.emplace_back(s.rate, s.summary.per_second(static_cast<double>(s.summary.completed)));
    if (const auto g = s.summary.request_goodput()) good.points.emplace_back(s.rate, *g);
  }
  c.lines.push_back(std::move(done));
  if (!good.points.empty()) c.lines.push_back(std::move(good));
  return c;
}

svg::Chart attainment_chart(const std::vector<Step>& steps, double share) {
  svg::Chart c;
  c.title = "SLO attainment by rate";
  c.x = "requests/s asked for";
  c.y = "% within the objectives";
  svg::Line met{.name = "attainment", .points = {}};
  for (const Step& s : steps)
    if (const auto a = s.summary.attainment()) met.points.emplace_back(s.rate, *a * 100);
  c.lines.push_back(std::move(met));
  c.rules.push_back({.at = share * 100, .name = fmt::format("{:g} %", share * 100), .level = true});
  return c;
}

}  // namespace sluice::ctl::load
