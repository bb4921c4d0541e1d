#pragma once
// Whether a request should be taken in, from what decode nodes will hold when its prefill ends, not from what they hold
// now. Pure logic over a snapshot, usable by the simulator; not thread-safe.
//
// Between a request's admission and its first decode step lies its prefill. A rule that looks at the decode nodes' load
// of the moment admits everything for as long as a prefill takes, then refuses everything until that burst has ended,
// and so on (the fluctuation that the Mooncake paper, FAST '25, describes). So here each request that runs or is on its
// way stands in the forecast with the chance that it is still there at the time in question: prefills on their way are
// counted when they arrive, running ones by the learned distribution of output lengths.
//
// Two questions are answered before any prefill is spent. A request that must wait for room: will it start in time? And
// one that states how fast it must be decoded: will a node decode that fast when its prefill ends? A no is a Refusal
// with the time after which it is expected to be a yes.
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "coordinator/policy/output_lengths.h"
#include "coordinator/policy/placement.h"

namespace sluice::coordinator {

/// A request that is or will be on a decode node.
struct Occupant {
  double blocks = 0;              // that it holds now, or for good
  double emitted = 0, limit = 0;  // output tokens so far and at most
  double starts_in_s = 0;         // until its first decode step; <= 0: it decodes
  double tpot_s = 0;
  bool holds = true;          // its place is taken already while its KV is on its way
  double blocks_a_token = 0;  // that it takes with each further one; 0: it has them all
};

/// Who is on a decode node, by its index in the snapshot; asked for as few nodes as an answer needs, and again for each
/// time that is looked at. The answer holds until the next question.
using OccupantsOf = std::function<std::span<const Occupant>(std::size_t node)>;

/// What a node is expected to hold at some time.
struct Occupancy {
  double blocks = 0, blocks_var = 0;
  double seqs = 0, seqs_var = 0;
};

class Forecast {
 public:
  /// Both are borrowed.
  Forecast(const OutputLengths& lengths, const OccupantsOf& all) : lengths_(lengths), all_(all) {}
  [[nodiscard]] Occupancy at(std::size_t node, double in_s) const;
  /// Whether a node is expected to have this much room, with `doubt` standard deviations to spare.
  [[nodiscard]] bool room(const DecodeView& d, std::size_t node, double in_s, double blocks, double doubt) const;

 private:
  const OutputLengths& lengths_;
  const OccupantsOf& all_;
};

/// Requests that stand before one in the queue.
struct Ahead {
  double blocks = 0, seqs = 0;
  double limits = 0;  // output tokens at most, of all together
};

class Admission {
 public:
  explicit Admission(Placement& placement) : placement_(placement) {}

  void observe_output(double tokens, bool by_itself) { lengths_.observe(tokens, by_itself); }
  [[nodiscard]] OutputLengths& lengths() noexcept { return lengths_; }
  [[nodiscard]] const OutputLengths& lengths() const noexcept { return lengths_; }

  /// For a request that no decode node has room for now. Nothing: let it wait.
  [[nodiscard]] std::optional<Refusal> check_wait(const ClusterSnapshot& c, const RequestFeatures& r,
                                                  const OccupantsOf& all, const Ahead& ahead, double deadline_s,
                                                  TimePoint now);
  /// For a request that could go now and must be decoded within limit_s a token. May change the choice to a pair that
  /// will be fast enough. Never refuses what idle nodes could not do either: waiting would not help that.
  [[nodiscard]] std::optional<Refusal> check_speed(const ClusterSnapshot& c, const RequestFeatures& r, Decision& d,
                                                   const OccupantsOf& all, double limit_s, TimePoint now);

 private:
  struct Need {
    double blocks = 0;
    Ahead ahead;
    double hold_s = 0;  // how long one of those ahead keeps its place
  };
  [[nodiscard]] static std::optional<double> room_in_s(const ClusterSnapshot& c, const Need& n, const Forecast& f);
  [[nodiscard]] static bool room_for_all(const ClusterSnapshot& c, const Need& n, const Forecast& f, double in_s);
  [[nodiscard]] double hold_s(const ClusterSnapshot& c, const Ahead& ahead, const Candidate& idle) const;
  /// The best candidate if the decode nodes were as they are forecast to be; idle without a forecast.
  [[nodiscard]] std::optional<Candidate> best_then(const ClusterSnapshot& c, const RequestFeatures& r,
                                                   const Forecast* f, double in_s, TimePoint now);

  Placement& placement_;
  OutputLengths lengths_;
  ClusterSnapshot then_;  // reused
  TimePoint links_from_{};
};

}  // namespace sluice::coordinator
