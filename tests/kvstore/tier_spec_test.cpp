#include "kvstore/tier_spec.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::kvstore;

TEST_CASE("tiers are read from one flag") {
  const auto tiers =
      parse_tiers("memory:1GiB,disk:/var/lib/a:b/kv:10TiB,redis://cache:6379,redis://me@[::1]:7000/3").value();
  REQUIRE(tiers.size() == 4);
  CHECK(std::get<MemorySpec>(tiers[0]).bytes == std::uint64_t{1} << 30U);
  CHECK(std::get<DiskSpec>(tiers[1]).root == "/var/lib/a:b/kv");
  CHECK(std::get<DiskSpec>(tiers[1]).bytes == std::uint64_t{10} << 40U);
  const auto& plain = std::get<RedisSpec>(tiers[2]).server;
  CHECK(plain.address.str() == "cache:6379");
  CHECK(plain.user.empty());
  CHECK(plain.database == 0);
  const auto& full = std::get<RedisSpec>(tiers[3]).server;
  CHECK(full.address.port == 7000);
  CHECK(full.user == "me");
  CHECK(full.database == 3);
  CHECK(parse_tiers("").value().empty());
}

TEST_CASE("what is no tier is refused in words that show it") {
  const auto [text, shown] = GENERATE(table<std::string, std::string>({
      {"memory", "'memory'"},
      {"memory:", "''"},
      {"memory:1", "'1'"},
      {"memory:0GiB", "'0GiB'"},
      {"memory:1GB", "'1GB'"},
      {"memory:-1GiB", "'-1GiB'"},
      {"memory:99999999TiB", "'99999999TiB'"},
      {"disk:/kv", "size"},
      {"disk:kv:1GiB", "'/'"},
      {"redis://host", "host"},
      {"redis://host:99999", "99999"},
      {"redis://host:1/x", "'x'"},
      {"redis://@host:1", "user"},
      {"redis+cluster://host:1", "Cluster"},
      {"rediss://host:1", "TLS"},
      {"tape:/dev/st0", "'tape:/dev/st0'"},
      {"memory:1GiB,", "comma"},
      {",memory:1GiB", "''"},
      {"memory:1GiB,memory:2GiB", "memory is named by two"},
      {"disk:/a:1GiB,disk:/a/./:1GiB", "two"},
      {"redis://h:1,redis://u@h:1", "two"},
  }));
  const auto r = parse_tiers(text);
  INFO(text);
  REQUIRE_FALSE(r);
  CHECK_THAT(r.error().message, Catch::Contains(shown));
}

TEST_CASE("a password in the flag is refused, and not shown") {
  const auto r = parse_tiers("redis://me:hunter2@host:1");
  REQUIRE_FALSE(r);
  CHECK_THAT(r.error().message, Catch::Contains("password") && !Catch::Contains("hunter2"));
}
