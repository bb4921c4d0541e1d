// Who holds a node's name when its lease has run out and nobody has looked yet.
#include "coordinator/cluster/node_registry.h"

#include "tests/coordinator_serving/serving_fixture.h"
#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Registry {
  boost::asio::io_context io;
  ManualClock clock;
  ClusterView view{std::chrono::minutes(1)};
  std::vector<std::string> lost;
  // A minute: leases are looked at, and heartbeats sent, less often than this test takes.
  NodeRegistry registry{io,
                        clock,
                        {.heartbeat_ms = 60'000, .lease_ms = 60'000},
                        view,
                        {.on_up = [](const NodeId&) {},
                         .on_lost = [this](const NodeId& n) { lost.push_back(n.value()); },
                         .on_event = [](const NodeId&, const std::string&, const nlohmann::json&) {}}};

  ~Registry() {
    registry.stop();
    io.run_for(std::chrono::milliseconds(100));
  }
  template <class Pred>
  [[nodiscard]] bool until(Pred pred) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!pred() && std::chrono::steady_clock::now() < end) io.run_one_for(std::chrono::milliseconds(20));
    return pred();
  }
  /// Whether the node answers a call.
  [[nodiscard]] bool answers() {
    std::optional<bool> answered;
    registry.call(NodeId("d0"), ctl::type::kDrain, nlohmann::json::object(), std::chrono::seconds(5),
                  [&](const Result<nlohmann::json>& reply) { answered = reply.has_value(); });
    return until([&] { return answered.has_value(); }) && *answered;
  }
  [[nodiscard]] bool has(const ctl::RegisterRequest& info) const {
    const NodeRecord* n = view.find(info.node);
    return n != nullptr && n->info.incarnation == info.incarnation;
  }
};

}  // namespace

// A machine stood still for longer than the lease, its node was started anew under the same name, and registered in the
// moment before leases were looked at. The old connection's end then removed the new node, which never knew: it sent
// heartbeats to a coordinator that had no such node.
TEST_CASE("the end of an old connection does not remove the node that took its name over") {
  Registry r;
  const auto first = node_info(ctl::Role::decode, "d0");
  const auto second = node_info(ctl::Role::decode, "d0");
  FakeNode old(r.io, r.registry.address(), first);
  REQUIRE(r.until([&] { return r.has(first); }));
  REQUIRE(r.answers());  // after its first heartbeat
  r.clock.advance(std::chrono::seconds(61));
  FakeNode now(r.io, r.registry.address(), second);
  REQUIRE(r.until([&] { return r.has(second); }));
  CHECK(r.lost == std::vector<std::string>{"d0"});  // whose requests are placed again
  old.vanish();
  for (int i = 0; i < 3; ++i) CHECK(r.answers());
  CHECK(r.has(second));
  CHECK(r.lost.size() == 1);
  now.vanish();
  REQUIRE(r.until([&] { return r.view.find(NodeId("d0")) == nullptr; }));
}

// The state file could not be written any more: such a name is no JSON text.
TEST_CASE("a node whose name is not UTF-8 is refused") {
  Registry r;
  FakeNode odd(r.io, r.registry.address(), node_info(ctl::Role::decode, "d\xff"));
  REQUIRE(r.until([&] { return odd.refused.has_value(); }));
  CHECK_THAT(odd.refused->message, Catch::Contains("UTF-8"));
  auto info = node_info(ctl::Role::decode, "d0");
  info.profiles[1].name = "q\xc3";
  FakeNode other(r.io, r.registry.address(), info);
  REQUIRE(r.until([&] { return other.refused.has_value(); }));
  CHECK(r.view.nodes().empty());
}

TEST_CASE("a snapshot forgets a node whose successor was refused") {
  ClusterView v(std::chrono::seconds(2));
  REQUIRE(v.add(node_info(ctl::Role::prefill, "p0"), {}));
  REQUIRE(v.add(node_info(ctl::Role::decode, "d0"), {}));
  REQUIRE(v.snapshot().decodes.size() == 1);
  const TimePoint later{std::chrono::seconds(3)};
  v.heartbeat(NodeId("p0"), {}, later);
  auto other = node_info(ctl::Role::decode, "d0");
  other.model.hash = "another";
  REQUIRE_FALSE(v.add(other, later));
  v.heartbeat(NodeId("p0"), {}, later);  // threw: it looked for a node that the snapshot still named
  CHECK(v.snapshot().decodes.empty());
}

// A node that heard nothing for a lease gives its connection up and comes again, while the coordinator, whose lease
// runs a moment longer, still counts on the first: it was told "already there" until that one ran out.
TEST_CASE("a process that registers again over another connection takes its own place at once") {
  Registry r;
  const auto me = node_info(ctl::Role::decode, "d0");
  FakeNode first(r.io, r.registry.address(), me);
  REQUIRE(r.until([&] { return r.has(me); }));
  FakeNode again(r.io, r.registry.address(), me);
  REQUIRE(r.until([&] { return r.lost.size() == 1; }));
  first.vanish();  // else it would come again in its turn
  CHECK(r.has(me));
  CHECK(r.answers());
  CHECK_FALSE(again.refused);
}
