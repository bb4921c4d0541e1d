// When a node should change its role, and when it should not.
#include "coordinator/policy/role_balance.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;

namespace {

TimePoint at(double s) { return TimePoint(std::chrono::hours(1)) + from_seconds(s); }

/// Each prefill node computes two prompts a second; a decode node has up to 50 sequences within 50 ms.
RoleView nodes(std::size_t prefills, std::size_t decodes) {
  RoleView v{.prefills = {}, .decodes = {}, .ttft_slo_s = 2, .tpot_slo_s = 0.05, .attainment = 0.9};
  for (std::size_t i = 0; i < prefills; ++i)
    v.prefills.push_back({NodeId("p" + std::to_string(i)), true, 0.5, 100 * (i + 1)});
  for (std::size_t i = 0; i < decodes; ++i)
    v.decodes.push_back({NodeId("d" + std::to_string(i)), true, 0.01, 0.00075, 200, static_cast<std::uint32_t>(9 - i)});
  return v;
}

/// A load and a cluster that follow a clock of seconds.
struct Bench {
  RoleBalance balance;
  std::size_t prefills, decodes;
  double now = 0;
  std::vector<RoleChange> changes;

  Bench(std::size_t p, std::size_t d, const RoleOptions& o = {}) : balance(o), prefills(p), decodes(d) {}
  /// `met`: share of requests that meet their objectives.
  void run(double for_s, double rate, double prompt, double output, double met = 1) {
    double due = 0;
    for (const double end = now + for_s; now < end; ++now) {
      for (due += rate; due >= 1; --due) {
        balance.arrived(prompt, at(now));
        balance.ended(output, (++count * 7) % 10 < met * 10, at(now));
      }
      if (const auto c = balance.look(nodes(prefills, decodes), at(now))) {
        changes.push_back(*c);
        balance.began(c->to, at(now));
        c->to == PoolRole::decode ? --prefills : --decodes;
        back = now + 20;
      }
      if (back > 0 && now >= back) {
        changes.back().to == PoolRole::decode ? ++decodes : ++prefills;
        balance.done(true, at(now));
        back = 0;
      }
    }
  }
  double back = 0;
  std::size_t count = 0;
};

}  // namespace

TEST_CASE("more nodes of a side carry more of it, and the lesser side decides") {
  const OfferedLoad l{.rate = 10, .prompt_tokens = 1000, .output_tokens = 100};
  const RoleView v = nodes(2, 2);
  const auto now = RoleBalance::forecast(v, l, 2, 2);
  CHECK(now.prefill_rate > 2);
  CHECK(now.prefill_rate < 4);  // less than they compute: some would wait too long
  CHECK(RoleBalance::forecast(v, l, 3, 1).prefill_rate > now.prefill_rate);
  CHECK(RoleBalance::forecast(v, l, 3, 1).decode_rate == Approx(now.decode_rate / 2));
  CHECK(now.goodput(1) == 1);
  const double most = std::min(now.prefill_rate, now.decode_rate);
  CHECK(now.goodput(most) == most);
  CHECK(now.goodput(2 * most) < most);  // a queue grows
}

TEST_CASE("a load that the nodes carry changes nothing, however long it lasts") {
  Bench b(2, 2);
  b.run(2000, 1, 1000, 100);
  CHECK(b.changes.empty());
  CHECK_FALSE(b.balance.outlook().better);
}

TEST_CASE("prompts that prefill nodes do not carry take a decode node, the one with the least to do") {
  Bench b(2, 2);
  b.run(300, 5, 1000, 10, 0.4);
  REQUIRE(b.changes.size() == 1);
  CHECK(b.changes[0].to == PoolRole::prefill);
  CHECK(b.changes[0].node == NodeId("d1"));
  CHECK_FALSE(b.changes[0].why.empty());
}

TEST_CASE("a swing shorter than a change costs changes nothing") {
  Bench b(2, 2);
  for (int i = 0; i < 20; ++i) {
    b.run(60, 1, 1000, 10);
    b.run(12, 6, 1000, 10, 0.8);
  }
  CHECK(b.changes.empty());
}

TEST_CASE("after a change comes a rest, and its reversal waits longer") {
  Bench b(2, 2);
  b.run(120, 5, 1000, 10, 0.4);
  REQUIRE(b.changes.size() == 1);
  const double changed = b.now;
  b.run(1000, 1.5, 100, 3000, 0.5);  // now the decode side is short of nodes
  REQUIRE(b.changes.size() >= 2);
  CHECK(b.changes[1].to == PoolRole::decode);
  CHECK(b.now - changed > RoleOptions{}.reversal_s);
}

TEST_CASE("no node is taken that cannot change, nor the last of a side") {
  RoleBalance none;
  RoleBalance last;
  for (int s = 0; s < 300; ++s) {
    for (int i = 0; i < 5; ++i) {
      none.arrived(1000, at(s)), none.ended(10, false, at(s));
      last.arrived(1000, at(s)), last.ended(10, false, at(s));
    }
    RoleView v = nodes(2, 2);
    for (auto& d : v.decodes) d.able = false;
    CHECK_FALSE(none.look(v, at(s)));
    CHECK_FALSE(last.look(nodes(2, 1), at(s)));
  }
}

TEST_CASE("a change that was of no use costs more next time, and is forgotten slowly") {
  RoleOptions o;
  o.rest_s = 300;
  Bench b(2, 3, o);
  b.run(150, 8, 1000, 10, 0.4);  // no more requests meet their objectives than before
  Bench c(2, 3, o);
  c.run(40, 8, 1000, 10, 0.4);
  c.run(110, 8, 1000, 10, 0.9);
  REQUIRE(b.changes.size() == 1);
  REQUIRE(c.changes.size() == 1);
  CHECK(b.balance.outlook().price > 2 * c.balance.outlook().price);
}

TEST_CASE("changes per time are bounded whatever the load does") {
  RoleOptions o;
  o.rest_s = o.reversal_s = 0;
  Bench b(4, 4, o);
  for (int i = 0; i < 10; ++i) {
    b.run(60, 12, 1000, 10, 0.4);
    b.run(60, 3, 100, 3000, 0.4);
  }
  CHECK(b.changes.size() <= 2 * o.most_changes + 1);
}

TEST_CASE("who hears of half of the requests reckons with all") {
  RoleBalance b;
  for (int s = 0; s < 100; ++s) {
    b.arrived(10, at(s));
    b.share(0.5);
  }
  CHECK(b.load(at(100)).rate == Approx(2).epsilon(0.1));
}
