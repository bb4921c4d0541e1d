#include <catch2/catch.hpp>
#include <chrono>

#include "text/unicode/unicode.h"

using namespace sluice::text;

TEST_CASE("ill-formed UTF-8 reads as one U+FFFD for each maximal part") {
  const std::string r(kReplacementChar);
  CHECK(utf8_lossy("plain é 日 😀") == "plain é 日 😀");
  CHECK(utf8_lossy("\xFF") == r);
  CHECK(utf8_lossy("\xE2\x82") == r);  // cut short: one
  CHECK(utf8_lossy("\xE2\x82x") == r + "x");
  CHECK(utf8_lossy("\xED\xA0\x80") == r + r + r);          // a surrogate has no maximal part longer than a byte
  CHECK(utf8_lossy("\xF0\x80\x80\x80") == r + r + r + r);  // overlong
  CHECK(utf8_lossy("\xF4\x90\x80\x80") == r + r + r + r);  // past U+10FFFF
  // The example of the Unicode Standard, table 3-8.
  CHECK(utf8_lossy("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64") ==
        "a" + r + r + r + "b" + r + "c" + r + r + "d");
}

TEST_CASE("every code point survives UTF-8") {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string s;
    append_utf8(s, c);
    const auto step = utf8_step(s);
    if (!step.valid || step.code_point != c || step.length != s.size())
      FAIL("U+" << std::hex << static_cast<unsigned>(c));
  }
}

TEST_CASE("normal forms") {
  CHECK(normalize("e\u0301", NormalForm::nfc) == "\u00E9");
  CHECK(normalize("\u00E9", NormalForm::nfd) == "e\u0301");
  CHECK(normalize("\u212B", NormalForm::nfc) == "\u00C5");
  CHECK(normalize("a\u0323\u0307", NormalForm::nfc) == normalize("a\u0307\u0323", NormalForm::nfc));
  CHECK(normalize("\u1112\u1161\u11AB", NormalForm::nfc) == "\uD55C");
  CHECK(normalize("\uFB01\u00B2", NormalForm::nfkc) == "fi2");
  CHECK(normalize("\uFB01\u00B2", NormalForm::nfc) == "\uFB01\u00B2");
  CHECK(normalize("\u0958", NormalForm::nfc) == "\u0915\u093C");  // a composition exclusion
  // U+1ABF is a mark since Unicode 13; the reference's data is older, so it stays where it is.
  CHECK(normalize("a\u0301\u1ABF", NormalForm::nfd) == "a\u0301\u1ABF");
}

TEST_CASE("a megabyte of combining marks in falling order normalizes in bounded time") {
  std::string s = "a";
  for (int i = 0; i < 250'000; ++i) s += "\u0301\u0316";  // classes 230 and 220: an insertion sort takes minutes
  const auto start = std::chrono::steady_clock::now();
  const auto out = normalize(s, NormalForm::nfc);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20));
  CHECK(out.size() == s.size() - 1);  // a + the first acute compose
  CHECK(out.substr(0, 4) == "\u00E1\u0316");
}

TEST_CASE("lower case, character by character") {
  CHECK(to_lower("ÀÉÎ ΣΊΣΥΦΟΣ Привет") == "àéî σίσυφοσ привет");
  CHECK(to_lower("\u0130") == "i\u0307");
}
