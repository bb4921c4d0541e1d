// The shell of the node daemons, against a coordinator that only listens.
#include "node/node_app.h"

#include <signal.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "common/control/move_messages.h"
#include "common/flags/program.h"
#include "common/http/client.h"
#include "tests/support/fake_coordinator.h"

using namespace sluice;
using namespace sluice::control;
using namespace sluice::node;
using namespace std::chrono_literals;

namespace {

/// A node on a thread of its own; its open work is what the test says.
struct Rig {
  boost::asio::io_context io;
  test::FakeCoordinator coordinator{io, "127.0.0.1:0"};
  std::atomic<std::size_t> open = 0;
  std::atomic<int> lost = 0, exit_code = -1;
  std::atomic<std::uint64_t> turns = 0;
  std::atomic<bool> work = false;
  NodeApp node;
  std::thread thread;

  explicit Rig(const std::string& advertise = "")
      : node(
            [&] {
              NodeOptions o = options(coordinator.address());
              o.advertise = advertise;
              return o;
            }(),
            Role::decode) {}

  static NodeOptions options(const std::string& coordinator) {
    NodeOptions o;
    o.name = "n1";
    o.coordinators = {coordinator};
    o.cluster.token = "secret";
    o.drain_timeout_s = 3600;
    o.wedge_s = 0.3;
    return o;
  }
  void start() {
    thread = std::thread([this] {
      NodeApp::Handlers h;
      h.on_call = [](const std::string& t, const nlohmann::json&, const Connection::Reply& r) {
        r(nlohmann::json("did " + t));
      };
      h.heartbeat = [](LegSpace) { return Heartbeat{.running = 3}; };
      h.on_lost = [this](LegSpace) { ++lost; };
      h.set_gauges = [this] { node.metrics().gauge("sluice_test", "Of this test.").set(42); };
      h.open_work = [this] { return open.load(); };
      h.engine = [this] { return NodeApp::Engine{turns, work}; };
      RegisterRequest me;
      me.data_address = "127.0.0.1:9";
      exit_code = node.run(std::move(me), std::move(h));
    });
  }
  ~Rig() {
    if (!thread.joinable()) return;
    open = 0;
    if (exit_code < 0) node.post([] { ::raise(SIGTERM); });
    thread.join();
  }
  [[nodiscard]] bool gone() {
    return coordinator.until([this] { return exit_code >= 0; });
  }
  http::ClientResponse page(const std::string& target) {
    http::ClientRequest q;
    q.address = coordinator.introduced.value().admin_address;
    q.target = target;
    return http::request(q).value();
  }
};

}  // namespace

TEST_CASE("a node says who it is, beats, answers its calls and shows its pages") {
  Rig r;
  r.start();
  REQUIRE(r.coordinator.until([&] { return r.coordinator.beats >= 2; }));
  const RegisterRequest& me = r.coordinator.introduced.value();
  CHECK(me.role == Role::decode);
  CHECK(me.node == NodeId("n1"));
  CHECK(me.incarnation == r.node.incarnation());
  CHECK(me.cluster_token == "secret");
  CHECK(me.data_address == "127.0.0.1:9");
  CHECK(r.coordinator.last_beat->running == 3);
  CHECK_FALSE(r.coordinator.last_beat->draining);

  std::optional<nlohmann::json> answer;
  r.coordinator.node().call("anything", {}, 5s, [&](Result<nlohmann::json> a) { answer = *a; });
  REQUIRE(r.coordinator.until([&] { return answer.has_value(); }));
  CHECK(*answer == "did anything");

  r.node.notify(RequestId(7), type::kKvReady, to_json(KvReady{.request = RequestId(7)}));
  REQUIRE(r.coordinator.until([&] { return !r.coordinator.told.empty(); }));
  CHECK(r.coordinator.told[0].first == type::kKvReady);

  CHECK(r.page("/health").status == 200);
  CHECK_THAT(r.page("/metrics").body, Catch::Contains("sluice_test 42"));
  CHECK_THAT(r.page("/version").body, Catch::Contains("version"));
}

TEST_CASE("a drain waits for open work and says so") {
  Rig r;
  r.open = 2;
  r.start();
  REQUIRE(r.coordinator.until([&] { return r.coordinator.beats >= 1; }));
  SECTION("asked by the coordinator") {
    bool acknowledged = false;
    r.coordinator.node().call(type::kDrain, {}, 5s, [&](Result<nlohmann::json> a) { acknowledged = a.has_value(); });
    REQUIRE(r.coordinator.until([&] { return acknowledged; }));
  }
  SECTION("by a signal") { ::kill(::getpid(), SIGTERM); }
  REQUIRE(r.coordinator.until([&] { return r.coordinator.last_beat->draining; }));
  CHECK(r.page("/health").status == 503);
  CHECK(r.exit_code == -1);
  r.open = 0;
  REQUIRE(r.gone());
  CHECK(r.exit_code == 0);
  CHECK(r.lost == 0);
}

TEST_CASE("a node that is to change its role drains and then ends for that") {
  Rig r;
  r.open = 1;
  r.start();
  REQUIRE(r.coordinator.until([&] { return r.coordinator.beats >= 1; }));
  CHECK(r.coordinator.introduced->changes_role);
  const auto ask = [&](Role to) {
    std::optional<Result<nlohmann::json>> answer;
    r.coordinator.node().call(type::kRole, to_json(RoleRequest{to}), 5s,
                              [&](Result<nlohmann::json> a) { answer = std::move(a); });
    REQUIRE(r.coordinator.until([&] { return answer.has_value(); }));
    return *answer;
  };
  CHECK(ask(Role::decode).error().param == "to");  // it is one
  REQUIRE(ask(Role::prefill));
  CHECK_FALSE(ask(Role::prefill));  // once is enough
  REQUIRE(r.coordinator.until([&] { return r.coordinator.last_beat->draining; }));
  CHECK(r.exit_code == -1);
  SECTION("once its work is done") {
    r.open = 0;
    REQUIRE(r.gone());
    CHECK(r.node.changes_role());
  }
  SECTION("but a signal makes an end of it") {
    ::kill(::getpid(), SIGTERM);
    const auto only_drains = [&] {  // by what it says to who wants it to change its role now
      for (int i = 0; i < 1000; ++i)
        if (ask(Role::prefill).error().message.find("is draining") != std::string::npos) return true;
      return false;
    };
    REQUIRE(only_drains());
    CHECK(r.exit_code == -1);  // it still has work
    r.open = 0;
    REQUIRE(r.gone());
    CHECK_FALSE(r.node.changes_role());
  }
  CHECK(r.exit_code == 0);
}

TEST_CASE("an engine that stands still makes a node unready, and in the end not live") {
  Rig r;
  r.start();
  REQUIRE(r.coordinator.until([&] { return r.coordinator.beats >= 1; }));
  CHECK(r.page("/readyz").status == 200);
  CHECK(r.page("/livez").body == "{\"live\":true}\n");
  r.work = true;
  REQUIRE(r.coordinator.until([&] { return r.coordinator.last_beat->stalled; }));
  const auto unready = r.page("/readyz");
  CHECK(unready.status == 503);
  CHECK_THAT(r.page("/metrics").body, Catch::Contains("sluice_engine_stalled 1"));
  CHECK_THAT(unready.body, Catch::Contains("the engine has work and has not moved for"));
  CHECK(r.page("/health").status == 503);
  CHECK(r.page("/livez").status == 200);
  REQUIRE(r.coordinator.until([&] { return r.page("/livez").status == 503; }));
  ++r.turns;  // it heals
  REQUIRE(r.coordinator.until([&] { return !r.coordinator.last_beat->stalled; }));
  CHECK(r.page("/readyz").status == 200);
  CHECK(r.page("/livez").status == 200);
  CHECK_THAT(r.page("/metrics").body, Catch::Contains("sluice_engine_stalled 0"));
}

TEST_CASE("a second signal ends a node whose work does not end") {
  Rig r;
  r.open = 1;
  r.start();
  REQUIRE(r.coordinator.until([&] { return r.coordinator.beats >= 1; }));
  ::kill(::getpid(), SIGTERM);
  REQUIRE(r.coordinator.until([&] { return r.coordinator.last_beat->draining; }));
  ::kill(::getpid(), SIGTERM);
  REQUIRE(r.gone());
  CHECK(r.exit_code == 0);
}

TEST_CASE("a refused node ends with status 1") {
  Rig r;
  r.coordinator.refusal = Error{Errc::invalid_argument, "another model", {}};
  r.start();
  REQUIRE(r.gone());
  CHECK(r.exit_code == 1);
}

TEST_CASE("a node tells the address that others reach, or does not start") {
  NodeOptions o = Rig::options("127.0.0.1:9");
  o.admin_listen = "0.0.0.0:0";
  CHECK_THROWS_AS(NodeApp(o, Role::prefill), UsageError);
  NodeOptions ports = Rig::options("127.0.0.1:9");
  ports.ucx_port_range = "9200-9100";
  CHECK_THROWS_AS(NodeApp(ports, Role::prefill), UsageError);
  o.advertise = "10.0.0.2:9100";
  CHECK_THROWS_AS(NodeApp(o, Role::prefill), UsageError);
  Rig r("localhost");
  r.start();
  REQUIRE(r.coordinator.until([&] { return r.coordinator.beats >= 1; }));
  const std::string told = r.coordinator.introduced.value().admin_address;
  CHECK_THAT(told, Catch::StartsWith("localhost:"));
  CHECK_THAT(told, !Catch::EndsWith(":0"));
  CHECK(r.page("/health").status == 200);
}

TEST_CASE("a coordinator that goes away is reported, and found again") {
  Rig r;
  r.start();
  REQUIRE(r.coordinator.until([&] { return r.coordinator.beats >= 1; }));
  r.coordinator.drop();
  REQUIRE(r.coordinator.until([&] { return r.lost == 1 && r.coordinator.registered == 2; }));
}
