// Patterns are written for Oniguruma; these are the places where PCRE2 would read them otherwise.
#include <catch2/catch.hpp>

#include "text/tokenizer/regex.h"

using namespace sluice;
using namespace sluice::text;

namespace {

std::vector<std::string> matches(std::string_view pattern, std::string_view s) {
  const auto r = Regex::compile(pattern);
  if (!r) throw std::runtime_error(r.error().message);
  std::vector<ByteRange> ranges;
  REQUIRE(r->find_all(s, ranges));
  std::vector<std::string> out;
  for (const auto m : ranges) out.emplace_back(m.of(s));
  return out;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("classes mean what they mean in Oniguruma") {
  CHECK(matches(R"(\s+)", "a\u180E b\u0085c\u3000") == Strings{" ", "\u0085", "\u3000"});  // PCRE2's \s has U+180E
  CHECK(matches(R"([^\s]+)", "a\u180E b") == Strings{"a\u180E", "b"});
  CHECK(matches(R"(\w+)", "e\u0301_1\u203Fx-\u00B2") ==
        Strings{"e\u0301_1\u203Fx"});                       // PCRE2's \w lacks marks, has numbers
  CHECK(matches(R"(\h+)", "xyz09af ") == Strings{"09af"});  // PCRE2: horizontal space
  CHECK(matches(R"(\v)", "\x0B\n") == Strings{"\x0B"});
  CHECK(matches(R"(\u00e9)", "\u00E9") == Strings{"\u00E9"});
  CHECK(matches(".", "\r\n") == Strings{"\r"});
  CHECK(matches("^a$", "a\nab\na") == Strings{"a", "a"});
}

TEST_CASE("case folding crosses to the long s and the Kelvin sign") {
  CHECK(matches("(?i:'s|k)", "'S '\u017F \u212A") == Strings{"'S", "'\u017F", "\u212A"});
  CHECK(matches("(?i:s)s", "Ss sS") == Strings{"Ss"});
}

TEST_CASE("an empty match right after a match is none") {
  CHECK(matches("x*", "axb") == Strings{"", "x", ""});
  CHECK(matches("x*", "日x") == Strings{"", "x"});
}

TEST_CASE("what can't be carried over exactly is refused, by name") {
  const auto [pattern, why] = GENERATE(table<std::string, std::string>({{"a{1,2}+", "possessive"},
                                                                        {"a{,3}", "{,m}"},
                                                                        {"[a&&b]", "&&"},
                                                                        {"[a[b]]", "class in a class"},
                                                                        {"(?m:.)", "(? group"},
                                                                        {R"(\bx)", R"(\b)"},
                                                                        {R"(\R)", R"(\R)"},
                                                                        {R"(\X)", R"(\X)"},
                                                                        {R"([\W])", R"(\W)"},
                                                                        {R"(\xE9)", "ASCII"},
                                                                        {"(*COMMIT)a", "(*"},
                                                                        {"a\\", "backslash"},
                                                                        {"[abc", "']'"},
                                                                        {R"(\pL)", "braces"},
                                                                        {"a{", "}"},
                                                                        {R"(\u12)", "digits"}}));
  const auto r = Regex::compile(pattern);
  INFO(pattern);
  REQUIRE(!r);
  CHECK_THAT(r.error().message, Catch::Contains(why) && Catch::Contains("regular expression"));
}

TEST_CASE("a broken pattern is an error, not a crash") {
  for (const auto* p : {"(", ")", "*", R"(\p{NoSuchThing})", "(?<=a+)b", "[z-a]", "a{5,2}"}) {
    INFO(p);
    CHECK(!Regex::compile(p));
  }
}

TEST_CASE("a pattern that backtracks without end fails within the limit") {
  const auto r = Regex::compile("(a|aa|aaa)+(b|c)d").value();
  std::vector<ByteRange> out;
  const auto done = r.find_all(std::string(400, 'a') + "xd", out);
  REQUIRE(!done);
  CHECK(done.error().code == Errc::resource_exhausted);
}
