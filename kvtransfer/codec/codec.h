#pragma once
// A KV codec turns one segment (K or V of one layer for a token range) into bytes and back.
//
// Threading: const methods are thread-safe; each thread brings its own CodecScratch.
// Failure: encode fails only on a shape the codec cannot carry (unsupported). decode treats its input as hostile: the
// decoded size is fixed by `shape`, never by the bytes; a bad input gives data_corrupt and unspecified rows, never a
// read or write out of bounds.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"
#include "kvtransfer/codec/parts/scratch.h"
#include "kvtransfer/kv_layout.h"

namespace sluice::kv {

class Codec {
 public:
  virtual ~Codec() = default;
  [[nodiscard]] virtual std::uint32_t id() const noexcept = 0;  // number in the wire header; same number, same bytes
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;  // "raw", "q8", ...
  [[nodiscard]] virtual bool lossless() const noexcept = 0;
  [[nodiscard]] virtual bool supports(const SegmentShape& s) const noexcept = 0;
  /// Upper bound of encode()'s result for a shape.
  [[nodiscard]] virtual std::size_t max_encoded_size(const SegmentShape& s) const noexcept = 0;
  /// Writes the segment to out (at least max_encoded_size bytes) and returns the bytes used.
  [[nodiscard]] virtual Result<std::size_t> encode(const SegmentShape& s, const ConstRows& rows,
                                                   std::span<std::byte> out, CodecScratch& scratch) const = 0;
  /// Reads exactly in.size() bytes into rows of the negotiated shape.
  [[nodiscard]] virtual Result<> decode(const SegmentShape& s, std::span<const std::byte> in, const MutRows& rows,
                                        CodecScratch& scratch) const = 0;
};

/// A named way to send KV, with its stated quality.
struct Profile {
  std::string name;
  const Codec* codec = nullptr;
  double stated_kl = 0.0;      // mean KL(bf16 || profile) on the reference model and texts; 0 = exact
  double nominal_ratio = 1.0;  // raw bytes / wire bytes on bf16 KV, before anything was measured here
  bool comparator = false;     // to be measured beside the others, not offered to requests
};

/// All codecs and profiles of this build; immutable after start, owned by the caller of make_registry().
class CodecRegistry {
 public:
  virtual ~CodecRegistry() = default;
  [[nodiscard]] virtual const Codec* find(std::uint32_t id) const noexcept = 0;
  [[nodiscard]] virtual const Profile* profile(std::string_view name) const noexcept = 0;
  [[nodiscard]] virtual std::span<const Profile> profiles() const noexcept = 0;
  [[nodiscard]] virtual std::span<const Codec* const> codecs() const noexcept = 0;
  /// Digest of every profile's name and codec id; part of the ticket, so that both ends speak the same bytes.
  [[nodiscard]] virtual std::uint64_t format_hash() const noexcept = 0;
};
/// The profiles of this build on the fastest instruction set of this processor.
[[nodiscard]] std::unique_ptr<CodecRegistry> make_registry();
/// As a node loads them: profiles from a JSON file (docs/codecs.md), or those of this build where it is empty, and the
/// model's calibration from model_dir/kv_calibration.json where there is one; without it, profiles that need it are
/// left out. Fails if a file cannot be read or what is in it is wrong.
[[nodiscard]] Result<std::unique_ptr<CodecRegistry>> load_registry(const std::string& model_dir,
                                                                   const std::string& profiles_file);

}  // namespace sluice::kv
