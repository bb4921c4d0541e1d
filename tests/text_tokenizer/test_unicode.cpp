#include <catch2/catch.hpp>
#include <chrono>

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
