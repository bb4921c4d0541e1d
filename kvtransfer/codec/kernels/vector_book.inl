// The book quantizers and the transform of rows over vectors: which kernel for which shape, and their table.
#include "kvtransfer/codec/kernels/generic.inl"
#include "kvtransfer/codec/kernels/generic_book.inl"
#include "kvtransfer/codec/kernels/vector.inl"
#include "kvtransfer/codec/kernels/vector_book_decode.inl"
#include "kvtransfer/codec/kernels/vector_book_encode.inl"

/// Calls fn(std::integral_constant<head size>, std::bool_constant<rotated>) if the shape is one that vectors do.
template <class Fn>
inline bool with_shape(const BookShape& s, Fn&& fn) {
  const auto sized = [&]<std::uint32_t kDim>(std::integral_constant<std::uint32_t, kDim> dim) {
    if (s.block == kDim)
      fn(dim, std::true_type{});
    else if (s.block == 1)
      fn(dim, std::false_type{});
    else
      return false;
    return true;
  };
  if (s.head_dim == 64) return sized(std::integral_constant<std::uint32_t, 64>{});
  if (s.head_dim == 128) return sized(std::integral_constant<std::uint32_t, 128>{});
  if (s.head_dim == 256) return sized(std::integral_constant<std::uint32_t, 256>{});
  return false;
}

void book_encode(const BookShape& s, const std::uint16_t* signs, RowsIn rows, std::byte* scales,
                 std::uint8_t* symbols) {
  const bool done = s.scale == Scale::log8 && with_shape(s, [&](auto dim, auto rotated) {
                      constexpr std::uint32_t kDim = dim.value;
                      constexpr bool kRotated = rotated.value;
                      if (s.book->kind == BookKind::uniform)
                        encode_symbols<kDim, kRotated, UniformQuantizer>(s, signs, rows, scales, symbols);
                      else if (s.book->levels == 16)
                        encode_symbols<kDim, kRotated, LloydQuantizer<16>>(s, signs, rows, scales, symbols);
                      else if (s.book->levels == 8)
                        encode_symbols<kDim, kRotated, LloydQuantizer<8>>(s, signs, rows, scales, symbols);
                      else
                        encode_symbols<kDim, kRotated, LloydQuantizer<4>>(s, signs, rows, scales, symbols);
                    });
  if (!done) book_encode_generic(s, signs, rows, scales, symbols);
}

void book_encode_packed(const BookShape& s, const std::uint16_t* signs, RowsIn rows, std::byte* scales,
                        std::byte* codes) {
  const bool done = s.scale == Scale::bf16 && s.book->kind == BookKind::lloyd && s.book->levels == 16 &&
                    with_shape(s, [&](auto dim, auto rotated) {
                      encode_packed4<dim.value, rotated.value>(s, signs, rows, scales, codes);
                    });
  if (!done) book_encode_packed_generic(s, signs, rows, scales, codes);
}

void book_decode(const BookShape& s, const std::uint16_t* signs, const std::byte* scales, const std::uint8_t* symbols,
                 RowsOut rows) {
  const bool done = s.book->levels <= 16 && with_shape(s, [&](auto dim, auto rotated) {
                      decode_book<dim.value, rotated.value, false>(s, signs, scales, symbols, rows);
                    });
  if (!done) book_decode_generic(s, signs, scales, symbols, rows);
}

void book_decode_packed(const BookShape& s, const std::uint16_t* signs, const std::byte* scales, const std::byte* codes,
                        RowsOut rows) {
  const bool done = s.book->bits == 4 && with_shape(s, [&](auto dim, auto rotated) {
                      decode_book<dim.value, rotated.value, true>(s, signs, scales, codes, rows);
                    });
  if (!done) book_decode_packed_generic(s, signs, scales, codes, rows);
}

constexpr BookKernels kVectorBook = {.encode = book_encode,
                                     .decode = book_decode,
                                     .encode_packed = book_encode_packed,
                                     .decode_packed = book_decode_packed,
                                     .row_forward = row_forward_with<fwht_vectors>,
                                     .row_backward = row_backward_with<fwht_vectors>};
