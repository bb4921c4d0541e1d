// Who is placed, who waits and in which order, and who is refused: the intake over a host that answers as told.
#include "coordinator/policy/intake.h"

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

const TimePoint kStart{std::chrono::seconds(1000)};

/// Decode seats that it counts itself; whoever decide() lets go takes one.
struct Host final : IntakeHost {
  ClusterSnapshot c = test::cluster(1, 1);
  std::uint32_t seats = 0;
  std::map<std::uint64_t, std::uint32_t> outputs;  // max_new_tokens, of those who differ
  std::map<std::uint64_t, TimePoint> received;
  std::map<std::uint64_t, std::uint32_t> needs;  // seats, of those who need more than one
  std::set<std::uint64_t> unservable;
  std::set<std::uint64_t> tries;  // run as trials
  std::vector<Occupant> on;
  std::function<void()> on_refusal = [] {};

  std::vector<std::uint64_t> went, asked;
  std::vector<std::pair<std::uint64_t, Refused>> refused;
  std::vector<Refusal> refusals;
  double deadline_s = 0;
  ChoiceReason reason = ChoiceReason::explore;

  RequestFeatures features(RequestId id, TimePoint now) override {
    RequestFeatures r = test::request(100, outputs.contains(id.value()) ? outputs[id.value()] : 60);
    r.waited_s = received.contains(id.value()) ? seconds(now - received[id.value()]) : 0;
    return r;
  }
  const ClusterSnapshot& cluster() override { return c; }
  const ClusterSnapshot& cluster_for(RequestId) override { return c; }
  OccupantsOf occupants(TimePoint) override {
    return [this](std::size_t) { return std::span<const Occupant>(on); };
  }
  Placed decide(RequestId id, const ClusterSnapshot&, RequestFeatures&, double deadline, TimePoint) override {
    asked.push_back(id.value());
    deadline_s = deadline;
    if (unservable.contains(id.value())) return Refusal{Error{Errc::unavailable, "no node", {}}, 1};
    const std::uint32_t need = needs.contains(id.value()) ? needs[id.value()] : 1;
    if (seats < need) return Wait{};
    seats -= need;
    Decision d{.reason = ChoiceReason::explore, .considered = 2, .trial = tries.contains(id.value())};
    d.chosen.predicted_ttft_s = 0.5;
    d.chosen.predicted_tpot_s = predicted_tpot_s;
    return d;
  }
  void go(RequestId id, const ClusterSnapshot&, const Decision& d) override {
    went.push_back(id.value());
    reason = d.reason;
  }
  void refuse(RequestId id, Refused why, const Refusal& r) override {
    refused.emplace_back(id.value(), why);
    refusals.push_back(r);
    on_refusal();
  }
  double predicted_tpot_s = 0.01;
};

struct Door {
  Host host;
  Placement placement{{}};
  IntakeOptions options;
  Intake intake;
  TimePoint now = kStart;
  std::uint64_t last = 0;

  explicit Door(IntakeOptions o = {}) : options(o), intake(placement, host, o) {}
  std::uint64_t arrive(Applicant a = {}) {
    a.turn.id = RequestId(++last);
    host.received[last] = now;
    intake.arrive(a, now);
    return last;
  }
  std::uint64_t urgent(int priority) { return arrive({.turn = {.priority = priority}}); }
  void pump(std::uint32_t seats) {
    host.seats += seats;
    intake.pump(now);
  }
  void pass(double s) { now += from_seconds(s); }
  /// The decode node is full of young outputs, and their lengths are known: some 150 tokens of 20 ms.
  void fill() {
    for (int i = 0; i < 100; ++i) intake.observe_output(100 + i, true);
    host.c.decodes[0].total_blocks = 100;
    host.c.decodes[0].free_blocks = 0;
    host.on.assign(10, {.blocks = 10, .limit = 1000, .tpot_s = 0.02});
  }
};

using Ids = std::vector<std::uint64_t>;
using Refusals = std::vector<std::pair<std::uint64_t, Refused>>;

}  // namespace

TEST_CASE("who has room goes at once, the others by priority and then by arrival") {
  Door d;
  d.host.seats = 1;
  d.arrive();
  CHECK(d.host.went == Ids{1});
  d.arrive();    // 2
  d.urgent(5);   // 3
  d.urgent(-1);  // 4
  d.arrive();    // 5
  CHECK(d.intake.waiting() == 4);
  d.pump(4);
  CHECK(d.host.went == Ids{1, 4, 2, 5, 3});
  CHECK(d.intake.waiting() == 0);
  CHECK(d.host.refused.empty());
}

TEST_CASE("a later, smaller one does not starve the first of the queue") {
  Door d;
  d.host.needs[1] = 3;
  d.arrive();
  d.arrive();
  d.host.asked.clear();
  d.pump(2);
  CHECK(d.host.asked == Ids{1});
  CHECK(d.host.went.empty());
  d.pump(2);
  CHECK(d.host.went == Ids{1, 2});
}

TEST_CASE("newcomers try at once, or join the queue behind those who stand before them") {
  const auto newcomers = GENERATE(Newcomers::try_at_once, Newcomers::join_the_queue);
  Door d({.newcomers = newcomers});
  d.host.needs[1] = 2;
  d.arrive();
  d.host.seats = 1;
  d.arrive();
  CHECK(d.host.went == (newcomers == Newcomers::try_at_once ? Ids{2} : Ids{}));
  d.host.seats = 1;
  d.urgent(-1);  // stands before all of them
  CHECK(d.host.went.back() == 3);
}

TEST_CASE("who waits for a node to come back holds nobody up, and is tried again") {
  Door d;
  d.host.unservable = {1, 2};
  d.arrive({.resumed = true});
  CHECK(d.intake.awaits_node({0, RequestId(1)}));
  d.arrive();  // is refused: its client has read nothing
  CHECK(d.host.refused == Refusals{{2, Refused::by_placement}});
  d.arrive();
  d.pump(1);
  CHECK(d.host.went == Ids{3});
  CHECK(d.intake.waits({0, RequestId(1)}));
  d.host.unservable.clear();
  d.pump(1);
  CHECK(d.host.went == Ids{3, 1});
}

// A request without a token whose only prefill node had died waited for as long as it could live, ten minutes.
TEST_CASE("who lost its place before its client read anything waits as a new one, from then on") {
  Door d({.max_wait_s = 3, .lifetime_s = 20});
  d.arrive({.resumed = true, .came_back_s = 2});
  CHECK(d.host.deadline_s == 5);
  d.arrive({.ttft_s = 1, .resumed = true, .came_back_s = 2});
  CHECK(d.host.deadline_s == 3);
}

TEST_CASE("who is in mid-answer may wait for as long as it may live, others up to their own or the common deadline") {
  Door d({.max_wait_s = 3, .lifetime_s = 20});
  d.arrive();
  CHECK(d.host.deadline_s == 3);
  d.arrive({.ttft_s = 1});
  CHECK(d.host.deadline_s == 1);
  d.arrive({.resumed = true, .begun = true});
  CHECK(d.host.deadline_s == 20);
  d.host.unservable = {4};
  d.arrive({.resumed = true, .begun = true});
  d.pass(1.5);
  d.intake.expire(d.now);
  CHECK(d.host.refused == Refusals{{2, Refused::waited_in_vain}});
  CHECK(d.host.refusals[0].error.code == Errc::resource_exhausted);
  CHECK(d.host.refusals[0].retry_after_s == 1);
  d.pass(2);
  d.pump(1);  // finds the first too late, and does not decide on it
  CHECK(d.host.refused.back() == std::pair{std::uint64_t{1}, Refused::waited_in_vain});
  CHECK(d.host.went == Ids{3});
  d.pass(20);
  d.intake.expire(d.now);
  CHECK(d.host.refused.back() == std::pair{std::uint64_t{4}, Refused::waited_in_vain});
  CHECK(d.host.refusals.back().error.code == Errc::unavailable);
  CHECK(d.intake.waiting() == 0);
}

TEST_CASE("no more than may wait do, and the rest hear when to come again") {
  Door d({.max_waiting = 2});
  for (int i = 0; i < 3; ++i) d.arrive();
  CHECK(d.intake.waiting() == 2);
  CHECK(d.host.refused == Refusals{{3, Refused::queue_full}});
  CHECK(d.host.refusals[0].retry_after_s == 1);  // nothing is known yet
  d.fill();
  d.arrive({.ttft_s = 500});
  CHECK(d.host.refused.back() == std::pair{std::uint64_t{4}, Refused::queue_full});
  CHECK(d.host.refusals.back().retry_after_s > 1);
  d.intake.withdraw({0, RequestId(1)});
  d.arrive({.ttft_s = 500});
  CHECK(d.intake.waits({0, RequestId(5)}));
}

TEST_CASE("without admission everybody waits") {
  Door d({.max_waiting = 1, .admission = false});
  d.fill();
  for (int i = 0; i < 3; ++i) d.arrive({.ttft_s = 1e-3});
  CHECK(d.intake.waiting() == 3);
}

TEST_CASE("who is not expected to start in time is refused, and priority decides who stands before whom") {
  Door d;
  d.fill();
  d.arrive({.ttft_s = 0.01});
  CHECK(d.host.refused == Refusals{{1, Refused::no_room_soon}});
  CHECK(d.host.refusals[0].retry_after_s >= 1);
  // Of the same deadline, one before a long queue gets in and one behind it does not.
  for (int i = 0; i < 60; ++i) d.arrive({.ttft_s = 500});
  const std::size_t before = d.intake.waiting();
  CHECK(before == 60);
  d.arrive({.ttft_s = 4});
  CHECK(d.host.refused.back().second == Refused::no_room_soon);
  CHECK(d.intake.waiting() == before);
  d.arrive({.turn = {.priority = -1}, .ttft_s = 4});
  CHECK(d.intake.waiting() == before + 1);
  // Who left stands before nobody.
  for (std::uint64_t id = 2; id <= 61; ++id) d.intake.withdraw({0, RequestId(id)});
  d.arrive({.ttft_s = 4});
  CHECK(d.intake.waiting() == 2);
}

TEST_CASE("who waits is looked at again, and refused when its turn will come too late after all") {
  Door d;
  d.fill();
  for (Occupant& o : d.host.on) o.emitted = 150;
  d.arrive({.ttft_s = 2});
  REQUIRE(d.intake.waiting() == 1);
  for (Occupant& o : d.host.on) o.emitted = 0;
  d.pass(0.5);
  d.pump(0);
  CHECK(d.host.refused == Refusals{{1, Refused::no_room_soon}});
}

TEST_CASE("who would be decoded too slowly does not go, unless it began before or is a trial") {
  Door d;
  d.fill();
  d.host.c.decodes[0].total_blocks = 10000;
  d.host.c.decodes[0].free_blocks = 9000;
  d.host.c.decodes[0].max_seqs = 200;
  d.host.c.decodes[0].seqs = 100;
  d.host.on.assign(100, {.blocks = 10, .limit = 1000, .tpot_s = 0.02});
  d.host.predicted_tpot_s = 0.3;
  d.host.seats = 5;
  d.arrive({.tpot_s = 0.1});
  CHECK(d.host.refused == Refusals{{1, Refused::too_slow}});
  d.arrive();  // any speed will do
  d.arrive({.tpot_s = 0.1, .resumed = true});
  d.host.tries = {4};
  d.arrive({.tpot_s = 0.1});
  CHECK(d.host.went == Ids{2, 3, 4});
  Door strict({.max_tpot_s = 0.1});
  strict.fill();
  strict.host.c = d.host.c;
  strict.host.on = d.host.on;
  strict.host.predicted_tpot_s = 0.3;
  strict.host.seats = 1;
  strict.arrive();
  CHECK(strict.host.refused == Refusals{{1, Refused::too_slow}});
}

// The first one's refusal has its client cancel its other choice, which stood next in the queue.
TEST_CASE("who is withdrawn while others are refused is not placed") {
  Door d({.max_wait_s = 1});
  d.arrive();
  d.pass(0.6);
  d.arrive();
  d.arrive();
  d.host.on_refusal = [&] { d.intake.withdraw({0, RequestId(2)}); };
  d.pass(0.6);
  d.pump(5);
  CHECK(d.host.refused == Refusals{{1, Refused::waited_in_vain}});
  CHECK(d.host.went == Ids{3});
}
