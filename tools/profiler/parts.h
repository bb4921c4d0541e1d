#pragma once
// The cheap figures: bytes, error and seconds of each part (one class on keys or values) on real KV, by layer. Segments
// are coded apart from one another, so a candidate's bytes and errors are its parts' exactly; its seconds are their
// sum.
//
// Threading: one thread, whose CPU time is what is measured.
#include <map>

#include "kvtransfer/codec/codecs.h"
#include "tools/profiler/space.h"
#include "tools/quality/lab.h"

namespace sluice::profiler {

/// KV of some prompts as the engine made it, by kind and layer: [sequences, tokens, kv_heads, head_dim] bf16.
struct KvSample {
  std::uint32_t layers = 0, kv_heads = 0, head_dim = 0, sequences = 0, tokens = 0;
  std::array<std::vector<std::vector<std::byte>>, 2> data;
  [[nodiscard]] std::size_t row_bytes() const noexcept { return std::size_t{kv_heads} * head_dim * 2; }
  /// Of one layer's keys or values.
  [[nodiscard]] std::size_t plane_bytes() const noexcept { return row_bytes() * sequences * tokens; }
};
[[nodiscard]] KvSample take_sample(quality::Lab& lab, std::span<const quality::Row> rows, std::uint32_t tokens);

/// By layer.
struct PartFigures {
  std::vector<double> wire_bytes, encode_s, decode_s;
  std::vector<double> error;                    // squared, over power
  std::vector<double> first_error, last_error;  // the part of it in the first kSinks and the last kTail tokens
};

struct MeasureOptions {
  std::uint32_t segment_tokens = 256;
  std::uint32_t repeats = 3;  // the least CPU time of these counts
};

/// What a codec does to the sample's keys or values, as segments of a transfer.
[[nodiscard]] Result<PartFigures> measure(const kv::Codec& codec, const KvSample& s, bool value,
                                          const MeasureOptions& o);

/// One candidate, composed of its parts.
struct Cheap {
  double ratio = 0;
  double encode_bytes_per_s = 0, decode_bytes_per_s = 0;  // raw bytes, one core
  std::vector<double> key_error, value_error;             // by layer
  std::array<double, 4> ends_error{};                     // means over layers: keys first, last; values first, last
  /// Raw bytes over encode and decode together, as one core after the other would take them.
  [[nodiscard]] double speed() const { return 1 / (1 / encode_bytes_per_s + 1 / decode_bytes_per_s); }
};

using PartTable = std::map<Part, PartFigures>;
/// Every part that some candidate needs, in a fixed order.
[[nodiscard]] std::vector<Part> parts_of(const Space& s, std::uint32_t layers);
/// All of c's parts must be in the table.
[[nodiscard]] Cheap compose(const Space& s, const Candidate& c, const PartTable& parts, std::uint32_t layers,
                            std::size_t plane_bytes);

}  // namespace sluice::profiler
