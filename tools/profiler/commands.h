#pragma once
// The commands of sluice-profiler. Each takes what was asked and gives the exit code; progress goes to stderr.
#include "common/result.h"
#include "tools/profiler/rig.h"

namespace sluice::profiler {

struct CalibrateOptions {
  std::string model, text, out;
  std::uint32_t windows = 8, window = 1024, threads = 0;
  double scale_power = 0;
};
[[nodiscard]] Result<int> calibrate(const CalibrateOptions& o);

struct SearchCommand {
  RigOptions rig;
  std::size_t budget = 60;  // quality evaluations
  std::uint64_t seed = 1;
  double quality_kl = 0.1;
  std::size_t keep = 16;  // profiles in the library
  std::string out = "profiles.json", plot;
  bool json = false;
};
/// Searches the composition space and writes a library. 130 when a signal ended it; run again, it goes on.
[[nodiscard]] Result<int> search_profiles(const SearchCommand& o);

struct EvidenceCommand {
  RigOptions rig;
  double quality_kl = 0.1;
  std::size_t seeds = 5, fewer = 50;  // evaluations: entries / fewer
  std::string out = "docs/evidence";
};
/// Measures every candidate of the sub-space, searches it with a fiftieth of the evaluations, and writes how far it
/// got to out/profile_search.md and .svg.
[[nodiscard]] Result<int> search_evidence(const EvidenceCommand& o);

/// From here on SIGINT and SIGTERM are noted instead of obeyed, once; the second ends the process.
void note_signals();
/// cancelled once a signal was noted.
[[nodiscard]] Result<> not_interrupted();

}  // namespace sluice::profiler
