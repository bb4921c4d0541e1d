// A sender changes the KV profile in mid-transfer: what it is offered, what is remembered, and who may go on with it.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

ctl::RegisterRequest offering(ctl::Role role, const std::string& name) {
  auto r = node_info(role, name);
  r.prefill_chunk = 512;
  r.max_batch_tokens = 2048;
  r.profiles = {{"raw", 0.0, 1.0, 8e9, 9e9}, {"q8", 0.001, 2.0, 1e9, 2e9}, {"q4", 0.01, 4.0, 3e9, 4e9}};
  return r;
}

const ctl::ProfileChange kChange{"q4", {{0, 1}, {16, 0}}};

struct Pair {
  Bench b;
  FakeNode& p0;
  FakeNode& d0;
  std::shared_ptr<Heard> heard;
  RequestId id;

  /// A link of a gigabyte a second is known before the request comes, which then goes uncompressed.
  explicit Pair(ServingOptions o = {}, LegSpec spec = {})
      : b(o), p0(b.join(offering(ctl::Role::prefill, "p0"))), d0(b.join(offering(ctl::Role::decode, "d0"))) {
    p0.links = {{"127.0.0.1:9", 1e9, 1e-4, 0, 0}};
    REQUIRE(b.until([&] { return !b.serving.view().find(NodeId("p0"))->last.links.empty(); }));
    heard = b.start(std::move(spec));
    id = b.last;
    REQUIRE(b.until([&] { return p0.prefills.size() == 1; }));
  }
  void end() {
    p0.prefill_done(id);
    d0.finished(id);
    REQUIRE(b.until([&] { return heard->over(); }));
  }
  [[nodiscard]] double changes() {
    return b.metrics.counter("sluice_kv_profile_changes_total", "", {{"from", "raw"}, {"to", "q4"}}).value();
  }
};

}  // namespace

TEST_CASE("a sender is told what it may change to, and the decode node what may come") {
  Pair r;
  const ctl::PrefillRequest& p = r.p0.prefills[0];
  CHECK(p.profile == "raw");
  REQUIRE(p.ways.size() == 3);
  CHECK(p.ways[0].profile == "raw");
  CHECK(p.ways[1].profile == "q8");
  CHECK(p.ways[2].profile == "q4");
  CHECK(p.ways[2].ratio == 4);
  CHECK(p.ways[2].encode_bps == 3e9);
  CHECK(p.ways[2].decode_bps == 4e9);
  CHECK(p.link_bps == Approx(1e9).epsilon(0.3));
  CHECK(p.link_bps <= 1e9);
  CHECK_FALSE(p.change);
  CHECK(r.d0.reserves[0].fallbacks == std::vector<std::string>{"q8", "q4"});
}

TEST_CASE("nothing changes where the operator says so, or under a pinned profile") {
  ServingOptions o;
  o.profile_changes = GENERATE(true, false);
  LegSpec spec;
  if (o.profile_changes) spec.profile = "raw";
  Pair r(o, spec);
  CHECK(r.p0.prefills[0].ways.empty());
  CHECK(r.d0.reserves[0].fallbacks.empty());
}

TEST_CASE("a change is counted, shown, and taken for the worse of both qualities") {
  Pair r;
  r.d0.kv_ready(r.id, kChange);
  r.d0.tokens(r.id, 0, {11});
  r.end();
  CHECK(r.changes() == 1);
  CHECK(r.heard->stats.extra["changed_to"] == "q4");
  CHECK(r.heard->stats.profile == "raw");
  CHECK(r.heard->stats.kl == 0.01);
  CHECK(r.b.decision()["changed_to"] == "q4");
}

TEST_CASE("without a change none is told") {
  Pair r;
  r.d0.kv_ready(r.id, std::nullopt);
  r.d0.tokens(r.id, 0, {11});
  r.end();
  CHECK(r.changes() == 0);
  CHECK(r.heard->stats.extra.count("changed_to") == 0);
  CHECK(r.b.decision()["changed_to"].is_null());
}

TEST_CASE("an answer over changed KV is resumed with the same change, on a pair that cuts prompts alike") {
  Pair r;
  r.d0.kv_ready(r.id, kChange);
  r.d0.tokens(r.id, 0, {11});
  REQUIRE(r.b.until([&] { return r.heard->tokens.size() == 1; }));
  FakeNode& d1 = r.b.join(offering(ctl::Role::decode, "d1"));
  auto elsewhere = offering(ctl::Role::prefill, "p1");
  elsewhere.prefill_chunk = 256;
  FakeNode& p1 = r.b.join(elsewhere);
  r.b.lose("d0");
  REQUIRE(r.b.until([&] { return r.p0.prefills.size() == 2; }));
  CHECK(p1.prefills.empty());
  CHECK(r.p0.prefills[1].profile == "raw");
  CHECK(r.p0.prefills[1].ways.empty());
  CHECK(r.p0.prefills[1].change == kChange);
  CHECK(d1.reserves[0].fallbacks == std::vector<std::string>{"q4"});
  const bool same = GENERATE(true, false);
  d1.kv_ready(r.id, same ? std::optional(kChange) : std::nullopt);
  if (!same) {  // other KV: not what the client's tokens were made from
    REQUIRE(r.b.until([&] { return r.p0.prefills.size() == 3; }));
    CHECK(r.p0.prefills[2].change == kChange);
    d1.kv_ready(r.id, kChange);
  }
  d1.tokens(r.id, 1, {12});
  r.p0.prefill_done(r.id);
  d1.finished(r.id);
  REQUIRE(r.b.until([&] { return r.heard->over(); }));
  CHECK(r.heard->tokens == std::vector<TokenId>{11, 12});
  CHECK(r.heard->stats.kl == 0.01);
  CHECK(r.changes() == 1);
}

TEST_CASE("an answer that nobody has read is placed anew, with a free choice") {
  Pair r;
  r.d0.kv_ready(r.id, kChange);
  REQUIRE(r.b.until([&] { return r.changes() == 1; }));
  r.b.join(offering(ctl::Role::decode, "d1"));
  r.b.lose("d0");
  REQUIRE(r.b.until([&] { return r.p0.prefills.size() == 2; }));
  CHECK_FALSE(r.p0.prefills[1].change);
  CHECK(r.p0.prefills[1].ways.size() > 1);
}

TEST_CASE("a profile that was not offered is no answer's") {
  Pair r;
  r.d0.kv_ready(r.id, ctl::ProfileChange{"zip", {{0, 0}}});
  REQUIRE(r.b.until([&] { return r.p0.prefills.size() == 2; }));
  CHECK_FALSE(r.p0.prefills[1].change);
  CHECK(r.changes() == 0);
}
