#include "common/prefix/name.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::prefix;

TEST_CASE("a name is written as hex and read back") {
  PrefixName n;
  for (std::size_t i = 0; i < n.bytes.size(); ++i) n.bytes[i] = static_cast<std::uint8_t>(0xf0 + i);
  CHECK(to_hex(n) == "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
  CHECK(name_from_hex(to_hex(n)).value() == n);
}

TEST_CASE("what is no name is refused") {
  const auto* text = GENERATE("", "00", "F0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", "g0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
                              "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff0");
  const auto r = name_from_hex(text);
  REQUIRE(!r);
  CHECK(r.error().code == Errc::invalid_argument);
}

TEST_CASE("names are written one behind the other and read back") {
  std::vector<PrefixName> names(3);
  for (std::size_t i = 0; i < names.size(); ++i) names[i].bytes[i] = 7;
  const std::string text = to_hex(names);
  CHECK(text.size() == 96);
  CHECK(names_from_hex(text).value() == names);
  CHECK(names_from_hex("").value().empty());
  CHECK_FALSE(names_from_hex(text.substr(1)));
  CHECK_FALSE(names_from_hex(std::string(31, '0') + "x"));
}

TEST_CASE("names are ordered by their bytes, and their hash is their own") {
  PrefixName a, b;
  b.bytes[0] = 1;
  CHECK(a < b);
  CHECK(a != b);
  CHECK(std::hash<PrefixName>{}(a) != std::hash<PrefixName>{}(b));
}
