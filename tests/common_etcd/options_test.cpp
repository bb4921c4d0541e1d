#include "common/etcd/options.h"

#include <catch2/catch.hpp>

using namespace sluice;

TEST_CASE("a registry is a list of endpoints behind etcd://") {
  const auto one = etcd::parse_endpoints("etcd://10.0.0.1:2379");
  REQUIRE(one);
  CHECK(one->size() == 1);
  const auto three = etcd::parse_endpoints("etcd://a:2379,b:2380,[::1]:2381");
  REQUIRE(three);
  REQUIRE(three->size() == 3);
  CHECK((*three)[1].host == "b");
  CHECK((*three)[1].port == 2380);
  for (const char* wrong :
       {"", "a:1", "http://a:1", "etcd://", "etcd://a", "etcd://a:1,", "etcd://a:1,,b:2", "etcd://a:99999"}) {
    INFO(wrong);
    CHECK_FALSE(etcd::parse_endpoints(wrong));
  }
}
