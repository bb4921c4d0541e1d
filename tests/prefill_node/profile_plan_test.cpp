#include "prefill_node/profile_plan.h"

#include <catch2/catch.hpp>

#include "tests/prefill_node/prompt.h"

using namespace sluice;
using namespace sluice::prefill;

namespace {

struct Rig {
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  kv::Ticket ticket = prefill::test::ticket(*codecs, 1, 20, "raw", {"ll", "q8"});
  control::PrefillRequest call = prefill::test::call(ticket);

  const kv::Profile* profile(const char* name) const { return codecs->profile(name); }
  Result<node::ProfilePlan> plan() const { return plan_of(call, ticket, *profile("raw"), *codecs); }
};

}  // namespace

TEST_CASE("without ways or an order nothing changes") {
  const Rig r;
  const auto p = r.plan();
  REQUIRE(p);
  CHECK(p->profiles.empty());
  CHECK(p->ways.empty());
  CHECK_FALSE(p->order);
}

TEST_CASE("the ways are the chosen profile's and those that the ticket lists") {
  Rig r;
  r.call.link_bps = 5e8;
  r.call.ways = {{"raw", 1, 9e9, 8e9}, {"q4", 4, 1, 1},  {"ll", 1.5, 2e9, 3e9},
                 {"zip", 9, 1, 1},     {"raw", 1, 1, 1}, {"q8", 2, 6e9, 4e9}};
  const auto p = r.plan();
  REQUIRE(p);
  CHECK(p->profiles == std::vector{r.profile("raw"), r.profile("ll"), r.profile("q8")});
  REQUIRE(p->ways.size() == 3);
  CHECK(p->ways[0].encode_bps == 8e9);  // the slower end is what counts
  CHECK(p->ways[1].encode_bps == 2e9);
  CHECK(p->ways[2].encode_bps == 4e9);
  CHECK(p->ways[2].ratio == 2);
  CHECK(p->planned_bps == 5e8);
  CHECK_FALSE(p->order);
}

TEST_CASE("an order is exactly one change, and leaves no choice") {
  Rig r;
  r.call.ways = {{"raw", 1, 9e9, 8e9}, {"q8", 2, 6e9, 4e9}};
  r.call.change = control::ProfileChange{"ll", {{0, 2}, {16, 0}}};
  const auto p = r.plan();
  REQUIRE(p);
  CHECK(p->profiles == std::vector{r.profile("raw"), r.profile("ll")});
  CHECK(p->order == r.call.change->from);
  CHECK(p->ways.empty());
}

TEST_CASE("an order that the ticket does not allow is refused") {
  Rig r;
  const char* to = GENERATE("q4", "raw", "zip");  // not listed; the profile itself; not known here
  r.call.change = control::ProfileChange{to, {{0, 0}}};
  const auto p = r.plan();
  REQUIRE_FALSE(p);
  CHECK(p.error().code == Errc::invalid_argument);
  CHECK_THAT(p.error().message, Catch::Contains(to));
}
