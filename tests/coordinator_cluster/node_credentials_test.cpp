// What a node must show to register: the token, a certificate of its role, or both.
#include "common/net/address.h"
#include "coordinator/cluster/node_registry.h"
#include "node/node_link.h"
#include "tests/coordinator_serving/serving_fixture.h"
#include "tests/support/certificates.h"
#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::test;
using Catch::Contains;

namespace {

std::shared_ptr<tls::Source> source(tls::Side side, const Certificates& c, const std::string& role) {
  return or_throw(tls::Source::open({side, {c[role + ".pem"], c[role + ".key"], c["ca.pem"]}}, "test"));
}

/// What becomes of a node that shows a certificate of `role` and says it is a decode node.
struct Joining {
  boost::asio::io_context io;
  ManualClock clock;
  ClusterView view{std::chrono::minutes(1)};
  bool up = false;
  std::optional<Error> refused;

  Joining(const Certificates& c, const std::string& role, const std::string& token) {
    NodeRegistry registry(io, clock, {.cluster_token = "the token", .tls = source(tls::Side::server, c, "coordinator")},
                          view,
                          {.on_up = [this](const NodeId&) { up = true; },
                           .on_lost = [](const NodeId&) {},
                           .on_event = [](const NodeId&, const std::string&, const nlohmann::json&) {}});
    auto info = node_info(ctl::Role::decode, "d0");
    info.cluster_token = token;
    node::NodeLink link(io, registry.address(), info,
                        {.on_call = [](const std::string&, nlohmann::json, control::Connection::Reply) {},
                         .heartbeat = [] { return control::Heartbeat{}; },
                         .on_lost = [] {},
                         .on_refused = [this](const Error& e) { refused = e; }},
                        source(tls::Side::client, c, role));
    link.start();
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!up && !refused && std::chrono::steady_clock::now() < end) io.run_one_for(std::chrono::milliseconds(20));
    link.stop();
    registry.stop();
    io.run_for(std::chrono::milliseconds(50));
  }
};

}  // namespace

TEST_CASE("a node registers with a certificate of its role and the token, and not with one of the two") {
  const Certificates c;
  CHECK(Joining(c, "decode", "the token").up);
  const Joining other_role(c, "prefill", "the token");
  CHECK_FALSE(other_role.up);
  REQUIRE(other_role.refused);
  CHECK_THAT(other_role.refused->message, Contains("does not allow the role decode"));
  const Joining no_token(c, "decode", "");
  CHECK_FALSE(no_token.up);
  REQUIRE(no_token.refused);
  CHECK_THAT(no_token.refused->message, Contains("token"));
}

// Connections that say nothing held places of the control plane for as long as they liked.
TEST_CASE("who connects to the control plane has ten seconds to register") {
  boost::asio::io_context io;
  ManualClock clock;
  ClusterView view{std::chrono::minutes(1)};
  NodeRegistry registry(io, clock, {.heartbeat_ms = 10, .lease_ms = 80}, view,
                        {.on_up = [](const NodeId&) {},
                         .on_lost = [](const NodeId&) {},
                         .on_event = [](const NodeId&, const std::string&, const nlohmann::json&) {}});
  const auto at = or_throw(net::parse_address(registry.address()));
  boost::asio::ip::tcp::socket silent(io);
  silent.connect({boost::asio::ip::make_address(at.host), at.port});
  bool ended = false;
  char byte = 0;
  silent.async_read_some(boost::asio::buffer(&byte, 1), [&](boost::system::error_code, std::size_t) { ended = true; });
  io.run_for(std::chrono::milliseconds(100));
  CHECK_FALSE(ended);
  clock.advance(std::chrono::seconds(11));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!ended && std::chrono::steady_clock::now() < end) io.run_one_for(std::chrono::milliseconds(20));
  CHECK(ended);
  registry.stop();
  io.run_for(std::chrono::milliseconds(50));
}
