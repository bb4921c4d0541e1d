#pragma once
// The queue in front of the nodes: who is placed now, who waits, and who hears at once that it is no use. Daemon and
// simulator run this code. Pure logic: events and the time in, go() or refuse() at the host out; not thread-safe.
//
// The rules. Who wants a place is decided on at once, or joins the queue (Newcomers). Those who wait stand by priority,
// then by arrival. When room may have come, they are tried in that order until one does not fit: a later, smaller one
// must not starve it. One that no node can continue just now holds nobody up. Nobody waits who is not expected to start
// by its deadline (Admission), nobody goes who would be decoded slower than it may, and no more than max_waiting wait.
//
// Re-entrancy: go() and refuse() may call withdraw(), never arrive() or pump().
#include <compare>
#include <map>
#include <optional>

#include "coordinator/policy/admission.h"
#include "coordinator/policy/placement.h"

namespace sluice::coordinator {

/// A place in the queue; smaller is sooner. Ids are given in order of arrival.
struct Turn {
  int priority = 0;
  RequestId id;
  friend auto operator<=>(const Turn&, const Turn&) = default;
};

/// Who wants a place.
struct Applicant {
  Turn turn;
  std::optional<double> ttft_s, tpot_s;  // objectives of its own: refused rather than missed
  bool resumed = false;                  // was placed before
  bool begun = false;                    // its client has tokens: it may wait for as long as it may live
  double came_back_s = 0;                // when it lost its place, since it was received: its wait begins anew
};

/// Why a request is not taken.
enum class Refused {
  by_placement,    // no node, no profile, or no pair could ever do it in time
  no_room_soon,    // it would not start by its deadline
  too_slow,        // it would be decoded slower than it may
  queue_full,      // max_waiting wait already
  waited_in_vain,  // its deadline has passed
};

/// What the intake sees of the cluster and of requests, and who does what it decides.
class IntakeHost {
 public:
  virtual ~IntakeHost() = default;
  /// What a request asks, with the time it has waited.
  [[nodiscard]] virtual RequestFeatures features(RequestId id, TimePoint now) = 0;
  /// All nodes; and those that may serve this request. Valid until the next question.
  [[nodiscard]] virtual const ClusterSnapshot& cluster() = 0;
  [[nodiscard]] virtual const ClusterSnapshot& cluster_for(RequestId id) = 0;
  [[nodiscard]] virtual OccupantsOf occupants(TimePoint now) = 0;
  /// Placement::decide, or who decides in its stead; may pin a profile in `r`.
  [[nodiscard]] virtual Placed decide(RequestId id, const ClusterSnapshot& c, RequestFeatures& r, double deadline_s,
                                      TimePoint now) = 0;
  /// The request has this place.
  virtual void go(RequestId id, const ClusterSnapshot& c, const Decision& d) = 0;
  virtual void refuse(RequestId id, Refused why, const Refusal& r) = 0;
};

/// What becomes of a newcomer while others wait before it. The daemon's newcomers try at once, so that a small one may
/// find the room that a large one waits for; a simulated cluster's stand in line.
enum class Newcomers { try_at_once, join_the_queue };

struct IntakeOptions {
  double max_wait_s = 30;  // the latest TTFT worth admitting when a request states none of its own
  double max_tpot_s = 0;   // the slowest TPOT worth admitting, likewise; 0: any
  double lifetime_s = 600;
  std::size_t max_waiting = 1024;
  Newcomers newcomers = Newcomers::try_at_once;
  bool admission = true;  // false: nothing is forecast, and any number waits
  bool say_when = true;   // forecasts when to come again for those whom a full queue refuses
};

class Intake {
 public:
  /// Placement and host are borrowed.
  Intake(Placement& placement, IntakeHost& host, const IntakeOptions& o)
      : host_(host), options_(o), admission_(placement) {}

  void arrive(const Applicant& a, TimePoint now);
  /// Room may have come.
  void pump(TimePoint now);
  /// Refuses those whose time is up.
  void expire(TimePoint now);
  /// Wants no place any more; unknown turns are ignored.
  void withdraw(const Turn& t) { take_out(t); }
  /// An output ended: by itself, or it was cut off.
  void observe_output(double tokens, bool by_itself) { admission_.observe_output(tokens, by_itself); }

  /// Whether its time is up, having waited for so long since it was received.
  [[nodiscard]] bool late(const Applicant& a, double waited_s) const;
  [[nodiscard]] bool waits(const Turn& t) const { return queue_.contains(t); }
  [[nodiscard]] bool awaits_node(const Turn& t) const;
  /// The first of those who wait for room.
  [[nodiscard]] std::optional<RequestId> first_in_line() const;
  [[nodiscard]] std::size_t waiting() const noexcept { return queue_.size(); }
  [[nodiscard]] OutputLengths& lengths() noexcept { return admission_.lengths(); }
  [[nodiscard]] const OutputLengths& lengths() const noexcept { return admission_.lengths(); }

 private:
  struct Waiter {
    Applicant asks;
    bool awaits_node = false;  // waits not for room but for a node that can continue it
    RequestFeatures needs{};   // as it came
  };
  /// What is counted of those who wait: blocks of so many tokens, of all that they may hold or of what is expected.
  struct Unit {
    std::uint32_t block_size = 16;
    bool grows = false;
    friend bool operator==(const Unit&, const Unit&) = default;
  };
  struct No {
    Refused why;
    Refusal refusal;
  };
  [[nodiscard]] double deadline_s(const Applicant& a) const;
  [[nodiscard]] bool must_queue(const Turn& t) const;
  [[nodiscard]] bool attempt(Waiter& w, TimePoint now);
  [[nodiscard]] std::optional<Refusal> too_slow(const Applicant& a, const ClusterSnapshot& c, const RequestFeatures& r,
                                                Decision& d, TimePoint now);
  [[nodiscard]] std::optional<No> why_not_wait(const Waiter& w, bool newcomer, TimePoint now);
  [[nodiscard]] Ahead ahead_of(const Turn& t, const Unit& in);
  void put_in(const Waiter& w);
  void take_out(const Turn& t);
  void refuse(const Waiter& w, const No& no);
  static void add(Ahead& a, const Waiter& w, const Unit& in, double times);
  void count(const Waiter& w, double times);

  IntakeHost& host_;
  IntakeOptions options_;
  Admission admission_;
  std::map<Turn, Waiter> queue_;
  Ahead all_;  // of everyone in the queue
  Unit counted_in_;
};

}  // namespace sluice::coordinator
