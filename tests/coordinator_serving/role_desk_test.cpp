// Nodes told to change their role, from the order until they are back.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;
using Catch::Contains;

namespace {

ctl::RegisterRequest able(ctl::Role role, const std::string& name) {
  auto r = node_info(role, name);
  r.changes_role = true;
  return r;
}

/// What the desk says of the order once the node has answered.
Result<> ordered(Bench& b, const char* node, ctl::Role to, bool force = false) {
  std::optional<Result<>> said;
  b.serving.roles().change(NodeId(node), to, force, [&](Result<> r) { said = std::move(r); });
  REQUIRE(b.until([&] { return said.has_value(); }));
  return *said;
}

}  // namespace

TEST_CASE("a node changes its role: it takes nothing more, and is known by its new role when it is back") {
  Bench b;
  b.join(able(ctl::Role::prefill, "p0"));
  b.join(able(ctl::Role::prefill, "p1"));
  b.join(able(ctl::Role::decode, "d0"));
  REQUIRE(ordered(b, "p0", ctl::Role::decode));
  CHECK(b.serving.view().find(NodeId("p0"))->draining);
  CHECK(b.serving.roles().becomes(NodeId("p0")) == ctl::Role::decode);
  CHECK(b.serving.roles().status()["under_way"][0]["node"] == "p0");
  CHECK_THAT(ordered(b, "p0", ctl::Role::decode).error().message, Contains("already"));
  b.lose("p0");
  b.join(able(ctl::Role::decode, "p0"));
  CHECK_FALSE(b.serving.roles().becomes(NodeId("p0")));
  CHECK(b.serving.view().find(NodeId("p0"))->usable());
  const auto said = b.decision();
  CHECK(said["event"] == "role_changed");
  CHECK(said["node"] == "p0");
  CHECK(said["role"] == "decode");
  CHECK(said["reason"] == "operator");
  CHECK_THAT(b.serving.metrics_text(), Contains("sluice_role_changes_total{reason=\"operator\",to=\"decode\"} 1"));
}

TEST_CASE("what cannot be is refused in words, and changes nothing") {
  Bench b;
  b.join(able(ctl::Role::prefill, "p0"));
  b.join(node_info(ctl::Role::decode, "old"));
  b.join(able(ctl::Role::decode, "d0"));
  CHECK(ordered(b, "p9", ctl::Role::decode).error().code == Errc::not_found);
  CHECK(ordered(b, "p0", ctl::Role::prefill).error().param == "to");
  CHECK(ordered(b, "old", ctl::Role::prefill).error().code == Errc::unsupported);
  CHECK(ordered(b, "p0", ctl::Role::decode).error().param == "force");
  for (const char* n : {"p0", "old", "d0"}) CHECK_FALSE(b.serving.view().find(NodeId(n))->draining);
  CHECK(ordered(b, "p0", ctl::Role::decode, true));
}

TEST_CASE("a node that comes back as it was has not changed") {
  Bench b;
  b.join(able(ctl::Role::prefill, "p0"));
  b.join(able(ctl::Role::prefill, "p1"));
  REQUIRE(ordered(b, "p0", ctl::Role::decode));
  b.lose("p0");
  b.join(able(ctl::Role::prefill, "p0"));
  CHECK(b.decision()["event"] == "role_not_changed");
  CHECK_THAT(b.decision()["why"].get<std::string>(), Contains("in the role that it had"));
}
