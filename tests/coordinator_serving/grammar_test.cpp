// Legs whose answer is bound to a grammar: only nodes that keep answers to one get them.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

const SharedText kGrammar(R"(root ::= "yes" | "no")");

LegSpec bound() {
  LegSpec spec;
  spec.sampling.grammar = kGrammar;
  return spec;
}

ctl::RegisterRequest decode(const std::string& name, bool grammars) {
  auto info = node_info(ctl::Role::decode, name);
  info.grammars = grammars;
  return info;
}

}  // namespace

TEST_CASE("a bound leg goes to a node that keeps answers to a grammar, and takes it along") {
  Bench b;
  b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& old = b.join(decode("d0", false));
  FakeNode& able = b.join(decode("d1", true));
  for (int i = 0; i < 6; ++i) {
    const auto heard = b.start(bound());
    REQUIRE(b.until([&] { return able.reserves.size() == static_cast<std::size_t>(i) + 1 || heard->over(); }));
    REQUIRE_FALSE(heard->over());
    b.serving.cancel(b.last, CancelReason::client_gone);
  }
  CHECK(old.reserves.empty());
  CHECK(able.reserves.back().sampling.grammar == kGrammar);
  const auto heard = b.start({});
  REQUIRE(b.until([&] { return old.reserves.size() + able.reserves.size() == 7; }));
  CHECK((old.reserves.empty() ? able : old).reserves.back().sampling.grammar.empty());
}

TEST_CASE("where no node keeps answers to a grammar a bound leg is refused at once") {
  Bench b;
  b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& old = b.join(decode("d0", false));
  const auto heard = b.start(bound());
  REQUIRE(b.until([&] { return heard->over(); }));
  REQUIRE(heard->error);
  CHECK(heard->error->code == Errc::unsupported);
  CHECK_FALSE(heard->retry_after);
  CHECK(old.reserves.empty());
}

TEST_CASE("a bound answer is resumed where it is kept to its grammar, with what was sent") {
  Bench b;
  FakeNode& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  b.join(decode("d0", false));
  FakeNode& d1 = b.join(decode("d1", true));
  const auto heard = b.start(bound());
  REQUIRE(b.until([&] { return p0.prefills.size() == 1; }));
  d1.tokens(b.last, 0, {5, 6});
  REQUIRE(b.until([&] { return heard->tokens.size() == 2; }));
  FakeNode& d2 = b.join(decode("d2", true));
  b.lose("d1");
  REQUIRE(b.until([&] { return d2.reserves.size() == 1 || heard->over(); }));
  REQUIRE_FALSE(heard->over());
  const auto& again = d2.reserves.front();
  CHECK(again.sampling.grammar == kGrammar);
  CHECK(std::vector<TokenId>(again.tokens.end() - 2, again.tokens.end()) == std::vector<TokenId>{5, 6});
  REQUIRE(b.until([&] { return p0.prefills.size() == 2; }));
  d2.tokens(b.last, 2, {7});
  p0.prefill_done(b.last);
  d2.finished(b.last);
  REQUIRE(b.until([&] { return heard->over(); }));
  CHECK(heard->stats.extra.at("grammar_bytes") == kGrammar.value().size());
}
