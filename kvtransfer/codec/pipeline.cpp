// A codec composed of parts, as a profile describes it.
//
// Blob: header | u32 length of each part | exact rows | parts, each of these beginning at a multiple of 16 bytes. Parts
// are the head runs of the class map in order; they hold the tokens between the exact ones, and there are none if all
// are exact. Exact rows: those of the first tokens, then those of the last, as they are.
#include <algorithm>
#include <cstring>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/blob.h"
#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/parts/part.h"
#include "kvtransfer/codec/profile/class_map.h"

namespace sluice::kv {
namespace {

class Pipeline final : public Codec {
 public:
  Pipeline(std::uint32_t id, const ProfileSpec& p, Isa isa, const CalibrationPtr& calibration) : spec_(p), id_(id) {
    for (const ClassSpec& c : spec_.classes) parts_.push_back(make_part(c, isa, calibration));
  }

  std::uint32_t id() const noexcept override { return id_; }
  std::string_view name() const noexcept override { return spec_.name; }
  bool lossless() const noexcept override { return spec_.lossless(); }

  bool supports(const SegmentShape& s) const noexcept override {
    if (!sane_shape(s) || s.dtype != KvDType::bf16) return false;
    const Layout layout = layout_of(s);
    return std::ranges::all_of(layout.runs,
                               [&](const HeadRun& r) { return parts_[r.use]->supports(part_shape(s, layout, r)); });
  }

  std::size_t max_encoded_size(const SegmentShape& s) const noexcept override {
    const Layout layout = layout_of(s);
    std::size_t n = layout.parts_at(s);
    for (const HeadRun& r : layout.runs) n += align16(parts_[r.use]->max_bytes(part_shape(s, layout, r)));
    return n;
  }

  Result<std::size_t> encode(const SegmentShape& s, const ConstRows& rows, std::span<std::byte> out,
                             CodecScratch& scratch) const override {
    SLUICE_TRY(check_encode(*this, s, out));
    const Layout layout = layout_of(s);
    write_blob_header(out, id_, s);
    std::byte* const begin = out.data();
    std::fill(begin + kBlobHeaderBytes, begin + layout.exact_at(), std::byte{0});
    std::byte* to = begin + layout.exact_at();
    each_exact(s, layout, [&](std::uint32_t r) {
      std::memcpy(to, rows.row(r), s.row_bytes());
      to += s.row_bytes();
    });
    std::size_t used = layout.parts_at(s);
    std::fill(to, begin + used, std::byte{0});
    for (std::size_t i = 0; i < layout.runs.size(); ++i) {
      const PartShape p = part_shape(s, layout, layout.runs[i]);
      scratch.rows_in.clear();
      for (std::uint32_t r = 0; r < p.tokens; ++r)
        scratch.rows_in.push_back(rows.row(layout.exact.head + r) + std::size_t{2} * p.first_head * s.head_dim);
      const std::size_t n = parts_[layout.runs[i].use]->encode(p, scratch.rows_in, begin + used, scratch);
      store_le(begin + kBlobHeaderBytes + 4 * i, static_cast<std::uint32_t>(n));
      std::fill(begin + used + n, begin + used + align16(n), std::byte{0});
      used += align16(n);
    }
    return used;
  }

  Result<> decode(const SegmentShape& s, std::span<const std::byte> in, const MutRows& rows,
                  CodecScratch& scratch) const override {
    if (!supports(s)) return fail(Errc::unsupported, "codec '{}' cannot carry this shape", spec_.name);
    SLUICE_TRY(check_blob_header(in, id_, s));
    const Layout layout = layout_of(s);
    if (in.size() < layout.parts_at(s)) return fail(Errc::data_corrupt, "a segment of only {} bytes", in.size());
    const std::byte* from = in.data() + layout.exact_at();
    each_exact(s, layout, [&](std::uint32_t r) {
      std::memcpy(rows.row(r), from, s.row_bytes());
      from += s.row_bytes();
    });
    std::span<const std::byte> rest = in.subspan(layout.parts_at(s));
    for (std::size_t i = 0; i < layout.runs.size(); ++i) {
      const std::size_t n = load_le<std::uint32_t>(in.data() + kBlobHeaderBytes + 4 * i);
      if (align16(n) > rest.size())
        return fail(Errc::data_corrupt, "part {} of {} bytes, {} are left", i, n, rest.size());
      const PartShape p = part_shape(s, layout, layout.runs[i]);
      scratch.rows_out.clear();
      for (std::uint32_t r = 0; r < p.tokens; ++r)
        scratch.rows_out.push_back(rows.row(layout.exact.head + r) + std::size_t{2} * p.first_head * s.head_dim);
      SLUICE_TRY(parts_[layout.runs[i].use]->decode(p, rest.first(n), scratch.rows_out, scratch));
      rest = rest.subspan(align16(n));
    }
    if (!rest.empty()) return fail(Errc::data_corrupt, "{} bytes after the last part", rest.size());
    return {};
  }

 private:
  /// Where what is of a segment.
  struct Layout {
    std::vector<HeadRun> runs;
    ExactRows exact;
    [[nodiscard]] std::size_t exact_at() const noexcept { return align16(kBlobHeaderBytes + 4 * runs.size()); }
    [[nodiscard]] std::size_t parts_at(const SegmentShape& s) const noexcept {
      return align16(exact_at() + (std::size_t{exact.head} + exact.tail) * s.row_bytes());
    }
  };

  [[nodiscard]] Layout layout_of(const SegmentShape& s) const {
    Layout layout{.exact = exact_rows(spec_, s)};
    if (layout.exact.head + layout.exact.tail < s.tokens) resolve(spec_, s, layout.runs);
    return layout;
  }

  static PartShape part_shape(const SegmentShape& s, const Layout& layout, const HeadRun& r) noexcept {
    return {.tokens = s.tokens - layout.exact.head - layout.exact.tail,
            .heads = r.count,
            .head_dim = s.head_dim,
            .kind = s.kind,
            .layer = s.layer,
            .first_head = r.first};
  }

  template <class Fn>
  static void each_exact(const SegmentShape& s, const Layout& layout, Fn&& fn) {
    for (std::uint32_t r = 0; r < layout.exact.head; ++r) fn(r);
    for (std::uint32_t r = s.tokens - layout.exact.tail; r < s.tokens; ++r) fn(r);
  }

  ProfileSpec spec_;
  std::uint32_t id_;
  std::vector<std::unique_ptr<PartCodec>> parts_;  // by class
};

}  // namespace

std::unique_ptr<Codec> make_pipeline(std::uint32_t id, const ProfileSpec& p, Isa isa,
                                     const CalibrationPtr& calibration) {
  return std::make_unique<Pipeline>(id, p, isa, calibration);
}

}  // namespace sluice::kv
