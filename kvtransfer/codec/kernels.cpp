#include "kvtransfer/codec/kernels.h"

#include "kvtransfer/codec/kernel_tables.h"

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

const Kernels& kernels(Isa isa) noexcept {
  switch (isa) {
    case Isa::avx2:
      return kKernelsAvx2;
    case Isa::avx512: {
      static const Kernels whole = [] {
        Kernels k = kKernelsAvx512;
        k.book_encode = kBookAvx512.encode;
        k.book_decode = kBookAvx512.decode;
        k.book_encode_packed = kBookAvx512.encode_packed;
        k.book_decode_packed = kBookAvx512.decode_packed;
        k.row_forward = kBookAvx512.row_forward;
        k.row_backward = kBookAvx512.row_backward;
        return k;
      }();
      return whole;
    }
    case Isa::scalar:
      break;
  }
  return kKernelsScalar;
}

}  // namespace sluice::kv
