// Growing sequences at random on a pool that cannot hold them: everybody gets to his end.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "engine/policy/scheduler.h"

using namespace sluice;
using namespace sluice::engine;

namespace {

constexpr std::uint32_t kStormBlock = 4;

/// Growing sequences of random sizes and priorities on a pool that cannot hold them, with copies that take their time.
class Storm {
 public:
  explicit Storm(std::uint32_t seed) : rng_(seed), blocks_(pick(4, 40)), pool_(blocks_), s_(pool_, kStormBlock) {
    limits_ = {.max_batch_tokens = pick(2, 48), .max_seqs = pick(2, 12), .prefill_chunk = pick(1, 24)};
  }

  void run(int sequences) {
    int left = sequences;
    for (int i = 0; left > 0 || !live_.empty(); ++i) {
      REQUIRE(i < 200000);  // everybody gets to his end
      if (left > 0 && pick(0, 2) == 0 && arrive()) --left;
      if (pick(0, 20) == 0 && !live_.empty()) cancel();
      plan();
      if (pick(0, 1) == 0) copies();
      check();
    }
    while (!leaving_.empty()) copies();
    REQUIRE(pool_.free_blocks() == blocks_);
    REQUIRE(most_preemptions() <= Parking::kMostPreemptions);
  }
  [[nodiscard]] const std::vector<std::string>& log() const { return log_; }

 private:
  struct Seq {
    std::uint32_t end = 0, tokens = 0, parked = 0;
    std::tuple<std::int32_t, TimePoint> rank;
    bool here = true;
  };
  std::uint32_t pick(std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(rng_);
  }

  bool arrive() {
    const std::uint32_t whole = blocks_ * kStormBlock;
    SequenceSpec spec{.id = RequestId(++ids_)};
    const std::uint32_t prompt = pick(1, whole - 1);
    spec.tokens.assign(prompt, 1);
    spec.max_total = pick(prompt + 1, whole);
    spec.computed = pick(0, 1) == 0 ? 0 : prompt - 1;
    spec.priority = static_cast<std::int32_t>(pick(0, 2));
    spec.arrival = TimePoint(std::chrono::milliseconds(ids_));
    spec.grows = true;
    Seq q{.end = pick(prompt + 1, spec.max_total), .tokens = prompt, .rank = {spec.priority, spec.arrival}};
    const RequestId id = spec.id;
    if (!s_.admit(std::move(spec))) return false;
    live_.emplace(id, q);
    return true;
  }

  void cancel() {
    const auto it = std::next(live_.begin(), pick(0, static_cast<std::uint32_t>(live_.size()) - 1));
    REQUIRE(s_.finish(it->first));
    live_.erase(it);
  }

  void plan() {
    const Plan p = s_.plan(limits_);
    for (const Eviction& e : p.evictions) {
      Seq& victim = live_.at(e.id);
      REQUIRE(victim.here);
      victim.here = false;
      ++victim.parked;
      for (const BlockHandle& b : e.blocks) REQUIRE(pool_.valid(b));
      leaving_.push_back(e);
      log_.push_back("out " + std::to_string(e.id.value()));
      // Someone more urgent waits for them.
      REQUIRE(s_.counters().starved > 0);
    }
    for (const Return& r : p.returns) {
      coming_.push_back(r.id);
      log_.push_back("in " + std::to_string(r.id.value()));
    }
    for (const Work& w : p.work) {
      REQUIRE(live_.at(w.id).here);
      REQUIRE(s_.view(w.id)->blocks.size() * kStormBlock >= w.first + w.count);
      REQUIRE(s_.commit(w));
      if (!w.wants_logits) continue;
      Seq& q = live_.at(w.id);
      if (++q.tokens >= q.end) {
        REQUIRE(s_.finish(w.id));
        live_.erase(w.id);
      } else {
        REQUIRE(s_.append(w.id, 1));
      }
    }
  }

  void copies() {
    if (!leaving_.empty()) {
      REQUIRE(s_.evicted(leaving_.front()));
      leaving_.erase(leaving_.begin());
    }
    for (const RequestId id : std::exchange(coming_, {})) {
      const auto it = live_.find(id);
      if (it == live_.end()) continue;
      const Result<> back = pick(0, 1) == 0 ? s_.mark_ready(id) : s_.recompute(id);
      REQUIRE(back);
      it->second.here = true;
    }
  }

  void check() {
    std::set<BlockHandle> held;
    for (const auto& [id, q] : live_) {
      most_ = std::max(most_, q.parked);
      const auto view = s_.view(id);
      for (const BlockHandle& b : view->blocks) REQUIRE(held.insert(b).second);
    }
    for (const Eviction& e : leaving_)
      for (const BlockHandle& b : e.blocks) REQUIRE(held.insert(b).second);
    REQUIRE(pool_.free_blocks() + held.size() == blocks_);
  }
  [[nodiscard]] std::uint32_t most_preemptions() const { return most_; }

  std::mt19937 rng_;
  std::uint32_t blocks_;
  BlockAllocator pool_;
  Scheduler s_;
  PlanLimits limits_;
  std::map<RequestId, Seq> live_;
  std::vector<Eviction> leaving_;
  std::vector<RequestId> coming_;
  std::vector<std::string> log_;
  std::uint64_t ids_ = 0;
  std::uint32_t most_ = 0;
};

}  // namespace

TEST_CASE(
    "parking: at random everybody gets to his end, no block is lost or in two hands, and nobody is parked often") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Storm(seed).run(40);
  }
}

TEST_CASE("parking: the same events give the same plans") {
  Storm a(7);
  Storm b(7);
  a.run(60);
  b.run(60);
  REQUIRE_FALSE(a.log().empty());
  CHECK(a.log() == b.log());
}
