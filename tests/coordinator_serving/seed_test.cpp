// Fifty equal greedy prompts got different texts, since their KV travelled under different profiles.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/// A link so slow that a lossy profile wins wherever it may.
struct Slow {
  Bench b{ServingOptions{.controller = {.explore_share = 1}}};
  FakeNode& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  Slow() {
    p0.links = {{"127.0.0.1:9", 1e4, 1e-4, 0, 0}};
    REQUIRE(b.until([&] {
      const NodeRecord* n = b.serving.view().find(NodeId("p0"));
      return n != nullptr && !n->last.links.empty();
    }));
  }
  std::string profile_of(LegSpec spec) {
    const std::size_t n = p0.prefills.size();
    const auto heard = b.start(std::move(spec));
    REQUIRE(b.until([&] { return p0.prefills.size() == n + 1 || heard->over(); }));
    REQUIRE_FALSE(heard->over());
    b.serving.cancel(b.last, CancelReason::client_gone);
    return p0.prefills.back().profile;
  }
};

}  // namespace

TEST_CASE("a request with a seed travels losslessly unless it says otherwise itself") {
  Slow s;
  CHECK(s.profile_of({}) == "q8");
  for (int i = 0; i < 8; ++i) CHECK(s.profile_of({.seeded = true}) == "raw");
  CHECK(s.profile_of({.seeded = true, .quality_budget = 0.05}) == "q8");
  CHECK(s.profile_of({.profile = "q8", .seeded = true}) == "q8");
}

TEST_CASE("a class may let requests with a seed travel lossily") {
  Slow s;
  REQUIRE(s.b.serving.slos().change("draft", {{"seeded_lossy", true}}, "me"));
  CHECK(s.profile_of({.seeded = true, .slo_class = "draft"}) == "q8");
  CHECK(s.profile_of({.seeded = true, .quality_budget = 0, .slo_class = "draft"}) == "raw");
  CHECK(s.profile_of({.seeded = true}) == "raw");
}
