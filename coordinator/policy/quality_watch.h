#pragma once
// Watches whether profiles keep the quality they state, from probes of live requests. Pure logic: events in, answers
// out; time and randomness are given. Not thread-safe.
//
// A probe measures the KL of one next-token distribution. A profile states a bound of its mean. KL is heavy-tailed, so
// no rule that trusts a variance will do. The rule here is a test by betting (Waudby-Smith and Ramdas 2023) made
// sequential (e-detectors, Shin, Ramdas and Rinaldo 2023): with y = min(kl, C stated) / (C stated) in [0, 1], an honest
// profile has mean(y) <= 1/C, whatever its distribution, for clipping only lowers a mean. So 1 + l (y - 1/C) has a mean
// of at most 1 for every l in [0, C), and so does its product over probes. The detector multiplies these, starts again
// from 1 whenever it falls below, and mixes several l. An honest profile then makes a false alarm within N probes with
// a chance of at most N / alarm, and a profile whose KL is at the clip or above is caught within 6 probes.
//
// A life: honest -> (alarm) left -> (the upper bound of its last probes is within what it states) honest. While it is
// left, its effective KL is the measured upper bound, so requests whose budget that exceeds do not use it. It is probed
// by those that still may, and after a rest by a few trials: requests whose budget allows the stated KL. Trials that go
// badly double the rest; a relapse doubles the number of good probes that the next return takes. The upper bound is the
// mean since the change plus two standard errors: approximate, since nothing free of assumptions exists for an
// unbounded quantity.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "coordinator/policy/fast_random.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct QualityWatchOptions {
  double share = 0.02;        // of requests under a lossy profile that are probed; 0: none at all, 1: every request
  double exact_share = 0.1;   // of that share, under a lossless profile
  std::uint32_t first = 8;    // requests of each lossy profile that are probed in any case
  double close_share = 0.25;  // at least, of a profile that is left or suspected
  double alarm = 1e5;         // probes between false alarms of a profile, at the least
  double rest_s = 600;        // from being left until the first trial; doubles up to longest_rest_s
  double longest_rest_s = 86400;
  double half_life_s = 86400;  // of what estimates rest on
  std::uint64_t seed = 1;
};

/// A mean and its spread over recent values.
struct Tally {
  double n = 0, sum = 0, squares = 0;
  TimePoint at{};
  void add(double x, double most, double half_life_s, TimePoint now);
  [[nodiscard]] double mean() const noexcept { return n > 0 ? sum / n : 0; }
  /// Mean plus two standard errors; the spread is taken to be the mean at least.
  [[nodiscard]] double upper() const noexcept;
};

class QualityWatch {
 public:
  static constexpr double kClip = 20;     // C above
  static constexpr double kFloor = 1e-4;  // what is granted to a lossless profile: nodes may round differently
  static constexpr std::uint32_t kGoodProbes = 12;  // that a first return takes
  static constexpr std::uint32_t kMostGood = 192;   // that any return takes
  static constexpr double kSuspicion = 20;          // a detector this high has the profile probed more

  struct Profile {
    std::string name;
    double stated = 0;
    std::uint64_t probes = 0, same_top1 = 0;
    Tally recent;  // of all its probes
    bool left = false;
    double upper = 0;  // while it is left
    friend class QualityWatch;

   private:
    static constexpr std::size_t kBets = 4;
    double wealth[kBets] = {};
    Tally since[kBets];  // probes since each detector began again
    std::uint64_t chosen = 0;
    Tally window;              // of clipped KL, since it was left
    std::uint32_t needed = 0;  // good probes that its return takes
    std::uint32_t strikes = 0, trials = 0;
    double rest_s = 0;
    TimePoint next_trial{};
    [[nodiscard]] double null_mean() const noexcept;
    [[nodiscard]] double evidence() const noexcept;
  };
  /// A profile was left or taken back.
  struct Change {
    std::string profile;
    bool left = false;
    double stated = 0, effective = 0, mean = 0;
    std::uint64_t probes = 0;
  };

  explicit QualityWatch(const QualityWatchOptions& o) : options_(o), random_(o.seed) {}

  /// Follows the cluster's profiles. `identity` names model and codec formats: what was learned of another is dropped.
  void bind(const std::string& identity, const std::vector<ProfileEntry>& stated);
  /// Whether a request that was placed with this profile is probed; call once for each.
  [[nodiscard]] bool wants_probe(std::string_view profile);
  /// A profile that is left and that a request with this budget should try now; nothing most of the time.
  [[nodiscard]] std::optional<std::string> trial(double budget, TimePoint now);
  [[nodiscard]] std::optional<Change> observe(std::string_view profile, double kl, bool same_top1, TimePoint now);
  /// What the quality budget is compared with. Lossless profiles keep their 0 when all of them seem to have left it:
  /// then it is not the codecs but nodes that compute differently.
  [[nodiscard]] double effective(const Profile& p) const;
  [[nodiscard]] const Profile* find(std::string_view profile) const;
  [[nodiscard]] const std::vector<Profile>& profiles() const noexcept { return profiles_; }

  [[nodiscard]] nlohmann::json save() const;
  /// Taken up when a cluster of the same identity is bound; what cannot be read is left out.
  void load(const nlohmann::json& j, TimePoint now);
  /// As load(), but only what is said of profiles that are bound, if it is of the bound identity; before any is bound
  /// it is load().
  void adopt(const nlohmann::json& j, TimePoint now);

 private:
  [[nodiscard]] Profile read_profile(const std::string& name, const nlohmann::json& from, TimePoint now) const;
  [[nodiscard]] Profile* at(std::string_view profile);
  void bet(Profile& p, double kl, TimePoint now);
  [[nodiscard]] std::optional<Change> leave(Profile& p, TimePoint now);
  void rest(Profile& p, TimePoint now);
  [[nodiscard]] std::optional<Change> consider_return(Profile& p, double y, TimePoint now);
  [[nodiscard]] Change change_of(const Profile& p) const;

  QualityWatchOptions options_;
  FastRandom random_;
  std::string identity_;
  std::vector<Profile> profiles_;
};

}  // namespace sluice::coordinator
