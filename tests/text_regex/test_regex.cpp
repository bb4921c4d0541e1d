// Patterns are written for Oniguruma: the places where other engines read them otherwise, and what is refused.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "text/regex/regex.h"

using namespace sluice;
using namespace sluice::text;

namespace {

std::vector<ByteRange> ranges(const Regex& r, std::string_view s) {
  std::vector<ByteRange> out;
  MatchBudget budget(s.size());
  REQUIRE(r.find_all(s, out, budget));
  return out;
}

std::vector<std::string> matches(std::string_view pattern, std::string_view s) {
  const auto r = Regex::compile(pattern);
  if (!r) throw std::runtime_error(r.error().message);
  std::vector<std::string> out;
  for (const auto m : ranges(*r, s)) out.emplace_back(m.of(s));
  return out;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("classes mean what they mean in Oniguruma") {
  CHECK(matches(R"(\s+)", "a\u180E b\u0085c\u3000") == Strings{" ", "\u0085", "\u3000"});
  CHECK(matches(R"([^\s]+)", "a\u180E b") == Strings{"a\u180E", "b"});
  CHECK(matches(R"(\w+)", "e\u0301_1\u203Fx-\u00B2") == Strings{"e\u0301_1\u203Fx", "\u00B2"});
  CHECK(matches(R"(\w+)", "m\u00B2\u00BDx\u2460") == Strings{"m\u00B2\u00BDx"});  // but other numbers are no letters
  CHECK(matches(R"([\w]+)", "m\u00B2x") == Strings{"m", "x"});                    // nor are those in a class
  CHECK(matches(R"(\h+)", "xyz09af ") == Strings{"09af"});                        // not horizontal space
  CHECK(matches(R"(\v)", "\x0B\n") == Strings{"\x0B"});
  CHECK(matches(R"(\u00e9|\x{65e5})", "\u00E9日") == Strings{"\u00E9", "日"});
  CHECK(matches(".", "\r\n") == Strings{"\r"});
  CHECK(matches("(?m:.)", "\n") == Strings{"\n"});
  CHECK(matches("^a$", "a\nab\na") == Strings{"a", "a"});
  CHECK(matches(R"(\Aa|a\z)", "aba\n") == Strings{"a"});
  CHECK(matches(R"(a\Z)", "aba\n") == Strings{"a"});
}

TEST_CASE("scripts are scripts, not the characters they share with others") {
  CHECK(matches(R"(\p{Han}+)", "中。文、") == Strings{"中", "文"});
  CHECK(matches(R"(\p{Katakana})", "カ。ー「") == Strings{"カ"});
  CHECK(matches(R"(\p{Arabic})", "س،") == Strings{"س"});
  CHECK(matches(R"(\p{hani}|\p{ LA-tin })", "中x") == Strings{"中", "x"});
}

TEST_CASE("properties are those of Unicode 16") {
  CHECK(matches(R"(\p{S})", "I love it \U0001FA77") == Strings{"\U0001FA77"});                 // 15
  CHECK(matches(R"(\p{L}+)", "\u1C89\U00010D50") == Strings{"\u1C89\U00010D50"});              // 16
  CHECK(matches(R"(\p{Lo})", "\U00031350\U0002EBF0") == Strings{"\U00031350", "\U0002EBF0"});  // 15, 15.1
  CHECK(matches(R"(\p{N}+)", "\U0001D2C1\U00010D41") == Strings{"\U0001D2C1\U00010D41"});
  CHECK(matches(R"(\p{L})", "\U00016EA0").empty());  // 17
}

TEST_CASE("classes are added, intersected and negated") {
  CHECK(matches(R"([\p{L}&&[^\p{Han}]]+)", "ab中c") == Strings{"ab", "c"});
  CHECK(matches("[^a-z&&[^b]]+", "abc1") == Strings{"b", "1"});
  CHECK(matches("[a[0-9]_]+", "a1_b") == Strings{"a1_"});
  CHECK(matches("[[:alpha:]]+|[[:punct:]]+", "é!$1") == Strings{"é", "!$"});
  CHECK(matches(R"([\W]+)", "a -b") == Strings{" -"});
  CHECK(matches("[a-]+|[-z]", "a-z") == Strings{"a-", "z"});
}

TEST_CASE("edges of words, lookarounds, atomic groups and possessive repeats") {
  CHECK(matches(R"(\d{1,3}(?=(?:\d{3})*\b))", "1234567 89a") == Strings{"1", "234", "567"});
  CHECK(matches(R"(\bx\B.)", "x xy") == Strings{"xy"});
  CHECK(matches("(?<=a|bc)x", "axbcxcx") == Strings{"x", "x"});
  CHECK(matches("(?<!a|bc)x", "axbcxcx") == Strings{"x"});
  CHECK(matches("(?>a*)ab|.", "aab") == Strings{"a", "a", "b"});
  CHECK(matches("a++a|b", "aab") == Strings{"b"});
  CHECK(matches("a{,2}?b|a{2,}?", "aaab") == Strings{"aa", "ab"});
  CHECK(matches("(?:ab){1,2}(?<n>c)", "ababc") == Strings{"ababc"});
}

TEST_CASE("case folding crosses to the long s and the Kelvin sign") {
  CHECK(matches("(?i:'s|k)", "'S '\u017F \u212A") == Strings{"'S", "'\u017F", "\u212A"});
  CHECK(matches("(?i:s)s", "Ss sS") == Strings{"Ss"});
  CHECK(matches("a(?i)b|c", "aB aC") == Strings{"aB", "aC"});  // the flag holds to the end of the group, | included
  CHECK(matches("(?i:[^k])", "K\u212Ax") == Strings{"x"});
}

TEST_CASE("an empty match right after a match is none") {
  CHECK(matches("x*", "axb") == Strings{"", "x", ""});
  CHECK(matches("x*", "日x") == Strings{"", "x"});
}

TEST_CASE("what is not known here is refused, by name") {
  const auto [pattern, why] = GENERATE(table<std::string, std::string>({{"a{1,2}+", "possessive"},
                                                                        {"a{2}?", "repeated"},
                                                                        {"a**", "a repeat of a repeat"},
                                                                        {"(?:a?)*", "may be empty"},
                                                                        {"(?x:.)", "(? group"},
                                                                        {"(?P<n>a)", "(? group"},
                                                                        {R"(\R)", R"(\R)"},
                                                                        {R"(\X)", R"(\X)"},
                                                                        {R"(a\1)", R"(\1)"},
                                                                        {R"(\xE9)", "ASCII"},
                                                                        {"(*COMMIT)a", "(*"},
                                                                        {"a\\", "backslash"},
                                                                        {"[abc", "']'"},
                                                                        {"[]a]", "']' first"},
                                                                        {R"([a-\d])", "range"},
                                                                        {R"(\pL)", "braces"},
                                                                        {R"(\p{Script=Han})", "Script=Han"},
                                                                        {"a{", "'{'"},
                                                                        {R"(\u12)", "digits"},
                                                                        {"(?i:ss)", "fold"},
                                                                        {"(?i:é)", "beyond ASCII"},
                                                                        {R"((?i:\p{Lu}))", "property under (?i)"},
                                                                        {"(?<=a+)b", "varying length"},
                                                                        {"(?<=(?=a))b", "lookaround"},
                                                                        {"(?<!(a))b", "captures"},
                                                                        {"[\n-&&a-z]", "'-'"}}));
  const auto r = Regex::compile(pattern);
  INFO(pattern);
  REQUIRE(!r);
  CHECK_THAT(r.error().message, Catch::Contains(why) && Catch::Contains("regular expression"));
}

TEST_CASE("a broken pattern is an error, not a crash") {
  for (const auto* p : {"(", ")", "*", R"(\p{NoSuchThing})", "[z-a]", "a{5,2}", "(?", "(?i", "[[:alpha",
                        R"(\x{110000})", "\xFF", "[a&&"}) {
    INFO(p);
    CHECK(!Regex::compile(p));
  }
}

TEST_CASE("matches equal those of the reference: published patterns and random ones") {
  std::ifstream in(std::string(SLUICE_SOURCE_DIR) + "/tests/text_regex/golden/cases.jsonl");
  std::string line;
  std::getline(in, line);  // the reference's version
  std::size_t texts = 0;
  while (std::getline(in, line)) {
    const auto row = nlohmann::json::parse(line);
    const auto r = Regex::compile(row["p"].get<std::string>());
    INFO(row["p"]);
    if (!row.contains("t")) CHECK(!r);
    if (!r || !row.contains("t")) continue;
    for (const auto& [text, expected] : row["t"].get<std::vector<std::pair<std::string, std::vector<std::size_t>>>>()) {
      std::vector<std::size_t> found;
      for (const auto m : ranges(*r, text))
        if (m.begin < m.end) found.insert(found.end(), {m.begin, m.end});
      INFO(nlohmann::json(text).dump());
      CHECK(found == expected);
      ++texts;
    }
  }
  CHECK(texts > 1900);
}
