#pragma once
// Objects for tests: small columns whose bytes follow from a seed, in chains that continue each other.
#include <algorithm>
#include <cstring>
#include <random>
#include <stdexcept>
#include <vector>

#include "kvstore/tier/tier.h"

namespace sluice::kvstore::test {

inline const prefix::PrefixKey& cluster_key() {
  static const auto key = prefix::PrefixKey::parse("000102030405060708090a0b0c0d0e0f").value();
  return key;
}
inline const ObjectKeys& plain_keys() {
  static const ObjectKeys keys(cluster_key());
  return keys;
}
inline const ObjectKeys& sealing_keys() {
  static const ObjectKeys keys(cluster_key(), kv::SealKey{1, 2, 3});
  return keys;
}

inline prefix::PrefixName name_of(std::uint64_t n) {
  prefix::PrefixName name;
  std::memcpy(name.bytes.data(), &n, sizeof n);
  name.bytes[15] = 1;
  return name;
}

/// What an object is made from. `name` above 0; it continues `parent`.
struct Recipe {
  std::uint64_t name = 1, parent = 0;
  std::uint64_t tenant = 7;
  std::size_t bytes = 4096;  // about: content of its first part
  std::uint32_t layer = 0;   // of 4: the one it holds
  prefix::PrefixForm form;
};

/// Column of 32 tokens and one layer in two parts, keys and values.
inline ObjectHead head_of(const Recipe& r) {
  ObjectHead h;
  h.address.identity = {.model_hash = 11, .format_hash = 12, .layout = {.layers = 4, .kv_heads = 2, .head_dim = 8}};
  h.address.name = name_of(r.name);
  h.address.form = r.form;
  h.address.positions = {64, 32};
  h.address.layers = {r.layer, 1};
  h.parent = name_of(r.parent);
  h.kl = 0.25;
  h.tenant = prefix::TenantMark(r.tenant);
  for (const kv::KindMask kinds : {kv::kKeys, kv::kValues})
    h.parts.push_back(
        {.spec = {.layers = h.address.layers, .kinds = kinds, .tokens = h.address.positions}, .codec = 33});
  return h;
}

inline std::vector<std::vector<std::byte>> payloads_of(const Recipe& r) {
  std::mt19937_64 draw(r.name * 1000 + r.layer);
  std::vector<std::vector<std::byte>> all{std::vector<std::byte>(r.bytes), std::vector<std::byte>(100)};
  for (auto& p : all)
    for (std::size_t i = 0; i + 8 <= p.size(); i += 8) {
      const std::uint64_t x = draw();
      std::memcpy(p.data() + i, &x, sizeof x);
    }
  return all;
}

inline ObjectBytes make_object(const Recipe& r, const ObjectKeys& keys = plain_keys()) {
  const auto payloads = payloads_of(r);
  const std::vector<std::span<const std::byte>> views(payloads.begin(), payloads.end());
  auto object = encode_object(keys, head_of(r), views);
  if (!object) throw std::runtime_error(object.error().message);
  return *object;
}

inline std::vector<std::byte> copy_of(const ObjectBytes& object) {
  return {object.bytes().begin(), object.bytes().end()};
}
inline bool same_bytes(const ObjectBytes& a, const ObjectBytes& b) { return std::ranges::equal(a.bytes(), b.bytes()); }

inline Deadline soon(std::chrono::milliseconds in = std::chrono::seconds(20)) {
  return std::chrono::steady_clock::now() + in;
}

}  // namespace sluice::kvstore::test
