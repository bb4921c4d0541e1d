#include "node/node_link.h"

#include <catch2/catch.hpp>

#include "tests/support/fake_coordinator.h"

using namespace sluice;
using namespace sluice::control;
using namespace sluice::node;
using namespace std::chrono_literals;

namespace {

struct Rig {
  boost::asio::io_context io;
  test::FakeCoordinator coordinator{io, "127.0.0.1:0"};
  int lost = 0;
  std::optional<Error> refused;
  NodeLink link{io,
                coordinator.address(),
                me(),
                {.on_call = [](const std::string&, nlohmann::json, Connection::Reply r) { r(nlohmann::json(7)); },
                 .heartbeat = [] { return Heartbeat{}; },
                 .on_lost = [this] { ++lost; },
                 .on_refused = [this](const Error& e) { refused = e; }}};

  static RegisterRequest me() {
    RegisterRequest r;
    r.node = NodeId("n");
    r.incarnation = Incarnation(5);
    return r;
  }
  ~Rig() { link.stop(); }
  template <class Pred>
  bool until(Pred p) {
    return coordinator.until(p);
  }
};

}  // namespace

TEST_CASE("a node registers, beats, answers calls") {
  Rig r;
  r.link.start();
  REQUIRE(r.until([&] { return r.link.up() && r.coordinator.beats >= 3; }));
  std::optional<nlohmann::json> answer;
  r.coordinator.node().call("anything", {}, 5s, [&](Result<nlohmann::json> a) { answer = *a; });
  REQUIRE(r.until([&] { return answer.has_value(); }));
  CHECK(*answer == 7);
}

TEST_CASE("a lost coordinator is reported once per loss and found again") {
  Rig r;
  r.link.start();
  REQUIRE(r.until([&] { return r.link.up(); }));
  r.coordinator.drop();
  REQUIRE(r.until([&] { return r.lost == 1 && r.coordinator.registered == 2 && r.link.up(); }));
  CHECK_FALSE(r.refused);
}

TEST_CASE("a refusal that waiting cannot heal ends the link") {
  Rig r;
  r.coordinator.refusal = Error{Errc::invalid_argument, "another model", {}};
  r.link.start();
  REQUIRE(r.until([&] { return r.refused.has_value(); }));
  CHECK(r.refused->message == "another model");
  CHECK(r.coordinator.registered == 1);
}

TEST_CASE("a refusal that waiting can heal is tried again") {
  Rig r;
  r.coordinator.refusal = Error{Errc::already_exists, "still here", {}};
  r.link.start();
  REQUIRE(r.until([&] { return r.coordinator.registered >= 2; }));
  r.coordinator.refusal.reset();
  REQUIRE(r.until([&] { return r.link.up(); }));
  CHECK_FALSE(r.refused);
}

// After a partition that dropped every packet, a node came back only when TCP next sent again: up to as long again as
// the outage had lasted. It sent heartbeats and never noticed that nothing came back.
TEST_CASE("a coordinator that falls silent is given up after a lease, though its connection stands") {
  Rig r;
  r.coordinator.echoes = true;
  r.link.start();
  REQUIRE(r.until([&] { return r.link.up() && r.coordinator.beats >= 30; }));  // three leases of answers
  CHECK(r.lost == 0);
  CHECK(r.coordinator.registered == 1);
  r.coordinator.silent = true;
  REQUIRE(r.until([&] { return r.lost >= 1 && r.coordinator.registered >= 2; }));
  r.coordinator.silent = false;
  REQUIRE(r.until([&] { return r.link.up(); }));
}

TEST_CASE("a coordinator that never promised to answer heartbeats is not given up for its silence") {
  Rig r;
  r.link.start();
  REQUIRE(r.until([&] { return r.link.up() && r.coordinator.beats >= 30; }));
  CHECK(r.lost == 0);
  CHECK(r.coordinator.registered == 1);
}

TEST_CASE("calls of the coordinator count as signs of life") {
  Rig r;
  r.coordinator.echoes = r.coordinator.silent = true;
  r.link.start();
  REQUIRE(r.until([&] { return r.link.up(); }));
  const auto end = std::chrono::steady_clock::now() + 600ms;  // three leases
  bool over = false;
  std::function<void()> ask = [&] {
    r.coordinator.node().call("anything", {}, 5s, [&](const Result<nlohmann::json>&) {
      over = std::chrono::steady_clock::now() > end;
      if (!over) ask();
    });
  };
  ask();
  REQUIRE(r.until([&] { return over; }));
  CHECK(r.lost == 0);
}
