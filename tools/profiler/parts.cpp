#include "tools/profiler/parts.h"

#include <time.h>

#include <algorithm>
#include <set>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bf16.h"

namespace sluice::profiler {
namespace {

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// One layer's keys or values, cut into segments.
class Plane {
 public:
  Plane(const KvSample& s, std::uint32_t layer, bool value, std::uint32_t segment_tokens)
      : source_(s.data[value ? 1 : 0][layer]), decoded_(source_.size()), row_bytes_(s.row_bytes()), tokens_(s.tokens) {
    for (std::uint32_t q = 0; q < s.sequences; ++q)
      for (std::uint32_t t = 0; t < s.tokens; t += segment_tokens)
        segments_.push_back({.shape = {.tokens = std::min(segment_tokens, s.tokens - t),
                                       .kv_heads = s.kv_heads,
                                       .head_dim = s.head_dim,
                                       .kind = value ? kv::KvKind::value : kv::KvKind::key,
                                       .layer = layer,
                                       .first_token = t,
                                       .layers = s.layers,
                                       .end_token = s.tokens},
                             .at = (std::size_t{q} * s.tokens + t) * s.row_bytes()});
  }

  /// CPU seconds of encoding all segments; wire() holds their bytes.
  Result<double> encode(const kv::Codec& codec) {
    std::size_t most = 0;
    for (const Segment& g : segments_) most += codec.max_encoded_size(g.shape);
    blob_.resize(most);
    const double start = cpu_seconds();
    std::size_t used = 0;
    for (Segment& g : segments_) {
      const std::byte* page = source_.data() + g.at;
      const kv::ConstRows rows{{&page, 1}, g.shape.tokens, 0, g.shape.row_bytes()};
      g.begin = used;
      SLUICE_ASSIGN(g.size, codec.encode(g.shape, rows, std::span(blob_).subspan(used), scratch_));
      used += g.size;
    }
    wire_ = used;
    return cpu_seconds() - start;
  }
  Result<double> decode(const kv::Codec& codec) {
    const double start = cpu_seconds();
    for (const Segment& g : segments_) {
      std::byte* page = decoded_.data() + g.at;
      SLUICE_TRY(codec.decode(g.shape, std::span(blob_).subspan(g.begin, g.size),
                              {{&page, 1}, g.shape.tokens, 0, g.shape.row_bytes()}, scratch_));
    }
    return cpu_seconds() - start;
  }
  [[nodiscard]] std::size_t wire() const noexcept { return wire_; }
  struct Errors {
    double all = 0, first = 0, last = 0;
  };
  /// Squared errors over power.
  [[nodiscard]] Errors errors() const {
    Errors e;
    double power = 0;
    for (std::size_t row = 0; row * row_bytes_ < source_.size(); ++row) {
      double of_row = 0;
      for (std::size_t i = row * row_bytes_; i < (row + 1) * row_bytes_; i += 2) {
        const double x = kv::bf16_to_f32(kv::load_le<std::uint16_t>(source_.data() + i));
        const double y = kv::bf16_to_f32(kv::load_le<std::uint16_t>(decoded_.data() + i));
        of_row += (x - y) * (x - y);
        power += x * x;
      }
      e.all += of_row;
      const std::size_t token = row % tokens_;
      if (token < kSinks)
        e.first += of_row;
      else if (token + kTail >= tokens_)
        e.last += of_row;
    }
    if (power > 0) e.all /= power, e.first /= power, e.last /= power;
    return e;
  }

 private:
  struct Segment {
    kv::SegmentShape shape;
    std::size_t at = 0, begin = 0, size = 0;
  };
  const std::vector<std::byte>& source_;
  std::vector<std::byte> decoded_, blob_;
  std::size_t row_bytes_, tokens_;
  std::vector<Segment> segments_;
  std::size_t wire_ = 0;
  kv::CodecScratch scratch_;
};

}  // namespace

KvSample take_sample(quality::Lab& lab, std::span<const quality::Row> rows, std::uint32_t tokens) {
  const auto& shape = lab.shape();
  KvSample s{.layers = shape.layers,
             .kv_heads = shape.kv_heads,
             .head_dim = shape.head_dim,
             .sequences = static_cast<std::uint32_t>(rows.size()),
             .tokens = tokens,
             .data = {}};
  for (auto& kind : s.data) kind.assign(s.layers, std::vector<std::byte>(s.plane_bytes()));
  for (std::size_t q = 0; q < rows.size(); ++q)
    lab.each_vector(rows[q], tokens,
                    [&](std::uint32_t layer, bool value, std::uint32_t head, std::uint32_t t, const std::byte* v) {
                      const std::size_t at = (q * tokens + t) * s.row_bytes() + std::size_t{head} * shape.head_dim * 2;
                      std::copy_n(v, std::size_t{shape.head_dim} * 2, s.data[value ? 1 : 0][layer].data() + at);
                    });
  return s;
}

Result<PartFigures> measure(const kv::Codec& codec, const KvSample& s, bool value, const MeasureOptions& o) {
  PartFigures f;
  for (std::uint32_t layer = 0; layer < s.layers; ++layer) {
    Plane plane(s, layer, value, o.segment_tokens);
    double encode = 0, decode = 0;
    for (std::uint32_t i = 0; i <= o.repeats; ++i) {
      SLUICE_ASSIGN(const double e, plane.encode(codec));
      SLUICE_ASSIGN(const double d, plane.decode(codec));
      if (i == 0) continue;  // touches the memory and warms the caches
      encode = i == 1 ? e : std::min(encode, e);
      decode = i == 1 ? d : std::min(decode, d);
    }
    f.wire_bytes.push_back(static_cast<double>(plane.wire()));
    const auto errors = plane.errors();
    f.error.push_back(errors.all);
    f.first_error.push_back(errors.first);
    f.last_error.push_back(errors.last);
    f.encode_s.push_back(encode);
    f.decode_s.push_back(decode);
  }
  return f;
}

std::vector<Part> parts_of(const Space& s, std::uint32_t layers) {
  std::set<Part> all;
  for (const Candidate& c : s.candidates)
    for (const std::uint32_t layer : {0U, layers / 2, layers - 1})
      for (const bool value : {false, true}) all.insert(s.part(c, layer, layers, value));
  return {all.begin(), all.end()};
}

Cheap compose(const Space& s, const Candidate& c, const PartTable& parts, std::uint32_t layers,
              std::size_t plane_bytes) {
  Cheap out;
  double wire = 0, encode = 0, decode = 0;
  for (std::uint32_t layer = 0; layer < layers; ++layer)
    for (const bool value : {false, true}) {
      const PartFigures& f = parts.at(s.part(c, layer, layers, value));
      wire += f.wire_bytes[layer];
      encode += f.encode_s[layer];
      decode += f.decode_s[layer];
      (value ? out.value_error : out.key_error).push_back(f.error[layer]);
      out.ends_error[value ? 2 : 0] += f.first_error[layer] / layers;
      out.ends_error[value ? 3 : 1] += f.last_error[layer] / layers;
    }
  const double raw = 2.0 * layers * static_cast<double>(plane_bytes);
  out.ratio = raw / wire;
  out.encode_bytes_per_s = raw / encode;
  out.decode_bytes_per_s = raw / decode;
  return out;
}

}  // namespace sluice::profiler
