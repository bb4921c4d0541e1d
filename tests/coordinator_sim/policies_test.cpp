#include "coordinator/sim/policies.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::sim;
using namespace sluice::coordinator;

namespace {

/// A policy over a cluster that stands still, and a clock that moves when told.
struct World {
  ClusterSnapshot cluster;
  std::unique_ptr<Policy> policy;
  TimePoint now{std::chrono::seconds(1000)};
  double budget = 1;

  explicit World(const std::string& name, std::size_t p = 1, std::size_t d = 1) : cluster(test::cluster(p, d)) {
    auto made = make_policy(name, {.seed = 1});
    REQUIRE(made);
    policy = std::move(*made);
  }
  void bandwidth(double bytes_per_s) {
    for (auto& l : cluster.links) l.bandwidth_bps = bytes_per_s;
  }
  Candidate decide() {
    RequestFeatures r = test::request();
    r.quality_budget = budget;
    const Placed placed = policy->decide(cluster, r, 1e6, now);
    REQUIRE(std::holds_alternative<Decision>(placed));
    return std::get<Decision>(placed).chosen;
  }
  std::string profile(const Candidate& k) const { return cluster.profiles[k.profile].name; }
  std::string decided() { return profile(decide()); }
  void tell(const Candidate& k, double ttft_s, bool met) { policy->finished(k, {.ttft_s = ttft_s}, met, now); }
};

double summed(const Candidate& k) {
  return k.stages.prefill_s + k.stages.encode_s + k.stages.wire_s + k.stages.decode_s;
}

}  // namespace

// The fixture's codecs: q8 has r = 2 and S = 2 GB/s, so B* = 1 GB/s; h4 has r = 3.8 and S = 1 GB/s, so B* = 0.737 GB/s.
TEST_CASE("break-even compresses below its threshold and not above") {
  World w("break-even");
  w.bandwidth(0.98e9);
  CHECK(w.decided() == "q8");
  w.bandwidth(1.02e9);
  CHECK(w.decided() == "raw");
}

TEST_CASE("of several codecs below their thresholds break-even takes the least time for a byte") {
  World w("break-even");
  w.bandwidth(0.5e9);  // q8: 1 + 0.5 ns a byte; h4: 0.526 + 1
  CHECK(w.decided() == "q8");
  w.bandwidth(0.1e9);  // q8: 5 + 0.5; h4: 2.63 + 1
  CHECK(w.decided() == "h4");
}

TEST_CASE("a static policy keeps its profile at every bandwidth, and what the cluster lacks is not asked for") {
  World w("static:h4");
  for (const double bandwidth : {1e7, 1e9, 1e11}) {
    w.bandwidth(bandwidth);
    CHECK(w.decided() == "h4");
  }
  CHECK(World("static:unheard-of").decided() == "raw");
}

TEST_CASE("KVServe's policy takes the least sum of stages, and explores with a twentieth") {
  World w("kvserve");
  for (const auto& [bandwidth, best] : {std::pair{1e8, "h4"}, {0.5e9, "q8"}, {1e10, "raw"}}) {
    CAPTURE(bandwidth);
    w.bandwidth(bandwidth);
    std::map<std::string, int> taken;
    for (int i = 0; i < 2000; ++i) ++taken[w.decided()];
    // 2000 * 0.05 * 2/3 = 67 others, with a standard deviation of 8
    CHECK(2000 - taken[best] > 67 - 4 * 8);
    CHECK(2000 - taken[best] < 67 + 4 * 8);
    CHECK(taken.size() == 3);
  }
}

TEST_CASE("KVServe's policy corrects a profile's sum by an average of what it was off") {
  World w("kvserve");
  w.bandwidth(0.5e9);
  auto usual = [&] {
    std::map<std::string, int> taken;
    for (int i = 0; i < 100; ++i) ++taken[w.decided()];
    return std::ranges::max_element(taken, {}, [](const auto& t) { return t.second; })->first;
  };
  REQUIRE(usual() == "q8");
  for (int i = 0; i < 20; ++i) {  // in truth q8 takes a second longer
    const Candidate k = w.decide();
    w.tell(k, summed(k) + (w.profile(k) == "q8" ? 1 : 0), true);
  }
  CHECK(usual() == "h4");
  // It stays away from q8 until exploration shows that it recovered: the residual falls by 0.3 of itself each time.
  for (int i = 0; i < 400; ++i) {
    const Candidate k = w.decide();
    w.tell(k, summed(k), true);
  }
  CHECK(usual() == "q8");
}

TEST_CASE("an arm of KVServe's policy that misses three times running rests for five seconds") {
  World w("kvserve");
  w.bandwidth(1e8);
  auto miss = [&](int times) {
    for (int missed = 0; missed < times;) {
      const Candidate k = w.decide();
      if (w.profile(k) != "h4") continue;
      w.tell(k, summed(k), false);
      ++missed;
    }
  };
  auto share_of_h4 = [&] {
    int taken = 0;
    for (int i = 0; i < 200; ++i) taken += w.decided() == "h4" ? 1 : 0;
    return taken / 200.0;
  };
  miss(2);
  CHECK(share_of_h4() > 0.9);
  miss(1);
  CHECK(share_of_h4() < 0.1);
  w.now += std::chrono::milliseconds(4900);
  CHECK(share_of_h4() < 0.1);
  w.now += std::chrono::milliseconds(200);
  CHECK(share_of_h4() > 0.9);
}

TEST_CASE("when all arms of KVServe's policy rest the best still serves") {
  World w("kvserve");
  w.bandwidth(1e8);
  for (int i = 0; i < 1000; ++i) {
    const Candidate k = w.decide();
    w.tell(k, summed(k), false);
  }
  std::map<std::string, int> taken;
  for (int i = 0; i < 200; ++i) ++taken[w.decided()];
  CHECK(taken["h4"] > 180);
}

TEST_CASE("kvserve-alone takes the least loaded nodes, whatever their link; kvserve leaves the pair to the placement") {
  const auto decide = [](const char* name) {
    World w(name, 2, 2);
    w.cluster.prefills[0].queued_tokens = 500;
    w.cluster.decodes[0].seqs = 1;
    w.cluster.links[3].bandwidth_bps = 1e6;  // between the two that are free
    return w.decide();
  };
  const Candidate alone = decide("kvserve-alone");
  CHECK(alone.prefill == 1);
  CHECK(alone.decode == 1);
  const Candidate placed = decide("kvserve");
  CHECK_FALSE((placed.prefill == 1 && placed.decode == 1));
}

TEST_CASE("UCB1 tries every arm once, then spends most on the best and never gives up the others") {
  World w("ucb1");
  const std::map<std::string, double> ttft{{"raw", 8}, {"q8", 2}, {"h4", 5}};  // of an objective of 10 s
  std::map<std::string, int> taken;
  auto serve = [&](int requests) {
    for (int i = 0; i < requests; ++i) {
      const Candidate k = w.decide();
      ++taken[w.profile(k)];
      w.tell(k, ttft.at(w.profile(k)), true);
    }
  };
  serve(3);
  CHECK(taken == std::map<std::string, int>{{"raw", 1}, {"q8", 1}, {"h4", 1}});
  serve(997);
  CHECK(taken["q8"] > 750);
  CHECK(taken["h4"] > taken["raw"]);
  const int before = taken["raw"];
  serve(9000);
  CHECK(taken["raw"] > before);
  CHECK(taken["q8"] > 9300);
}

TEST_CASE("no comparator leaves the quality budget, and without a profile within it none serves") {
  for (const char* name : {"sluice", "break-even", "kvserve", "kvserve-alone", "ucb1"}) {
    CAPTURE(name);
    World w(name);
    w.bandwidth(1e7);  // h4 would be fastest by far
    w.budget = 0.01;
    for (int i = 0; i < 200; ++i) {
      const Candidate k = w.decide();
      CHECK(k.kl <= w.budget);
      w.tell(k, 1, true);
    }
    w.cluster.profiles[0].kl = 0.02;
    w.cluster.profiles[1].kl = 0.02;
    RequestFeatures r = test::request();
    r.quality_budget = 0.01;
    CHECK(std::holds_alternative<Refusal>(w.policy->decide(w.cluster, r, 1e6, w.now)));
  }
}

TEST_CASE("sluice gives equal times to the better quality, sluice-fast takes the least") {
  for (const auto& [name, profile] : {std::pair{"sluice", "raw"}, {"sluice-fast", "h4"}}) {
    CAPTURE(name);
    World w(name);
    // Computation hides nearly all of it: what is left differs by less than a hundredth.
    w.bandwidth(1e11);
    for (auto* nodes : {&w.cluster.prefills.front().profiles, &w.cluster.decodes.front().profiles})
      for (auto& s : *nodes) s.encode_bps = s.decode_bps = 1e13;
    CHECK(w.decided() == profile);
  }
}

TEST_CASE("only Sluice's own policies change profiles in mid-transfer, and sluice-keep does not") {
  const std::map<std::string, bool> changes{{"sluice", true},      {"sluice-fast", true}, {"sluice-keep", false},
                                            {"break-even", false}, {"kvserve", false},    {"kvserve-alone", false},
                                            {"ucb1", false},       {"static:raw", false}};
  for (const auto& [name, may] : changes) {
    CAPTURE(name);
    CHECK(make_policy(name, {}).value()->changes_in_transfer() == may);
  }
  const auto unknown = make_policy("oracle", {});
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message.find("kvserve-alone") != std::string::npos);
}
