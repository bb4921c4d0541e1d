#include "common/prefix/namer.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <set>

using namespace sluice;
using namespace sluice::prefix;

namespace {

const PrefixKey kKey = PrefixKey::parse("000102030405060708090a0b0c0d0e0f").value();

std::vector<TokenId> tokens(std::size_t n, TokenId first = 0) {
  std::vector<TokenId> t(n);
  std::iota(t.begin(), t.end(), first);
  return t;
}

std::vector<PrefixName> names(const PrefixNamer& namer, const std::vector<TokenId>& t, std::size_t block = 16) {
  std::vector<PrefixName> out;
  namer.append_names(namer.root({.tenant = "a"}), t, block, out);
  return out;
}

std::span<const std::byte> as_identity(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

TEST_CASE("equal beginnings have equal names, and those alone") {
  const PrefixNamer namer(kKey);
  auto t = tokens(100);
  const auto a = names(namer, t);
  REQUIRE(a.size() == 6);  // the last four tokens fill no block
  t[40] = -1;              // in the third block
  const auto b = names(namer, t);
  CHECK(std::equal(a.begin(), a.begin() + 2, b.begin()));
  for (std::size_t i = 2; i < a.size(); ++i) CHECK(a[i] != b[i]);
  CHECK(std::set<PrefixName>(a.begin(), a.end()).size() == a.size());
}

TEST_CASE("a prompt's names are those of its blocks one by one, appended") {
  const PrefixNamer namer(kKey);
  const auto t = tokens(48);
  const auto root = namer.root({.tenant = "a"});
  std::vector<PrefixName> out{root};
  namer.append_names(root, t, 16, out);
  REQUIRE(out.size() == 4);
  for (std::size_t i = 0; i < 3; ++i) CHECK(out[i + 1] == namer.extend(out[i], std::span(t).subspan(16 * i, 16)));
  namer.append_names(root, std::span(t).first(15), 16, out);
  CHECK(out.size() == 4);
}

TEST_CASE("blocks of another size name other prefixes") {
  const PrefixNamer namer(kKey);
  const auto t = tokens(64);
  const auto by16 = names(namer, t, 16), by32 = names(namer, t, 32);
  CHECK(by16[1] != by32[0]);
  CHECK(by16[3] != by32[1]);
}

TEST_CASE("tenant, salt and identity are kept apart, wherever the text between them is cut") {
  const PrefixNamer namer(kKey);
  const std::vector<PrefixName> roots{
      namer.root({}),
      namer.root({.tenant = "ab"}),
      namer.root({.cache_salt = "ab"}),
      namer.root({.identity = as_identity("ab")}),
      namer.root({.tenant = "a", .cache_salt = "b"}),
      namer.root({.tenant = "a", .identity = as_identity("b")}),
      namer.root({.cache_salt = "a", .identity = as_identity("b")}),
      namer.root({.tenant = std::string_view("\0", 1)}),
      namer.root({.tenant = std::string_view("\1\0\0\0\0\0\0\0a", 9)}),
  };
  CHECK(std::set<PrefixName>(roots.begin(), roots.end()).size() == roots.size());
}

TEST_CASE("another key names everything otherwise") {
  const PrefixNamer a(kKey), b(PrefixKey::draw());
  CHECK(a.root({.tenant = "a"}) != b.root({.tenant = "a"}));
  const auto t = tokens(16);
  CHECK(a.extend({}, t) != b.extend({}, t));
  CHECK(a.mark("a") != b.mark("a"));
}

TEST_CASE("a tenant's mark tells tenants apart and is no name of theirs") {
  const PrefixNamer namer(kKey);
  CHECK(namer.mark("a") == namer.mark("a"));
  CHECK(namer.mark("a") != namer.mark("b"));
  CHECK(namer.mark("") != namer.mark("a"));
}

// Names outlive processes: in stores, and in what coordinators share. A change of these is a change of format.
TEST_CASE("names are what they were") {
  const PrefixNamer namer(kKey);
  const auto root = namer.root({.tenant = "tenant", .cache_salt = "salt", .identity = as_identity("identity")});
  CHECK(to_hex(root) == "be1c5a90bf8a4d4fff3fd967b36e9d1e");
  CHECK(to_hex(namer.extend(root, tokens(16))) == "280161d9754910b05dd8743ed3a28636");
  CHECK(namer.mark("tenant").value() == 0x6b09f17b228d6e40);
}
