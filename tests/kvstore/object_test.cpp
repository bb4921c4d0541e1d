#include "kvstore/object/object.h"

#include <catch2/catch.hpp>
#include <limits>
#include <set>

#include "common/digest.h"
#include "kvtransfer/bytes.h"
#include "tests/kvstore/objects.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace sluice::kvstore::test;

namespace {

/// Bytes with a digest that fits them, as only who has the key can make.
std::vector<std::byte> digested(std::vector<std::byte> bytes) {
  const auto d = plain_keys().digest(std::span(bytes).first(bytes.size() - kDigestBytes));
  std::ranges::copy(d, bytes.end() - kDigestBytes);
  return bytes;
}

}  // namespace

TEST_CASE("an object gives back its head and its parts") {
  const ObjectKeys& keys = GENERATE(0, 1) == 0 ? plain_keys() : sealing_keys();
  const Recipe recipe;
  const auto object = make_object(recipe, keys);
  const auto again = check_object(keys, object.key(), copy_of(object));
  REQUIRE(again);
  CHECK(again->facts() == object.facts());
  CHECK(object.facts().bytes == object.bytes().size());
  const auto kv = open_object(keys, *again);
  REQUIRE(kv);
  ObjectHead expected = head_of(recipe);
  const auto payloads = payloads_of(recipe);
  CHECK(kv->head().address == expected.address);
  CHECK(kv->head().kl == expected.kl);
  REQUIRE(kv->head().parts.size() == payloads.size());
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    CHECK(kv->head().parts[i].spec == expected.parts[i].spec);
    CHECK(std::ranges::equal(kv->payload(i), payloads[i]));
  }
}

TEST_CASE("sealed content is not to be seen, and opens under its store key alone") {
  const Recipe recipe;
  const auto sealed = make_object(recipe, sealing_keys());
  const auto payload = payloads_of(recipe)[0];
  const auto probe = std::span(payload).first(64);
  CHECK(std::ranges::search(sealed.bytes(), probe).empty());
  CHECK_FALSE(std::ranges::search(make_object(recipe).bytes(), probe).empty());
  CHECK_FALSE(same_bytes(sealed, make_object(recipe, sealing_keys())));  // another salt
  const ObjectKeys other(cluster_key(), kv::SealKey{9});
  for (const ObjectKeys* keys : {&plain_keys(), &other}) {
    const auto r = open_object(*keys, sealed);
    REQUIRE_FALSE(r);
    CHECK(r.error().why == Refusal::seal);
  }
}

TEST_CASE("every bit of an object counts") {
  const auto object = make_object({.bytes = 64});
  for (std::size_t i = 0; i < object.bytes().size(); ++i) {
    auto bytes = copy_of(object);
    bytes[i] ^= std::byte{1};
    CHECK_FALSE(check_object(plain_keys(), object.key(), std::move(bytes)));
  }
}

TEST_CASE("an object that was cut, or goes on, is refused") {
  const auto object = make_object({.bytes = 64});
  for (std::size_t n = 0; n < object.bytes().size(); ++n) {
    auto bytes = copy_of(object);
    bytes.resize(n);
    const auto r = check_object(plain_keys(), object.key(), std::move(bytes));
    REQUIRE_FALSE(r);
    CHECK(r.error().why == Refusal::length);
  }
  auto longer = copy_of(object);
  longer.push_back(std::byte{0});
  CHECK(check_object(plain_keys(), object.key(), std::move(longer)).error().why == Refusal::length);
}

TEST_CASE("another object, or another cluster's, is refused") {
  const auto a = make_object({.name = 1}), b = make_object({.name = 2});
  CHECK(check_object(plain_keys(), a.key(), copy_of(b)).error().why == Refusal::address);
  const ObjectKeys stranger(prefix::PrefixKey::draw());
  CHECK(check_object(stranger, a.key(), copy_of(a)).error().why == Refusal::digest);
}

TEST_CASE("a key follows from all that is not content, and from nothing else") {
  const ObjectAddress base = head_of({}).address;
  std::vector<ObjectAddress> all(9, base);
  all[1].identity.model_hash = 1;
  all[2].identity.format_hash = 1;
  all[3].identity.layout.kv_heads = 4;
  all[4].identity.layout.dtype = kv::KvDType::f32;
  all[5].name = name_of(9);
  all[6].form = prefix::PrefixForm::of_profile(1, 2, 3);
  all[7].positions.begin = 0;
  all[8].layers.begin = 1;
  std::set<ObjectKey> keys;
  for (const auto& a : all) keys.insert(plain_keys().key_of(a));
  CHECK(keys.size() == all.size());
  CHECK(make_object({.tenant = 1, .bytes = 64}).key() == make_object({.tenant = 2, .bytes = 128}).key());
  CHECK_FALSE(ObjectKeys(prefix::PrefixKey::draw()).key_of(base) == plain_keys().key_of(base));
  CHECK_FALSE(sealing_keys().key_of(base) == plain_keys().key_of(base));
  CHECK_FALSE(ObjectKeys(cluster_key(), kv::SealKey{9}).key_of(base) == sealing_keys().key_of(base));
}

TEST_CASE("what cannot be read again is not written") {
  const auto payloads = payloads_of({});
  const std::vector<std::span<const std::byte>> views(payloads.begin(), payloads.end());
  const auto refused = [&](auto change) {
    ObjectHead h = head_of({});
    change(h);
    const auto r = encode_object(plain_keys(), h, views);
    return !r && r.error().code == Errc::invalid_argument;
  };
  CHECK_FALSE(refused([](ObjectHead&) {}));
  CHECK(refused([](ObjectHead& h) { h.parts.pop_back(); }));
  CHECK(refused([](ObjectHead& h) { h.parts[1].spec.kinds = kv::kKeys; }));  // keys twice, no values
  CHECK(refused([](ObjectHead& h) { h.parts[0].spec.tokens.count -= 1; }));
  CHECK(refused([](ObjectHead& h) { h.parts[0].spec.tokens.begin += 1; }));
  CHECK(refused([](ObjectHead& h) { h.parts[0].spec.layers.begin = 3; }));
  CHECK(refused([](ObjectHead& h) { h.address.layers = {4, 1}; }));
  CHECK(refused([](ObjectHead& h) { h.address.positions = {0, 0}; }));
  CHECK(refused([](ObjectHead& h) { h.address.positions = {0xffffffff, 2}; }));
  CHECK(refused([](ObjectHead& h) { h.address.identity.layout.head_dim = 0; }));
  CHECK(refused([](ObjectHead& h) { h.parent = h.address.name; }));
  CHECK(refused([](ObjectHead& h) { h.kl = -1; }));
  CHECK(refused([](ObjectHead& h) { h.kl = std::numeric_limits<double>::quiet_NaN(); }));
}

TEST_CASE("lengths that a key's holder lies about are refused before they are used") {
  const auto object = make_object({.bytes = 64});
  const auto with = [&](std::size_t at, std::uint32_t value) {
    auto bytes = copy_of(object);
    kv::store_le(bytes.data() + at, value);
    auto r = check_object(plain_keys(), object.key(), digested(std::move(bytes)));
    return r && open_object(plain_keys(), *r).has_value();
  };
  constexpr std::size_t kTotal = 8, kParts = 144, kFirstPart = kHeadBytes;
  CHECK(with(kParts, 2));
  CHECK_FALSE(with(kTotal, 0xffffffff));
  CHECK_FALSE(with(kTotal + 4, 0xffffffff));
  for (const std::uint32_t n : {0U, 1U, 3U, 4096U, 0xffffffffU}) CHECK_FALSE(with(kParts, n));
  for (std::size_t field = 0; field < kPartBytes; field += 4)
    if (field != 16)  // the codec's id, which this room does not know
      for (const std::uint32_t n : {77U, 0xffffffffU}) CHECK_FALSE(with(kFirstPart + field, n));
}

// Objects outlive processes and builds. A change of these bytes is a change of kObjectVersion. Key and digest were
// computed with Python's hashlib from docs/wire_format.md.
TEST_CASE("objects are written as the page says") {
  const std::vector<std::byte> keys(64, std::byte{0x5a}), values(100, std::byte{0xa5});
  const std::array<std::span<const std::byte>, 2> views{keys, values};
  const auto head = head_of({.form = prefix::PrefixForm::of_profile(5, 6, 512)});
  const auto object = encode_object(plain_keys(), head, views).value();
  CHECK(object.bytes().size() == 160 + 2 * 28 + 64 + 100 + 32);
  CHECK(to_hex(object.key()) == "70c440411d4bed3813ab52a6e94a084c");
  CHECK(to_hex(sealing_keys().key_of(head.address)) == "8448e147fb0e7e929b4eadf433f17075");
  const auto digest = object.bytes().last(kDigestBytes);
  CHECK(hex({reinterpret_cast<const char*>(digest.data()), digest.size()}) ==
        "b25d42904a477e73ab10dbdf39bf27846d87de77f93220fcb41c6dcf6bd4d821");
}
