#include "kvtransfer/codec/profile_speed.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

#include "kvtransfer/codec/profile/spec.h"

namespace sluice::kv {
namespace {

constexpr std::uint32_t kTokens = 256;
constexpr int kRounds = 5;

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Values with the spread of real KV: near-Gaussian, with some channels much larger than others.
std::vector<std::byte> synthetic(const SegmentShape& s) {
  std::vector<std::byte> out(s.raw_bytes());
  std::uint64_t x = 0x2545f4914f6cdd1dULL;
  const std::uint32_t row = s.kv_heads * s.head_dim;
  for (std::size_t i = 0; i < std::size_t{row} * s.tokens; ++i) {
    float sum = 0;
    for (int k = 0; k < 4; ++k) {
      x = x * 6364136223846793005ULL + 1442695040888963407ULL;
      sum += static_cast<float>(x >> 40U) * 0x1p-24F - 0.5F;
    }
    const float v = sum * (i % row % 16 == 0 ? 8.0F : 1.0F);
    const auto bits = std::bit_cast<std::uint32_t>(v);
    if (s.dtype == KvDType::f32) {
      std::copy_n(reinterpret_cast<const std::byte*>(&bits), 4, out.begin() + static_cast<std::ptrdiff_t>(4 * i));
    } else {
      const auto h = static_cast<std::uint16_t>(bits >> 16U);
      std::copy_n(reinterpret_cast<const std::byte*>(&h), 2, out.begin() + static_cast<std::ptrdiff_t>(2 * i));
    }
  }
  return out;
}

struct Measured {
  double encode_s = INFINITY, decode_s = INFINITY;
  std::size_t bytes = 0;
};

Result<Measured> measure(const Codec& c, const SegmentShape& s) {
  auto data = synthetic(s);
  std::vector<std::byte> back(data.size());
  std::vector<std::byte> blob(c.max_encoded_size(s));
  CodecScratch scratch;
  const std::byte* in_page = data.data();
  std::byte* out_page = back.data();
  const ConstRows in{{&in_page, 1}, s.tokens, 0, s.row_bytes()};
  const MutRows out{{&out_page, 1}, s.tokens, 0, s.row_bytes()};
  Measured m;
  for (int i = 0; i < kRounds; ++i) {
    const double t0 = now_s();
    SLUICE_ASSIGN(m.bytes, c.encode(s, in, blob, scratch));
    const double t1 = now_s();
    SLUICE_TRY(c.decode(s, std::span(blob).first(m.bytes), out, scratch));
    m.encode_s = std::min(m.encode_s, t1 - t0);
    m.decode_s = std::min(m.decode_s, now_s() - t1);
  }
  return m;
}

}  // namespace

std::vector<ProfileSpeedFigure> measure_speeds(const CodecRegistry& codecs, const KvLayout& layout) {
  std::vector<ProfileSpeedFigure> out;
  for (const Profile& p : codecs.profiles()) {
    SegmentShape k{.tokens = kTokens,
                   .kv_heads = layout.kv_heads,
                   .head_dim = layout.head_dim,
                   .dtype = layout.dtype,
                   .kind = KvKind::key,
                   // Neither first nor last, and far from both ends of the sequence: what most segments are.
                   .layer = layout.layers / 2,
                   .first_token = kMaxExactTokens,
                   .layers = layout.layers,
                   .end_token = 3 * kMaxExactTokens};
    SegmentShape v = k;
    v.kind = KvKind::value;
    if (p.comparator || !p.codec->supports(k) || !p.codec->supports(v)) continue;
    const auto mk = measure(*p.codec, k);
    const auto mv = measure(*p.codec, v);
    if (!mk || !mv) continue;
    const auto raw = static_cast<double>(k.raw_bytes() + v.raw_bytes());
    out.push_back({p.name, p.stated_kl, raw / static_cast<double>(mk->bytes + mv->bytes),
                   raw / std::max(mk->encode_s + mv->encode_s, 1e-9),
                   raw / std::max(mk->decode_s + mv->decode_s, 1e-9)});
  }
  return out;
}

}  // namespace sluice::kv
