// Regular expressions as the whole of a text: what they mean, and what is refused by name.
#include <catch2/catch.hpp>
#include <string>

#include "recogniser.h"
#include "text/grammar/sources.h"

using namespace sluice;
using namespace sluice::text::grammar;

namespace {

bool matches(std::string_view pattern, std::string_view text) {
  const auto g = from_regex(pattern);
  INFO(pattern);
  if (!g) throw std::runtime_error(g.error().message);
  return test::Recogniser(*g).accepts(text);
}

std::string error(std::string_view pattern) {
  const auto g = from_regex(pattern);
  return g ? "" : g.error().message;
}

}  // namespace

TEST_CASE("an expression matches the whole text, with anchors or without") {
  for (const auto* p : {"ab+c", "^ab+c$", "\\Aab+c\\z", "^ab+c", "(ab+c)$", "(?:a)(?<n>b+)c"}) {
    CHECK(matches(p, "abbc"));
    CHECK_FALSE(matches(p, "xabbc"));
    CHECK_FALSE(matches(p, "abbcx"));
  }
  CHECK(matches("(^a|b)c$|^$", ""));
  CHECK(matches("(^a|b)c$|^$", "bc"));
  CHECK(matches("a(b|$)", "a"));
  CHECK(matches("", ""));
}

TEST_CASE("lazy repeats mean the same texts; counts are counts") {
  CHECK(matches("a*?b+?c??", "aabb"));
  CHECK(matches("(ab){2,3}", "ababab"));
  CHECK_FALSE(matches("(ab){2,3}", "ab"));
  CHECK(matches("a{2,}", "aaaa"));
  CHECK(matches("a{x", "a{x"));
  CHECK(matches("x{2}{y}", "xx{y}"));
}

TEST_CASE("classes are what ECMA and Python agree on") {
  CHECK(matches("\\d\\w\\s", "1_ "));
  CHECK_FALSE(matches("\\d", "\u0661"));
  CHECK_FALSE(matches("\\D", "\u0661"));
  CHECK_FALSE(matches("[^\\d]", "\u0661"));
  CHECK(matches("[\\D]", "x"));
  CHECK(matches("[\\w.-]+", "a-.b"));
  CHECK(matches("[\\w-.]+", "a-.b"));
  CHECK(matches("[[&&a]+", "[&a"));
  CHECK(matches("[\\]\\\\^-]+", "]\\^-"));
  CHECK_FALSE(matches(".", "\n"));
  CHECK(matches("\\u00e9\\u{1F600}\\x41\\ud83d\\ude00\\cA\\0", std::string("é😀A😀\x01\0", 13)));
  CHECK(matches("\\p{Lu}\\P{L}", "É1"));
}

TEST_CASE("what is no regular language, or read otherwise elsewhere, is refused by name") {
  CHECK(error("(?=a)").find("look-ahead") != std::string::npos);
  CHECK(error("(?<!a)b").find("look-behind") != std::string::npos);
  CHECK(error("(a)\\1").find("backreference") != std::string::npos);
  CHECK(error("(?<n>a)\\k<n>").find("backreference") != std::string::npos);
  CHECK(error("\\bword").find("word boundary") != std::string::npos);
  CHECK(error("(?>a)").find("atomic") != std::string::npos);
  CHECK(error("a++").find("possessive") != std::string::npos);
  CHECK(error("(?i)a").find("(?i") != std::string::npos);
  CHECK(error("a{,3}").find("{0,n}") != std::string::npos);
  CHECK(error("[]a]").find("']' first") != std::string::npos);
  CHECK(error("(a").find("without its ')'") != std::string::npos);
  CHECK(error("a)").find("without its '('") != std::string::npos);
  CHECK(error("[z-a]").find("before its begin") != std::string::npos);
  CHECK(error("*a").find("repeat of nothing") != std::string::npos);
  CHECK(error("a**").find("repeat of a repeat") != std::string::npos);
  CHECK(error("\\q").find("\\q") != std::string::npos);
  CHECK(error("a{1000000000}").find("beyond") != std::string::npos);
  CHECK(error("a^b").find("no text") != std::string::npos);
  CHECK(error(std::string(2000, '(')).find("nested this deep") != std::string::npos);
}

TEST_CASE("one of the choices, each as it is") {
  const std::vector<std::string> choices{"yes", "no", "a\"b\n", ""};
  const auto g = from_choices(choices);
  REQUIRE(g);
  test::Recogniser r(*g);
  for (const auto& c : choices) CHECK(r.accepts(c));
  CHECK_FALSE(r.accepts("ye"));
  CHECK_FALSE(from_choices({}));
  CHECK_FALSE(from_choices(std::vector<std::string>{"\xFF"}));
}
