#pragma once
// Holds a text to OpenMetrics 1.0.0, as far as we write it.
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace sluice::test {

/// What is wrong with it, one line each; empty: nothing.
inline std::vector<std::string> openmetrics_faults(const std::string& text) {
  static const std::string kLabels = R"(\{(?:[A-Za-z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})";
  static const std::string kNumber = R"([+-]?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|Inf)|NaN)";
  static const std::regex sample("([A-Za-z_:][A-Za-z0-9_:]*)(" + kLabels + ")? (" + kNumber + ")( # " + kLabels +
                                 " (?:" + kNumber + R"() \d+\.\d+)?)");
  static const std::regex le(R"(le="(\+Inf|[0-9.e+-]+)\")");
  static const std::map<std::string, std::vector<std::string>> kSuffixes{
      {"counter", {"_total"}}, {"gauge", {""}}, {"histogram", {"_bucket", "_count", "_sum"}}};
  std::vector<std::string> faults;
  std::map<std::string, std::string> types;
  std::string family;  // the one whose samples come now
  bool ended = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto fault = [&](const char* why) { faults.push_back(line + ": " + why); };
    if (ended) fault("after # EOF");
    if (line == "# EOF") {
      ended = true;
      continue;
    }
    if (line.starts_with("# ")) {
      std::istringstream words(line);
      std::string hash, kind, name, rest;
      words >> hash >> kind >> name >> rest;
      if (kind != "HELP" && kind != "TYPE") fault("neither HELP nor TYPE");
      if (kind != "TYPE") continue;
      if (!types.emplace(name, rest).second) fault("a family twice");
      if (!kSuffixes.contains(rest)) fault("no type that we know");
      if (name.ends_with("_total")) fault("a family's name has no _total");
      family = name;
      continue;
    }
    std::smatch m;
    if (!std::regex_match(line, m, sample)) {
      fault("no sample");
      continue;
    }
    const std::string name = m[1];
    const std::string type = types[family];
    bool named = false;
    if (kSuffixes.contains(type))
      for (const auto& suffix : kSuffixes.at(type)) named |= name == family + suffix;
    if (!named) fault("of no family above it, or without its suffix");
    const bool bucket = type == "histogram" && name.ends_with("_bucket");
    if (m[4].matched && !bucket) fault("an exemplar where we have none");
    std::smatch bound;
    const std::string labels = m[2];
    if (bucket && !std::regex_search(labels, bound, le)) fault("a bucket without le");
    if (bucket && bound[1].str().find_first_of(".eI") == std::string::npos) fault("le is a float");
  }
  if (!ended) faults.emplace_back("no # EOF");
  return faults;
}

}  // namespace sluice::test
