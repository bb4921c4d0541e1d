#pragma once
// Holds an exposition text to Prometheus' rules of names and to the house's: every daemon's metrics pass it.
#include <fmt/format.h>

#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace sluice::test {

namespace lint {

struct Family {
  std::string type, help;
  std::size_t buckets = 0;  // of all series
};

inline void check_name(const std::string& name, const Family& f, std::vector<std::string>& faults) {
  const auto fault = [&](std::string_view why) { faults.push_back(fmt::format("{} ({}): {}", name, f.type, why)); };
  static const std::regex ours("(sluice_|process_|vllm:)[a-z0-9_]+");
  if (!std::regex_match(name, ours)) fault("prefix or letters");
  if (f.help.empty()) fault("no HELP");
  const bool total = name.ends_with("_total");
  if (f.type == "counter" && !total) fault("a counter ends in _total");
  if (f.type != "counter" && total) fault("only a counter ends in _total");
  for (const char* part : {"_sum", "_count", "_bucket"})
    if (name.ends_with(part)) fault("ends like a part of a histogram");
  const std::string bare = total ? name.substr(0, name.size() - 6) : name;
  static const std::regex other_unit("_(ms|millis|milliseconds|us|ns|minutes|kb|mb|kib|mib|bits|percent)(_|$)");
  if (std::regex_search(bare, other_unit)) fault("not a base unit");
  static const std::regex unit_inside("_(seconds|bytes|ratio)_(?!per_)");
  if (std::regex_search(bare, unit_inside)) fault("the unit goes last");
  static const std::regex histogram_unit(".*_(seconds|bytes|ratio|tokens|kl)");
  if (f.type == "histogram" && !std::regex_match(bare, histogram_unit)) fault("a histogram says its unit");
  if (f.type == "histogram" && f.buckets > 0 && f.buckets < 6) fault("too few buckets");
}

}  // namespace lint

/// What is wrong with it, one line each; empty: nothing.
inline std::vector<std::string> metrics_faults(const std::string& text) {
  static const std::regex sample("([^ {]+)(\\{(.*)\\})? (\\S+)");
  static const std::regex label("([A-Za-z_][A-Za-z0-9_]*)=\"((?:[^\"\\\\]|\\\\.)*)\"");
  static const std::regex address(".*:[0-9]+");
  std::map<std::string, lint::Family> families;
  std::vector<std::string> faults;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, kind, name;
    if (line.starts_with('#')) {
      words >> hash >> kind >> name >> std::ws;
      std::string rest;
      std::getline(words, rest);
      std::string& said = kind == "TYPE" ? families[name].type : families[name].help;
      if (!said.empty()) faults.push_back(line + ": said twice");
      said = rest;
      continue;
    }
    std::smatch m;
    if (!std::regex_match(line, m, sample)) {
      faults.push_back(line + ": no sample");
      continue;
    }
    name = m[1];
    const std::string labels = m[3];
    for (const char* part : {"_bucket", "_sum", "_count"}) {
      const std::string of = name.ends_with(part) ? name.substr(0, name.size() - std::string(part).size()) : name;
      if (families.contains(of) && families[of].type == "histogram") name = of;
    }
    if (!families.contains(name)) faults.push_back(line + ": of no family above it");
    for (auto it = std::sregex_iterator(labels.begin(), labels.end(), label); it != std::sregex_iterator(); ++it) {
      const std::string key = (*it)[1];
      const std::string value = (*it)[2];
      if (key == "le") {
        ++families[name].buckets;
      } else if (std::regex_match(value, address)) {
        faults.push_back(line + ": a label that is an address");
      }
    }
    if (name.ends_with("_info") && m[4] != "1") faults.push_back(line + ": an _info is 1");
  }
  for (const auto& [name, family] : families) lint::check_name(name, family, faults);
  return faults;
}

}  // namespace sluice::test
