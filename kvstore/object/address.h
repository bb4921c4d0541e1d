#pragma once
// Which KV an object holds, and the key that tiers know it by. Values; any thread; no failure.
#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include "common/prefix/form.h"
#include "common/prefix/name.h"
#include "common/prefix/namer.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kvstore {

/// What KV means: the same words as two nodes say to each other (kvtransfer/wire/handshake.h).
struct ObjectIdentity {
  std::uint64_t model_hash = 0;   // weights and configuration
  std::uint64_t format_hash = 0;  // CodecRegistry::format_hash()
  kv::KvLayout layout;
  friend bool operator==(const ObjectIdentity&, const ObjectIdentity&) = default;
};

/// All of an object that is not content. Who wants one can say this without having seen it.
struct ObjectAddress {
  ObjectIdentity identity;
  prefix::PrefixName name;  // of the last block
  prefix::PrefixForm form;
  kv::TokenRange positions;
  kv::LayerRange layers;
  friend bool operator==(const ObjectAddress&, const ObjectAddress&) = default;
};

/// A keyed hash of an address: another model, layout, build of codecs, cluster's or store's key finds nothing.
struct ObjectKey {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};
[[nodiscard]] std::string to_hex(const ObjectKey& key);

/// What a tier must know of an object to keep it and to let it go.
struct ObjectFacts {
  prefix::PrefixName name, parent;  // parent: of the block before the first one
  prefix::PrefixForm form;
  prefix::TenantMark tenant;
  std::uint64_t bytes = 0;  // the whole object
  friend bool operator==(const ObjectFacts&, const ObjectFacts&) = default;
};

}  // namespace sluice::kvstore

template <>
struct std::hash<sluice::kvstore::ObjectKey> {
  std::size_t operator()(const sluice::kvstore::ObjectKey& k) const noexcept {
    std::size_t h;
    std::memcpy(&h, k.bytes.data(), sizeof h);
    return h;
  }
};
