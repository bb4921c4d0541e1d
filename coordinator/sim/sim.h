#pragma once
// The simulation itself: its state and what each event does, for coordinator/sim/cluster_sim.cpp (requests, computing,
// reports) and coordinator/sim/sim_transfer.cpp (KV on its way). Nobody else needs it.
#include <algorithm>
#include <cmath>
#include <deque>
#include <queue>

#include "coordinator/policy/intake.h"
#include "coordinator/sim/cluster_sim.h"
#include "coordinator/sim/sim_nodes.h"
#include "coordinator/sim/sim_occupants.h"

namespace sluice::sim {

enum class What : std::uint8_t {
  submit,
  prefill_pass,
  onto_link,
  off_link,
  link_step,
  look,
  arrived,
  decode_run,
  report_prefill,
  report_decode
};

struct Event {
  double at_s;
  std::uint64_t order;
  What what;
  std::uint32_t who;
  bool operator>(const Event& o) const { return at_s != o.at_s ? at_s > o.at_s : order > o.order; }
};

class Sim final : coordinator::IntakeHost {
 public:
  Sim(const ClusterSpec& spec, const Load& load, Policy& policy)
      : spec_(spec),
        load_(load),
        policy_(policy),
        random_(spec.seed * 77 + 5),
        occupants_(spec, load, {active_, decodes_}),
        intake_(policy.placement(), *this,
                {.max_wait_s = spec.max_wait_s,
                 .max_tpot_s = spec.max_tpot_s,
                 .lifetime_s = INFINITY,
                 .max_waiting = spec.max_waiting,
                 .newcomers = coordinator::Newcomers::join_the_queue,
                 .admission = spec.admission,
                 .say_when = false}) {}

  Result<SimResult> run();

 private:
  Result<> build();
  void push(double at_s, What what, std::size_t who) {
    events_.push({at_s, order_++, what, static_cast<std::uint32_t>(who)});
  }
  double vary(double s, double spread) { return spread > 0 ? s * std::exp(spread * random_.normal()) : s; }
  double told(double measured) { return vary(measured, spec_.measurement_spread); }

  // What the intake asks, and what it decides; a request's id is its row in the load.
  coordinator::RequestFeatures features(RequestId id, TimePoint now) override;
  const coordinator::ClusterSnapshot& cluster() override { return view_; }
  const coordinator::ClusterSnapshot& cluster_for(RequestId) override { return view_; }
  coordinator::OccupantsOf occupants(TimePoint) override { return occupants_.at(now_); }
  coordinator::Placed decide(RequestId id, const coordinator::ClusterSnapshot& c, coordinator::RequestFeatures& r,
                             double deadline_s, TimePoint now) override;
  void go(RequestId id, const coordinator::ClusterSnapshot& c, const coordinator::Decision& d) override;
  void refuse(RequestId id, coordinator::Refused why, const coordinator::Refusal& r) override;

  void arrive(std::uint32_t row);
  void pump() { intake_.pump(at(now_)); }
  void submit(std::uint32_t id);
  void admit_waiting(PrefillSim& n);
  void kick_prefill(std::size_t p);
  void prefill_pass(std::size_t p);
  void ship(std::size_t p, std::uint32_t id, double tokens, bool last, double pass_s);
  void onto_link(std::uint32_t chunk);
  void off_link(std::size_t pair, std::uint64_t event);
  void land(const Chunk& c, double sent_s);
  void link_step();
  void look_later(std::size_t p, std::size_t d);
  void look(std::size_t pair);
  bool tighten_one(std::uint32_t id, double link_bps);
  LinkSim& link_of(const Active& a) { return prefills_[a.k.prefill].links[a.k.decode]; }
  SharedLink::Rate rate_of(std::size_t d) const { return {d == 0 ? first_links_ : spec_.links, spec_.link_bps}; }
  void end_link_at(std::size_t p, std::size_t d);
  void arrived(std::uint32_t id);
  void kick_decode(std::size_t d);
  void end_run_at(std::size_t d, std::uint32_t steps);
  void decode_run(std::size_t d);
  void finish(std::uint32_t id);
  void report_prefill(std::size_t p);
  void report_decode(std::size_t d);
  double slow(std::size_t p) const;
  double crowding() const { return spec_.cores == 0 ? 1 : std::max(1.0, static_cast<double>(busy_) / spec_.cores); }

  const ClusterSpec& spec_;
  const Load& load_;
  Policy& policy_;
  coordinator::FastRandom random_;
  coordinator::ClusterSnapshot view_;
  std::deque<PrefillSim> prefills_;  // deque: the schedulers keep references into their node
  std::deque<DecodeSim> decodes_;
  std::vector<std::vector<double>> encode_truth_, decode_truth_;  // [node][profile]
  std::vector<Active> active_;
  std::vector<std::uint32_t> free_;
  SimOccupants occupants_;
  coordinator::Intake intake_;
  Chunks chunks_;
  Timeline first_links_;  // to decode node 0
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  std::uint32_t longest_prompt_ = 0;       // tokens that a prefill node holds; who has more is refused
  std::size_t unfinished_ = 0, busy_ = 0;  // requests; nodes that compute
  double now_ = 0;
  SimResult result_;
};

}  // namespace sluice::sim
