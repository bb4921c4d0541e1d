#include "common/prefix/key.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::prefix;

TEST_CASE("a key is read from hex and from base64") {
  const auto a = PrefixKey::parse("000102030405060708090a0b0c0d0e0f").value();
  CHECK(a == PrefixKey::parse("AAECAwQFBgcICQoLDA0ODw==").value());
  CHECK(a == PrefixKey::parse("000102030405060708090A0B0C0D0E0F").value());
  CHECK(a.reveal() == "000102030405060708090a0b0c0d0e0f");
  CHECK(PrefixKey::parse(a.reveal()).value() == a);
}

TEST_CASE("what is no key is refused in words that do not show it") {
  const std::string text =
      GENERATE("", "0001", "000102030405060708090a0b0c0d0e0g", "AAECAwQFBgcICQoLDA0ODw", "AAECAwQFBgcICQoLDA0O",
               "AAECAwQFBgcICQoLDA0ODxA=", "000102030405060708090a0b0c0d0e0f ", "AAECAwQFBgcICQoLDA0ODw==\n");
  const auto r = PrefixKey::parse(text);
  REQUIRE(!r);
  CHECK(r.error().code == Errc::invalid_argument);
  CHECK((text.size() < 8 || r.error().message.find(text.substr(0, 8)) == std::string::npos));
}

TEST_CASE("drawn keys differ") { CHECK_FALSE(PrefixKey::draw() == PrefixKey::draw()); }

TEST_CASE("keys derived for other purposes, or from other keys, differ") {
  const auto a = PrefixKey::parse("000102030405060708090a0b0c0d0e0f").value();
  CHECK(a.derive("x") == a.derive("x"));
  CHECK(a.derive("x") != a.derive("y"));
  CHECK(a.derive("x") != PrefixKey::draw().derive("x"));
}
