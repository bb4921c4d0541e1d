// A chat without max_tokens asked for all of the context, and was refused with 400 for a max_tokens that nobody sent
// wherever the nodes' KV memory held less.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

ctl::RegisterRequest decode(const std::string& name, std::uint32_t blocks) {
  auto r = node_info(ctl::Role::decode, name);
  r.total_blocks = blocks;
  r.data_address = "127.0.0.1:" + std::to_string(blocks);
  return r;
}

/// A prompt of 40 tokens that may go on for 20 more.
std::shared_ptr<Heard> ask(Bench& b, bool open_ended, int min_tokens = 0) {
  LegSpec spec;
  spec.open_ended = open_ended;
  spec.sampling.min_tokens = min_tokens;
  return b.start(std::move(spec));
}

}  // namespace

TEST_CASE("what is served is what the largest decode node holds") {
  Bench b;
  CHECK(b.serving.largest_context() == 0);
  b.join(decode("d0", 3));
  CHECK(b.serving.largest_context() == 48);
  b.join(decode("d1", 100));
  CHECK(b.serving.largest_context() == 1600);
  b.lose("d1");
  CHECK(b.serving.largest_context() == 48);
}

TEST_CASE("an answer without max_tokens takes what the nodes hold when it is placed") {
  Bench b;
  b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d0 = b.join(decode("d0", 3));
  const auto heard = ask(b, true);
  REQUIRE(b.until([&] { return d0.reserves.size() == 1 || heard->over(); }));
  REQUIRE(d0.reserves.size() == 1);
  CHECK(d0.reserves[0].max_new_tokens == 8);
  CHECK(d0.reserves[0].sampling.max_tokens == 8);
}

TEST_CASE("one that said how long it is, or how long at least, is refused with the bound") {
  Bench b;
  b.join(node_info(ctl::Role::prefill, "p0"));
  b.join(decode("d0", 3));
  for (const auto& heard : {ask(b, false), ask(b, true, 9)}) {
    REQUIRE(b.until([&] { return heard->over(); }));
    REQUIRE(heard->error);
    CHECK(heard->error->code == Errc::invalid_argument);
    CHECK_THAT(heard->error->message, Catch::Contains("48 tokens"));
  }
}

TEST_CASE("it goes on on a smaller node when the larger one is lost, and keeps what was sent") {
  Bench b;
  FakeNode& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d1 = b.join(decode("d1", 100));
  const auto heard = ask(b, true);
  REQUIRE(b.until([&] { return p0.prefills.size() == 1; }));
  CHECK(d1.reserves[0].max_new_tokens == 20);
  d1.tokens(b.last, 0, {1, 2, 3});
  REQUIRE(b.until([&] { return heard->tokens.size() == 3; }));
  FakeNode& d0 = b.join(decode("d0", 3));
  b.lose("d1");
  REQUIRE(b.until([&] { return d0.reserves.size() == 1 || heard->over(); }));
  REQUIRE(d0.reserves.size() == 1);
  CHECK(d0.reserves[0].max_new_tokens == 8);
  CHECK(d0.reserves[0].tokens.size() == 43);
}
