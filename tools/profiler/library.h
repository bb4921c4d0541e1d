#pragma once
// What a search leaves behind: a JSON file that nodes take as --kv-profiles, each profile with the figures that put it
// there. Pure but for write_file.
#include "tools/profiler/parts.h"
#include "tools/profiler/rig.h"

namespace sluice::profiler {

struct Entry {
  std::size_t candidate = 0;
  Cheap cheap;
  quality::Score score;  // as restated on windows the search did not see, where there were any
  std::optional<quality::Recall> recall, recall_unchanged;
  std::vector<Rig::Speed> speeds;
};

struct LibraryContext {
  nlohmann::json measured_on;  // Rig::header()
  nlohmann::json search;       // settings and counts
  double budget = 0;
};

/// Profiles as nodes load them: raw and ll first, which every link may need and no search must find, then the entries
/// by ratio. A profile states the KL that its figures do not exceed but once in forty times: mean and two standard
/// errors.
[[nodiscard]] nlohmann::json library_json(const Space& s, std::span<const Entry> entries, const LibraryContext& c);
[[nodiscard]] double stated_kl(const quality::Score& s);

/// KL against ratio, coloured by speed.
[[nodiscard]] std::string front_svg(std::span<const Entry> entries, double budget);

/// Writes beside, then renames: a reader sees the old file or the new one.
[[nodiscard]] Result<> write_file(const std::string& path, const std::string& text);

}  // namespace sluice::profiler
