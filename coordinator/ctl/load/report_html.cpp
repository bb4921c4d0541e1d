// The report as a page: tables and inline SVG, no script, nothing from elsewhere.
#include <algorithm>
#include <string>

#include "common/svg/page.h"
#include "common/svg/parts.h"
#include "coordinator/ctl/load/plots.h"
#include "coordinator/ctl/load/report.h"

namespace sluice::ctl::load {
namespace {

using svg::escaped;

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ground:#f4f6f8;--card:#fff;--line:#dde3e8;--text:#17212b;--soft:#586774;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ground:#0f161c;--card:#18222b;--line:#2a3843;--text:#e6edf2;--soft:#9fb0bd;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:1100px;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
h1{font-size:1.3rem;margin:.2rem 0 .8rem}h2{font-size:1.05rem;margin:0 0 .6rem}h3{font-size:.95rem;margin:0 0 .3rem}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1rem;margin:0 0 1rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:0 0 1rem}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:.6rem .8rem}
.tiles b{display:block;font-size:1.35rem;line-height:1.3;font-variant-numeric:tabular-nums}.tiles span{color:var(--soft);font-size:.82rem}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1.4rem}
figure{margin:0;min-width:0}.scroll+.plots{margin-top:1.2rem}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{padding:.3rem .55rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0}
thead th{color:var(--soft);font-weight:600}tr:last-child td{border-bottom:0}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:.25rem 1rem;margin:0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.code{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.86em}
.bad{color:var(--bad)}ul.notes{margin:0;padding-left:1.1rem}.soft{color:var(--soft)}
@media (max-width:30rem){body{padding:.6rem}section{padding:.7rem}dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .45rem}th,td{padding:.3rem .2rem;font-size:.78rem}td:first-child{white-space:normal}}
)";

std::string tile(std::string_view value, std::string_view what) {
  return fmt::format("<div><b>{}</b><span>{}</span></div>\n", value, what);
}

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.1f} %", *share * 100) : std::string("–");
}

std::string tiles(const LoadSummary& s) {
  std::string out = "<div class=\"tiles\">\n";
  out += tile(fmt::format("{} / {}", s.completed, s.completed + s.failed), "requests completed");
  out += tile(fmt::format("{:.2f}/s", s.per_second(static_cast<double>(s.completed))), "request throughput");
  out += tile(fmt::format("{:.0f}/s", s.per_second(static_cast<double>(s.output_tokens))), "output tokens");
  out += tile(fmt::format("{:.0f}/s", s.per_second(static_cast<double>(s.input_tokens + s.output_tokens))),
              "input and output tokens");
  out += tile(fmt::format("{:.1f} ms", s.ttft.at(50)), "median TTFT");
  out += tile(fmt::format("{:.2f} ms", s.tpot.at(50)), "median TPOT");
  if (s.goal.any()) {
    out += tile(percent(s.attainment()), "SLO attainment");
    out += tile(fmt::format("{:.2f}/s", s.request_goodput().value_or(0)), "goodput");
  }
  return out + "</div>\n";
}

std::string latency_table(const LoadSummary& s) {
  std::string out =
      "<section><h2>Latency</h2><div "
      "class=\"scroll\"><table><thead><tr><th>ms</th><th>mean</th><th>p50</th><th>p90</th>"
      "<th>p95</th><th>p99</th></tr></thead><tbody>\n";
  const auto row = [&](std::string_view name, const Latencies& l) {
    out += fmt::format("<tr><td>{}</td><td>{:.2f}</td>", name, l.mean);
    for (const int p : {50, 90, 95, 99}) out += fmt::format("<td>{:.2f}</td>", l.at(p));
    out += "</tr>\n";
  };
  row("TTFT", s.ttft);
  row("TPOT", s.tpot);
  row("ITL", s.itl);
  row("end to end", s.e2el);
  return out +
         "</tbody></table></div><p class=\"soft\">TTFT: start to first token. TPOT: time per output token after the "
         "first. ITL: between two pieces of the stream.</p></section>\n";
}

std::string figure(const svg::Chart& c) {
  return fmt::format("<figure><h3>{}</h3>{}</figure>\n", escaped(c.title), svg::to_page_svg(c));
}

std::string plots(const Report& r) {
  const Goodput& goal = r.steps.front().summary.goal;
  std::string out = "<section><h2>Distributions</h2><div class=\"plots\">\n";
  out += figure(cdf_chart(r.steps, &LoadSummary::ttft, "TTFT", goal.ttft));
  out += figure(cdf_chart(r.steps, &LoadSummary::tpot, "TPOT", goal.tpot));
  out += "</div></section>\n";
  if (r.ramp) return out;
  const LoadSummary& s = r.steps.front().summary;
  out += "<section><h2>Over time</h2><div class=\"plots\">\n";
  out += figure(latency_over_time(s, false, "TTFT over time"));
  out += figure(latency_over_time(s, true, "TPOT over time"));
  out += figure(throughput_over_time(s));
  return out + "</div></section>\n";
}

std::string ramp(const Report& r) {
  std::string out = fmt::format("<section><h2>By rate</h2><p><b>Knee</b>: {}</p>\n", escaped(knee_text(r)));
  out +=
      "<div class=\"scroll\"><table><thead><tr><th>rate</th><th>completed</th><th>goodput</th><th>attained</th>"
      "<th>failed</th><th>TTFT p50</th><th>p95</th><th>TPOT "
      "p50</th><th>p95</th><th>tokens/s</th></tr></thead><tbody>\n";
  for (const Step& step : r.steps) {
    const LoadSummary& s = step.summary;
    const auto good = s.request_goodput();
    out += fmt::format(
        "<tr><td>{:g}/s</td><td>{:.2f}/s</td><td>{}</td><td>{}</td><td{}>{}</td><td>{:.1f}</td><td>{:.1f}</"
        "td><td>{:.2f}"
        "</td><td>{:.2f}</td><td>{:.0f}</td></tr>\n",
        step.rate, s.per_second(static_cast<double>(s.completed)), good ? fmt::format("{:.2f}/s", *good) : "–",
        percent(s.attainment()), s.failed > 0 ? " class=\"bad\"" : "", s.failed, s.ttft.at(50), s.ttft.at(95),
        s.tpot.at(50), s.tpot.at(95), s.per_second(static_cast<double>(s.output_tokens)));
  }
  out += "</tbody></table></div><div class=\"plots\">\n" + figure(ramp_chart(r.steps));
  if (r.steps.front().summary.goal.any()) out += figure(attainment_chart(r.steps, r.share));
  return out + "</div></section>\n";
}

std::string errors(const LoadSummary& s, std::string_view where) {
  if (s.failed == 0) return {};
  std::string out = fmt::format("<section><h2>Errors{}</h2><table><tbody>\n", where);
  for (const auto& [kind, n] : s.errors) out += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escaped(kind), n);
  return out + fmt::format("</tbody></table><p>The first: {}</p></section>\n", escaped(s.first_error));
}

std::string kv(const KvSummary& k, std::string_view where) {
  if (k.requests == 0) return {};
  std::string out = fmt::format("<section><h2>KV, as Sluice explains it{}</h2><dl>\n", where);
  std::string profiles;
  for (const auto& [name, n] : k.profiles)
    profiles += fmt::format("{}{} ({})", profiles.empty() ? "" : ", ", escaped(name), n);
  const double saved = k.raw_bytes > k.wire_bytes ? static_cast<double>(k.raw_bytes - k.wire_bytes) : 0;
  out += fmt::format("<dt>profiles (requests)</dt><dd>{}</dd>\n", profiles.empty() ? "–" : profiles);
  out += fmt::format("<dt>KV as it is</dt><dd>{:.2f} MB</dd>\n", static_cast<double>(k.raw_bytes) / 1e6);
  out +=
      fmt::format("<dt>on the wire</dt><dd>{:.2f} MB, {:.1f} % saved</dd>\n", static_cast<double>(k.wire_bytes) / 1e6,
                  k.raw_bytes > 0 ? 100 * saved / static_cast<double>(k.raw_bytes) : 0);
  if (!k.prediction_errors.empty())
    out += fmt::format("<dt>TTFT prediction error</dt><dd>median {:.1f} %, p90 {:.1f} %</dd>\n",
                       100 * percentile_of_sorted(k.prediction_errors, 50),
                       100 * percentile_of_sorted(k.prediction_errors, 90));
  return out + "</dl></section>\n";
}

std::string setup(const Report& r) {
  std::string out = "<section><h2>Set-up</h2><dl>\n";
  for (const auto& [name, value] : r.setup)
    out += fmt::format("<dt>{}</dt><dd{}>{}</dd>\n", escaped(name), name == "command" ? " class=\"code\"" : "",
                       escaped(value));
  const Step& last = r.steps.back();
  out += fmt::format(
      "<dt>load generator</dt><dd>{:.1f} µs of CPU per output token, {:.0f} % of its one core{}; latest start {:.1f} "
      "ms "
      "after its time</dd>\n",
      last.summary.cpu_us_per_token(), 100 * last.summary.cpu_share(), r.ramp ? " at the last rate" : "",
      last.summary.latest_start_ms);
  out += "</dl></section>\n<section><h2>How to read this</h2><ul class=\"notes\">\n";
  for (const auto& n : notes_of(r)) out += fmt::format("<li>{}</li>\n", escaped(n));
  return out + "</ul></section>\n";
}

}  // namespace

std::string report_html(const Report& r) {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>Load test</title>\n<style>";
  out += kStyle + svg::page_chart_style() + "</style></head><body>\n<h1>Load test</h1>\n";
  if (r.ramp)
    out += ramp(r);
  else
    out += tiles(r.steps.front().summary) + latency_table(r.steps.front().summary);
  out += plots(r);
  for (const Step& s : r.steps) {
    const std::string where = r.ramp ? fmt::format(" at {:g}/s", s.rate) : std::string();
    out += errors(s.summary, where);
  }
  out += kv(r.steps.back().summary.kv, r.ramp ? ", at the last rate" : "") + setup(r);
  return out + "</body></html>\n";
}

}  // namespace sluice::ctl::load
