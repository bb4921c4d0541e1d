#include "common/openmetrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

namespace sluice {
namespace {

std::string number(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", v);
}

/// Of `le`: a float shows that it is one.
std::string bound(double v) {
  std::string text = number(v);
  if (std::isfinite(v) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') out += '\\';
    out += c;
  }
  return out;
}

using Labels = std::map<std::string, std::string>;

/// With braces; nothing where there are none.
std::string label_set(const Labels& labels, std::string_view le = {}) {
  std::string out;
  const auto add = [&](std::string_view key, std::string_view value) {
    out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : ",", key, escaped(value));
  };
  for (const auto& [key, value] : labels) add(key, value);
  if (!le.empty()) add("le", le);
  return out.empty() ? out : "{" + out + "}";
}

std::string exemplar(const KeptExemplar& e) {
  if (e.value.empty()) return {};
  const double at = std::chrono::duration<double>(e.at.time_since_epoch()).count();
  return fmt::format(" # {{{}=\"{}\"}} {} {:.3f}", e.label, escaped(e.value), number(e.sample), at);
}

void write_histogram(std::string& out, std::string_view name, const OpenMetricsSeries& s) {
  for (std::size_t i = 0; i < s.buckets.size(); ++i) {
    const auto& b = s.buckets[i];
    out += fmt::format("{}_bucket{} {}{}\n", name, label_set(s.labels, bound(b.upper_bound)), b.cumulative_count,
                       i < s.exemplars.size() ? exemplar(s.exemplars[i]) : std::string());
  }
  const std::uint64_t count = s.buckets.empty() ? 0 : s.buckets.back().cumulative_count;
  out += fmt::format("{}_count{} {}\n", name, label_set(s.labels), count);
  out += fmt::format("{}_sum{} {}\n", name, label_set(s.labels), number(s.value));
}

std::string_view word(OpenMetricsType t) noexcept {
  if (t == OpenMetricsType::counter) return "counter";
  return t == OpenMetricsType::gauge ? "gauge" : "histogram";
}

// ---- Accept

std::string_view trimmed(std::string_view s) {
  const std::size_t begin = s.find_first_not_of(" \t");
  return begin == std::string_view::npos ? std::string_view() : s.substr(begin, s.find_last_not_of(" \t") - begin + 1);
}

/// The next piece before `sep`, trimmed; what follows stays in `rest`.
std::string_view cut(std::string_view& rest, char sep) {
  const std::size_t at = std::min(rest.find(sep), rest.size());
  const std::string_view piece = trimmed(rest.substr(0, at));
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return piece;
}

bool equal(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

struct Range {
  std::string_view type;
  std::string_view version;
  double q = 1;
};

Range media_range(std::string_view text) {
  Range r{.type = cut(text, ';'), .version = {}};
  while (!text.empty()) {
    std::string_view value = cut(text, ';');
    const std::string_view name = cut(value, '=');
    if (equal(name, "q")) {
      double q = 0;
      const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), q);
      r.q = ec == std::errc() && end == value.data() + value.size() ? q : 0;
    } else if (equal(name, "version")) {
      if (value.size() > 1 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
      r.version = value;
    }
  }
  return r;
}

}  // namespace

std::string to_openmetrics(std::span<const OpenMetricsFamily> families) {
  std::string out;
  for (const OpenMetricsFamily& f : families) {
    std::string_view name = f.name;
    const bool counts = f.type == OpenMetricsType::counter;
    if (constexpr std::string_view kTotal = "_total"; counts && name.ends_with(kTotal))
      name.remove_suffix(kTotal.size());
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(f.help), name, word(f.type));
    for (const OpenMetricsSeries& s : f.series) {
      if (f.type == OpenMetricsType::histogram)
        write_histogram(out, name, s);
      else
        out += fmt::format("{}{}{} {}\n", name, counts ? "_total" : "", label_set(s.labels), number(s.value));
    }
  }
  return out + "# EOF\n";
}

bool prefers_openmetrics(std::string_view accept) {
  std::optional<double> open;
  std::optional<double> plain;
  std::optional<double> any;
  while (!accept.empty()) {
    const Range r = media_range(cut(accept, ','));
    const auto take = [&](std::optional<double>& best) { best = std::max(best.value_or(0), r.q); };
    if (equal(r.type, "application/openmetrics-text")) {
      if (r.version.empty() || r.version == "1.0.0" || r.version == "0.0.1") take(open);
    } else if (equal(r.type, "text/plain")) {
      take(plain);
    } else if (equal(r.type, "text/*") || equal(r.type, "*/*")) {
      take(any);
    }
  }
  return open && *open > 0 && *open >= plain.value_or(any.value_or(0));
}

}  // namespace sluice
