// The grammar itself: its checks, and what pruning leaves.
#include <catch2/catch.hpp>
#include <string>

#include "recogniser.h"
#include "text/grammar/grammar.h"

using namespace sluice::text::grammar;
using sluice::text::CodePointSet;

TEST_CASE("a rule that is not defined, or comes back to itself before a character, is refused by name") {
  Grammar g;
  const auto a = g.declare("a");
  g.set_root(g.rule(a));
  CHECK(g.check().error().message.find("'a' is used but not defined") != std::string::npos);
  g.define(a, g.sequence({g.optional(g.literal("x")), g.rule(a)}));
  CHECK(g.check().error().message.find("left recursion") != std::string::npos);
  g.define(a, g.choice({g.sequence({g.literal("x"), g.rule(a)}), g.literal("")}));
  CHECK(g.check());
}

TEST_CASE("what no text can match is pruned, and a grammar without any text refused") {
  Grammar g;
  const auto endless = g.declare("endless");
  g.define(endless, g.sequence({g.literal("x"), g.rule(endless)}));
  const auto dead = g.sequence({g.literal("b"), g.choice({})});
  g.set_root(g.choice({g.sequence({g.literal("a"), g.repeat(dead, 0)}), dead, g.rule(endless)}));
  g.prune();
  CHECK(g.check());
  for (std::uint64_t seed = 0; seed < 20; ++seed) CHECK(test::Walker(g, seed).walk(100) == "a");
  g.set_root(g.rule(endless));
  CHECK(g.check().error().message.find("no text of finite length") != std::string::npos);
  CHECK_FALSE(g.can_match(dead));
}

TEST_CASE("sizes are held to the limits") {
  Grammar g;
  g.set_root(g.repeat(g.literal("a"), 5, 7));
  CHECK_FALSE(g.check({.nodes = 1}));
  CHECK_FALSE(g.check({.bytes = 0}));
  CHECK_FALSE(g.check({.repeats = 6}));
  CHECK(g.check({.nodes = 2, .bytes = 1, .repeats = 7}));
  auto deep = g.literal("a");
  for (int i = 0; i < 100; ++i) deep = g.sequence({deep, deep});
  g.set_root(deep);
  CHECK_FALSE(g.check({.depth = 6}));
  g.set_root(g.literal("\xFF"));
  CHECK_FALSE(g.check());
}
