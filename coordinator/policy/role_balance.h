#pragma once
// Whether a node should change its role, because prefill and decode nodes stand in another proportion than the load
// needs.
//
// Each split of the nodes has a goodput: the requests per second that both sides carry within their objectives. The
// prefill side carries what it computes while few wait longer than TTFT allows; the decode side, what as many sequences
// as TPOT and memory allow get done. Both follow from the latency model's speeds and from the load that was offered,
// refused requests included. When a neighbouring split (one node changed) is predicted to have more, what it would have
// gained adds up, second by second; a change is due once that exceeds what the change costs: the node's part of the
// goodput for as long as it drains and loads, as learned from changes before. So a change pays if the load lasts as
// long again, and a short swing pays for none. That is the rule of ski rental, whose regret is at most twice the best.
//
// Against flapping: a time of rest after each change, a longer one before its reversal, a bound on changes per time,
// and a change after which no more requests met their objectives than before has its price multiplied; that is
// forgotten slowly, so that it may be tried again.
//
// Pure logic, time given; not thread-safe. The simulator runs the same code.
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"

namespace sluice::coordinator {

enum class PoolRole : std::uint8_t { prefill, decode };
[[nodiscard]] constexpr std::string_view name(PoolRole r) noexcept {
  return r == PoolRole::prefill ? "prefill" : "decode";
}

struct RoleOptions {
  double least_gain = 0.1;  // a split is better when its goodput is higher by this share
  double hold_s = 15;       // and it must be for this long
  double rest_s = 60;       // after a change
  double reversal_s = 180;  // before a change back
  double window_s = 600;    // in which
  std::size_t most_changes = 4;
  double change_s = 30;   // drain and start, before one was seen
  double forget_s = 900;  // half-life of what a useless change taught
};

/// What was asked of the cluster lately: means over requests, and how many come per second.
struct OfferedLoad {
  double rate = 0;
  double prompt_tokens = 0, output_tokens = 0;
  double prompt_scv = 0, output_scv = 0;  // squared coefficients of variation
  double met = 1;                         // share of requests that met their objectives
};

/// A node as the latency model sees it, for requests like those of the load.
struct PrefillRole {
  NodeId node;
  bool able = false;  // it can change its role
  double prompt_s = 0;
  std::uint64_t queued_tokens = 0;
};
struct DecodeRole {
  NodeId node;
  bool able = false;
  double step_s = 0, seq_s = 0;  // of a step: fixed, and for each sequence
  double most_seqs = 0;          // that its memory holds
  std::uint32_t seqs = 0;
};
/// Nodes that take requests.
struct RoleView {
  std::vector<PrefillRole> prefills;
  std::vector<DecodeRole> decodes;
  double ttft_slo_s = 1, tpot_slo_s = 0.1, attainment = 0.99;
};

/// Requests per second within the objectives.
struct SplitForecast {
  std::size_t prefills = 0, decodes = 0;
  double prefill_rate = 0, decode_rate = 0;  // that each side carries
  /// Beyond what the lesser side carries a queue grows, in which more and more miss their objectives.
  [[nodiscard]] double goodput(double offered) const;
};

struct RoleChange {
  NodeId node;
  PoolRole to = PoolRole::prefill;
  std::string why;
};

/// What the last look came to, for people.
struct RoleOutlook {
  OfferedLoad load;
  SplitForecast now;
  std::optional<SplitForecast> better;
  double owed = 0, price = 0;  // requests: what not changing has cost, and what changing would
  std::string waits_for;       // why no change comes of it; empty: nothing is better
};

class RoleBalance {
 public:
  explicit RoleBalance(const RoleOptions& o = {}) : o_(o) {}

  void arrived(double prompt_tokens, TimePoint now);
  /// output_tokens 0: refused.
  void ended(double output_tokens, bool met, TimePoint now);
  [[nodiscard]] OfferedLoad load(TimePoint now) const;
  /// What this observer hears of is such a share of all requests.
  void share(double ours) { share_ += 0.05 * (std::clamp(ours, 0.01, 1.0) - share_); }

  /// Now and then, about every second. A change that is returned is made: began() follows, or refused().
  [[nodiscard]] std::optional<RoleChange> look(const RoleView& v, TimePoint now);
  /// A node changes its role, by whose wish ever; and it is there again, or it was lost.
  void began(PoolRole to, TimePoint now);
  void done(bool well, TimePoint now);

  [[nodiscard]] const RoleOutlook& outlook() const noexcept { return outlook_; }
  [[nodiscard]] double change_s() const noexcept { return change_s_; }

  /// What a split of such nodes carries; how many of them are more or less than there are has the mean of its side.
  [[nodiscard]] static SplitForecast forecast(const RoleView& v, const OfferedLoad& l, std::size_t prefills,
                                              std::size_t decodes);

 private:
  static constexpr double kMemoryS = 20;   // of the load
  static constexpr double kLeastSeen = 8;  // requests within it, for it to say anything
  struct Ways {
    double useless = 0;  // doublings of the price, at `since`
    TimePoint since{};
  };
  struct Trial {
    PoolRole to;
    double met;  // before it
    TimePoint judged_at;
  };
  [[nodiscard]] static SplitForecast corrected(SplitForecast f, const SplitForecast& now, const OfferedLoad& l,
                                               double attainment);
  void fade(TimePoint now);
  void judge(TimePoint now);
  [[nodiscard]] double price(const RoleView& v, const OfferedLoad& l, PoolRole to, TimePoint now) const;
  [[nodiscard]] std::string rests(PoolRole to, TimePoint now) const;
  [[nodiscard]] double useless(PoolRole to, TimePoint now) const;

  RoleOptions o_;
  // Sums that fade with kMemoryS.
  double requests_ = 0, prompts_ = 0, prompts2_ = 0, ends_ = 0, met_ = 0;
  double output_ = 0, output2_ = 0;  // means of outputs that ended, and of their squares
  double outputs_seen_ = 0;
  double share_ = 1;
  TimePoint faded_{}, looked_{}, first_{};
  std::optional<PoolRole> wanted_;
  TimePoint wanted_since_{};
  double owed_ = 0;
  std::optional<PoolRole> under_way_;
  std::optional<PoolRole> last_to_;
  TimePoint began_{}, done_{};
  double change_s_ = o_.change_s;
  bool timed_ = false;
  std::deque<TimePoint> changes_;
  std::array<Ways, 2> ways_{};
  std::optional<Trial> trial_;
  RoleOutlook outlook_;
};

}  // namespace sluice::coordinator
