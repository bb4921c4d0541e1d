#include "kvstore/object/head.h"

#include <algorithm>
#include <cmath>

#include "common/digest.h"
#include "kvtransfer/bytes.h"
#include "kvtransfer/wire/frame.h"

namespace sluice::kvstore {
namespace {

using kv::load_le;
using kv::store_le;

// Offsets in the head; the table in docs/wire_format.md is this list.
enum HeadAt : std::size_t {
  kMagic = 0,
  kVersion = 4,
  kHeadSize = 6,
  kTotalBytes = 8,
  kAddress = 16,
  kParent = 96,
  kKl = 112,
  kTenant = 120,
  kSalt = 128,
  kParts = 144,
  kSealed = 148,
  kReserved = 149,  // zero up to the end
};
static_assert(kAddress + kAddressBytes == kParent && kReserved < kHeadBytes);

enum AddressAt : std::size_t {
  kModelHash = 0,
  kFormatHash = 8,
  kModelLayers = 16,
  kKvHeads = 20,
  kHeadDim = 24,
  kDType = 28,  // u32
  kName = 32,
  kFormCodec = 48,
  kFormChunk = 52,
  kFormCanonical = 56,
  kPositionBegin = 64,
  kPositionCount = 68,
  kLayerBegin = 72,
  kLayerCount = 76,
};

enum PartAt : std::size_t {
  kPartLayerBegin = 0,
  kPartLayerCount = 4,
  kPartTokenBegin = 8,
  kPartTokenCount = 12,
  kPartCodec = 16,
  kPartPayload = 20,
  kPartKinds = 24,  // u32
};

template <class... A>
std::unexpected<Refused> refuse(Refusal why, fmt::format_string<A...> f, A&&... args) {
  return std::unexpected(Refused{why, fmt::format(f, std::forward<A>(args)...)});
}

std::uint32_t u32(const std::byte* p) noexcept { return load_le<std::uint32_t>(p); }
std::uint64_t u64(const std::byte* p) noexcept { return load_le<std::uint64_t>(p); }

template <class Array>
Array array_at(const std::byte* p) noexcept {
  Array a;
  std::memcpy(a.data(), p, a.size());
  return a;
}

bool in_range(std::uint32_t begin, std::uint32_t count, std::uint32_t end) noexcept {
  return count > 0 && begin < end && count <= end - begin;
}

ObjectAddress read_address(const std::byte* p) noexcept {
  ObjectAddress a;
  a.identity.model_hash = u64(p + kModelHash);
  a.identity.format_hash = u64(p + kFormatHash);
  a.identity.layout = {.layers = u32(p + kModelLayers),
                       .kv_heads = u32(p + kKvHeads),
                       .head_dim = u32(p + kHeadDim),
                       .dtype = static_cast<kv::KvDType>(u32(p + kDType))};
  a.name.bytes = array_at<decltype(a.name.bytes)>(p + kName);
  const std::uint32_t codec = u32(p + kFormCodec), chunk = u32(p + kFormChunk);
  a.form = prefix::PrefixForm::of_profile(codec, u64(p + kFormCanonical), chunk);
  a.positions = {u32(p + kPositionBegin), u32(p + kPositionCount)};
  a.layers = {u32(p + kLayerBegin), u32(p + kLayerCount)};
  return a;
}

/// What is wrong with the fixed part; empty: nothing.
std::string_view fault_of(const ObjectHead& h) noexcept {
  const ObjectAddress& a = h.address;
  const kv::KvLayout& l = a.identity.layout;
  if (l.layers == 0 || l.layers > kv::kMaxLayers || l.kv_heads == 0 || l.kv_heads > kv::kMaxKvHeads ||
      l.head_dim == 0 || l.head_dim > kv::kMaxHeadDim)
    return "its layout is out of range";
  if (l.dtype != kv::KvDType::bf16 && l.dtype != kv::KvDType::f32) return "its type of KV is unknown";
  if (a.form.exact() && a.form != prefix::PrefixForm{}) return "its form has a profile and no chunk";
  if (!in_range(a.positions.begin, a.positions.count, kv::kMaxTicketTokens) || a.positions.count > kMaxObjectTokens)
    return "its positions are out of range";
  if (!in_range(a.layers.begin, a.layers.count, l.layers)) return "its layers are out of range";
  if (a.name == h.parent) return "it is its own parent";
  if (!std::isfinite(h.kl) || h.kl < 0) return "its KL is no number from 0 on";
  if (!h.sealed && h.salt != decltype(h.salt){}) return "it has a salt and no seal";
  return {};
}

/// Parts in turn, each at or below what a frame may carry, and together every row of the column once.
std::string_view fault_of_parts(const ObjectHead& h) {
  const ObjectAddress& a = h.address;
  kv::CoverageTracker rows(a.identity.layout, a.positions);
  for (const ObjectPart& p : h.parts) {
    const kv::FrameSpec& s = p.spec;
    if (s.kinds == 0 || s.kinds > kv::kKeysAndValues) return "a part has unknown kinds";
    if (s.layers.begin < a.layers.begin || !in_range(s.layers.begin - a.layers.begin, s.layers.count, a.layers.count) ||
        s.tokens.begin < a.positions.begin ||
        !in_range(s.tokens.begin - a.positions.begin, s.tokens.count, a.positions.count))
      return "a part is outside the column";
    if (p.bytes < 4 * s.segments() || p.bytes > kv::kMaxFramePayload) return "a part's size is out of range";
    if (!rows.claim(s)) return "two parts have the same rows";
    rows.commit(s);
  }
  const std::uint64_t all = std::uint64_t{2} * a.layers.count * a.positions.count;
  return rows.committed() == all ? std::string_view{} : "rows of the column are missing";
}

std::uint64_t total_of(std::uint64_t parts, std::uint64_t content, bool sealed) noexcept {
  return kHeadBytes + parts * kPartBytes + content + (sealed ? kv::kSealTagBytes : 0) + kDigestBytes;
}

void write_part(const ObjectPart& p, std::byte* out) noexcept {
  store_le(out + kPartLayerBegin, p.spec.layers.begin);
  store_le(out + kPartLayerCount, p.spec.layers.count);
  store_le(out + kPartTokenBegin, p.spec.tokens.begin);
  store_le(out + kPartTokenCount, p.spec.tokens.count);
  store_le(out + kPartCodec, p.codec);
  store_le(out + kPartPayload, p.bytes);
  store_le(out + kPartKinds, std::uint32_t{p.spec.kinds});
}

Checked<ObjectPart> read_part(const std::byte* p) {
  const std::uint32_t kinds = u32(p + kPartKinds);
  if (kinds > kv::kKeysAndValues) return refuse(Refusal::head, "a part has unknown kinds {:#x}", kinds);
  return ObjectPart{.spec = {.layers = {u32(p + kPartLayerBegin), u32(p + kPartLayerCount)},
                             .kinds = static_cast<kv::KindMask>(kinds),
                             .tokens = {u32(p + kPartTokenBegin), u32(p + kPartTokenCount)}},
                    .codec = u32(p + kPartCodec),
                    .bytes = u32(p + kPartPayload)};
}

}  // namespace

std::string to_hex(const ObjectKey& key) {
  return hex({reinterpret_cast<const char*>(key.bytes.data()), key.bytes.size()});
}

std::string_view name(Refusal why) noexcept {
  switch (why) {
    case Refusal::length:
      return "length";
    case Refusal::head:
      return "head";
    case Refusal::digest:
      return "digest";
    case Refusal::address:
      return "address";
    case Refusal::seal:
      return "seal";
  }
  return "head";
}

std::uint64_t ObjectHead::content_bytes() const noexcept {
  std::uint64_t n = 0;
  for (const auto& p : parts) n += p.bytes;
  return n;
}

std::uint64_t ObjectHead::total_bytes() const noexcept { return total_of(parts.size(), content_bytes(), sealed); }

void write_address(const ObjectAddress& a, std::span<std::byte, kAddressBytes> out) noexcept {
  std::byte* p = out.data();
  store_le(p + kModelHash, a.identity.model_hash);
  store_le(p + kFormatHash, a.identity.format_hash);
  store_le(p + kModelLayers, a.identity.layout.layers);
  store_le(p + kKvHeads, a.identity.layout.kv_heads);
  store_le(p + kHeadDim, a.identity.layout.head_dim);
  store_le(p + kDType, std::uint32_t{static_cast<std::uint8_t>(a.identity.layout.dtype)});
  std::memcpy(p + kName, a.name.bytes.data(), a.name.bytes.size());
  store_le(p + kFormCodec, a.form.codec());
  store_le(p + kFormChunk, a.form.chunk());
  store_le(p + kFormCanonical, a.form.canonical());
  store_le(p + kPositionBegin, a.positions.begin);
  store_le(p + kPositionCount, a.positions.count);
  store_le(p + kLayerBegin, a.layers.begin);
  store_le(p + kLayerCount, a.layers.count);
}

Result<> check_head(const ObjectHead& h) {
  if (h.parts.empty() || h.parts.size() > kMaxObjectParts)
    return fail(Errc::invalid_argument, "an object of {} parts; 1 to {} can be stored", h.parts.size(),
                kMaxObjectParts);
  std::string_view fault = fault_of(h);
  if (fault.empty()) fault = fault_of_parts(h);
  if (!fault.empty()) return fail(Errc::invalid_argument, "KV that cannot be stored: {}", fault);
  if (h.total_bytes() > kMaxObjectBytes)
    return fail(Errc::invalid_argument, "an object of {} bytes; at most {} can be stored", h.total_bytes(),
                kMaxObjectBytes);
  return {};
}

void write_head(const ObjectHead& h, std::span<std::byte> out) noexcept {
  std::ranges::fill(out.first(kHeadBytes), std::byte{0});
  std::byte* p = out.data();
  store_le(p + kMagic, kObjectMagic);
  store_le(p + kVersion, kObjectVersion);
  store_le(p + kHeadSize, static_cast<std::uint16_t>(kHeadBytes));
  store_le(p + kTotalBytes, h.total_bytes());
  write_address(h.address, out.subspan<kAddress, kAddressBytes>());
  std::memcpy(p + kParent, h.parent.bytes.data(), h.parent.bytes.size());
  store_le(p + kKl, h.kl);
  store_le(p + kTenant, h.tenant.value());
  std::memcpy(p + kSalt, h.salt.data(), h.salt.size());
  store_le(p + kParts, static_cast<std::uint32_t>(h.parts.size()));
  store_le(p + kSealed, static_cast<std::uint8_t>(h.sealed));
  std::byte* entry = p + kHeadBytes;
  for (const auto& part : h.parts) {
    write_part(part, entry);
    entry += kPartBytes;
  }
}

Checked<ParsedHead> parse_head(std::span<const std::byte> bytes) {
  if (bytes.size() < kHeadBytes) return refuse(Refusal::length, "{} bytes hold no object's head", bytes.size());
  const std::byte* p = bytes.data();
  if (u32(p + kMagic) != kObjectMagic) return refuse(Refusal::head, "this is no stored KV");
  if (const auto v = load_le<std::uint16_t>(p + kVersion); v != kObjectVersion)
    return refuse(Refusal::head, "object version {}, this build reads {}", v, kObjectVersion);
  if (load_le<std::uint16_t>(p + kHeadSize) != kHeadBytes || load_le<std::uint8_t>(p + kSealed) > 1 ||
      std::any_of(p + kReserved, p + kHeadBytes, [](std::byte b) { return b != std::byte{0}; }))
    return refuse(Refusal::head, "its head has fields that this build does not know");
  if (u32(p + kAddress + kDType) > 1) return refuse(Refusal::head, "its type of KV is unknown");
  ParsedHead out;
  ObjectHead& h = out.head;
  h.address = read_address(p + kAddress);
  h.parent.bytes = array_at<decltype(h.parent.bytes)>(p + kParent);
  h.kl = load_le<double>(p + kKl);
  h.tenant = prefix::TenantMark(u64(p + kTenant));
  h.salt = array_at<decltype(h.salt)>(p + kSalt);
  h.sealed = load_le<std::uint8_t>(p + kSealed) == 1;
  if (const auto fault = fault_of(h); !fault.empty()) return refuse(Refusal::head, "stored KV: {}", fault);
  out.parts = u32(p + kParts);
  out.total_bytes = u64(p + kTotalBytes);
  if (out.parts == 0 || out.parts > kMaxObjectParts)
    return refuse(Refusal::head, "it says that it has {} parts", out.parts);
  if (out.total_bytes > kMaxObjectBytes || out.total_bytes < total_of(out.parts, 0, h.sealed))
    return refuse(Refusal::length, "it says that it has {} bytes", out.total_bytes);
  return out;
}

Checked<ObjectHead> parse_whole(std::span<const std::byte> object) {
  auto parsed = parse_head(object);
  if (!parsed) return std::unexpected(std::move(parsed).error());
  if (parsed->total_bytes != object.size())
    return refuse(Refusal::length, "{} bytes of an object of {}", object.size(), parsed->total_bytes);
  ObjectHead& h = parsed->head;
  h.parts.reserve(parsed->parts);  // the table fits: parse_head() saw to it, and the whole object is here
  for (std::uint32_t i = 0; i < parsed->parts; ++i) {
    auto part = read_part(object.data() + kHeadBytes + std::size_t{i} * kPartBytes);
    if (!part) return std::unexpected(std::move(part).error());
    h.parts.push_back(*part);
  }
  if (h.total_bytes() != object.size())
    return refuse(Refusal::length, "parts of {} bytes in an object of {}", h.content_bytes(), object.size());
  if (const auto fault = fault_of_parts(h); !fault.empty()) return refuse(Refusal::head, "stored KV: {}", fault);
  return std::move(h);
}

}  // namespace sluice::kvstore
