#include "decode_node/kv_image.h"

#include <xxhash.h>

#include <algorithm>

#include "node/kv/pool_layout.h"
#include "node/kv/pool_rows.h"

namespace sluice::decode {
namespace {

// Rows of a segment: enough that a codec's fixed costs do not count, and few enough for its working memory.
constexpr std::uint32_t kSegmentTokens = 1024;

kv::SegmentShape segment(const kv::KvLayout& l, std::uint32_t layer, kv::KvKind kind, kv::TokenRange t,
                         std::uint32_t end) {
  return {.tokens = t.count,
          .kv_heads = l.kv_heads,
          .head_dim = l.head_dim,
          .dtype = l.dtype,
          .kind = kind,
          .layer = layer,
          .first_token = t.begin,
          .layers = l.layers,
          .end_token = end};
}

/// Calls fn(shape) for each segment of so many tokens, until it fails.
template <class Fn>
Result<> segments(const kv::KvLayout& l, std::uint32_t tokens, Fn&& fn) {
  for (std::uint32_t at = 0; at < tokens; at += kSegmentTokens) {
    const kv::TokenRange range{at, std::min(kSegmentTokens, tokens - at)};
    for (std::uint32_t layer = 0; layer < l.layers; ++layer)
      for (const kv::KvKind kind : {kv::KvKind::key, kv::KvKind::value})
        SLUICE_TRY(fn(segment(l, layer, kind, range, tokens)));
  }
  return {};
}

}  // namespace

const kv::Codec* KvImage::codec_for(const kv::CodecRegistry& codecs, const engine::KvPoolShape& shape) {
  const kv::SegmentShape s = segment(node::layout_of(shape), 0, kv::KvKind::key, {0, 1}, 1);
  for (const char* name : {"ll-fast", "ll"}) {
    const kv::Profile* p = codecs.profile(name);
    if (p != nullptr && p->codec->lossless() && p->codec->supports(s)) return p->codec;
  }
  return nullptr;
}

Result<KvImage> KvImage::of(const kv::Codec& codec, const ImageRows& rows, std::shared_ptr<SwapMemory> memory,
                            kv::CodecScratch& scratch) {
  KvImage image(std::move(memory));
  image.tokens_ = rows.tokens;
  node::PoolRows<const std::byte> from(rows.pool, rows.blocks);
  std::vector<std::byte> encoded;
  SLUICE_TRY(segments(node::layout_of(rows.pool.shape()), rows.tokens, [&](const kv::SegmentShape& s) -> Result<> {
    encoded.resize(std::max(encoded.size(), codec.max_encoded_size(s)));
    SLUICE_ASSIGN(const std::size_t bytes, codec.encode(s, from.of(s), encoded, scratch));
    if (!image.claim_.grow(bytes))
      return fail(Errc::resource_exhausted, "no swap memory for the KV of {} positions", rows.tokens);
    image.pieces_.emplace_back(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(bytes));
    return {};
  }));
  image.digest_ = image.digest();
  return image;
}

Result<> KvImage::restore(const kv::Codec& codec, const ImageRows& rows, kv::CodecScratch& scratch) const {
  if (rows.tokens != tokens_)
    return fail(Errc::invalid_argument, "the image has {} positions, not {}", tokens_, rows.tokens);
  if (digest() != digest_) return fail(Errc::data_corrupt, "the KV of a parked sequence changed in swap memory");
  node::PoolRows<std::byte> to(rows.pool, rows.blocks);
  std::size_t piece = 0;
  return segments(node::layout_of(rows.pool.shape()), tokens_, [&](const kv::SegmentShape& s) -> Result<> {
    if (piece == pieces_.size()) return fail(Errc::data_corrupt, "the image lacks {} tokens", s.tokens);
    return codec.decode(s, pieces_[piece++], to.of(s), scratch);
  });
}

KvImage::Digest KvImage::digest() const {
  // A state for each call: images are checked on whichever thread reads them.
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  XXH3_128bits_reset(state.get());
  for (const auto& p : pieces_) {
    const std::uint64_t size = p.size();
    XXH3_128bits_update(state.get(), &size, sizeof size);
    XXH3_128bits_update(state.get(), p.data(), p.size());
  }
  const XXH128_hash_t h = XXH3_128bits_digest(state.get());
  return {h.low64, h.high64};
}

}  // namespace sluice::decode
