#include "common/control/node_link.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::control;
using namespace std::chrono_literals;

namespace {

/// A coordinator that accepts or refuses, and counts.
struct FakeCoordinator {
  boost::asio::io_context& io;
  std::vector<std::shared_ptr<Connection>> conns;
  int registered = 0, beats = 0;
  std::optional<Error> refusal;
  std::unique_ptr<Listener> listener;

  FakeCoordinator(boost::asio::io_context& i, const std::string& address) : io(i) {
    listener = std::make_unique<Listener>(io, address, [this](boost::asio::ip::tcp::socket s) {
      auto c = std::make_shared<Connection>(
          std::move(s),
          Connection::Handlers{
              .on_call =
                  [this](const std::string& t, const nlohmann::json&, const Connection::Reply& r) {
                    if (t != type::kRegister) return r(fail(Errc::unsupported, "?"));
                    ++registered;
                    if (refusal) return r(std::unexpected(*refusal));
                    r(to_json(RegisterReply{1, 20, 200}));
                  },
              .on_notify = [this](const std::string& t, const nlohmann::json&) { beats += t == type::kHeartbeat; },
              .on_close = [](const Error&) {}});
      conns.push_back(c);
      c->start();
    });
  }
  void drop() {
    for (auto& c : conns) c->close(Error{Errc::cancelled, "gone", {}});
    conns.clear();
  }
};

struct Rig {
  boost::asio::io_context io;
  FakeCoordinator coordinator{io, "127.0.0.1:0"};
  int lost = 0;
  std::optional<Error> refused;
  NodeLink link{io,
                coordinator.listener->address(),
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
  ~Rig() {
    link.stop();
    coordinator.drop();
    coordinator.listener->stop();
    io.run_for(100ms);
  }
  template <class Pred>
  bool until(Pred p) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!p() && std::chrono::steady_clock::now() < end) io.run_one_for(20ms);
    return p();
  }
};

}  // namespace

TEST_CASE("a node registers, beats, answers calls") {
  Rig r;
  r.link.start();
  REQUIRE(r.until([&] { return r.link.up() && r.coordinator.beats >= 3; }));
  std::optional<nlohmann::json> answer;
  r.coordinator.conns.back()->call("anything", {}, 5s, [&](Result<nlohmann::json> a) { answer = *a; });
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
