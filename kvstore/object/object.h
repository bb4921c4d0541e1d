#pragma once
// A stored object: the frames of one column (a run of tokens) for a range of layers, as they were encoded, under a head
// of their own. Immutable.
//
//   write:  encode_object() -> Tier::begin(), part()..., commit()
//   read:   bytes of a tier -> check_object() -> open_object() -> decode
//
// The digest is BLAKE2b keyed by the cluster's prefix key: who has no key can neither make an object nor change one.
// Its content is sealed with AES-256-GCM when a store key is given, under a key of its own (BLAKE2b of store key,
// object key and a random salt), so that no nonce is ever used twice. Nothing is parsed but the head before the digest
// matched, and nothing decoded before the seal did.
//
// Threading: an ObjectKeys may be used by any thread; objects are immutable and share their bytes. Failure: a Refused
// that names why. encode: invalid_argument for what cannot be stored, internal when the system's cryptography fails.
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/prefix/key.h"
#include "kvstore/object/head.h"
#include "kvtransfer/wire/ticket.h"

namespace sluice::kvstore {

class ObjectKeys {
 public:
  /// store_key: seals content, and makes keys of objects differ, so that objects of another one are not found instead
  /// of standing where new ones would. Without it only objects that are not sealed can be opened.
  explicit ObjectKeys(const prefix::PrefixKey& cluster, std::optional<kv::SealKey> store_key = std::nullopt);

  [[nodiscard]] ObjectKey key_of(const ObjectAddress& address) const;
  [[nodiscard]] bool seals() const noexcept { return store_key_.has_value(); }
  [[nodiscard]] std::array<std::byte, kDigestBytes> digest(std::span<const std::byte> bytes) const;
  /// Only when seals().
  [[nodiscard]] kv::SealKey seal_key(const ObjectKey& object, std::span<const std::uint8_t, 16> salt) const;

 private:
  std::array<std::uint8_t, 32> address_key_, digest_key_;
  std::optional<kv::SealKey> store_key_;
};

/// Bytes of an object whose digest was checked, and what tiers need to know of it. Copies share them.
class ObjectBytes {
 public:
  [[nodiscard]] const ObjectKey& key() const noexcept { return content_->key; }
  [[nodiscard]] const ObjectFacts& facts() const noexcept { return content_->facts; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return content_->bytes; }

 private:
  struct Content {
    ObjectKey key;
    ObjectFacts facts;
    std::vector<std::byte> bytes;
  };
  explicit ObjectBytes(Content content) : content_(std::make_shared<const Content>(std::move(content))) {}
  friend Result<ObjectBytes> encode_object(const ObjectKeys&, ObjectHead, std::span<const std::span<const std::byte>>);
  friend Checked<ObjectBytes> check_object(const ObjectKeys&, const ObjectKey&, std::vector<std::byte>);
  friend Checked<class StoredKv> open_object(const ObjectKeys&, const ObjectBytes&);

  std::shared_ptr<const Content> content_;
};

/// An object that may be decoded: its parts in plain. Holds the bytes that payload() shows.
class StoredKv {
 public:
  [[nodiscard]] const ObjectHead& head() const noexcept { return head_; }
  /// Of part i < head().parts.size(); to be read as the payload of a frame is (docs/wire_format.md).
  [[nodiscard]] std::span<const std::byte> payload(std::size_t i) const noexcept { return payloads_[i]; }

 private:
  friend Checked<StoredKv> open_object(const ObjectKeys&, const ObjectBytes&);
  ObjectHead head_;
  std::shared_ptr<const void> owner_;
  std::vector<std::span<const std::byte>> payloads_;
};

/// head: its parts' sizes, seal and salt are filled in here. payloads: one for each part.
[[nodiscard]] Result<ObjectBytes> encode_object(const ObjectKeys& keys, ObjectHead head,
                                                std::span<const std::span<const std::byte>> payloads);
/// Bytes from outside: they are one whole object, unchanged, and the one asked for.
[[nodiscard]] Checked<ObjectBytes> check_object(const ObjectKeys& keys, const ObjectKey& asked,
                                                std::vector<std::byte> bytes);
[[nodiscard]] Checked<StoredKv> open_object(const ObjectKeys& keys, const ObjectBytes& object);

}  // namespace sluice::kvstore
