// Patterns and texts made to cost much: work is bounded whatever they are.
#include <catch2/catch.hpp>
#include <random>

#include "text/regex/regex.h"

using namespace sluice;
using namespace sluice::text;

namespace {

constexpr auto* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string repeated(std::string_view unit, std::size_t times) {
  std::string s;
  s.reserve(unit.size() * times);
  for (; times > 0; --times) s.append(unit);
  return s;
}

Result<> find(const Regex& r, std::string_view s) {
  std::vector<ByteRange> out;
  MatchBudget budget(s.size());
  return r.find_all(s, out, budget);
}

}  // namespace

// 16,000,000 spaces in a prompt were an error 500 once: the old engine had a limit on the steps of one match.
TEST_CASE("a run of any length is split in linear time") {
  const auto r = Regex::compile(kLlama3).value();
  for (const std::string unit : {" ", "a", "1", "\n", "!", "日", " \n", "\u0301", "'s"}) {
    const auto s = repeated(unit, 16'000'000 / unit.size());
    MatchBudget budget(s.size());
    const auto before = budget.steps;
    std::vector<ByteRange> out;
    REQUIRE(r.find_all(s, out, budget));
    CHECK((before - budget.steps) / s.size() < 8);
  }
}

TEST_CASE("a pattern that backtracks without end fails within the budget") {
  for (const auto* pattern : {"(a|aa|aaa)+(b|c)d", "(?:a|a)+b", "(?:a+a+)+b", "(?=(?:a|aa)+b)a", "a*a*a*a*a*b",
                              "(?:(?:a{1,9}){1,9}){1,9}b"}) {
    INFO(pattern);
    auto text = repeated("a", 100'000);
    text += "xd";
    const auto done = find(Regex::compile(pattern).value(), text);
    REQUIRE(!done);
    CHECK(done.error().code == Errc::invalid_argument);
    CHECK_THAT(done.error().message, Catch::Contains("too long or too uniform"));
  }
}

TEST_CASE("a pattern quadratic in a run of digits does thousands and refuses millions") {
  const auto r = Regex::compile(R"(\d{1,3}(?=(?:\d{3})*\b))").value();
  CHECK(find(r, std::string(10'000, '1')));
  CHECK(!find(r, std::string(16'000'000, '1')));
}

TEST_CASE("a group repeated over a long text stays within its memory") {
  CHECK(find(Regex::compile("(?:ab)*").value(), std::string(1'000'000, 'a')));
  const auto done = find(Regex::compile("(?:ab)*c").value(), repeated("ab", 8'000'000));
  REQUIRE(!done);
  CHECK(done.error().code == Errc::invalid_argument);
}

TEST_CASE("patterns that grow are refused") {
  const auto nested = [](std::string_view open, std::string_view inside, std::string_view close, std::size_t n) {
    auto s = repeated(open, n);
    s.append(inside);
    s.append(repeated(close, n));
    return s;
  };
  CHECK(!Regex::compile(nested("(", "a", ")", 10'000)));
  CHECK(!Regex::compile(nested("[", "a", "]", 10'000)));
  CHECK(!Regex::compile(nested("(?:", "ab", "){1000}", 20)));
  CHECK(!Regex::compile(nested("(?:", "", "){1000}", 20)));
  CHECK(!Regex::compile(std::string(100'000, 'a')));
  std::string classes;
  for (int i = 0; i < 2'000; ++i) classes += fmt::format("[\\x{{{:x}}}\\x{{{:x}}}]", 0x4E00 + i, 0x6E00 + i);
  CHECK(!Regex::compile(classes));
  std::string words = "w0";
  for (int i = 1; i < 200; ++i) words += fmt::format("|w{}", i);
  CHECK(find(Regex::compile(words).value(), "w199 w5"));
}

TEST_CASE("any one change of a pattern compiles or is refused, and what compiles ends") {
  std::mt19937 rng(5);
  std::string base(kLlama3);
  base += R"(|[\p{L}&&[^\p{Han}]]{1,3}|(?<=a|bc)\b(?>x*?)|\x{4e2d}\u00e9[[:alpha:]-])";
  for (int i = 0; i < 5000; ++i) {
    auto pattern = base;
    for (auto k = rng() % 3 + 1; k > 0; --k) {
      const auto at = rng() % pattern.size();
      if (rng() % 2 == 0)
        pattern[at] = "()[]{}*+?|\\^$.-&:!<=>,i0a"[rng() % 25];
      else
        pattern.erase(at, rng() % 6 + 1);
      if (pattern.empty()) pattern.push_back('a');
    }
    if (const auto r = Regex::compile(pattern)) (void)find(*r, "It's 1234 日本語 \u00e9t\u00e9\r\n  x\u0301!! ");
  }
}
