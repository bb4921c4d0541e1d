// Kernels against the scalar ones where profiles do not lead them: every book, both scales, ends of ranges, vectors
// that stretch the integer transform to its limit.
#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "kvtransfer/codec/kernels/bf16.h"
#include "kvtransfer/codec/kernels/kernels.h"
#include "kvtransfer/codec/parts/signs.h"

using namespace sluice::kv;

namespace {

/// Rows of bf16, each beginning at a line of the cache or 2 bytes after one.
struct Rows {
  Rows(std::uint32_t count, std::uint32_t width, bool aligned) : bytes((count + 1) * (2 * width + 64)) {
    auto* p = bytes.data();
    while (reinterpret_cast<std::uintptr_t>(p) % 64 != (aligned ? 0U : 2U)) ++p;
    const std::size_t stride = (2 * std::size_t{width} + 63) / 64 * 64;
    for (std::uint32_t r = 0; r < count; ++r) {
      out.push_back(p + r * stride);
      in.push_back(p + r * stride);
    }
  }
  void set(std::uint32_t r, std::uint32_t i, std::uint16_t v) { std::memcpy(out[r] + 2 * std::size_t{i}, &v, 2); }
  [[nodiscard]] std::uint16_t get(std::uint32_t r, std::uint32_t i) const {
    std::uint16_t v = 0;
    std::memcpy(&v, in[r] + 2 * std::size_t{i}, 2);
    return v;
  }
  std::vector<std::byte> bytes;
  std::vector<std::byte*> out;
  std::vector<const std::byte*> in;
};

constexpr std::uint32_t kRows = 24;

/// Each row of another kind: plain, far too large or small for a scale of one byte, one value or one pattern of the
/// transform with all the power, bits of any kind, nothing.
Rows hard_rows(std::uint32_t heads, std::uint32_t head_dim, const std::vector<std::uint16_t>& signs) {
  const std::uint32_t width = heads * head_dim;
  Rows rows(kRows, width, true);
  std::mt19937 gen(5);
  std::normal_distribution<float> normal;
  for (std::uint32_t r = 0; r < kRows; ++r)
    for (std::uint32_t i = 0; i < width; ++i) {
      float v = normal(gen);
      if (r == 1) v *= 1e4F;
      if (r == 2) v *= 1e-8F;
      if (r == 3) v *= 1e-20F;
      if (r == 4) v *= 1e30F;
      if (r == 5) v = i % head_dim == 5 ? 100.0F : 0.0F;
      if (r >= 6 && r < 10)  // row 17 (r - 6) of the transform: its sum has them all
        v = std::popcount((i % head_dim) & (17 * (r - 6))) % 2 ? -3.0F : 3.0F;
      if (r >= 14) v *= std::exp2(static_cast<float>(r) - 20.0F - 8.0F * static_cast<float>(i / head_dim));
      std::uint16_t bits = f32_to_bf16(v);
      if (r >= 6 && r < 10) bits ^= signs[i];
      if (r == 10 || (r == 11 && i % 37 == 0)) bits = static_cast<std::uint16_t>(gen());
      if (r == 12) bits = 0;
      if (r == 13 && i % 64 == 3) bits = 0xff80;
      rows.set(r, i, bits);
    }
  return rows;
}

Book book_of(BookKind kind, std::uint32_t levels, float step) {
  return kind == BookKind::lloyd ? lloyd_book(levels) : uniform_book(levels, step, 0.05F);
}

bool same_rows(const Rows& a, const Rows& b, std::uint32_t width) {
  for (std::uint32_t r = 0; r < kRows; ++r)
    if (std::memcmp(a.in[r], b.in[r], 2 * std::size_t{width}) != 0) return false;
  return true;
}

void compare_book(const Kernels& k, const Kernels& ref, const BookShape& s) {
  const std::uint32_t width = s.heads * s.head_dim;
  std::vector<std::uint16_t> signs(width);
  for (std::uint32_t h = 0; h < s.heads; ++h)
    fill_signs(3, KvKind::key, h, std::span(signs).subspan(std::size_t{h} * s.head_dim, s.head_dim));
  const Rows rows = hard_rows(s.heads, s.head_dim, s.block > 1 ? signs : std::vector<std::uint16_t>(width));
  const RowsIn in{rows.in.data(), kRows, 0};
  const std::size_t values = std::size_t{kRows} * width, scale_count = std::size_t{kRows} * s.heads;
  std::vector<std::byte> scales(2 * scale_count), ref_scales(2 * scale_count), codes(values), ref_codes(values);
  std::vector<std::uint8_t> symbols(values), ref_symbols(values);

  ref.book_encode(s, signs.data(), in, ref_scales.data(), ref_symbols.data());
  k.book_encode(s, signs.data(), in, scales.data(), symbols.data());
  REQUIRE(scales == ref_scales);
  REQUIRE(symbols == ref_symbols);
  const std::uint32_t levels = s.book->levels;
  REQUIRE(std::ranges::all_of(symbols, [&](std::uint8_t v) { return v < levels; }));
  for (const bool aligned : {true, false}) {
    Rows a(kRows, width, aligned), b(kRows, width, aligned);
    ref.book_decode(s, signs.data(), ref_scales.data(), ref_symbols.data(), {a.out.data(), kRows, false});
    k.book_decode(s, signs.data(), scales.data(), symbols.data(), {b.out.data(), kRows, true});
    REQUIRE(same_rows(a, b, width));
    if (aligned && s.head_dim >= 64 && s.book->levels >= 15)  // no overflow anywhere: what came back is what went in
      for (const std::uint32_t r : {0U, 6U, 7U, 8U, 9U}) {
        double e = 0, p = 0;
        for (std::uint32_t i = 0; i < width; ++i) {
          const double x = bf16_to_f32(rows.get(r, i)), y = bf16_to_f32(a.get(r, i));
          e += (x - y) * (x - y), p += x * x;
        }
        if (r == 0) REQUIRE(e < 0.2 * p);
        if (r > 0 && s.block > 1) REQUIRE(e < p);  // far beyond the highest level, of the right sign
      }
  }
  ref.book_encode_packed(s, signs.data(), in, ref_scales.data(), ref_codes.data());
  k.book_encode_packed(s, signs.data(), in, scales.data(), codes.data());
  REQUIRE(scales == ref_scales);
  REQUIRE(codes == ref_codes);
  Rows a(kRows, width, true), b(kRows, width, true);
  ref.book_decode_packed(s, signs.data(), ref_scales.data(), ref_codes.data(), {a.out.data(), kRows, false});
  k.book_decode_packed(s, signs.data(), scales.data(), codes.data(), {b.out.data(), kRows, true});
  REQUIRE(same_rows(a, b, width));
}

}  // namespace

TEST_CASE("books: every instruction set gives the scalar kernels' bytes") {
  const Kernels& ref = kernels(Isa::scalar);
  for (const Isa isa : supported_isas())
    for (const auto& [kind, levels, step] : {std::tuple{BookKind::lloyd, 16U, 0.0F},
                                             {BookKind::lloyd, 8U, 0.0F},
                                             {BookKind::lloyd, 4U, 0.0F},
                                             {BookKind::uniform, 15U, 0.5F},
                                             {BookKind::uniform, 3U, 1.2F},
                                             {BookKind::uniform, 255U, 0.05F}})
      for (const auto& [head_dim, block] : {std::pair{64U, 64U},
                                            {64U, 1U},
                                            {128U, 128U},
                                            {128U, 1U},
                                            {256U, 256U},
                                            {96U, 32U},
                                            {8U, 8U},
                                            {1024U, 1024U}})
        for (const std::uint32_t heads : {1U, 8U, 11U})
          for (const Scale scale : {Scale::bf16, Scale::log8}) {
            INFO(name(isa) << " " << levels << " levels, " << heads << " x " << head_dim << " in " << block
                           << (scale == Scale::log8 ? " log8" : ""));
            const Book book = book_of(kind, levels, step);
            compare_book(kernels(isa), ref, make_book_shape(heads, head_dim, block, scale, book));
          }
}

TEST_CASE("absmax, fp8 and minmax: every instruction set gives the scalar kernels' bytes") {
  const Kernels& ref = kernels(Isa::scalar);
  for (const Isa isa : supported_isas())
    for (const std::uint32_t head_dim : {16U, 32U, 64U, 96U, 128U, 192U})
      for (const std::uint32_t heads : {1U, 8U, 9U}) {
        INFO(name(isa) << " " << heads << " x " << head_dim);
        const Kernels& k = kernels(isa);
        const std::uint32_t width = heads * head_dim;
        const Rows rows = hard_rows(heads, head_dim, std::vector<std::uint16_t>(width));
        const RowsIn in{rows.in.data(), kRows, 0};
        std::vector<std::byte> scales(4 * std::size_t{kRows} * width), ref_scales = scales;
        std::vector<std::byte> codes(std::size_t{kRows} * width), ref_codes = codes;
        const auto check = [&](auto encode, auto decode) {
          encode(ref, ref_scales, ref_codes);
          encode(k, scales, codes);
          REQUIRE(scales == ref_scales);
          REQUIRE(codes == ref_codes);
          for (const bool aligned : {true, false}) {
            Rows a(kRows, width, aligned), b(kRows, width, aligned);
            decode(ref, RowsOut{a.out.data(), kRows, false});
            decode(k, RowsOut{b.out.data(), kRows, true});
            REQUIRE(same_rows(a, b, width));
          }
        };
        using Bytes = std::vector<std::byte>;
        const auto each = [&](auto encode, auto decode) {
          check([&](const Kernels& x, Bytes& s, Bytes& c) { (x.*encode)(in, heads, head_dim, s.data(), c.data()); },
                [&](const Kernels& x, RowsOut o) { (x.*decode)(scales.data(), codes.data(), heads, head_dim, o); });
        };
        each(&Kernels::absmax8_encode, &Kernels::absmax8_decode);
        each(&Kernels::absmax4_encode, &Kernels::absmax4_decode);
        each(&Kernels::fp8_encode, &Kernels::fp8_decode);
        check([&](const Kernels& x, Bytes& s, Bytes& c) { x.absmax8_page_encode(in, width, s.data(), c.data()); },
              [&](const Kernels& x, RowsOut o) { x.absmax8_page_decode(scales.data(), codes.data(), width, o); });
        for (const std::uint32_t levels : {2U, 6U, 16U, 255U}) {
          const auto symbols = [](Bytes& c) { return reinterpret_cast<std::uint8_t*>(c.data()); };
          check([&](const Kernels& x, Bytes& s,
                    Bytes& c) { x.minmax_page_encode(in, width, levels, s.data(), symbols(c)); },
                [&](const Kernels& x, RowsOut o) { x.minmax_page_decode(scales.data(), symbols(codes), width, o); });
          for (const std::uint32_t group : {8U, 32U, head_dim})
            if (head_dim % group == 0)
              check([&](const Kernels& x, Bytes& s,
                        Bytes& c) { x.minmax_encode(in, width / group, group, levels, s.data(), symbols(c)); },
                    [&](const Kernels& x, RowsOut o) {
                      x.minmax_decode(scales.data(), symbols(codes), width / group, group, o);
                    });
        }
      }
}
