#include "common/utf8.h"

#include <catch2/catch.hpp>

using namespace sluice;

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

TEST_CASE("a clipped text ends with a whole character") {
  CHECK(clip_utf8("abc", 3) == "abc");
  CHECK(clip_utf8("abc", 2) == "ab");
  CHECK(clip_utf8("a\u00e9", 2) == "a");
  CHECK(clip_utf8("a\u00e9", 3) == "a\u00e9");
  CHECK(clip_utf8("\U0001F600", 3).empty());
  CHECK(clip_utf8("\x80\x80\x80", 2).empty());
}
