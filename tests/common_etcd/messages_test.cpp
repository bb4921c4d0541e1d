#include "common/etcd/messages.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::etcd;
using nlohmann::json;

TEST_CASE("base64 keeps every byte, and refuses what is none") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (std::size_t n = 0; n < all.size(); ++n) {
    const std::string s = all.substr(0, n);
    REQUIRE(from_base64(to_base64(s)).value() == s);
  }
  for (const char* wrong : {"a", "abc", "!!!!", "a b="}) CHECK_FALSE(from_base64(wrong));
}

TEST_CASE("a prefix's range ends before the next key that has it not") {
  CHECK(KeyRange::prefix("/a/").end == "/a0");
  CHECK(KeyRange::prefix("a\xff").end == "b");
  CHECK(KeyRange::prefix("\xff").end == std::string(1, '\0'));
  CHECK(KeyRange::one("k").end == std::string("k\0", 2));
}

TEST_CASE("a watch's lines: events, an end, and what is no watch") {
  const auto e = parse_watch(
      R"({"result":{"header":{"revision":"5"},"events":[{"kv":{"key":"YQ==","value":"Yg==","mod_revision":"5"}},{"type":"DELETE","kv":{"key":"Yw=="}}]}})");
  REQUIRE(e);
  CHECK(e->revision == 5);
  REQUIRE(e->events.size() == 2);
  CHECK(e->events[0].key.key == "a");
  CHECK(e->events[0].key.value == "b");
  CHECK(e->events[1].deleted);
  const auto gone = parse_watch(R"({"result":{"canceled":true,"compact_revision":"4"}})");
  REQUIRE(gone);
  CHECK(gone->canceled);
  CHECK(gone->compacted == 4);
  for (const char* wrong :
       {"", "{", "[]", R"({"error":{"message":"no"}})", R"({"result":7})", R"({"result":{"events":7}})",
        R"({"result":{"events":[7]}})", R"({"result":{"events":[{"kv":{"key":"!"}}]}})"}) {
    INFO(wrong);
    CHECK_FALSE(parse_watch(wrong));
  }
}

TEST_CASE("numbers come as strings or as numbers; anything else is none") {
  const json j{{"a", "12"}, {"b", 7}, {"c", "x"}, {"d", "12x"}, {"e", nullptr}, {"f", "99999999999999999999"}};
  CHECK(int_at(j, "a") == 12);
  CHECK(int_at(j, "b") == 7);
  for (const char* k : {"c", "d", "e", "f", "none"}) CHECK(int_at(j, k) == 0);
  CHECK(int_at(json(3), "a") == 0);
  for (const json& wrong : {json(), json(1), json::array(), json{{"kvs", 7}}, json{{"kvs", json::array({7})}}}) {
    CHECK_FALSE(parse_range(wrong));
    CHECK_FALSE(parse_txn(wrong));
  }
}
