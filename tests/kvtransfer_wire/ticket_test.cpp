#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/kvtransfer_wire/transfer.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;
using nlohmann::json;

namespace {

Ticket sample() {
  const auto registry = make_registry();
  return make_ticket(*registry, {.layers = 4, .kv_heads = 2, .head_dim = 64}, {0, 100}, "k8v4", SealMode::digest);
}

void refused(const json& j, const std::string& field) {
  INFO(field << " in " << j.dump());
  const auto r = ticket_from_json(j);
  REQUIRE_FALSE(r);
  REQUIRE(r.error().code == Errc::invalid_argument);
  REQUIRE(r.error().param == field);
}

}  // namespace

TEST_CASE("a ticket survives CBOR and JSON text") {
  const Ticket t = sample();
  const json j = to_json(t);
  REQUIRE(ticket_from_json(j).value() == t);
  REQUIRE(ticket_from_json(json::from_cbor(json::to_cbor(j))).value() == t);
  REQUIRE(ticket_from_json(json::parse(j.dump())).value() == t);
}

TEST_CASE("a ticket may list alternates, and one without is as it was before there were any") {
  Ticket t = sample();
  REQUIRE_FALSE(to_json(t).contains("alternates"));
  t.alternates = {1, 0xffffffff};
  REQUIRE(ticket_from_json(json::from_cbor(json::to_cbor(to_json(t)))).value() == t);
  REQUIRE(t.allows(t.codec));
  REQUIRE(t.allows(0xffffffff));
  REQUIRE_FALSE(t.allows(2));
  for (const json& wrong : {json(nullptr), json(1), json("1"), json::array({-1}), json::array({1.5}),
                            json::array({1ULL << 32}), json(std::vector<int>(kMaxAlternates + 1, 7))}) {
    json j = to_json(t);
    j["alternates"] = wrong;
    refused(j, "alternates");
  }
}

TEST_CASE("secrets are drawn anew") {
  Ticket a, b;
  REQUIRE(draw_secrets(a));
  REQUIRE(draw_secrets(b));
  REQUIRE(a.id != b.id);
  REQUIRE(a.key != b.key);
}

TEST_CASE("a ticket with a missing or mistyped field is refused by the field's name") {
  const json good = to_json(sample());
  for (const auto& [key, value] : good.items()) {
    if (key == "version") continue;
    json j = good;
    j.erase(key);
    refused(j, key);
    for (const json& wrong :
         {json(nullptr), json(-1), json(1.5), json(json::array({1})), json(json::object()), json(true)}) {
      j[key] = wrong;
      refused(j, key);
    }
  }
}

TEST_CASE("a ticket with values out of range is refused") {
  const json good = to_json(sample());
  const auto with = [&](const char* key, const json& v) {
    json j = good;
    j[key] = v;
    refused(j, key);
  };
  with("id", std::string(31, 'a'));
  with("id", std::string(32, 'g'));
  with("key", std::string(1 << 20, 'a'));
  with("seal", 2);
  with("nonce_base", 1ULL << 32);
  with("tenant", std::string(257, 'x'));
  with("layers", 0);
  with("layers", kMaxLayers + 1);
  with("kv_heads", 1ULL << 40);
  with("head_dim", 0);
  with("kv_dtype", 9);
  with("codec", 1ULL << 32);
  with("token_count", 0);
  with("token_count", 1ULL << 40);
  with("token_begin", kMaxTicketTokens);
  with("block_size", 0);
  with("blocks", json::array());
  with("blocks", json::array({1, 2, 3, 4, 5, 6, "7"}));
  with("blocks", json::array({1, 2, 3, 4, 5, 6, -7}));
  with("blocks", json::array({1, 2, 3, 4, 5, 6, 1ULL << 32}));
  with("valid_for_ms", 0);
  with("valid_for_ms", 1ULL << 62);
}

TEST_CASE("what is not a ticket at all is refused") {
  for (const json& j : {json(nullptr), json(1), json("ticket"), json::array({1, 2})})
    REQUIRE_FALSE(ticket_from_json(j));
  json j = to_json(sample());
  j["version"] = 2;
  REQUIRE(ticket_from_json(j).error().code == Errc::unsupported);
}
