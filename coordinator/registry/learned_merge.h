#pragma once
// How several coordinators' learned states become one. Pure functions.
//
// A state (LastingState::save()) falls apart into entries that stand for themselves: what is known of a node's speed,
// of a link, of a profile's quality. Of two entries for the same thing the better known one is kept, whole: by how many
// samples it rests on (beyond kEnough more of them say nothing, since estimates forget) and how long ago it last
// learned; half the samples are worth as much as kFresh seconds. That is a total order, so the merge does not depend on
// the order in which states come, and nothing is counted twice however often they are merged. The controller's weights
// and effects are one entry: an effect means something only beside the weights that it corrects. Lengths of outputs are
// sums, and add: see OutputLengths::borrow().
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace sluice::coordinator {

struct LearnedEntry {
  nlohmann::json value;
  double samples = 0;  // 0: it does not count them
  double at = 0;       // unix time of when it last learned
  std::string by;      // whose it is
};
/// By what they are of: a JSON list of names as text.
using LearnedEntries = std::map<std::string, LearnedEntry>;

inline constexpr double kEnough = 64;  // samples
inline constexpr double kFresh = 60;   // seconds
/// How much better known it must be elsewhere for a coordinator to give up what it learned itself.
inline constexpr double kClearly = 2;

/// The entries of a state, learned just now.
[[nodiscard]] LearnedEntries entries_of(const nlohmann::json& state, double now, const std::string& me);
/// A state with just these, as LastingState takes it.
[[nodiscard]] nlohmann::json state_of(const LearnedEntries& entries);

/// As `now`, but what has learned nothing since `before` keeps its time and owner.
[[nodiscard]] LearnedEntries stamped(LearnedEntries now, const LearnedEntries& before);
/// Of each entry the better known one.
[[nodiscard]] LearnedEntries merged(LearnedEntries a, const LearnedEntries& b);
/// What is not known here, or clearly better known there.
[[nodiscard]] LearnedEntries worth_taking(const LearnedEntries& mine, const LearnedEntries& theirs);

[[nodiscard]] nlohmann::json to_json(const LearnedEntries& entries);
/// What cannot be an entry is left out. Times in the future count as `now`.
[[nodiscard]] LearnedEntries parse_learned(const nlohmann::json& j, double now);

}  // namespace sluice::coordinator
