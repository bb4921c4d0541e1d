#pragma once
// How tests look at findings.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "coordinator/ctl/doctor/finding.h"

namespace sluice::ctl::doctor {

/// The finding of that id; fails the test where there is none, or several.
inline Finding only(const Findings& all, const std::string& id) {
  const auto n = std::ranges::count(all, id, &Finding::id);
  INFO("findings with id " << id << ": " << n);
  REQUIRE(n == 1);
  return *std::ranges::find(all, id, &Finding::id);
}

inline bool has(const Findings& all, const std::string& id) {
  return std::ranges::find(all, id, &Finding::id) != all.end();
}

/// Above a note it must say why and what to set.
inline void check_told(const Finding& f, Severity severity, const std::string& in_found, const std::string& in_set) {
  INFO(f.id << ": " << f.found << " / " << f.set);
  CHECK(f.severity == severity);
  CHECK_THAT(f.found, Catch::Contains(in_found));
  CHECK_THAT(f.set, Catch::Contains(in_set));
  CHECK_FALSE(f.why.empty());
}

}  // namespace sluice::ctl::doctor
