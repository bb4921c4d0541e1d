#include "coordinator/serving/health.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;

namespace {

void join(ClusterView& view, control::Role role, const char* name) {
  control::RegisterRequest r;
  r.role = role;
  r.node = NodeId(name);
  r.incarnation = Incarnation(1);
  r.data_address = "127.0.0.1:9";
  r.block_size = 16;
  r.total_blocks = 100;
  r.max_seqs = 8;
  r.profiles = {{"raw", 0.0, 1.0, 1e9, 1e9}};
  REQUIRE(view.add(std::move(r), TimePoint{}));
}

}  // namespace

TEST_CASE("the service is ready with a node of each role that takes work, and says what it lacks") {
  ClusterView view{std::chrono::minutes(1)};
  CHECK(health_of(view, {}).reason == "no prefill node is ready");
  join(view, control::Role::prefill, "p0");
  CHECK(health_of(view, {}).reason == "no decode node is ready");
  join(view, control::Role::decode, "d0");
  const Health h = health_of(view, {.waiting = 3, .active = 7});
  CHECK(h.ready);
  CHECK(h.reason.empty());
  CHECK(h.detail == nlohmann::json{{"prefill_nodes", 1}, {"decode_nodes", 1}, {"waiting", 3}, {"active", 7}});
  CHECK(health_of(view, {.draining = true}).reason == "draining");
  CHECK_FALSE(health_of(view, {.draining = true}).ready);
  REQUIRE(view.set_draining(NodeId("p0"), true));
  CHECK(health_of(view, {}).reason == "no prefill node is ready");
}

TEST_CASE("a node whose engine stands still is not ready, gets nothing, and is back when it goes on") {
  ClusterView view{std::chrono::minutes(1)};
  join(view, control::Role::prefill, "p0");
  join(view, control::Role::decode, "d0");
  view.heartbeat(NodeId("d0"), {.stalled = true}, TimePoint{});
  CHECK(health_of(view, {}).reason == "no decode node is ready; 1 registered, but the engine stands still");
  CHECK_FALSE(view.snapshot().decodes.at(0).usable);
  CHECK(view.snapshot().prefills.at(0).usable);
  view.heartbeat(NodeId("d0"), {}, TimePoint{});
  CHECK(health_of(view, {}).ready);
  CHECK(view.snapshot().decodes.at(0).usable);
  view.heartbeat(NodeId("p0"), {.stalled = true}, TimePoint{});
  CHECK_FALSE(view.snapshot().prefills.at(0).usable);
}

TEST_CASE("the service is not ready once requests are being read and none is done") {
  const Health ready{true, "", {{"prefill_nodes", 1}}};
  CHECK(with_readers(ready, std::chrono::seconds(29), std::chrono::seconds(30)).ready);
  const Health h = with_readers(ready, std::chrono::seconds(31), std::chrono::seconds(30));
  CHECK_FALSE(h.ready);
  CHECK(h.reason == "requests are being read, and none was done for 31 s");
  CHECK(h.detail == ready.detail);
  // What was wrong before stays the reason.
  CHECK(with_readers({false, "draining", {}}, std::chrono::seconds(31), std::chrono::seconds(30)).reason == "draining");
}
