#pragma once
// A chunk for tests: segments of several layers with their KV, coded by the host's codec, and the kernels' view of it.
#include <cstring>
#include <memory>
#include <vector>

#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/cuda/plan.h"
#include "tests/kvtransfer_codec/segments.h"

namespace sluice::kv::cuda::test {

inline ProfileSpec profile_named(std::string_view name) {
  const auto all = parse_profiles(builtin_profiles_json()).value();
  for (const ProfileSpec& p : all)
    if (p.name == name) return p;
  throw std::runtime_error("no such profile");
}

/// One class for everything.
inline ProfileSpec profile_of(const std::string& fields, const std::string& more = "") {
  const std::string json = R"({"profiles": [{"name": "t", "stated_kl": 0.1, "classes": {"c": {)" + fields +
                           R"(}}, "key": "c", "value": "c")" + more + "}]}";
  return parse_profiles(json).value().front();
}

/// Classes of fixed rate.
inline constexpr const char* kFixed[] = {
    R"("quantizer": "absmax", "levels": 255)",
    R"("quantizer": "absmax", "levels": 15)",
    R"("quantizer": "absmax", "levels": 255, "axis": "channel", "page": 16)",
    R"("quantizer": "fp8")",
    R"("transform": "hadamard", "quantizer": "lloyd", "levels": 16)",
    R"("transform": "hadamard", "quantizer": "lloyd", "levels": 8)",
    R"("transform": "hadamard", "quantizer": "lloyd", "levels": 4, "scale": "log8")",
    R"("quantizer": "lloyd", "levels": 16, "scale": "log8")",
    R"("quantizer": "lloyd", "levels": 8)",
    R"("transform": "hadamard", "quantizer": "uniform", "levels": 15, "step": 0.5, "shrink": 0.05)",
    R"("transform": "hadamard", "quantizer": "uniform", "levels": 3, "step": 1.1, "scale": "log8")",
    R"("quantizer": "uniform", "levels": 31, "step": 0.3)",
    R"("quantizer": "uniform", "levels": 61, "step": 0.1, "scale": "log8")",
    R"("transform": "hadamard", "quantizer": "uniform", "levels": 127, "step": 0.05)",
    R"("quantizer": "uniform", "levels": 255, "step": 0.04)",
};

inline std::vector<SegmentShape> shapes(std::uint32_t tokens, std::uint32_t heads, std::uint32_t head_dim,
                                        std::uint32_t first_layer = 0, std::uint32_t layers = 2,
                                        std::uint32_t first_token = 0, std::uint32_t end_token = 0) {
  std::vector<SegmentShape> out;
  for (std::uint32_t l = first_layer; l < first_layer + layers; ++l)
    for (const KvKind kind : {KvKind::key, KvKind::value})
      out.push_back({.tokens = tokens,
                     .kv_heads = heads,
                     .head_dim = head_dim,
                     .kind = kind,
                     .layer = l,
                     .first_token = first_token,
                     .layers = 4,
                     .end_token = end_token == 0 ? first_token + tokens : end_token});
  return out;
}

/// The host's codec of a profile without calibration.
inline std::unique_ptr<Codec> codec_of(const ProfileSpec& p, Isa isa = Isa::scalar) {
  return make_pipeline(codec_id(composition(p, nullptr)), p, isa, nullptr);
}

/// KV of some segments in pages, and the pages' addresses in one table.
class Chunk {
 public:
  static constexpr std::uint32_t kRowsPerPage = 16, kFirstRow = 5;
  explicit Chunk(std::vector<SegmentShape> s) : shapes(std::move(s)) {
    pages_per_segment = (kFirstRow + shapes.front().tokens + kRowsPerPage - 1) / kRowsPerPage;
    for (const SegmentShape& shape : shapes) {
      pages.emplace_back(shape, kRowsPerPage, kFirstRow);
      for (std::byte* p : pages.back().writing().pages) table.push_back(p);
    }
  }
  void fill(std::uint32_t seed) {
    for (std::size_t i = 0; i < shapes.size(); ++i)
      pages[i].set_values(kv::test::realistic(shapes[i], seed + static_cast<std::uint32_t>(i)));
  }
  [[nodiscard]] PageTable page_table() const { return {table.data(), pages_per_segment, kRowsPerPage, kFirstRow}; }
  [[nodiscard]] std::vector<std::vector<std::byte>> encode(const Codec& c) const {
    std::vector<std::vector<std::byte>> blobs;
    CodecScratch scratch;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      blobs.emplace_back(c.max_encoded_size(shapes[i]));
      blobs.back().resize(c.encode(shapes[i], pages[i].reading(), blobs.back(), scratch).value());
    }
    return blobs;
  }
  void decode(const Codec& c, const std::vector<std::vector<std::byte>>& blobs) {
    CodecScratch scratch;
    for (std::size_t i = 0; i < shapes.size(); ++i) c.decode(shapes[i], blobs[i], pages[i].writing(), scratch).value();
  }
  std::vector<SegmentShape> shapes;
  std::uint32_t pages_per_segment;
  std::vector<kv::test::Pages> pages;
  std::vector<void*> table;
};

/// Values that no KV holds: NaN, infinities, denormals, zeros, and vectors of vast or tiny norm.
inline void fill_hostile(Chunk& chunk) {
  constexpr std::uint16_t kOdd[] = {0x0000, 0x8000, 0x0001, 0x807f, 0x7f80, 0xff80,
                                    0x7fc1, 0xffff, 0x7f7f, 0xff7f, 0x0080};
  std::mt19937 random(3);
  for (std::size_t i = 0; i < chunk.shapes.size(); ++i) {
    const SegmentShape& s = chunk.shapes[i];
    std::vector<std::byte> raw(s.raw_bytes());
    for (std::size_t v = 0; v < raw.size() / 2; ++v) {
      const std::size_t vector = v / s.head_dim;
      auto bits = static_cast<std::uint16_t>(random());
      switch (vector % 8) {
        case 0:
          break;  // any bits
        case 1:
          bits = kOdd[random() % std::size(kOdd)];
          break;  // only odd ones
        case 2:
          bits = static_cast<std::uint16_t>((bits & 0x80ffU) | 0x7e00U);
          break;  // vast
        case 3:
          bits = static_cast<std::uint16_t>(bits & 0x83ffU);
          break;  // tiny
        case 4:
          bits = 0;
          break;
        case 5:
          bits = static_cast<std::uint16_t>((bits & 0x80ffU) | 0x0a00U);
          break;  // squares underflow
        case 6:
          bits = v % s.head_dim == 7 ? 0x7f7f : static_cast<std::uint16_t>(bits & 0x80ffU);
          break;  // one spike
        default:
          bits = static_cast<std::uint16_t>((bits & 0x81ffU) | 0x3e00U);
          break;  // ordinary
      }
      std::memcpy(raw.data() + 2 * v, &bits, 2);
    }
    chunk.pages[i].set_bytes(raw);
  }
}

/// Blobs one after the other at multiples of 16, as a decoder gets them.
struct Packed {
  std::vector<std::uint64_t> storage;  // 8-byte words, so that it is aligned
  std::vector<BlobRef> refs;
  std::size_t size = 0;
  explicit Packed(const std::vector<std::vector<std::byte>>& blobs) {
    for (const auto& b : blobs) {
      size = (size + 15) / 16 * 16;
      refs.push_back({size, static_cast<std::uint32_t>(b.size()), 0});
      size += b.size();
    }
    storage.resize(size / 8 + 4);
    for (std::size_t i = 0; i < blobs.size(); ++i)
      std::memcpy(bytes() + refs[i].offset, blobs[i].data(), blobs[i].size());
  }
  [[nodiscard]] std::byte* bytes() { return reinterpret_cast<std::byte*>(storage.data()); }
};

}  // namespace sluice::kv::cuda::test
