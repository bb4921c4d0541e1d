// What the mover is shown of a running cluster, by what it then wants.
#include "tests/coordinator_serving/moving_leg.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr MoverOptions kAtOnce{.leg_rest_s = 0, .per_node_s = 0, .lasting_s = 0, .room_wait_s = 0};

}  // namespace

TEST_CASE("a node with parked sequences gives one away") {
  MovingLeg l(kAtOnce);
  l.spin(600);
  CHECK(l.d0.moves.empty());  // two nodes that are well
  l.d0.parked = 1;
  REQUIRE(l.b.until([&] { return !l.d0.moves.empty(); }));
  l.d0.parked = 0;
  l.halt();
  l.token(*l.d1);
  l.end_on(*l.d1);
  CHECK(l.count("memory", "moved") == 1);
  l.check_given_back();
}

TEST_CASE("a prompt that fits nowhere has room made for it") {
  MovingLeg l(kAtOnce, 10, 14);  // the leg holds four of d0's ten blocks
  const auto second = l.b.start({.prompt = std::make_shared<std::vector<TokenId>>(80, 7)});  // seven: only d1 has them
  REQUIRE(l.b.until([&] { return l.d1->reserves.size() == 1; }));
  const auto large = l.b.start({.prompt = std::make_shared<std::vector<TokenId>>(125, 7)});  // ten
  REQUIRE(l.b.until([&] { return !l.d0.moves.empty(); }));
  l.halt();
  l.token(*l.d1);
  REQUIRE(l.b.until([&] { return l.d0.reserves.size() == 2; }));
  CHECK(l.d0.reserves[1].prompt_tokens == 125);
  CHECK(l.count("room", "moved") == 1);
}
