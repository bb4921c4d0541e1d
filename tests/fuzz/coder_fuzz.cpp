// Any bytes into the entropy decoders, on every instruction set: nothing outside the output is touched, and all agree.
//
// Input: what (0 split4, 1 exponent rANS, else a plane of that many levels + 1), rows or blocks, width or block, table
// (0 measured, 1 Lloyd-Max where it fits); then the part or plane.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "kvtransfer/codec/parts/lossless.h"
#include "kvtransfer/codec/parts/symbol_plane.h"

using namespace sluice;
using namespace sluice::kv;

namespace {

using Decoded = std::optional<std::vector<std::uint8_t>>;

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

Decoded part(const PartCodec& codec, const PartShape& p, std::span<const std::byte> in) {
  std::vector<std::unique_ptr<std::byte[]>> rows;
  std::vector<std::byte*> pointers;
  for (std::uint32_t t = 0; t < p.tokens; ++t) {
    rows.push_back(std::make_unique<std::byte[]>(2 * p.width()));
    pointers.push_back(rows.back().get());
  }
  CodecScratch scratch;
  if (!codec.decode(p, in, pointers, scratch)) return std::nullopt;
  std::vector<std::uint8_t> all;
  for (const std::byte* r : pointers)
    for (std::size_t i = 0; i < 2 * p.width(); ++i) all.push_back(static_cast<std::uint8_t>(r[i]));
  return all;
}

Decoded plane(const CoderKernels& k, const PlaneSpec& spec, std::span<const std::byte> in) {
  auto reader = SymbolReader::open(k, spec, in);
  if (!reader) return std::nullopt;
  std::vector<std::uint8_t> symbols(spec.total);
  symbols.shrink_to_fit();
  if (!reader->block(symbols) || !reader->finish()) return std::nullopt;
  for (const std::uint8_t s : symbols) check(s < spec.levels, "a symbol beyond the levels");
  return symbols;
}

Decoded decode(Isa isa, const std::uint8_t* head, std::span<const std::byte> in) {
  if (head[0] < 2) {
    const PartShape p{.tokens = 1U + head[1], .heads = 1, .head_dim = 2U * (1U + head[2])};
    return part(head[0] == 0 ? *make_split4_part(isa) : *make_exp_rans_part(isa), p, in);
  }
  PlaneSpec spec{.levels = head[0] + 1U, .block_symbols = 1U + 16U * head[2]};
  spec.total = std::size_t{spec.block_symbols} * (1U + head[1] % 8) - head[2] / 2;
  const unsigned bits = spec.levels == 4 ? 2 : spec.levels == 8 ? 3 : spec.levels == 16 ? 4 : 0;
  if ((head[3] & 1) && bits) spec.fixed = &lloyd_table(bits);
  return plane(coder_kernels(isa), spec, in);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kHead = 4;
  if (size < kHead) return 0;
  std::vector<std::byte> in(size - kHead);
  if (!in.empty()) std::memcpy(in.data(), data + kHead, in.size());
  in.shrink_to_fit();
  const Decoded expected = decode(Isa::scalar, data, in);
  for (const Isa isa : supported_isas()) check(decode(isa, data, in) == expected, "instruction sets disagree");
  return 0;
}
