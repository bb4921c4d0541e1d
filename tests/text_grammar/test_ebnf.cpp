// EBNF in both spellings, and the way of a grammar through its text.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "recogniser.h"
#include "text/grammar/sources.h"

using namespace sluice;
using namespace sluice::text::grammar;

namespace {

bool accepts(const std::string& ebnf, std::string_view text) {
  const auto g = from_ebnf(ebnf);
  INFO(ebnf);
  if (!g) throw std::runtime_error(g.error().message);
  return test::Recogniser(*g).accepts(text);
}

std::string error(const std::string& ebnf) {
  const auto g = from_ebnf(ebnf);
  return g ? "" : g.error().message;
}

}  // namespace

TEST_CASE("GBNF: literals, sets, groups, repetitions, comments and lines") {
  const std::string g =
      "# a sum\nroot  ::= term (ws op ws term){0,2}\n"
      "op ::= \"+\" | \"-\"\n     | [*/]   # over lines\n\nterm ::= [0-9]+ | \"(\" root\n\")\"\nws ::= \" \"?\n";
  for (const auto* text : {"1", "1+2", "12 * (3-4)", "1+2+3"}) CHECK(accepts(g, text));
  for (const auto* text : {"", "+", "1+", "1+2+3+4", "(1"}) CHECK_FALSE(accepts(g, text));
  CHECK(accepts(R"(root ::= "\x41\u00e9\U0001F600\n\t\"\\")", "Aé😀\n\t\"\\"));
  CHECK(accepts("root ::= [^a-c\\]] .", "d日"));
  CHECK_FALSE(accepts("root ::= [^a-c\\]]", "]"));
  CHECK(accepts("root ::= \"ab\"{2} x{2,} y{,1}\nx ::= \"x\"\ny ::= \"y\"", "ababxxx"));
  CHECK(accepts("root ::= (a | )* {2,3}\na ::= \"a\"", "aaaa"));
}

TEST_CASE("GBNF: what is wrong is named with its line") {
  CHECK(error("root ::= \"a\"\nx ::= (\"b\"").find("line 2: a '(' without its ')'") != std::string::npos);
  CHECK(error("root ::= \"a").find("closing quote") != std::string::npos);
  CHECK(error("root ::= [a").find("'[' without") != std::string::npos);
  CHECK(error("root ::= [b-a]").find("before its begin") != std::string::npos);
  CHECK(error("root ::= a{3,2}\na ::= \"a\"").find("above its most") != std::string::npos);
  CHECK(error("root ::= \"a\"{1000000000}").find("beyond") != std::string::npos);
  CHECK(error("root ::= \"\\q\"").find("\\q") != std::string::npos);
  CHECK(error("root ::= \"\\ud800\"").find("no character") != std::string::npos);
  CHECK(error("a ::= \"a\"").find("named 'root'") != std::string::npos);
  CHECK(error("root ::= \"a\"\nroot ::= \"b\"").find("twice") != std::string::npos);
  CHECK(error("root ::= \"a\" ; \"b\"").find("';' does not belong") != std::string::npos);
  CHECK(error("root ::= (=\"a\") \"b\"").find("look-ahead") != std::string::npos);
  CHECK(error("root ::= root \"a\" | \"b\"").find("left recursion") != std::string::npos);
  CHECK(error("root ::= b").find("'b' is used but not defined") != std::string::npos);
  CHECK(error("root ::= \xFF").find("UTF-8") != std::string::npos);
  CHECK(error("").find("named 'root'") != std::string::npos);
  CHECK(error("root ::= " + std::string(5000, '(')).find("nested deeper") != std::string::npos);
}

TEST_CASE("Lark's spelling is read where it means the same, and refused by name where it does not") {
  const std::string g =
      "// numbers\n?start: sum\nsum: prod ((\"+\" | \"-\") prod)* -> sum\n  | \"nothing\"\n"
      "!prod: NUMBER [\"!\"] ~ 1..2\nNUMBER: /-?[0-9]+/ | \"a\"..\"c\"\n";
  for (const auto* text : {"1!", "1+-22", "nothing", "c-b!!"}) CHECK(accepts(g, text));
  for (const auto* text : {"", "d", "1+", "1!!!"}) CHECK_FALSE(accepts(g, text));
  CHECK(error("start: x\n%import common.WS\n").find("%import") != std::string::npos);
  CHECK(error("start: \"a\"\n%ignore \" \"").find("%ignore") != std::string::npos);
  CHECK(error("start: \"a\"i").find("the flag i") != std::string::npos);
  CHECK(error("start: /a/s").find("the flag s") != std::string::npos);
  CHECK(error("start: X\nX.2: \"a\"").find("priority") != std::string::npos);
  CHECK(error("start: /(?=a)/").find("look-ahead") != std::string::npos);
  CHECK(error("other: \"a\"").find("named 'start'") != std::string::npos);
}

TEST_CASE("a grammar goes through its text unchanged") {
  const std::vector<std::string> grammars{
      "root ::= \"a\"", "root ::= (\"a\" | [b-d]){2,5} x*\nx ::= \"\\\"\\\\\" root? | \"\"",
      "root ::= ((\"a\"?)*){3} [^\\x00-\\x1F]+", "root ::= a\na ::= \"x\" a | \"\""};
  for (const auto& text : grammars) {
    const auto g = from_ebnf(text);
    REQUIRE(g);
    const auto written = to_ebnf(*g);
    INFO(written);
    const auto again = from_ebnf(written);
    REQUIRE(again);
    CHECK(to_ebnf(*again) == written);
    test::Recogniser first(*g), second(*again);
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      CHECK(second.accepts(test::Walker(*g, seed).walk(60)));
      CHECK(first.accepts(test::Walker(*again, seed).walk(60)));
    }
  }
}

TEST_CASE("what is shared or nested deep does not grow in the text") {
  Grammar g;
  auto shared = g.sequence({g.literal("a"), g.chars(sluice::text::CodePointSet('0', '9'))});
  for (int i = 0; i < 40; ++i) shared = g.sequence({shared, shared});  // 2^40 if it were written out
  g.set_root(shared);
  CHECK(to_ebnf(g).size() < 4000);
  Grammar deep;
  auto nested = deep.literal("a");
  for (int i = 0; i < 3000; ++i) nested = deep.choice({deep.sequence({deep.literal("("), nested}), deep.literal("x")});
  deep.set_root(nested);
  const auto again = from_ebnf(to_ebnf(deep));
  REQUIRE(again);
  CHECK(test::Recogniser(*again).accepts("(((x"));
}

TEST_CASE("text without a trigger is every text in which none occurs") {
  const std::vector<std::string> triggers{"<tool>", "abab", "bb", "日x"};
  Grammar g;
  g.set_root(text_without(g, triggers));
  REQUIRE(g.check());
  test::Recogniser r(g);
  const auto expected = [&](const std::string& text) {
    return std::ranges::none_of(triggers, [&](const auto& t) { return text.find(t) != std::string::npos; });
  };
  std::vector<std::string> texts{""};
  for (std::size_t i = 0; i < texts.size() && texts[i].size() < 6; ++i)
    for (const char c : {'a', 'b', '<'}) texts.push_back(texts[i] + c);
  for (const auto* more : {"<tool>", "<tool", "x<tool>y", "<to<tool>", "<<tool", "日", "日x", "日日x", "日本x"})
    texts.emplace_back(more);
  for (const auto& t : texts) {
    INFO(t);
    CHECK(r.accepts(t) == expected(t));
  }
}
