#pragma once
// Which KV goes into which frame, and on the other side: which KV has come. Pure logic, no memory of KV, no IO.
//
// Threading: a TransferPlanner or CoverageTracker is used by one thread at a time.
#include <cstdint>
#include <vector>

#include "common/result.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kv {

/// Set of KvKind, as it stands in the frame header.
using KindMask = std::uint8_t;
inline constexpr KindMask kKeys = 1, kValues = 2, kKeysAndValues = 3;
[[nodiscard]] constexpr KindMask mask_of(KvKind k) noexcept { return k == KvKind::key ? kKeys : kValues; }

/// What one frame carries: the product of its layers, kinds and tokens. Segments lie layer by layer, key before value.
struct FrameSpec {
  LayerRange layers;
  KindMask kinds = kKeysAndValues;
  TokenRange tokens;
  [[nodiscard]] std::uint32_t kind_count() const noexcept { return (kinds & 1U) + ((kinds >> 1U) & 1U); }
  [[nodiscard]] std::uint32_t segments() const noexcept { return layers.count * kind_count(); }
  /// Shape of segment i < segments() of a transfer that ends before position end_token.
  [[nodiscard]] SegmentShape segment(const KvLayout& layout, std::uint32_t end_token, std::uint32_t i) const noexcept;
  friend bool operator==(const FrameSpec&, const FrameSpec&) = default;
};

struct PlanOptions {
  std::size_t target_frame_bytes = 4U << 20;  // uncompressed KV per frame; a frame may be smaller, never larger
                                              // unless one row (K and V of one token of one layer) already is
  std::uint32_t token_multiple = 64;          // cut token ranges at multiples of this where they are cut at all
};

/// Sender side: told what prefill has finished, says what to send. Every (layer, kind, token) told is in exactly one
/// frame. Small models: several layers share a frame; large ones: a layer is cut by tokens.
class TransferPlanner {
 public:
  TransferPlanner(const KvLayout& layout, const PlanOptions& options);

  /// Layer `layer` is computed for the tokens of one prefill chunk. Within a chunk layers come 0, 1, ... layers - 1;
  /// chunks that a pass computes together take turns, layer by layer. What is in a frame does not depend on that.
  /// Returns the frames now ready (none while layers are gathered; the last layer of a chunk always empties the
  /// gathered ones).
  [[nodiscard]] std::vector<FrameSpec> layer_done(TokenRange chunk, std::uint32_t layer);

 private:
  KvLayout layout_;
  PlanOptions options_;
  /// A chunk under way: layers that are done but not yet in a frame.
  struct Open {
    std::uint32_t first_token;
    LayerRange gathered;
  };
  std::vector<Open> open_;
};

/// Receiver side: which (layer, kind, token) came. Memory: one bit each, fixed at construction.
/// A frame is claimed before its rows are written and committed after, so that no row is written twice.
class CoverageTracker {
 public:
  /// Expects K and V of all layers for `tokens`.
  CoverageTracker(const KvLayout& layout, TokenRange tokens);

  /// data_corrupt if f is empty or reaches outside what is expected, already_exists if any part of it was claimed
  /// before; nothing is marked then.
  [[nodiscard]] Result<> claim(const FrameSpec& f);
  /// The claimed frame's rows are in place.
  void commit(const FrameSpec& f) noexcept;
  /// The claimed frame failed and may come again.
  void abandon(const FrameSpec& f) noexcept;

  [[nodiscard]] bool complete() const noexcept { return committed_ == expected_; }
  /// (layer, kind, token) rows in place, of how many.
  [[nodiscard]] std::uint64_t committed() const noexcept { return committed_; }
  [[nodiscard]] std::uint64_t expected() const noexcept { return expected_; }

 private:
  [[nodiscard]] bool any_claimed(const FrameSpec& f) const noexcept;
  void mark(const FrameSpec& f, bool claimed) noexcept;
  template <class Fn>
  void each_plane(const FrameSpec& f, Fn&& fn) const;

  std::uint32_t layers_;
  TokenRange tokens_;
  std::size_t words_;  // 64-bit words per (layer, kind)
  std::vector<std::uint64_t> claimed_;
  std::uint64_t committed_ = 0, expected_ = 0;
};

}  // namespace sluice::kv
