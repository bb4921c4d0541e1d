#include "kvstore/object/object.h"

#include <sodium.h>

#include <algorithm>

#include "common/digest.h"
#include "kvtransfer/bytes.h"
#include "kvtransfer/wire/seal.h"

namespace sluice::kvstore {
namespace {

static_assert(kDigestBytes == crypto_generichash_BYTES);

const unsigned char* raw(std::span<const std::byte> s) noexcept {
  return reinterpret_cast<const unsigned char*>(s.data());
}

constexpr std::string_view kAddressPurpose = "sluice object address 1";

std::array<std::uint8_t, 32> address_key_under(const kv::SealKey& store_key,
                                               const std::array<std::uint8_t, 32>& cluster) {
  std::array<std::uint8_t, kAddressPurpose.size() + 32> message;
  std::ranges::copy(kAddressPurpose, message.begin());
  std::ranges::copy(cluster, message.begin() + kAddressPurpose.size());
  std::array<std::uint8_t, 32> key;
  crypto_generichash(key.data(), key.size(), message.data(), message.size(), store_key.data(), store_key.size());
  return key;
}

/// A key is used for one seal only, so its nonce may be any.
constexpr kv::Nonce kOnlyNonce{};

std::span<std::byte> content_of(const ObjectHead& h, std::span<std::byte> object) noexcept {
  return object.subspan(h.table_end(), h.content_bytes());
}

Result<> seal(const ObjectKeys& keys, const ObjectKey& key, const ObjectHead& h, std::span<std::byte> object) {
  kv::Sealer sealer;
  SLUICE_ASSIGN(const kv::SealTag tag, sealer.seal(kv::SealMode::encrypt, keys.seal_key(key, h.salt), kOnlyNonce,
                                                   object.first(h.table_end()), content_of(h, object)));
  std::ranges::copy(std::as_bytes(std::span(tag)), object.subspan(h.table_end() + h.content_bytes()).begin());
  return {};
}

Result<> unseal(const ObjectKeys& keys, const ObjectKey& key, const ObjectHead& h, std::span<std::byte> object) {
  kv::SealTag tag;
  std::memcpy(tag.data(), object.data() + h.table_end() + h.content_bytes(), tag.size());
  kv::Sealer sealer;
  return sealer.open(kv::SealMode::encrypt, keys.seal_key(key, h.salt), kOnlyNonce, object.first(h.table_end()),
                     content_of(h, object), tag);
}

}  // namespace

ObjectKeys::ObjectKeys(const prefix::PrefixKey& cluster, std::optional<kv::SealKey> store_key)
    : address_key_(cluster.derive(kAddressPurpose)),
      digest_key_(cluster.derive("sluice object digest 1")),
      store_key_(store_key) {
  if (store_key_) address_key_ = address_key_under(*store_key_, address_key_);
  // Picks the fastest BLAKE2b of this processor. Where it fails, a slower one gives the same.
  [[maybe_unused]] static const int chosen = sodium_init();
}

ObjectKey ObjectKeys::key_of(const ObjectAddress& address) const {
  std::array<std::byte, sizeof(kObjectVersion) + kAddressBytes> message;
  kv::store_le(message.data(), kObjectVersion);
  write_address(address, std::span(message).subspan<sizeof(kObjectVersion), kAddressBytes>());
  ObjectKey key;
  crypto_generichash(key.bytes.data(), key.bytes.size(), raw(message), message.size(), address_key_.data(),
                     address_key_.size());
  return key;
}

std::array<std::byte, kDigestBytes> ObjectKeys::digest(std::span<const std::byte> bytes) const {
  std::array<std::byte, kDigestBytes> d;
  crypto_generichash(reinterpret_cast<unsigned char*>(d.data()), d.size(), raw(bytes), bytes.size(), digest_key_.data(),
                     digest_key_.size());
  return d;
}

kv::SealKey ObjectKeys::seal_key(const ObjectKey& object, std::span<const std::uint8_t, 16> salt) const {
  std::array<std::uint8_t, 32> message;
  std::ranges::copy(object.bytes, message.begin());
  std::ranges::copy(salt, message.begin() + object.bytes.size());
  kv::SealKey key;
  crypto_generichash(key.data(), key.size(), message.data(), message.size(), store_key_->data(), store_key_->size());
  return key;
}

Result<ObjectBytes> encode_object(const ObjectKeys& keys, ObjectHead head,
                                  std::span<const std::span<const std::byte>> payloads) {
  if (payloads.size() != head.parts.size())
    return fail(Errc::invalid_argument, "{} payloads for {} parts", payloads.size(), head.parts.size());
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    if (payloads[i].size() > kv::kMaxFramePayload)
      return fail(Errc::invalid_argument, "a part of {} bytes, which no frame carries", payloads[i].size());
    head.parts[i].bytes = static_cast<std::uint32_t>(payloads[i].size());
  }
  head.sealed = keys.seals();
  head.salt = {};
  if (head.sealed) std::ranges::copy(random_bytes(head.salt.size()), head.salt.begin());
  SLUICE_TRY(check_head(head));

  std::vector<std::byte> object(head.total_bytes());
  write_head(head, object);
  auto at = object.begin() + static_cast<std::ptrdiff_t>(head.table_end());
  for (const auto& p : payloads) at = std::ranges::copy(p, at).out;
  const ObjectKey key = keys.key_of(head.address);
  if (head.sealed) SLUICE_TRY(seal(keys, key, head, object));
  const auto digested = std::span(object).first(object.size() - kDigestBytes);
  std::ranges::copy(keys.digest(digested), object.end() - kDigestBytes);
  return ObjectBytes({key, head.facts(), std::move(object)});
}

Checked<ObjectBytes> check_object(const ObjectKeys& keys, const ObjectKey& asked, std::vector<std::byte> bytes) {
  const auto parsed = parse_head(bytes);
  if (!parsed) return std::unexpected(parsed.error());
  if (parsed->total_bytes != bytes.size())
    return std::unexpected(
        Refused{Refusal::length, fmt::format("{} bytes of an object of {}", bytes.size(), parsed->total_bytes)});
  const auto digested = std::span(bytes).first(bytes.size() - kDigestBytes);
  const auto expected = keys.digest(digested);
  if (sodium_memcmp(expected.data(), bytes.data() + digested.size(), kDigestBytes) != 0)
    return std::unexpected(Refused{Refusal::digest, "its digest does not match its bytes"});
  if (keys.key_of(parsed->head.address) != asked)
    return std::unexpected(Refused{Refusal::address, "it is another object than the one asked for"});
  return ObjectBytes({asked, parsed->facts(), std::move(bytes)});
}

Checked<StoredKv> open_object(const ObjectKeys& keys, const ObjectBytes& object) {
  auto head = parse_whole(object.bytes());
  if (!head) return std::unexpected(std::move(head).error());
  StoredKv out;
  out.head_ = std::move(*head);
  out.owner_ = object.content_;
  std::span<const std::byte> plain = object.bytes();
  if (out.head_.sealed) {
    if (!keys.seals()) return std::unexpected(Refused{Refusal::seal, "it is sealed, and no store key is set here"});
    auto copy = std::make_shared<std::vector<std::byte>>(plain.begin(), plain.end());
    if (const auto opened = unseal(keys, object.key(), out.head_, *copy); !opened)
      return std::unexpected(Refused{Refusal::seal, "its seal does not open with this store key"});
    plain = *copy;
    out.owner_ = std::move(copy);
  }
  std::span<const std::byte> rest = plain.subspan(out.head_.table_end());
  for (const auto& part : out.head_.parts) {
    out.payloads_.push_back(rest.first(part.bytes));
    rest = rest.subspan(part.bytes);
  }
  return out;
}

}  // namespace sluice::kvstore
