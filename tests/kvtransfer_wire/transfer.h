#pragma once
// A small transfer for wire tests: one ticket, KV of random values, and both ends' buffers.
#include <random>
#include <vector>

#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/wire/frame_io.h"
#include "kvtransfer/wire/ticket_book.h"

namespace sluice::kv::test {

inline Ticket make_ticket(const CodecRegistry& registry, const KvLayout& layout, TokenRange tokens,
                          std::string_view profile = "raw", SealMode seal = SealMode::encrypt) {
  const Profile& p = *registry.profile(profile);
  Ticket t;
  if (!draw_secrets(t)) throw std::runtime_error("no randomness");
  t.seal = seal;
  t.request = RequestId(42);
  t.tenant = "tenant-a";
  t.prefill_node = NodeId("prefill-0");
  t.prefill_incarnation = Incarnation(111);
  t.decode_node = NodeId("decode-0");
  t.decode_incarnation = Incarnation(222);
  t.model_hash = 0xfedcba9876543210ULL;
  t.layout = layout;
  t.format_hash = registry.format_hash();
  t.profile = p.name;
  t.codec = p.codec->id();
  t.tokens = tokens;
  t.block_size = 16;
  for (std::uint32_t b = 0; b < (tokens.begin + tokens.count + 15) / 16; ++b) t.blocks.emplace_back(3 * b + 1);
  t.max_wire_bytes = wire_budget(layout, tokens);
  t.valid_for = std::chrono::milliseconds(30000);
  return t;
}

/// KV of all layers, rows contiguous per (layer, kind).
class FlatKv {
 public:
  FlatKv(const KvLayout& layout, std::uint32_t tokens) : layout_(layout), tokens_(tokens) {
    planes_.assign(2 * std::size_t{layout.layers}, std::vector<std::byte>(tokens * layout.row_bytes()));
  }
  void fill(std::uint32_t seed) {
    std::mt19937 gen(seed);
    std::normal_distribution<float> normal;
    for (auto& plane : planes_)
      for (std::size_t i = 0; i + 1 < plane.size(); i += 2) {
        const std::uint32_t u = std::bit_cast<std::uint32_t>(normal(gen));
        plane[i] = static_cast<std::byte>(u >> 16);
        plane[i + 1] = static_cast<std::byte>(u >> 24);
      }
  }
  [[nodiscard]] ConstRows rows(const SegmentShape& s) const {
    page_ = planes_[index(s)].data();
    return {{&page_, 1}, tokens_, s.first_token, layout_.row_bytes()};
  }
  [[nodiscard]] MutRows rows(const SegmentShape& s) {
    mut_page_ = planes_[index(s)].data();
    return {{&mut_page_, 1}, tokens_, s.first_token, layout_.row_bytes()};
  }
  friend bool operator==(const FlatKv& a, const FlatKv& b) { return a.planes_ == b.planes_; }

 private:
  static std::size_t index(const SegmentShape& s) {
    return 2 * std::size_t{s.layer} + static_cast<std::size_t>(s.kind);
  }
  KvLayout layout_;
  std::uint32_t tokens_;
  std::vector<std::vector<std::byte>> planes_;
  mutable const std::byte* page_ = nullptr;
  std::byte* mut_page_ = nullptr;
};

struct SentFrame {
  FrameHeaderBytes header;
  std::vector<std::byte> payload;
};

inline SentFrame build(const Ticket& t, const CodecRegistry& registry, const FlatKv& kv, const FrameSpec& spec,
                       std::uint64_t sequence, FrameScratch& scratch) {
  const Profile& p = *registry.profile(t.profile);
  SentFrame f;
  f.payload.resize(max_payload_bytes(t, spec, *p.codec));
  const auto built =
      build_frame(t, p, spec, sequence, [&](const SegmentShape& s) { return kv.rows(s); }, f.payload, scratch);
  if (!built) throw std::runtime_error(built.error().message);
  f.header = built->header;
  f.payload.resize(built->payload_bytes);
  return f;
}

}  // namespace sluice::kv::test
