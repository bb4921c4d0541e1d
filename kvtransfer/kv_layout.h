#pragma once
// Shapes of KV as they cross the wire: plain data, no behaviour that needs memory.
#include <cstdint>
#include <span>
#include <string>

namespace sluice::kv {

enum class KvKind : std::uint8_t { key = 0, value = 1 };
enum class KvDType : std::uint8_t { bf16 = 0, f32 = 1 };

[[nodiscard]] constexpr std::size_t size_of(KvDType t) noexcept { return t == KvDType::f32 ? 4 : 2; }

/// What both ends must agree on before a byte of KV moves.
struct KvLayout {
  std::uint32_t layers = 0, kv_heads = 0, head_dim = 0;
  KvDType dtype = KvDType::bf16;
  [[nodiscard]] std::size_t row_bytes() const noexcept { return std::size_t{kv_heads} * head_dim * size_of(dtype); }
  /// K and V of all layers for one token.
  [[nodiscard]] std::size_t token_bytes() const noexcept { return 2 * layers * row_bytes(); }
  friend bool operator==(const KvLayout&, const KvLayout&) = default;
};

struct TokenRange {
  std::uint32_t begin = 0, count = 0;
  friend bool operator==(const TokenRange&, const TokenRange&) = default;
};

struct LayerRange {
  std::uint32_t begin = 0, count = 0;
  friend bool operator==(const LayerRange&, const LayerRange&) = default;
};

/// The unit a codec sees: K or V of one layer for a token range. Row t: [kv_heads, head_dim] of dtype.
struct SegmentShape {
  std::uint32_t tokens = 0, kv_heads = 0, head_dim = 0;
  KvDType dtype = KvDType::bf16;
  KvKind kind = KvKind::key;
  std::uint32_t layer = 0;
  std::uint32_t first_token = 0;  // position of row 0 in the sequence
  std::uint32_t layers = 0;       // of the model
  std::uint32_t end_token = 0;    // position after the last token that will be sent of this sequence
  [[nodiscard]] std::size_t row_bytes() const noexcept { return std::size_t{kv_heads} * head_dim * size_of(dtype); }
  [[nodiscard]] std::size_t raw_bytes() const noexcept { return row_bytes() * tokens; }
};

/// Rows of a segment where they lie: pages of `rows_per_page` consecutive rows; row 0 of the segment is row
/// `first_row` of pages[0]. Byte is std::byte or const std::byte. The pages outlive the call that gets the view.
template <class Byte>
struct PagedRows {
  std::span<Byte* const> pages;
  std::uint32_t rows_per_page = 0;
  std::uint32_t first_row = 0;
  std::size_t row_bytes = 0;
  [[nodiscard]] Byte* row(std::uint32_t r) const noexcept {
    const std::uint32_t i = first_row + r;
    return pages[i / rows_per_page] + std::size_t{i % rows_per_page} * row_bytes;
  }
  /// Rows from r that are contiguous in memory.
  [[nodiscard]] std::uint32_t run(std::uint32_t r) const noexcept {
    return rows_per_page - (first_row + r) % rows_per_page;
  }
};
using ConstRows = PagedRows<const std::byte>;
using MutRows = PagedRows<std::byte>;

}  // namespace sluice::kv
