#include "coordinator/ctl/doctor/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "coordinator/ctl/table.h"

namespace sluice::ctl::doctor {
namespace {

using nlohmann::json;

constexpr std::size_t kWidth = 100;      // columns of a line of words
constexpr std::size_t kIndent = 10;      // where words begin, behind the severity
constexpr std::size_t kMaxWords = 2000;  // of what one finding says in one place

std::string_view paint(Severity s) {
  switch (s) {
    case Severity::ok:
      return "\x1b[32m";
    case Severity::note:
      return "\x1b[36m";
    case Severity::warning:
      return "\x1b[33m";
    case Severity::error:
      return "\x1b[31m";
  }
  return "";
}

/// Words in lines of kWidth, each behind `indent` spaces; the first one behind `head` instead.
std::string wrapped(const std::string& head, std::size_t head_columns, std::string_view words) {
  std::string out = head;
  std::size_t at = head_columns;
  const std::string clean = printable(words.substr(0, kMaxWords));
  for (std::size_t i = 0; i < clean.size();) {
    const std::size_t end = std::min(clean.find(' ', i), clean.size());
    const std::string_view word = std::string_view(clean).substr(i, end - i);
    if (at > kIndent && at + 1 + columns(word) > kWidth) {
      out += '\n' + std::string(kIndent, ' ');
      at = kIndent;
    } else if (i > 0) {
      out += ' ';
      ++at;
    }
    out += word;
    at += columns(word);
    i = end + 1;
  }
  return out + '\n';
}

std::string finding_text(const Finding& f, bool colour) {
  std::string head = fmt::format("  {:<8}", name(f.severity));
  if (colour) head = fmt::format("  {}{:<8}\x1b[0m", paint(f.severity), name(f.severity));
  std::string out = wrapped(head, kIndent, f.subject.empty() ? f.found : f.subject + ": " + f.found);
  const std::string indent(kIndent, ' ');
  if (!f.why.empty()) out += wrapped(indent + "why: ", kIndent + 5, f.why);
  if (!f.set.empty()) out += wrapped(indent + "set: ", kIndent + 5, f.set);
  return out;
}

std::map<Severity, std::size_t> counts(const Findings& all) {
  std::map<Severity, std::size_t> n;
  for (const auto& f : all) ++n[f.severity];
  return n;
}

std::string count_line(const Findings& all) {
  auto n = counts(all);
  const auto many = [](std::size_t k, const char* one) { return fmt::format("{} {}{}", k, one, k == 1 ? "" : "s"); };
  return fmt::format("{}, {}, {}, {} ok\n", many(n[Severity::error], "error"), many(n[Severity::warning], "warning"),
                     many(n[Severity::note], "note"), n[Severity::ok]);
}

}  // namespace

Severity worst(const Findings& all) {
  Severity w = Severity::ok;
  for (const auto& f : all) w = std::max(w, f.severity);
  return w;
}

int exit_code(const Findings& all) {
  switch (worst(all)) {
    case Severity::error:
      return 2;
    case Severity::warning:
      return 1;
    case Severity::ok:
    case Severity::note:
      break;
  }
  return 0;
}

std::string report_text(const Report& r, bool colour) {
  std::vector<std::string> areas;
  for (const auto& f : r.findings)
    if (std::ranges::find(areas, f.area) == areas.end()) areas.push_back(f.area);
  std::string out;
  for (const auto& area : areas) {
    out += colour ? fmt::format("\x1b[1m{}\x1b[0m\n", area) : area + "\n";
    std::vector<const Finding*> of_area;
    for (const auto& f : r.findings)
      if (f.area == area) of_area.push_back(&f);
    std::ranges::stable_sort(of_area, std::greater{}, [](const Finding* f) { return f->severity; });
    for (const Finding* f : of_area) out += finding_text(*f, colour);
    out += '\n';
  }
  return out + count_line(r.findings);
}

json report_json(const Report& r) {
  json findings = json::array();
  for (const auto& f : r.findings)
    findings.push_back({{"severity", name(f.severity)},
                        {"id", f.id},
                        {"area", f.area},
                        {"subject", f.subject},
                        {"found", f.found},
                        {"why", f.why},
                        {"set", f.set}});
  json n = json::object();
  auto by_severity = counts(r.findings);
  for (const Severity s : {Severity::ok, Severity::note, Severity::warning, Severity::error})
    n[std::string(name(s))] = by_severity[s];
  json j{{"worst", name(worst(r.findings))}, {"counts", std::move(n)}, {"findings", std::move(findings)}};
  j.update(r.measured);
  return j;
}

}  // namespace sluice::ctl::doctor
