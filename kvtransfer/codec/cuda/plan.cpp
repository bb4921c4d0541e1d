#include "kvtransfer/codec/cuda/plan.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "kvtransfer/codec/blob.h"
#include "kvtransfer/codec/codecs.h"
#include "kvtransfer/codec/kernels/rans_table.h"
#include "kvtransfer/codec/parts/plane_coder.h"
#include "kvtransfer/codec/parts/quant.h"
#include "kvtransfer/codec/parts/signs.h"
#include "kvtransfer/codec/parts/transform.h"
#include "kvtransfer/codec/profile/class_map.h"

namespace sluice::kv::cuda {
namespace {

static_assert(std::is_trivially_copyable_v<Segment> && std::is_trivially_copyable_v<Part> &&
              std::is_trivially_copyable_v<Book>);

bool is_book(const ClassSpec& c) {
  return c.quantizer == QuantizerKind::lloyd || c.quantizer == QuantizerKind::uniform;
}

Result<PartKind> kind_of(const ClassSpec& c) {
  const auto no = [&](std::string_view what) {
    return fail(Errc::unsupported, "class '{}' has {}, which stays with the host", c.name, what);
  };
  if (c.calibrated) return no("calibrated channels");
  if (c.coder == Coder::raw) return PartKind::raw;
  if (c.coder == Coder::split4) return PartKind::split4;
  if (c.coder != Coder::pack && c.coder != Coder::rans) return no("a coder other than raw, split4, pack and rans");
  if (is_book(c)) {
    if (c.coder == Coder::rans && c.levels > 16) return no("rANS with more than 16 levels");
    return PartKind::book;
  }
  if (c.transform != Transform::none) return no("a transform in front of its quantizer");
  if (c.quantizer == QuantizerKind::fp8) return PartKind::fp8;
  if (c.quantizer != QuantizerKind::absmax) return no("quantizer minmax");
  if (c.axis == Axis::channel) return PartKind::absmax8_page;
  return c.levels == 15 ? PartKind::absmax4 : PartKind::absmax8;
}

cuda::Book book_of(const ClassSpec& c, std::uint32_t head_dim) {
  const kv::Book b = make_book(c);
  cuda::Book out{};
  std::ranges::copy(b.value, out.value);
  const bool lloyd = c.quantizer == QuantizerKind::lloyd;
  for (std::uint32_t k = 0; k < 8; ++k) {
    out.cut[k] = lloyd && k + 1 < b.levels / 2 ? b.cut[k] : std::numeric_limits<std::int32_t>::max();
    out.mean[k] = b.mean[k];
  }
  const std::uint32_t block = c.transform == Transform::hadamard ? hadamard_block(head_dim) : 1;
  const BookShape shape = make_book_shape(1, head_dim, block, c.scale, b);
  out.gain = shape.gain;
  out.root = shape.root;
  out.weight = shape.weight;
  out.block = static_cast<float>(block);
  out.levels = b.levels;
  out.bits = b.bits;
  out.uniform = c.quantizer == QuantizerKind::uniform ? 1 : 0;
  out.log8 = c.scale == Scale::log8 ? 1 : 0;
  out.transform = block > 1 ? 1 : 0;
  out.max_scale = book_max_scale(b.kind, block);
  out.zero = b.zero();
  if (lloyd) std::ranges::copy(lloyd_table(b.bits).freq, out.freq);
  return out;
}

class Planner {
 public:
  explicit Planner(const ProfileSpec& p) : profile_(p), id_(codec_id(composition(p, nullptr))) {}

  Result<> add_class(const ClassSpec& c, std::uint32_t head_dim) {
    SLUICE_ASSIGN(const PartKind kind, kind_of(c));
    kinds_.push_back(kind);
    books_.push_back(kind == PartKind::book ? book_of(c, head_dim) : cuda::Book{});
    return {};
  }

  void add_segment(const SegmentShape& s) {
    const ExactRows exact = exact_rows(profile_, s);
    std::vector<HeadRun> runs;
    if (exact.head + exact.tail < s.tokens) resolve(profile_, s, runs);
    Segment g{};
    write_blob_header(std::as_writable_bytes(std::span(g.header)), id_, s);
    g.tokens = s.tokens;
    g.head = exact.head;
    g.tail = exact.tail;
    g.first_part = static_cast<std::uint32_t>(parts_.size());
    g.parts = static_cast<std::uint32_t>(runs.size());
    g.exact_at = static_cast<std::uint32_t>(align16(kBlobHeaderBytes + 4 * runs.size()));
    g.parts_at = static_cast<std::uint32_t>(align16(g.exact_at + std::size_t{exact.head + exact.tail} * s.row_bytes()));
    std::size_t at = g.parts_at;
    for (const HeadRun& r : runs) at += add_part(s, g, r, at);
    g.out_at = out_;
    g.slot_bytes = static_cast<std::uint32_t>(at);
    out_ += at;
    raw_ += s.raw_bytes();
    segments_.push_back(g);
  }

  ChunkPlan finish(const SegmentShape& any) && {
    ChunkPlan plan;
    Image& m = plan.image;
    m = {};
    m.segments_at = append(plan.bytes, std::span<const Segment>(segments_));
    m.parts_at = append(plan.bytes, std::span<const Part>(parts_));
    m.books_at = append(plan.bytes, std::span<const cuda::Book>(books_));
    m.signs_at = append(plan.bytes, std::span<const std::uint32_t>(signs_));
    m.segments = static_cast<std::uint32_t>(segments_.size());
    m.parts = static_cast<std::uint32_t>(parts_.size());
    m.tiles = m.segments + tiles_;
    m.coded_blocks = coded_blocks_;
    m.rans_parts = rans_parts_;
    m.measured_tables = tables_;
    m.moves = moves_;
    m.row_bytes = static_cast<std::uint32_t>(any.row_bytes());
    // The workspace: what parts need, as they counted, then lengths and tables.
    m.lengths_at = work_;
    work_ += align16(4 * std::size_t{coded_blocks_});
    m.tables_at = work_;
    work_ += 16 * std::size_t{tables_};
    plan.head_dim = any.head_dim;
    plan.out_bytes = out_;
    plan.workspace_bytes = work_;
    plan.raw_bytes = raw_;
    return plan;
  }

 private:
  /// Returns the bytes that the part takes at most, filled to 16.
  std::size_t add_part(const SegmentShape& s, Segment& g, const HeadRun& r, std::size_t at) {
    const ClassSpec& c = profile_.classes[r.use];
    Part p{};
    p.kind = kinds_[r.use];
    p.segment = static_cast<std::uint32_t>(segments_.size());
    p.index = static_cast<std::uint32_t>(parts_.size()) - g.first_part;
    p.first_head = r.first;
    p.heads = r.count;
    p.first_row = g.head;
    p.tokens = s.tokens - g.head - g.tail;
    p.book = static_cast<std::uint32_t>(r.use);
    p.bits = p.kind == PartKind::raw ? 16 : p.kind == PartKind::split4 ? 0 : c.bits();
    const std::size_t width = std::size_t{r.count} * s.head_dim, values = width * p.tokens;
    p.codes_at = static_cast<std::uint32_t>(align16(scales(p, c, width)));
    p.bytes = p.codes_at + static_cast<std::uint32_t>(c.coder == Coder::rans ? 0 : values * p.bits / 8);
    p.page = c.page;
    p.pages = pages_of(p.tokens, c.page);
    if (p.kind == PartKind::book && c.transform == Transform::hadamard) draw_signs(s, p);
    p.floating = g.coded;
    p.at = at;
    std::size_t most = p.bytes;
    p.first_block = coded_blocks_;
    p.table = tables_;
    p.first_move = moves_;
    if (c.coder == Coder::rans) most += add_blocks(p, c, width, values);
    if (p.kind == PartKind::split4) most += add_split(p, width, values);
    if (p.floating != 0) {
      p.at = work_;
      work_ += align16(p.bytes);
      p.moves = static_cast<std::uint32_t>((align16(p.bytes) + kMoveBytes - 1) / kMoveBytes);
      moves_ += p.moves;
    }
    p.first_tile = tiles_;
    p.tiles = p.kind == PartKind::split4 ? p.blocks : p.coded == 0 ? tiles(p, width) : 0;
    tiles_ += p.tiles;
    if (p.coded != 0) g.coded = 1;
    parts_.push_back(p);
    return align16(most);
  }

  static std::size_t scales(const Part& p, const ClassSpec& c, std::size_t width) {
    switch (p.kind) {
      case PartKind::raw:
      case PartKind::split4:
        return 0;
      case PartKind::absmax8_page:
        return 2 * width * pages_of(p.tokens, c.page);
      case PartKind::book:
        return scale_bytes(c.scale) * p.heads * p.tokens;
      default:
        return std::size_t{2} * p.heads * p.tokens;
    }
  }

  static std::uint32_t tiles(const Part& p, std::size_t width) {
    const std::size_t vectors = std::size_t{p.tokens} * p.heads;
    if (p.kind == PartKind::absmax8_page)
      return p.pages * static_cast<std::uint32_t>((width + kTileChannels - 1) / kTileChannels);
    return static_cast<std::uint32_t>((vectors + kTileVectors - 1) / kTileVectors);
  }

  /// Returns the bytes that the coded plane takes at most.
  std::size_t add_blocks(Part& p, const ClassSpec& c, std::size_t width, std::size_t values) {
    p.coded = 1;
    ++rans_parts_;
    p.levels = c.levels;
    p.block_tokens = rans_block_rows(width);
    p.blocks = (p.tokens + p.block_tokens - 1) / p.block_tokens;
    coded_blocks_ += p.blocks;
    p.measured = c.quantizer == QuantizerKind::lloyd ? 0 : 1;
    tables_ += p.measured;
    p.slots = work_;
    work_ += std::size_t{p.blocks} * p.block_tokens * width / 2;
    return std::size_t{16} * p.measured + std::size_t{4} * p.blocks + values / 2;
  }

  std::size_t add_split(Part& p, std::size_t width, std::size_t values) {
    p.coded = 1;
    p.block_tokens = static_cast<std::uint32_t>(std::max<std::size_t>(kSplitValues / width, 1));
    p.blocks = (p.tokens + p.block_tokens - 1) / p.block_tokens;
    coded_blocks_ += p.blocks;
    return std::size_t{4} * p.blocks + 2 * values;
  }

  void draw_signs(const SegmentShape& s, Part& p) {
    p.signs = static_cast<std::uint32_t>(signs_.size());
    std::vector<std::uint16_t> drawn(s.head_dim);
    for (std::uint32_t h = 0; h < p.heads; ++h) {
      fill_signs(s.layer, s.kind, p.first_head + h, drawn);
      for (std::size_t i = 0; i < drawn.size(); ++i) {
        if (i % 32 == 0) signs_.push_back(0);
        signs_.back() |= static_cast<std::uint32_t>(drawn[i] >> 15) << i % 32;
      }
    }
  }

  template <class T>
  static std::uint32_t append(std::vector<std::byte>& image, std::span<const T> items) {
    const std::size_t at = align16(image.size());
    image.resize(at + items.size_bytes());
    if (!items.empty()) std::memcpy(image.data() + at, items.data(), items.size_bytes());
    return static_cast<std::uint32_t>(at);
  }

  const ProfileSpec& profile_;
  std::uint32_t id_;
  std::vector<PartKind> kinds_;
  std::vector<cuda::Book> books_;  // by class
  std::vector<Segment> segments_;
  std::vector<Part> parts_;
  std::vector<std::uint32_t> signs_;
  std::uint32_t tiles_ = 0, coded_blocks_ = 0, tables_ = 0, moves_ = 0, rans_parts_ = 0;
  std::size_t out_ = 0, work_ = 0, raw_ = 0;
};

}  // namespace

const Segment& ChunkPlan::segment(std::size_t i) const noexcept {
  return reinterpret_cast<const Segment*>(bytes.data() + image.segments_at)[i];
}
const Part& ChunkPlan::part(std::size_t i) const noexcept {
  return reinterpret_cast<const Part*>(bytes.data() + image.parts_at)[i];
}

Result<ChunkPlan> make_plan(const ProfileSpec& profile, std::span<const SegmentShape> segments) {
  if (segments.empty()) return fail(Errc::invalid_argument, "a chunk without segments");
  if (!profile.codec.empty())
    return fail(Errc::unsupported, "profile '{}' is no composition; it stays with the host", profile.name);
  const SegmentShape& first = segments.front();
  if (first.head_dim != 64 && first.head_dim != 128)
    return fail(Errc::unsupported, "head_dim {}; kernels are there for 64 and 128", first.head_dim);
  Planner planner(profile);
  for (const ClassSpec& c : profile.classes) SLUICE_TRY(planner.add_class(c, first.head_dim));
  for (const SegmentShape& s : segments) {
    if (!sane_shape(s) || s.dtype != KvDType::bf16)
      return fail(Errc::unsupported, "a segment that no composition carries");
    if (s.kv_heads != first.kv_heads || s.head_dim != first.head_dim)
      return fail(Errc::invalid_argument, "segments of one chunk differ in their heads");
    if (s.head_dim * s.kv_heads > kSplitValues)
      return fail(Errc::unsupported, "rows of {} values; kernels take {}", s.head_dim * s.kv_heads, kSplitValues);
    planner.add_segment(s);
  }
  return std::move(planner).finish(first);
}

}  // namespace sluice::kv::cuda
