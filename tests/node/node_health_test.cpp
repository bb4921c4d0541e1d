#include "node/node_health.h"

#include <catch2/catch.hpp>

using namespace sluice::node;
using namespace std::chrono_literals;

TEST_CASE("a node is ready when it is registered, stays, and its engine goes on; else it says why") {
  const NodeFacts good{.registered = true, .wedge = 30s};
  CHECK(ready_of(good).ok);
  CHECK(ready_of(good).why.empty());
  NodeFacts f = good;
  f.registered = false;
  CHECK(ready_of(f).why == "not registered with the coordinator");
  f.draining = true;
  CHECK(ready_of(f).why == "draining");
  f = good;
  f.still = 29s;
  CHECK(ready_of(f).ok);
  f.still = 30s;
  CHECK_FALSE(ready_of(f).ok);
  CHECK(ready_of(f).why == "the engine has work and has not moved for 30 s");
}

TEST_CASE("only what waiting cannot heal ends a node") {
  NodeFacts f{.registered = false, .draining = true, .still = 299s, .wedge = 30s};
  CHECK(live_of(f).ok);
  f.still = 300s;
  CHECK_FALSE(live_of(f).ok);
  CHECK(live_of(f).why == "the engine has work and has not moved for 300 s");
}
