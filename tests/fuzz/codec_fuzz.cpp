// Any bytes into any decoder, on every instruction set: nothing outside the rows is touched, and all agree.
//
// Input: codec, kind and dtype, tokens, heads, head_dim / 2, 1 if the blob header is to be put right; then the blob.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kvtransfer/codec/blob.h"
#include "kvtransfer/codec/codecs.h"

using namespace sluice::kv;

namespace {

struct Decoded {
  bool ok = false;
  std::vector<std::byte> rows;
};

Decoded decode(const Codec& c, const SegmentShape& s, std::span<const std::byte> blob) {
  // One page per row, each an allocation of its own.
  std::vector<std::unique_ptr<std::byte[]>> pages;
  std::vector<std::byte*> pointers;
  for (std::uint32_t r = 0; r < s.tokens; ++r) {
    pages.push_back(std::make_unique<std::byte[]>(s.row_bytes()));
    pointers.push_back(pages.back().get());
  }
  CodecScratch scratch;
  Decoded d;
  d.ok = c.decode(s, blob, MutRows{pointers, 1, 0, s.row_bytes()}, scratch).has_value();
  if (d.ok)
    for (const auto* p : pointers) d.rows.insert(d.rows.end(), p, p + s.row_bytes());
  return d;
}

void check(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kPrefix = 6;
  if (size < kPrefix) return 0;
  static const auto registries = [] {
    std::vector<std::unique_ptr<CodecRegistry>> all;
    for (const Isa isa : supported_isas()) all.push_back(make_registry(isa));
    return all;
  }();
  const auto codecs = registries[0]->codecs();
  const Codec& reference = *codecs[data[0] % codecs.size()];
  const SegmentShape s{.tokens = 1U + data[2] % 100,
                       .kv_heads = 1U + data[3] % 3,
                       .head_dim = 2U * (1U + data[4] % 80),
                       .dtype = data[1] & 2 ? KvDType::f32 : KvDType::bf16,
                       .kind = data[1] & 1 ? KvKind::value : KvKind::key,
                       .first_token = data[1] & 4 ? 0U : 4096U,
                       .layers = 8,
                       .end_token = data[1] & 8 ? 100U : 1U << 20};
  if (!reference.supports(s)) return 0;
  std::vector<std::byte> blob(size - kPrefix);
  std::memcpy(blob.data(), data + kPrefix, blob.size());
  blob.shrink_to_fit();
  if (data[5] & 1 && blob.size() >= kBlobHeaderBytes) write_blob_header(blob, reference.id(), s);

  const Decoded expected = decode(reference, s, blob);
  for (const auto& registry : registries) {
    const Decoded got = decode(*registry->find(reference.id()), s, blob);
    check(got.ok == expected.ok && got.rows == expected.rows, "instruction sets disagree");
  }
  return 0;
}
