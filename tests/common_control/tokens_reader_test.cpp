// The short way of reading tokens is held against the common one, over what our writer makes and over what becomes of
// that when somebody changes it.
#include "common/control/tokens_reader.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "common/control/rpc.h"

using namespace sluice;
using namespace sluice::control;
using nlohmann::json;

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes message(const json& body) { return json::to_cbor({{"t", type::kTokens}, {"b", body}}); }

/// As a connection and its owner read it; nothing: not tokens, or not well.
std::optional<Tokens> common_way(const Bytes& bytes) {
  const auto m = decode_cbor(bytes);
  if (!m || !m->is_object() || m->contains("re") || m->contains("id")) return std::nullopt;
  if (!m->contains("t") || (*m)["t"] != type::kTokens || !m->contains("b")) return std::nullopt;
  auto tokens = parse<Tokens>((*m)["b"]);
  return tokens ? std::optional(std::move(*tokens)) : std::nullopt;
}

/// In bits: what is no number equals itself.
bool same(const Tokens& a, const Tokens& b) { return json::to_cbor(to_json(a)) == json::to_cbor(to_json(b)); }

Tokens random_tokens(std::mt19937_64& random) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float special[] = {0, -0.0F, -1, -kInfinity, kInfinity, NAN, -3.4e38F, 1e-45F, -0.1F};
  const auto logprob = [&] {
    if (random() % 3 == 0) return special[random() % std::size(special)];
    return -static_cast<float>(random() % 100'000) / 7000.0F;
  };
  const auto wide = [&] { return random() >> (random() % 64); };
  Tokens t;
  for (std::uint64_t n = random() % 5; n > 0; --n) {
    Tokens::Item& i = t.items.emplace_back();
    i.request = RequestId(wide());
    i.index = static_cast<std::uint32_t>(wide());
    i.token = {.id = static_cast<TokenId>(wide()), .stop = random() % 2 == 0, .logprob = logprob(), .top = {}};
    for (std::uint64_t k = random() % 4; k > 0; --k) i.token.top.push_back({static_cast<TokenId>(wide()), logprob()});
  }
  return t;
}

}  // namespace

TEST_CASE("tokens as our writer makes them are read the short way, and the same") {
  std::mt19937_64 random(1);
  Tokens out;  // one for all: what an earlier message left in it must not show
  for (int i = 0; i < 3000; ++i) {
    const Tokens t = random_tokens(random);
    REQUIRE(read_tokens_message(message(to_json(t)), out));
    CHECK(same(out, t));
    CHECK(same(*common_way(message(to_json(t))), out));
  }
}

TEST_CASE("of changed bytes the short way takes nothing that the common one reads otherwise") {
  std::mt19937_64 random(2);
  Tokens out;
  int taken = 0, refused = 0;
  for (int i = 0; i < 40'000; ++i) {
    Bytes bytes = message(to_json(random_tokens(random)));
    for (std::uint64_t n = 1 + random() % 2; n > 0; --n) {
      const std::size_t at = random() % bytes.size();
      const auto where = bytes.begin() + static_cast<std::ptrdiff_t>(at);
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<std::uint8_t>(random());
          break;
        case 1:
          bytes[at] ^= static_cast<std::uint8_t>(1U << (random() % 8));
          break;
        case 2:
          bytes.insert(where, static_cast<std::uint8_t>(random()));
          break;
        default:
          bytes.resize(at + 1);
      }
    }
    if (!read_tokens_message(bytes, out)) {
      CHECK(out.items.empty());
      ++refused;
      continue;
    }
    ++taken;
    const auto common = common_way(bytes);
    REQUIRE(common);
    CHECK(same(*common, out));
  }
  CHECK(taken > 1000);
  CHECK(refused > 1000);
}

TEST_CASE("what is not written so is left to the common reader") {
  Tokens t;
  t.items.push_back({RequestId(7), 3, {.id = 5, .stop = false, .logprob = -1, .top = {}}});
  Tokens out;
  REQUIRE(read_tokens_message(message(to_json(t)), out));

  json newer = to_json(t);
  newer["from_the_future"] = 1;
  CHECK_FALSE(read_tokens_message(message(newer), out));
  CHECK(common_way(message(newer)));

  json whole = to_json(t);
  whole["items"][0][4] = -1;
  CHECK_FALSE(read_tokens_message(message(whole), out));
  CHECK(common_way(message(whole)));

  json call{{"t", type::kTokens}, {"b", to_json(t)}, {"id", 1}};
  CHECK_FALSE(read_tokens_message(json::to_cbor(call), out));
  CHECK_FALSE(read_tokens_message({}, out));
}

TEST_CASE("a count that the message does not hold costs no memory") {
  Bytes bytes = message({{"items", json::array()}});
  const auto at = std::ranges::find(bytes, 0x80);
  REQUIRE(at != bytes.end());
  *at = 0x99;  // a list whose count follows in two bytes
  bytes.insert(at + 1, {0x10, 0x00});
  Tokens out;
  CHECK_FALSE(read_tokens_message(bytes, out));
  CHECK(out.items.capacity() < 4096);
}
