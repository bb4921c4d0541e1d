// What a matcher allows, place by place.
#include <catch2/catch.hpp>
#include <string>

#include "text/grammar/matcher.h"

using namespace sluice;
using namespace sluice::text;
using namespace sluice::text::grammar;

namespace {

std::shared_ptr<const Vocabulary> bytes_only() {
  std::vector<std::string> bytes(1);
  for (int b = 0; b < 256; ++b) bytes.emplace_back(1, static_cast<char>(b));
  return Vocabulary::create(std::move(bytes), 300, {0});
}

Matcher matcher(const Grammar& g) { return Matcher(or_throw(Automaton::compile(g, bytes_only()))); }

}  // namespace

TEST_CASE("a literal is forced, byte by byte, and ends") {
  Grammar g;
  g.set_root(g.literal("h\xC3\xA9llo"));
  auto m = matcher(g);
  CHECK(m.forced(100) == "h\xC3\xA9llo");
  CHECK(m.forced(2) == "h\xC3");
  CHECK_FALSE(m.may_end());
  CHECK_FALSE(m.accept_text("hx"));
  CHECK(m.accept_text("h\xC3"));
  CHECK(m.forced(100) == "\xA9llo");
  CHECK(m.accept_text("\xA9llo"));
  CHECK(m.must_end());
  CHECK(m.forced(100).empty());
  CHECK_FALSE(m.accept_text("o"));
  CHECK(m.accept(0));
  CHECK_FALSE(m.accept(0));
}

TEST_CASE("a repetition counts up to a million without being written out") {
  Grammar g;
  g.set_root(g.sequence({g.repeat(g.chars(CodePointSet('a', 'z')), 3, 1'000'000), g.literal(".")}));
  const auto automaton = or_throw(Automaton::compile(g, bytes_only()));
  CHECK(automaton->memory_bytes() < 100'000);
  Matcher m(automaton);
  CHECK_FALSE(m.accept_text("ab."));
  CHECK(m.accept_text(std::string(999'999, 'x')));
  CHECK(m.accept_text("y"));
  CHECK_FALSE(m.accept_text("z"));
  CHECK(m.forced(5) == ".");
  CHECK(m.accept_text("."));
  CHECK(m.must_end());
}

TEST_CASE("what comes back to itself at its end takes no stack") {
  Grammar g;
  const auto r = g.declare("text");
  g.define(r, g.choice({g.sequence({g.chars(CodePointSet('a', 'y')), g.rule(r)}), g.literal("z")}));
  g.set_root(g.rule(r));
  auto m = matcher(g);
  CHECK(m.accept_text(std::string(200'000, 'b')));
  CHECK(m.accept_text("z"));
  CHECK(m.must_end());
}

TEST_CASE("nesting is remembered to any depth") {
  Grammar g;
  const auto r = g.declare("nest");
  g.define(r, g.choice({g.sequence({g.literal("("), g.rule(r), g.literal(")")}), g.literal("x")}));
  g.set_root(g.rule(r));
  auto m = matcher(g);
  CHECK(m.accept_text(std::string(5'000, '(')));
  CHECK(m.accept_text("x"));
  CHECK(m.accept_text(std::string(4'999, ')')));
  CHECK(m.forced(10) == ")");
  CHECK(m.accept_text(")"));
  CHECK(m.must_end());
}

TEST_CASE("ambiguity stays polynomial") {
  Grammar g;
  const auto a = g.literal("a");
  SECTION("nested stars") { g.set_root(g.repeat(g.repeat(g.repeat(a, 0), 0), 0)); }
  SECTION("two of itself") {
    const auto r = g.declare("s");
    g.define(r, g.choice({a, g.sequence({a, g.rule(r), g.optional(g.rule(r))})}));
    g.set_root(g.rule(r));
  }
  SECTION("optional parts in a row") { g.set_root(g.sequence(std::vector<NodeIndex>(400, g.optional(a)))); }
  auto m = matcher(g);
  CHECK(m.accept_text(std::string(300, 'a')));
  CHECK(m.may_end());
}

TEST_CASE("what is too large is refused by name") {
  Grammar g;
  std::vector<NodeIndex> parts;
  SECTION("optional parts in a row") {
    for (int i = 0; i < 4000; ++i) parts.push_back(g.optional(g.literal("w" + std::to_string(i))));
    g.set_root(g.sequence(parts));
    const auto a = Automaton::compile(g, bytes_only());
    REQUIRE_FALSE(a);
    CHECK(a.error().message.find("optional parts in a row") != std::string::npos);
    const auto foreseen = Automaton::check(g);
    REQUIRE_FALSE(foreseen);
    CHECK(foreseen.error().message == a.error().message);
  }
  SECTION("states") {
    const std::string text(400'001, 'a');
    g.set_root(g.literal(text));
    const auto a = Automaton::compile(g, bytes_only());
    REQUIRE_FALSE(a);
    CHECK(a.error().message.find("states") != std::string::npos);
    const auto foreseen = Automaton::check(g);
    REQUIRE_FALSE(foreseen);
    CHECK(foreseen.error().message == a.error().message);
  }
  SECTION("left recursion") {
    const auto r = g.declare("left");
    g.define(r, g.choice({g.sequence({g.rule(r), g.literal("a")}), g.literal("b")}));
    g.set_root(g.rule(r));
    const auto a = Automaton::compile(g, bytes_only());
    REQUIRE_FALSE(a);
    CHECK(a.error().message.find("left recursion") != std::string::npos);
  }
}
