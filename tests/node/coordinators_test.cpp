// A node between several coordinators, which only listen.
#include "node/coordinators.h"

#include <catch2/catch.hpp>

#include "tests/support/fake_coordinator.h"

using namespace sluice;
using namespace sluice::control;
using namespace sluice::node;
using namespace std::chrono_literals;

namespace {

struct Rig {
  boost::asio::io_context io;
  test::FakeCoordinator a{io, "127.0.0.1:0"}, b{io, "127.0.0.1:0"};
  std::vector<LegSpace> lost;
  std::optional<Error> refused;
  Coordinators coordinators{
      io,
      me(),
      {.on_call = [](const std::string&, nlohmann::json, Connection::Reply r) { r(nlohmann::json(7)); },
       .heartbeat = [](LegSpace to) { return Heartbeat{.others_blocks = to.value()}; },
       .on_lost = [this](LegSpace of) { lost.push_back(of); },
       .on_refused = [this](const Error& e) { refused = e; }}};

  Rig() {
    a.leg_space = LegSpace(11);
    b.leg_space = LegSpace(12);
  }
  ~Rig() {
    coordinators.stop();
    io.run_for(std::chrono::milliseconds(50));  // what was closed is told while the links are still there
  }
  static RegisterRequest me() {
    RegisterRequest r;
    r.node = NodeId("n");
    r.incarnation = Incarnation(5);
    return r;
  }
  void list(bool with_a, bool with_b) {
    std::set<std::string> all;
    if (with_a) all.insert(a.address());
    if (with_b) all.insert(b.address());
    coordinators.list(all);
  }
  template <class Pred>
  bool until(Pred p) {
    return a.until([&] {
      coordinators.sweep();
      return p();
    });
  }
};

RequestId leg(std::uint32_t space, std::uint32_t n) { return RequestId(base_of(LegSpace(space)) + n); }

}  // namespace

TEST_CASE("a node registers with every coordinator and tells each of its own legs") {
  Rig r;
  r.list(true, true);
  REQUIRE(r.until([&] { return r.coordinators.links_up() == 2 && r.a.beats > 0 && r.b.beats > 0; }));
  r.coordinators.notify(leg(12, 1), type::kKvReady, to_json(KvReady{.request = leg(12, 1)}));
  r.coordinators.notify(leg(11, 1), type::kFinished, to_json(Finished{.request = leg(11, 1)}));
  r.coordinators.notify(leg(13, 1), type::kFinished, to_json(Finished{.request = leg(13, 1)}));  // of nobody here
  REQUIRE(r.until([&] { return r.a.told.size() == 1 && r.b.told.size() == 1; }));
  CHECK(r.a.told[0].first == type::kFinished);
  CHECK(r.b.told[0].first == type::kKvReady);
  REQUIRE(r.until([&] { return r.a.last_beat->others_blocks == 11 && r.b.last_beat->others_blocks == 12; }));
}

TEST_CASE("a coordinator that is lost costs its own legs, and is found again") {
  Rig r;
  r.list(true, true);
  REQUIRE(r.until([&] { return r.coordinators.links_up() == 2; }));
  r.a.drop();
  REQUIRE(r.until([&] { return r.lost.size() == 1 && r.a.registered == 2; }));
  CHECK(r.lost[0] == LegSpace(11));
  CHECK(r.b.registered == 1);
}

// A registry that was away for longer than leases last forgets everybody: nothing may flap for it.
TEST_CASE("one that is no longer listed is let go of when its link is down, not before") {
  Rig r;
  r.list(true, true);
  REQUIRE(r.until([&] { return r.coordinators.links_up() == 2; }));
  r.list(false, false);
  const int beats = r.a.beats;
  REQUIRE(r.until([&] { return r.a.beats > beats + 10; }));
  CHECK(r.coordinators.links_up() == 2);
  CHECK(r.lost.empty());
  r.a.drop();
  REQUIRE(r.until([&] { return r.coordinators.links() == 1; }));
  CHECK(r.lost == std::vector{LegSpace(11)});
  CHECK(r.coordinators.links_up() == 1);
  r.list(true, true);
  REQUIRE(r.until([&] { return r.coordinators.links_up() == 2; }));
  CHECK(r.b.registered == 1);
}

TEST_CASE("a node ends when all coordinators refuse it, not when one does") {
  Rig r;
  r.a.refusal = Error{Errc::permission_denied, "wrong cluster token", {}};
  r.list(true, true);
  REQUIRE(r.until([&] { return r.a.registered == 1 && r.coordinators.links_up() == 1; }));
  CHECK_FALSE(r.refused);
  r.b.refusal = r.a.refusal;
  r.b.drop();
  REQUIRE(r.until([&] { return r.refused.has_value(); }));
  CHECK(r.refused->message == "wrong cluster token");
}
