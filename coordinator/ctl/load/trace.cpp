#include "coordinator/ctl/load/trace.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/json/parse.h"
#include "common/json/reader.h"
#include "coordinator/ctl/load/lines.h"

namespace sluice::ctl::load {
namespace {

constexpr std::uint64_t kMaxTokens = 100'000'000;  // a trace that says more is not one
constexpr std::size_t kMaxRequests = 10'000'000;

template <class T>
std::optional<T> parse_number(std::string_view s) {
  T v{};
  const auto r = std::from_chars(s.data(), s.data() + s.size(), v);
  if (r.ec != std::errc() || r.ptr != s.data() + s.size()) return std::nullopt;
  return v;
}

std::optional<std::uint64_t> parse_tokens(std::string_view s) {
  const auto n = parse_number<std::uint64_t>(s);
  return n && *n <= kMaxTokens ? n : std::nullopt;
}

/// "+00:00" or "Z", as the traces of 2024 have it. A trace has one zone throughout, and only differences count.
void drop_zone(std::string_view& s) {
  constexpr std::size_t kTime = 19;  // through the seconds
  if (s.size() > kTime && s.back() == 'Z') s.remove_suffix(1);
  if (s.size() >= kTime + 6 && (s[s.size() - 6] == '+' || s[s.size() - 6] == '-') && s[s.size() - 3] == ':')
    s.remove_suffix(6);
}

/// "2023-11-16 18:17:03.9799600" in seconds after 1970, whatever the zone.
std::optional<double> parse_time(std::string_view s) {
  drop_zone(s);
  if (s.size() < 19 || s[4] != '-' || s[7] != '-' || s[10] != ' ' || s[13] != ':' || s[16] != ':') return std::nullopt;
  std::array<int, 5> part{};
  const std::array<std::string_view, 5> texts{s.substr(0, 4), s.substr(5, 2), s.substr(8, 2), s.substr(11, 2),
                                              s.substr(14, 2)};
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto n = parse_number<int>(texts[i]);
    if (!n) return std::nullopt;
    part[i] = *n;
  }
  const auto seconds = parse_number<double>(s.substr(17));
  const std::chrono::year_month_day date{std::chrono::year(part[0]), std::chrono::month(static_cast<unsigned>(part[1])),
                                         std::chrono::day(static_cast<unsigned>(part[2]))};
  const auto within = [](double v, double end) { return v >= 0 && v < end; };
  if (!seconds || !date.ok() || !within(*seconds, 61) || !within(part[3], 24) || !within(part[4], 60))
    return std::nullopt;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return days * 86400.0 + part[3] * 3600.0 + part[4] * 60.0 + *seconds;
}

std::optional<PlannedRequest> parse_azure_line(std::string_view line) {
  const auto first = line.find(',');
  const auto second = line.find(',', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  const auto at = parse_time(line.substr(0, first));
  const auto in = parse_tokens(line.substr(first + 1, second - first - 1));
  const auto out = parse_tokens(line.substr(second + 1));
  if (!at || !in || !out) return std::nullopt;
  return PlannedRequest{*at, *in, *out, {}};
}

std::optional<PlannedRequest> parse_burstgpt_line(std::string_view line) {
  std::array<std::string_view, 4> part;  // Timestamp, Model, Request tokens, Response tokens
  for (auto& p : part) {
    const auto comma = line.find(',');
    if (comma == std::string_view::npos) return std::nullopt;
    p = line.substr(0, comma);
    line = line.substr(comma + 1);
  }
  const auto at = parse_number<double>(part[0]);
  const auto in = parse_tokens(part[2]);
  const auto out = parse_tokens(part[3]);
  if (!at || !(*at >= 0) || !in || !out) return std::nullopt;
  return PlannedRequest{*at, *in, *out, {}};
}

std::optional<PlannedRequest> parse_mooncake_line(std::string_view line) {
  const auto j = parse_json(line);
  if (!j) return std::nullopt;
  JsonReader in(*j, {.null_is_absent = false});
  JsonObject f = in.object();
  constexpr NumberRange<double> kCount{.least = 0, .most = static_cast<double>(kMaxTokens)};
  double ms = 0, input = 0, output = 0;
  PlannedRequest q;
  f.need("timestamp").into(ms, {.least = 0});
  f.need("input_length").into(input, kCount);
  f.need("output_length").into(output, kCount);
  f.want("hash_ids").into(q.prefix_blocks, Length{});
  if (!in.ok()) return std::nullopt;
  q.at_s = ms / 1000;
  q.input_tokens = static_cast<std::uint64_t>(input);
  q.output_tokens = static_cast<std::uint64_t>(output);
  return q;
}

template <class ParseLine>
Result<Plan> parse_lines(std::string_view text, std::size_t skip, ParseLine parse_line) {
  Plan plan;
  Lines lines(text);
  for (std::string_view line; lines.next(line);) {
    if (lines.number() <= skip) continue;
    auto q = parse_line(line);
    if (!q) return fail(Errc::data_corrupt, "line {} of the trace cannot be read: {}", lines.number(), shown(line));
    if (plan.size() == kMaxRequests)
      return fail(Errc::data_corrupt, "the trace holds more than {} requests; take a part of it", kMaxRequests);
    plan.push_back(std::move(*q));
  }
  if (plan.empty()) return fail(Errc::data_corrupt, "the trace holds no request");
  std::ranges::stable_sort(plan, {}, &PlannedRequest::at_s);
  const double start = plan.front().at_s;
  for (auto& q : plan) q.at_s -= start;
  return plan;
}

}  // namespace

Result<Plan> parse_azure_csv(std::string_view text) { return parse_lines(text, 1, parse_azure_line); }
Result<Plan> parse_burstgpt_csv(std::string_view text) {
  SLUICE_ASSIGN(Plan plan, parse_lines(text, 1, parse_burstgpt_line));
  std::erase_if(plan, [](const PlannedRequest& q) { return q.output_tokens == 0; });
  if (plan.empty()) return fail(Errc::data_corrupt, "the trace holds no request that was answered");
  const double start = plan.front().at_s;
  for (auto& q : plan) q.at_s -= start;
  return plan;
}
Result<Plan> parse_mooncake_jsonl(std::string_view text) { return parse_lines(text, 0, parse_mooncake_line); }
Result<Plan> parse_trace(std::string_view text) {
  if (text.starts_with('{')) return parse_mooncake_jsonl(text);
  if (text.starts_with("Timestamp,Model")) return parse_burstgpt_csv(text);
  if (text.starts_with("TIMESTAMP,")) return parse_azure_csv(text);
  return fail(Errc::data_corrupt,
              "the trace begins with '{}', not as Azure's (TIMESTAMP,ContextTokens,GeneratedTokens), BurstGPT's "
              "(Timestamp,Model,...) or Mooncake's (JSON lines with timestamp, input_length and output_length)",
              shown(text.substr(0, text.find('\n')), 40));
}

}  // namespace sluice::ctl::load
