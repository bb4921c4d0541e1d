#include "tools/bench/suites.h"

#include <algorithm>

namespace sluice::bench {
namespace {

std::vector<Suite>& registry() {
  static std::vector<Suite> all;
  return all;
}

}  // namespace

SuiteRegistration::SuiteRegistration(std::string_view name, std::string_view summary,
                                     SuiteResult (*run)(const BenchOptions&)) {
  registry().push_back({name, summary, run});
}

std::vector<Suite> suites() {
  auto all = registry();
  std::sort(all.begin(), all.end(), [](const Suite& a, const Suite& b) { return a.name < b.name; });
  return all;
}

}  // namespace sluice::bench
