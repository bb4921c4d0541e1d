#include "kvtransfer/codec/kernels/kernels.h"

#include <algorithm>
#include <cmath>

#include "kvtransfer/codec/kernels/tables.h"

namespace sluice::kv {

std::string_view name(Isa isa) noexcept {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "unknown";
}

std::span<const Isa> supported_isas() noexcept {
  static constexpr std::array all = {Isa::scalar, Isa::avx2, Isa::avx512};
  static const std::size_t count = [] {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 1;
    for (const bool has : {__builtin_cpu_supports("avx512f") != 0, __builtin_cpu_supports("avx512bw") != 0,
                           __builtin_cpu_supports("avx512vl") != 0, __builtin_cpu_supports("avx512dq") != 0})
      if (!has) return 2;
    return 3;
  }();
  return std::span(all).first(count);
}

BookShape make_book_shape(std::uint32_t heads, std::uint32_t head_dim, std::uint32_t block, Scale scale,
                          const Book& book) noexcept {
  // A vector of unit power times `gain` has no sum of a block's values beyond sqrt(head_dim * block) * gain. That is
  // kMost at most; rounding and a scale from a coarse grid may add a twelfth.
  constexpr float kMost = 30'000.0F;
  const float units = book.kind == BookKind::lloyd ? 64.0F : book.inverse_step;  // of the result, per norm
  const float root = std::sqrt(static_cast<float>(block));
  const float largest = kMost / std::sqrt(static_cast<float>(head_dim));  // norm of the transform
  const float weight = std::clamp(std::ceil(units * 32768.0F / largest), 1.0F, 32767.0F);
  return {.heads = heads,
          .head_dim = head_dim,
          .block = block,
          .scale = scale,
          .book = &book,
          .gain = std::min(units * 32768.0F / weight, largest) / root,
          .weight = static_cast<std::int16_t>(weight),
          .root = root};
}

namespace {
Kernels whole(Kernels k, const BookKernels& book) noexcept {
  k.book_encode = book.encode;
  k.book_decode = book.decode;
  k.book_encode_packed = book.encode_packed;
  k.book_decode_packed = book.decode_packed;
  k.row_forward = book.row_forward;
  k.row_backward = book.row_backward;
  return k;
}
}  // namespace

const Kernels& kernels(Isa isa) noexcept {
  switch (isa) {
    case Isa::avx2: {
      static const Kernels k = whole(kKernelsAvx2, kBookAvx2);
      return k;
    }
    case Isa::avx512: {
      static const Kernels k = whole(kKernelsAvx512, kBookAvx512);
      return k;
    }
    case Isa::scalar:
      break;
  }
  return kKernelsScalar;
}

}  // namespace sluice::kv
