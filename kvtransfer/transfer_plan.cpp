#include "kvtransfer/transfer_plan.h"

#include <algorithm>

namespace sluice::kv {

SegmentShape FrameSpec::segment(const KvLayout& layout, std::uint32_t end_token, std::uint32_t i) const noexcept {
  const std::uint32_t n = kind_count();
  const bool value = n == 2 ? i % 2 == 1 : kinds == kValues;
  return {.tokens = tokens.count,
          .kv_heads = layout.kv_heads,
          .head_dim = layout.head_dim,
          .dtype = layout.dtype,
          .kind = value ? KvKind::value : KvKind::key,
          .layer = layers.begin + i / n,
          .first_token = tokens.begin,
          .layers = layout.layers,
          .end_token = end_token};
}

TransferPlanner::TransferPlanner(const KvLayout& layout, const PlanOptions& options)
    : layout_(layout), options_(options) {
  options_.token_multiple = std::max(options_.token_multiple, 1U);
}

std::vector<FrameSpec> TransferPlanner::layer_done(TokenRange chunk, std::uint32_t layer) {
  std::vector<FrameSpec> frames;
  if (chunk.count == 0) return frames;
  auto open = std::ranges::find(open_, chunk.begin, &Open::first_token);
  if (open == open_.end()) open = open_.insert(open_.end(), {chunk.begin, {layer, 0}});
  LayerRange& gathered = open->gathered;
  if (layer == 0) gathered = {0, 0};
  ++gathered.count;

  const std::size_t row = 2 * layout_.row_bytes();  // K and V of one token of one layer
  const std::size_t layer_bytes = row * chunk.count;
  const bool last = layer + 1 == layout_.layers;
  // Wait for more layers only while one more still fits.
  if (!last && layer_bytes * (gathered.count + 1) <= options_.target_frame_bytes) return frames;

  // Only a single layer can be too large here: gathering stopped before two were.
  std::uint32_t step = chunk.count;
  if (layer_bytes > options_.target_frame_bytes) {
    step = static_cast<std::uint32_t>(std::max<std::size_t>(options_.target_frame_bytes / row, 1));
    if (step > options_.token_multiple) step -= step % options_.token_multiple;
  }
  for (std::uint32_t at = 0; at < chunk.count; at += std::min(step, chunk.count - at))
    frames.push_back(
        {.layers = gathered, .kinds = kKeysAndValues, .tokens = {chunk.begin + at, std::min(step, chunk.count - at)}});
  gathered = {layer + 1, 0};
  if (last) open_.erase(open);
  return frames;
}

CoverageTracker::CoverageTracker(const KvLayout& layout, TokenRange tokens)
    : layers_(layout.layers),
      tokens_(tokens),
      words_((std::size_t{tokens.count} + 63) / 64),
      claimed_(2 * words_ * layout.layers),
      expected_(std::uint64_t{2} * layout.layers * tokens.count) {}

Result<> CoverageTracker::claim(const FrameSpec& f) {
  if (f.layers.count == 0 || f.tokens.count == 0 || f.kinds == 0 || f.kinds > kKeysAndValues)
    return fail(Errc::data_corrupt, "a frame without layers, tokens or kinds");
  if (f.layers.begin >= layers_ || f.layers.count > layers_ - f.layers.begin)
    return fail(Errc::data_corrupt, "frame has layers {}+{}, the model {}", f.layers.begin, f.layers.count, layers_);
  if (f.tokens.begin < tokens_.begin || f.tokens.begin - tokens_.begin >= tokens_.count ||
      f.tokens.count > tokens_.count - (f.tokens.begin - tokens_.begin))
    return fail(Errc::data_corrupt, "frame has tokens {}+{}, expected were {}+{}", f.tokens.begin, f.tokens.count,
                tokens_.begin, tokens_.count);
  if (any_claimed(f))
    return fail(Errc::already_exists, "KV of layers {}+{}, tokens {}+{} came before", f.layers.begin, f.layers.count,
                f.tokens.begin, f.tokens.count);
  mark(f, true);
  return {};
}

void CoverageTracker::commit(const FrameSpec& f) noexcept {
  committed_ += std::uint64_t{f.segments()} * f.tokens.count;
}

void CoverageTracker::abandon(const FrameSpec& f) noexcept { mark(f, false); }

namespace {

/// Calls fn(word index, bits) for the bits [first, first + count) of a plane until it returns false.
template <class Fn>
bool each_word(std::uint32_t first, std::uint32_t count, Fn&& fn) {
  const std::uint64_t end = std::uint64_t{first} + count;
  for (std::uint64_t at = first; at < end;) {
    const std::uint64_t stop = std::min<std::uint64_t>((at / 64 + 1) * 64, end);
    const std::uint64_t n = stop - at;
    const std::uint64_t ones = n == 64 ? ~std::uint64_t{0} : ((std::uint64_t{1} << n) - 1);
    if (!fn(static_cast<std::size_t>(at / 64), ones << (at % 64))) return false;
    at = stop;
  }
  return true;
}

}  // namespace

template <class Fn>
void CoverageTracker::each_plane(const FrameSpec& f, Fn&& fn) const {
  for (std::uint32_t l = f.layers.begin; l < f.layers.begin + f.layers.count; ++l)
    for (const KvKind kind : {KvKind::key, KvKind::value})
      if (f.kinds & mask_of(kind)) fn((2 * std::size_t{l} + static_cast<std::size_t>(kind)) * words_);
}

bool CoverageTracker::any_claimed(const FrameSpec& f) const noexcept {
  bool found = false;
  each_plane(f, [&](std::size_t base) {
    found = found || !each_word(f.tokens.begin - tokens_.begin, f.tokens.count,
                                [&](std::size_t w, std::uint64_t bits) { return (claimed_[base + w] & bits) == 0; });
  });
  return found;
}

void CoverageTracker::mark(const FrameSpec& f, bool claimed) noexcept {
  each_plane(f, [&](std::size_t base) {
    each_word(f.tokens.begin - tokens_.begin, f.tokens.count, [&](std::size_t w, std::uint64_t bits) {
      if (claimed)
        claimed_[base + w] |= bits;
      else
        claimed_[base + w] &= ~bits;
      return true;
    });
  });
}

}  // namespace sluice::kv
