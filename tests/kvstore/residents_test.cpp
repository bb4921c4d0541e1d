#include "kvstore/tier/residents.h"

#include <catch2/catch.hpp>

#include "tests/kvstore/objects.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace sluice::kvstore::test;

namespace {

ObjectKey key(std::uint64_t n, std::uint8_t layers = 0) {
  ObjectKey k{name_of(n).bytes};
  k.bytes[14] = layers;
  return k;
}

/// name continues parent.
ObjectFacts facts(std::uint64_t name, std::uint64_t parent, std::uint64_t bytes = 10, std::uint64_t tenant = 1) {
  return {.name = name_of(name), .parent = name_of(parent), .tenant = prefix::TenantMark(tenant), .bytes = bytes};
}

/// Puts, and tells the numbers of those that went.
std::vector<ObjectKey> put(Residents& r, const ObjectKey& k, const ObjectFacts& f) {
  const auto room = r.reserve(k, f).value();
  REQUIRE(room.made);
  r.commit(k);
  return room.victims;
}

}  // namespace

TEST_CASE("the least recently used goes first") {
  Residents r({.bytes = 30, .tenant_bytes = 30});
  for (const std::uint64_t n : {1, 2, 3}) CHECK(put(r, key(n), facts(n, 100 + n)).empty());
  r.touch(key(1));
  CHECK(put(r, key(4), facts(4, 104)) == std::vector{key(2)});
  CHECK(put(r, key(5), facts(5, 105, 20)) == std::vector{key(3), key(1)});
  CHECK(r.use().bytes == 30);
  CHECK(r.use().objects == 2);
  CHECK(r.evictions().evicted_objects == 3);
  CHECK(r.evictions().evicted_bytes == 30);
}

TEST_CASE("an object goes before the one it continues, however long ago that was used") {
  Residents r({.bytes = 40, .tenant_bytes = 40});
  put(r, key(1), facts(1, 100));
  put(r, key(2), facts(2, 1));
  put(r, key(3), facts(3, 2));
  put(r, key(9), facts(9, 109));
  r.touch(key(3));
  CHECK(put(r, key(10), facts(10, 110)) == std::vector{key(9)});
  CHECK(put(r, key(11), facts(11, 111, 30)) == std::vector{key(3), key(2), key(1)});
}

TEST_CASE("all layers of a prefix are continued together, and other forms are not") {
  Residents r({.bytes = 50, .tenant_bytes = 50});
  put(r, key(1, 0), facts(1, 100));
  put(r, key(1, 1), facts(1, 100));
  auto lossy = facts(1, 100);
  lossy.form = prefix::PrefixForm::of_profile(1, 2, 3);
  put(r, key(1, 2), lossy);
  put(r, key(2), facts(2, 1));
  put(r, key(3), facts(3, 103));
  CHECK(put(r, key(4), facts(4, 104)) == std::vector{key(1, 2)});  // the lossy one is a leaf
  CHECK(put(r, key(5), facts(5, 105)) == std::vector{key(2)});
  CHECK(put(r, key(6), facts(6, 106)) == std::vector{key(1, 0)});
}

TEST_CASE("a tenant over its quota makes room of its own objects") {
  Residents r({.bytes = 100, .tenant_bytes = 20});
  put(r, key(1), facts(1, 100, 10, 1));
  put(r, key(2), facts(2, 100, 10, 2));
  put(r, key(3), facts(3, 100, 10, 2));
  CHECK(put(r, key(4), facts(4, 100, 10, 2)) == std::vector{key(2)});
  CHECK(put(r, key(5), facts(5, 100, 10, 1)).empty());
  CHECK(r.use().by_tenant.at(prefix::TenantMark(2)) == 20);
}

TEST_CASE("what is being written is no victim, and keeps what it continues") {
  Residents r({.bytes = 30, .tenant_bytes = 30});
  put(r, key(1), facts(1, 100));
  put(r, key(2), facts(2, 100));
  CHECK(r.reserve(key(3), facts(3, 1)).value().made);
  CHECK(r.find(key(3)) == nullptr);
  CHECK(r.reserve(key(3), facts(3, 1)).error().code == Errc::already_exists);
  CHECK(put(r, key(4), facts(4, 100)) == std::vector{key(2)});
  const auto none = r.reserve(key(5), facts(5, 100, 25)).value();
  CHECK_FALSE(none.made);  // 10 are being written
  r.commit(key(3));
  CHECK(r.use().bytes == 10);
}

TEST_CASE("what is too large for its limit is refused, and evicts nothing") {
  Residents r({.bytes = 30, .tenant_bytes = 20});
  put(r, key(1), facts(1, 100));
  const auto refused = r.reserve(key(2), facts(2, 100, 21));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::resource_exhausted);
  CHECK(r.find(key(1)) != nullptr);
}

TEST_CASE("objects that say they continue each other in a circle can go too") {
  Residents r({.bytes = 20, .tenant_bytes = 20});
  put(r, key(1), facts(1, 2));
  put(r, key(2), facts(2, 1));
  CHECK(put(r, key(3), facts(3, 100, 20)).size() == 2);
  CHECK(r.use().objects == 1);
}

TEST_CASE("the account stays right under random use") {
  Residents r({.bytes = 500, .tenant_bytes = 300});
  std::mt19937 draw(5);
  std::map<ObjectKey, ObjectFacts> there;
  for (int i = 0; i < 3000; ++i) {
    const std::uint64_t n = 1 + draw() % 60;
    const ObjectKey k = key(n);
    if (draw() % 4 == 0) {
      CHECK(r.erase(k) == (there.erase(k) == 1));
    } else if (draw() % 3 == 0) {
      r.touch(k);
    } else if (!there.contains(k)) {
      const auto f = facts(n, n / 2 + 100 * (n < 2 ? 1 : 0), 1 + draw() % 100, n % 2);
      const auto room = r.reserve(k, f).value();
      for (const auto& v : room.victims) CHECK(there.erase(v) == 1);
      REQUIRE(room.made);
      r.commit(k);
      there.emplace(k, f);
    }
    std::uint64_t bytes = 0;
    for (const auto& [_, f] : there) bytes += f.bytes;
    const auto use = r.use();
    REQUIRE(use.bytes == bytes);
    REQUIRE(use.objects == there.size());
    REQUIRE(bytes <= 500);
    for (const auto& [_, of] : use.by_tenant) REQUIRE(of <= 300);
  }
}
