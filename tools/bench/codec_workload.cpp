#include "tools/bench/codec_workload.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "kvtransfer/codec/kernels/bf16.h"
#include "kvtransfer/transfer_plan.h"

namespace sluice::bench {

using namespace sluice::kv;

namespace {

constexpr std::uint32_t kPatternTokens = 1024;
constexpr std::size_t kMostBytes = std::size_t{256} << 20;  // KV held at once; larger models repeat layers anyway

/// Keys: channels with means of their own, some an order of magnitude larger. Values: centred, heavier tails. Both
/// correlated from token to token.
std::vector<std::uint16_t> pattern(KvKind kind, std::uint32_t seed) {
  std::mt19937 gen(seed);
  std::normal_distribution<float> normal;
  std::vector<float> mean(kChannels), spread(kChannels), state(kChannels);
  for (std::size_t c = 0; c < kChannels; ++c) {
    spread[c] = std::exp(0.5F * normal(gen));
    if (kind == KvKind::key) {
      if (gen() % 50 == 0) spread[c] *= 8;
      mean[c] = 1.5F * spread[c] * normal(gen);
    }
  }
  std::vector<std::uint16_t> v(kChannels * kPatternTokens);
  for (std::size_t i = 0; i < v.size(); ++i) {
    const std::size_t c = i % kChannels;
    state[c] = 0.7F * state[c] + 0.7F * normal(gen);
    v[i] = f32_to_bf16(mean[c] + spread[c] * state[c]);
  }
  return v;
}

const std::vector<std::uint16_t>& pattern_of(KvKind kind) {
  static const std::vector<std::uint16_t> patterns[] = {pattern(KvKind::key, 1), pattern(KvKind::value, 2)};
  return patterns[static_cast<std::size_t>(kind)];
}

}  // namespace

Store::Store(std::uint32_t layers, std::uint32_t tokens)
    : pages_per_plane_((tokens + kPageRows - 1) / kPageRows),
      memory_(2 * std::size_t{layers} * pages_per_plane_ * kPageRows * kRowBytes) {
  std::vector<std::size_t> order(memory_.size() / (kPageRows * kRowBytes));
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(7));
  for (const std::size_t i : order) pages_.push_back(memory_.data() + i * kPageRows * kRowBytes);
  const_pages_.assign(pages_.begin(), pages_.end());
}

void Store::fill() {
  for (std::size_t p = 0; p < pages_.size(); ++p) {
    const auto& from = pattern_of(p / pages_per_plane_ % 2 == 0 ? KvKind::key : KvKind::value);
    const std::size_t at = p % pages_per_plane_ * kPageRows % kPatternTokens;
    std::memcpy(pages_[p], from.data() + at * kChannels, kPageRows * kRowBytes);
  }
}

ConstRows Store::rows(const SegmentShape& s) const {
  return {std::span(const_pages_).subspan(first_page(s), pages_per_plane_), kPageRows, s.first_token, kRowBytes};
}

MutRows Store::mutable_rows(const SegmentShape& s) {
  return {std::span(pages_).subspan(first_page(s), pages_per_plane_), kPageRows, s.first_token, kRowBytes};
}

std::size_t Store::first_page(const SegmentShape& s) const noexcept {
  return (2 * std::size_t{s.layer} + static_cast<std::size_t>(s.kind)) * pages_per_plane_;
}

Workload::Workload(std::uint32_t token_count)
    : tokens(token_count),
      layers(static_cast<std::uint32_t>(
          std::clamp<std::size_t>(kMostBytes / (2 * kRowBytes * token_count), 1, kKvLayers))),
      source(layers, tokens),
      target(layers, tokens),
      raw_bytes(2 * kRowBytes * tokens * layers),
      wire(raw_bytes + raw_bytes / 8) {
  source.fill();
  const KvLayout layout{.layers = layers, .kv_heads = kKvHeads, .head_dim = kKvHeadDim};
  TransferPlanner planner(layout, {});
  for (std::uint32_t l = 0; l < layers; ++l)
    for (const FrameSpec& f : planner.layer_done({0, tokens}, l)) {
      ++frames;
      for (std::uint32_t i = 0; i < f.segments(); ++i) segments.push_back({f.segment(layout, tokens, i)});
    }
}

void Workload::copy() { std::memcpy(target.memory().data(), source.memory().data(), raw_bytes); }

Result<std::size_t> Workload::encode(const Codec& c, CodecScratch& scratch) {
  std::size_t used = 0;
  for (Encoded& e : segments) {
    e.at = used;
    SLUICE_ASSIGN(e.size, c.encode(e.shape, source.rows(e.shape), std::span(wire).subspan(used), scratch));
    used += e.size;
  }
  return used;
}

Result<> Workload::decode(const Codec& c, CodecScratch& scratch) {
  for (const Encoded& e : segments)
    SLUICE_TRY(c.decode(e.shape, std::span(wire).subspan(e.at, e.size), target.mutable_rows(e.shape), scratch));
  return {};
}

CalibrationPtr workload_calibration() {
  auto c = std::make_shared<Calibration>();
  c->layers = kKvLayers, c->kv_heads = kKvHeads, c->head_dim = kKvHeadDim;
  c->digest = 1;  // of nothing that leaves this process
  for (const KvKind kind : {KvKind::key, KvKind::value}) {
    const auto& from = pattern_of(kind);
    std::vector<float> mean(kChannels);
    for (std::size_t i = 0; i < from.size(); ++i) mean[i % kChannels] += bf16_to_f32(from[i]) / kPatternTokens;
    const auto k = static_cast<std::size_t>(kind);
    for (std::uint32_t l = 0; l < kKvLayers; ++l) c->shift[k].insert(c->shift[k].end(), mean.begin(), mean.end());
    c->scale[k].assign(c->shift[k].size(), 1.0F);
    c->inverse[k] = c->scale[k];
  }
  return c;
}

}  // namespace sluice::bench
