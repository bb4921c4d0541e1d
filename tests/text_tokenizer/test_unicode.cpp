#include <catch2/catch.hpp>
#include <chrono>

#include "text/unicode/properties.h"
#include "text/unicode/unicode.h"

using namespace sluice::text;

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

TEST_CASE("lower case knows the newest letters, as the reference does") {
  CHECK(to_lower("\u1C89\uA7CB\uA7DC") == "\u1C8A\u0264\u019B");
  CHECK(to_lower("\U00010D50\U00016EA0") == "\U00010D70\U00016EBB");
}

TEST_CASE("sets of code points") {
  CodePointSet s(U'b', U'd');
  s.add(U'e', U'f');
  s.add(U'x', U'x');
  CHECK(s.ranges().size() == 2);
  CHECK((s.contains(U'f') && s.contains(U'x') && !s.contains(U'g') && !s.contains(U'a')));
  CHECK(s.complement().complement() == s);
  CHECK((s & CodePointSet(U'd', U'x')) == (CodePointSet(U'd', U'f') | CodePointSet(U'x', U'x')));
  CHECK((s & s.complement()).empty());
  CHECK((s | s.complement()) == CodePointSet(0, CodePointSet::kMax));
}

TEST_CASE("properties by their names, and what no table has") {
  CHECK(unicode_property("Lu")->contains(U'A'));
  CHECK(unicode_property("uppercase_letter") == unicode_property("LU"));
  CHECK(unicode_property("Old Italic") == unicode_property("ital"));
  CHECK(!unicode_property("Script=Han"));
  CHECK(!unicode_property(""));
  CHECK(!unicode_property("Lz"));
  CHECK(!posix_class("han"));
  CHECK(unicode_property("Unknown")->contains(0x378));
  // U+1B7D is punctuation since Unicode 14: for regular expressions, not for the Punctuation pre-tokenizer.
  CHECK((unicode_property("P")->contains(0x1B7D) && !punctuation().contains(0x1B7D) && punctuation().contains(U'$')));
  CHECK((digits().contains(U'\u00BD') && digits().contains(U'\u2460') && !digits().contains(U'\u4E00')));
  CHECK((word_characters().contains(0x200D) && !word_characters().contains(0xB2)));
}
