// A node is lost in mid-answer: who may go on with it, and who else must not wait for that.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

ctl::RegisterRequest prefill(const std::string& name, std::uint32_t chunk) {
  auto r = node_info(ctl::Role::prefill, name);
  r.prefill_chunk = chunk;
  r.max_batch_tokens = 2048;
  return r;
}

/// A leg on p0 and d0 whose client has read two tokens.
struct Running {
  Bench b;
  FakeNode& p0 = b.join(prefill("p0", 512));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  std::shared_ptr<Heard> heard;
  RequestId id;

  explicit Running(const std::string& profile, bool read = true) {
    heard = b.start({.profile = profile});
    id = b.last;
    REQUIRE(b.until([&] { return p0.prefills.size() == 1; }));
    if (!read) return;
    d0.tokens(id, 0, {11, 12});
    REQUIRE(b.until([&] { return heard->tokens.size() == 2; }));
  }
  void end_on(FakeNode& p, FakeNode& d) {
    d.tokens(id, 2, {13});
    p.prefill_done(id);
    d.finished(id);
    REQUIRE(b.until([&] { return heard->over(); }));
    CHECK(heard->end == LegEnd::length);
    CHECK(heard->tokens == std::vector<TokenId>{11, 12, 13});
  }
};

}  // namespace

TEST_CASE("sent tokens are replayed under the same profile on a like pair") {
  Running r("q8");
  FakeNode& p1 = r.b.join(prefill("p1", 256));
  FakeNode& d1 = r.b.join(node_info(ctl::Role::decode, "d1"));
  r.b.lose("d0");
  REQUIRE(r.b.until([&] { return r.p0.prefills.size() == 2; }));
  CHECK(p1.prefills.empty());
  CHECK(r.p0.prefills[1].profile == "q8");
  REQUIRE(d1.reserves.size() == 1);
  CHECK(d1.reserves[0].prompt_tokens == 40);
  CHECK(std::vector<TokenId>(d1.reserves[0].tokens.end() - 2, d1.reserves[0].tokens.end()) ==
        std::vector<TokenId>{11, 12});
  r.end_on(r.p0, d1);
}

// Each try at a node that was still full counted as one more resume, and its answer told of one only.
TEST_CASE("a resume that meets a full node is one resume") {
  Running r("q8");
  r.b.join(prefill("p1", 256));
  FakeNode& d1 = r.b.join(node_info(ctl::Role::decode, "d1"));
  d1.refusals = 3;
  r.b.lose("d0");
  REQUIRE(r.b.until([&] { return r.p0.prefills.size() == 2; }));
  CHECK(d1.refusals == 0);
  r.end_on(r.p0, d1);
  CHECK(r.heard->stats.extra["resumes"] == 1);
  CHECK_THAT(r.b.serving.metrics_text(), Catch::Contains("\nsluice_resumes_total 1\n"));
}

// The last report of a prefill node counted for the KV itself: one that died, or failed, between the KV's arrival and
// its report had the answer computed anew, or wait for a node like it.
TEST_CASE("an answer that has its KV goes on without its prefill node") {
  Running r("q8");
  const bool died = GENERATE(true, false);
  if (died)
    r.b.lose("p0");
  else
    r.p0.prefill_failed(r.id);
  r.d0.tokens(r.id, 2, {13});
  r.d0.finished(r.id);
  REQUIRE(r.b.until([&] { return r.heard->over(); }));
  CHECK(r.heard->end == LegEnd::length);
  CHECK(r.heard->tokens == std::vector<TokenId>{11, 12, 13});
  CHECK(r.d0.reserves.size() == 1);
  CHECK(r.heard->stats.extra.count("resumes") == 0);
}

// Both ends of a transfer see one of them die, as the coordinator does: what the other one says of it may come when the
// request runs again already.
TEST_CASE("a late report of an earlier attempt does not fail the present one") {
  const bool decode_died = GENERATE(true, false);
  Running r("q8", false);
  const std::uint32_t first = r.p0.prefills[0].attempt;
  FakeNode& other = r.b.join(decode_died ? node_info(ctl::Role::decode, "d1") : prefill("p1", 512));
  r.b.lose(decode_died ? "d0" : "p0");
  FakeNode& p = decode_died ? r.p0 : other;
  FakeNode& d = decode_died ? other : r.d0;
  REQUIRE(r.b.until([&] { return !p.prefills.empty() && p.prefills.back().attempt > first; }));
  CHECK(d.reserves.back().attempt == p.prefills.back().attempt);
  if (decode_died)
    p.prefill_failed(r.id, first);
  else
    d.failed(r.id, first);
  d.tokens(r.id, 0, {11, 12});
  REQUIRE(r.b.until([&] { return r.heard->tokens.size() == 2; }));
  r.end_on(p, d);
  CHECK(r.heard->stats.extra.at("resumes") == 1);
}

TEST_CASE("an answer waits for a node that continues it, and holds nobody up") {
  Running r("q8");
  FakeNode& p1 = r.b.join(prefill("p1", 256));
  FakeNode& d1 = r.b.join(node_info(ctl::Role::decode, "d1"));
  r.b.lose("p0");
  r.b.lose("d0");
  REQUIRE(r.b.until([&] { return r.b.serving.waiting() == 1; }));
  const auto other = r.b.start({});
  REQUIRE(r.b.until([&] { return p1.prefills.size() == 1; }));
  CHECK(p1.prefills[0].request == r.b.last);
  CHECK_FALSE(r.heard->over());
  FakeNode& p2 = r.b.join(prefill("p2", 512));
  REQUIRE(r.b.until([&] { return p2.prefills.size() == 1; }));
  CHECK(p2.prefills[0].request == r.id);
  r.end_on(p2, d1);
}

TEST_CASE("a decode node with another backend does not continue an answer") {
  Running r("raw");
  auto info = node_info(ctl::Role::decode, "d1");
  info.model.backend = "avx512_bf16";
  FakeNode& d1 = r.b.join(info);
  r.b.lose("d0");
  REQUIRE(r.b.until([&] { return r.b.serving.waiting() == 1; }));
  CHECK(d1.reserves.empty());
  FakeNode& d2 = r.b.join(node_info(ctl::Role::decode, "d2"));
  REQUIRE(r.b.until([&] { return r.p0.prefills.size() == 2; }));
  r.end_on(r.p0, d2);
}

TEST_CASE("lossless KV goes on where prompts are cut elsewhere, and an unread answer anywhere") {
  const bool read = GENERATE(true, false);
  Running r(read ? "raw" : "q8", read);
  FakeNode& p1 = r.b.join(prefill("p1", 256));
  FakeNode& d1 = r.b.join(node_info(ctl::Role::decode, "d1"));
  r.b.lose("p0");
  if (read) r.b.lose("d0");
  REQUIRE(r.b.until([&] { return p1.prefills.size() == 1; }));
  if (read) r.end_on(p1, d1);
}

TEST_CASE("an answer nobody can continue ends with an error that says so") {
  ServingOptions o;
  o.request_timeout_s = 0.5;
  Bench b(o);
  FakeNode& p0 = b.join(prefill("p0", 512));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  b.join(prefill("p1", 256));
  const auto heard = b.start({.profile = "q8"});
  REQUIRE(b.until([&] { return p0.prefills.size() + b.nodes.at("p1")->prefills.size() == 1; }));
  d0.tokens(b.last, 0, {11});
  REQUIRE(b.until([&] { return heard->tokens.size() == 1; }));
  b.join(node_info(ctl::Role::decode, "d1"));
  b.lose(p0.prefills.empty() ? "p1" : "p0");
  b.lose("d0");
  REQUIRE(b.until([&] { return heard->over(); }));
  CHECK(heard->error->code == Errc::unavailable);
  CHECK_THAT(heard->error->message, Catch::Contains("no node came back"));
}
