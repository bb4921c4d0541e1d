#pragma once
// The fixed-rate kernels: one launch over all segments of a chunk. Block i < segments writes (or checks) segment i's
// frame: header, lengths, fill and exact rows. The blocks behind take kTileVectors vectors of a part each, or a page of
// kTileChannels channels of absmax by channel.
#include "kvtransfer/codec/cuda/split.cuh"
#include "kvtransfer/codec/cuda/vectors.cuh"

namespace sluice::kv::cuda {

/// A thread block does one of these at a time.
struct PageShared {
  std::uint32_t maxima[32 * kTileChannels / 2];
  float inverse[kTileChannels];
};
union Shared {
  Book book;
  PageShared page;
  SplitShared split;
};

template <class X>
SLUICE_DEVICE void share_book(X& x, const Image& m, const Part& p, Book* to) {
  if (p.kind == PartKind::book) {
    const auto* from = reinterpret_cast<const std::uint32_t*>(&book_at(m, p.book));
    for (std::uint32_t i = x.thread(); i < sizeof(Book) / 4; i += x.threads())
      reinterpret_cast<std::uint32_t*>(to)[i] = from[i];
  }
  x.sync_block();
}

SLUICE_DEVICE std::uint32_t scale_width(const Part& p, const Book& b) {
  return p.kind == PartKind::book && b.log8 ? 1 : 2;
}

/// Bytes of a vector's codes.
template <int D>
SLUICE_DEVICE std::uint32_t code_bytes(const Part& p) {
  return D * p.bits / 8;
}

// ---- encoding
// ----------------------------------------------------------------------------------------------------------

/// Everything of a blob but its parts. Lengths of coded parts are not known yet: pack_chunk() writes them.
template <class X>
SLUICE_DEVICE void encode_frame(X& x, const Image& m, const PageTable& t, std::uint32_t index, std::uint8_t* out,
                                BlobRef* blobs) {
  const Segment& s = segment_at(m, index);
  std::uint8_t* blob = out + s.out_at;
  for (std::uint32_t i = x.thread(); i < 16; i += x.threads()) blob[i] = s.header[i];
  if (!s.coded)
    for (std::uint32_t i = x.thread(); i < s.parts; i += x.threads())
      store_as(blob + 16 + 4 * i, part_at(m, s.first_part + i).bytes);
  fill_zero(x, blob, 16 + 4 * std::uint64_t{s.parts}, s.exact_at);
  for (std::uint32_t i = 0; i < s.head + s.tail; ++i) {
    const std::uint32_t row = i < s.head ? i : s.tokens - s.tail + (i - s.head);
    copy_row(x, row_at(m, t, index, row), blob + s.exact_at + std::uint64_t{i} * m.row_bytes, m.row_bytes);
  }
  if (x.thread() == 0 && !s.coded) {
    blobs[index].offset = s.out_at;
    blobs[index].size = s.slot_bytes;
    blobs[index].reserved = 0;
  }
}

/// Where a part's bytes go; those of floating parts are moved from the workspace later.
SLUICE_DEVICE std::uint8_t* part_out(const Image& m, const Part& p, std::uint8_t* out, std::uint8_t* workspace) {
  return p.floating ? workspace + p.at : out + segment_at(m, p.segment).out_at + p.at;
}

/// What stands in front of a vector's codes is written by its quad; the fill behind scales and codes by the part's
/// first block.
template <int D, class X>
SLUICE_DEVICE void encode_fill(X& x, const Part& p, std::uint32_t scale_bytes, std::uint8_t* to) {
  fill_zero(x, to, scale_bytes, p.codes_at);
  fill_zero(x, to, p.bytes, up16(p.bytes));
}

template <int D, class X>
SLUICE_DEVICE void encode_vectors(X& x, const Image& m, const PageTable& t, const Part& p, std::uint32_t tile,
                                  std::uint8_t* to, Shared& shared) {
  const std::uint32_t vectors = p.tokens * p.heads, quads = x.threads() / 4;
  const int lane = x.lane() & 3;
  const std::uint32_t width = scale_width(p, shared.book);
  if (tile == 0 && p.kind != PartKind::raw) encode_fill<D>(x, p, width * vectors, to);
  for (std::uint32_t i = 0; i < kTileVectors; i += quads) {
    const std::uint32_t wanted = tile * kTileVectors + i + x.thread() / 4;
    // Quads beyond the end repeat the last vector, since whole warps shuffle: the same bytes to the same place.
    const std::uint32_t v = least(wanted, vectors - 1), token = v / p.heads, head = v % p.heads;
    const std::uint8_t* from =
        row_at(m, t, p.segment, p.first_row + token) + std::size_t{p.first_head + head} * (2 * D);
    std::uint32_t pairs[Quad<D>::kPairs];
    load_runs<D>(from, lane, pairs);
    if (p.kind == PartKind::raw) {
      store_runs<D>(to + std::size_t{v} * (2 * D), lane, pairs);
      continue;
    }
    std::uint8_t* scale = to + std::size_t{v} * width;
    std::uint8_t* codes = to + p.codes_at + std::size_t{v} * code_bytes<D>(p);
    if (p.kind != PartKind::book) {
      encode_absmax<D>(x, p.kind, pairs, scale, codes);
      continue;
    }
    std::uint32_t signs[Quad<D>::kWords] = {}, s[2 * Quad<D>::kWords];
    if (shared.book.transform) load_signs<D>(signs_at<D>(m, p, head), lane, signs);
    const std::uint32_t bits = encode_book<D>(x, shared.book, signs, pairs, s);
    if (lane == 0) {
      if (width == 1)
        *scale = static_cast<std::uint8_t>(bits);
      else
        store_as(scale, static_cast<std::uint16_t>(bits));
    }
    pack_symbols<D>(x, p.bits, s, codes);
  }
}

/// A thread holds 16 channels of every 32nd row. Rows are read twice; the second time from the first-level cache.
struct PageTile {
  std::uint32_t page, first, rows, channel, count;  // count: channels of this thread, 16 or 0
  std::uint32_t columns, lane_row;                  // threads side by side; which row comes first
};
template <int D, class X>
SLUICE_DEVICE PageTile page_tile(X& x, const Part& p, std::uint32_t tile) {
  const std::uint32_t width = p.heads * D, across = (width + kTileChannels - 1) / kTileChannels;
  PageTile g;
  g.page = tile / across;
  g.first = g.page * p.page;
  g.rows = g.page + 1 == p.pages ? p.tokens - g.first : p.page;
  g.columns = kTileChannels / 16;
  g.channel = tile % across * kTileChannels + 16 * (x.thread() % g.columns);
  g.count = g.channel < width ? 16 : 0;
  g.lane_row = x.thread() / g.columns;
  return g;
}

template <int D, class X>
SLUICE_DEVICE void encode_page(X& x, const Image& m, const PageTable& t, const Part& p, std::uint32_t tile,
                               std::uint8_t* to, Shared& shared) {
  const PageTile g = page_tile<D>(x, p, tile);
  const std::uint32_t width = p.heads * D, column = x.thread() % g.columns;
  const std::size_t channel_at = 2 * (std::size_t{p.first_head} * D + g.channel);
  if (tile == 0) encode_fill<D>(x, p, 2 * width * p.pages, to);
  std::uint32_t most[8] = {}, w[8];
  if (g.count != 0)
    for (std::uint32_t r = g.lane_row; r < g.rows; r += 32) {
      load_words<8>(row_at(m, t, p.segment, p.first_row + g.first + r) + channel_at, w);
      SLUICE_UNROLL
      for (int i = 0; i < 8; ++i) most[i] = max_halves(most[i], w[i] & 0x7fff7fffU);
    }
  SLUICE_UNROLL
  for (int i = 0; i < 8; ++i) shared.page.maxima[g.lane_row * (kTileChannels / 2) + 8 * column + i] = most[i];
  x.sync_block();
  if (x.thread() < kTileChannels / 2) {
    std::uint32_t both = 0;
    for (int r = 0; r < 32; ++r) both = max_halves(both, shared.page.maxima[r * (kTileChannels / 2) + x.thread()]);
    const std::uint32_t low = scale_under(both & 0xffffU, 1.0F / 127.0F), high = scale_under(both >> 16, 1.0F / 127.0F);
    shared.page.inverse[2 * x.thread()] = inverse_of(low);
    shared.page.inverse[2 * x.thread() + 1] = inverse_of(high);
    const std::uint32_t channel = g.channel - 16 * column + 2 * x.thread();
    if (channel < width) store_as(to + 2 * (std::size_t{g.page} * width + channel), low | high << 16);
  }
  x.sync_block();
  if (g.count == 0) return;
  float inverse[16];
  SLUICE_UNROLL
  for (int i = 0; i < 16; ++i) inverse[i] = shared.page.inverse[16 * column + i];
  for (std::uint32_t r = g.lane_row; r < g.rows; r += 32) {
    load_words<8>(row_at(m, t, p.segment, p.first_row + g.first + r) + channel_at, w);
    std::uint32_t codes[4];
    SLUICE_UNROLL
    for (int i = 0; i < 4; ++i) {
      codes[i] = 0;
      SLUICE_UNROLL
      for (int j = 0; j < 4; ++j) {
        const std::uint32_t pair = w[2 * i + j / 2];
        const float v = j % 2 ? high_half(pair) : low_half(pair);
        codes[i] |= (static_cast<std::uint32_t>(quantize_under(v, inverse[4 * i + j], 127.0F)) & 0xffU) << 8 * j;
      }
    }
    store_words<4>(to + p.codes_at + std::size_t{g.first + r} * width + g.channel, codes);
  }
}

template <int D, class X>
SLUICE_DEVICE void encode_chunk(X& x, const Image& m, const PageTable& t, std::uint8_t* out, BlobRef* blobs,
                                std::uint8_t* workspace, Shared& shared) {
  if (x.block() < m.segments) return encode_frame(x, m, t, x.block(), out, blobs);
  const Part& p = part_at(m, find_part(m, x.block() - m.segments, [](const Part& q) { return q.first_tile; }));
  const std::uint32_t tile = x.block() - m.segments - p.first_tile;
  share_book(x, m, p, &shared.book);
  std::uint8_t* to = part_out(m, p, out, workspace);
  if (p.kind == PartKind::split4)
    count_split<D>(x, m, t, p, tile, workspace, shared.split);
  else if (p.kind == PartKind::absmax8_page)
    encode_page<D>(x, m, t, p, tile, to, shared);
  else
    encode_vectors<D>(x, m, t, p, tile, to, shared);
}

// ---- decoding
// ----------------------------------------------------------------------------------------------------------

template <class X>
SLUICE_DEVICE void decode_frame(X& x, const Image& m, const PageTable& t, std::uint32_t index, const Encoded& e,
                                std::uint32_t* error) {
  const Segment& s = segment_at(m, index);
  Place blob{}, rest{};
  DecodeError wrong = find_blob(e, s, index, blob);
  if (wrong == DecodeError::none) {
    for (int i = 0; i < 16; ++i)
      if (blob.begin[i] != s.header[i]) wrong = DecodeError::header;
  }
  if (wrong == DecodeError::none) wrong = find_part_bytes(m, s, blob, s.parts, rest);
  if (wrong == DecodeError::none && rest.size != 0) wrong = DecodeError::lengths;
  if (wrong != DecodeError::none) {
    if (x.thread() == 0) x.flag(error, wrong);
    return;
  }
  for (std::uint32_t i = 0; i < s.head + s.tail; ++i) {
    const std::uint32_t row = i < s.head ? i : s.tokens - s.tail + (i - s.head);
    copy_row(x, blob.begin + s.exact_at + std::uint64_t{i} * m.row_bytes, row_at(m, t, index, row), m.row_bytes);
  }
}

template <int D, class X>
SLUICE_DEVICE void decode_vectors(X& x, const Image& m, const PageTable& t, const Part& p, std::uint32_t tile,
                                  const std::uint8_t* in, Shared& shared, std::uint32_t* error) {
  const std::uint32_t vectors = p.tokens * p.heads, quads = x.threads() / 4;
  const int lane = x.lane() & 3;
  const std::uint32_t width = scale_width(p, shared.book);
  const std::uint32_t max_scale = p.kind == PartKind::book ? shared.book.max_scale : kMaxAbsmaxScale;
  for (std::uint32_t i = 0; i < kTileVectors; i += quads) {
    const std::uint32_t wanted = tile * kTileVectors + i + x.thread() / 4;
    const std::uint32_t v = least(wanted, vectors - 1), token = v / p.heads, head = v % p.heads;
    std::uint8_t* to = row_at(m, t, p.segment, p.first_row + token) + std::size_t{p.first_head + head} * (2 * D);
    std::uint32_t pairs[Quad<D>::kPairs];
    if (p.kind == PartKind::raw) {
      load_runs<D>(in + std::size_t{v} * (2 * D), lane, pairs);
      store_runs<D>(to, lane, pairs);
      continue;
    }
    const std::uint8_t* at = in + std::size_t{v} * width;
    const std::uint8_t* codes = in + p.codes_at + std::size_t{v} * code_bytes<D>(p);
    std::uint32_t bits = width == 1 ? *at : load_as<std::uint16_t>(at);
    if (width == 2 && !scale_is_good(bits, max_scale)) {
      x.flag(error, DecodeError::scale);
      bits = 0;
    }
    const float scale = width == 1 ? log8_meaning(bits) : from_bf16(bits);
    if (p.kind != PartKind::book) {
      decode_absmax<D>(x, p.kind, scale, codes, pairs);
    } else {
      std::uint32_t signs[Quad<D>::kWords] = {}, s[2 * Quad<D>::kWords];
      if (shared.book.transform) load_signs<D>(signs_at<D>(m, p, head), lane, signs);
      unpack_symbols<D>(x, p.bits, codes, s);
      decode_book<D>(x, shared.book, signs, scale, s, pairs);
    }
    store_runs<D>(to, lane, pairs);
  }
}

template <int D, class X>
SLUICE_DEVICE void decode_page(X& x, const Image& m, const PageTable& t, const Part& p, std::uint32_t tile,
                               const std::uint8_t* in, std::uint32_t* error) {
  const PageTile g = page_tile<D>(x, p, tile);
  if (g.count == 0) return;
  const std::uint32_t width = p.heads * D;
  const std::size_t channel_at = 2 * (std::size_t{p.first_head} * D + g.channel);
  std::uint32_t w[8];
  float scale[16];
  load_words<8>(in + 2 * (std::size_t{g.page} * width + g.channel), w);
  bool good = true;
  SLUICE_UNROLL
  for (int i = 0; i < 8; ++i) {
    good = good && scale_is_good(w[i] & 0xffffU, kMaxAbsmaxScale) && scale_is_good(w[i] >> 16, kMaxAbsmaxScale);
    scale[2 * i] = low_half(w[i]), scale[2 * i + 1] = high_half(w[i]);
  }
  if (!good) return x.flag(error, DecodeError::scale);
  for (std::uint32_t r = g.lane_row; r < g.rows; r += 32) {
    std::uint32_t codes[4];
    load_words<4>(in + p.codes_at + std::size_t{g.first + r} * width + g.channel, codes);
    SLUICE_UNROLL
    for (int i = 0; i < 8; ++i) {
      const auto q = [&](int j) {
        return static_cast<float>(static_cast<std::int8_t>(codes[i / 2] >> 8 * (2 * (i % 2) + j) & 0xffU));
      };
      w[i] = to_bf16(q(0) * scale[2 * i]) | to_bf16(q(1) * scale[2 * i + 1]) << 16;
    }
    store_words<8>(row_at(m, t, p.segment, p.first_row + g.first + r) + channel_at, w);
  }
}

template <int D, class X>
SLUICE_DEVICE void decode_chunk(X& x, const Image& m, const PageTable& t, const Encoded& e, Shared& shared,
                                std::uint32_t* error) {
  if (x.block() < m.segments) return decode_frame(x, m, t, x.block(), e, error);
  const Part& p = part_at(m, find_part(m, x.block() - m.segments, [](const Part& q) { return q.first_tile; }));
  const std::uint32_t tile = x.block() - m.segments - p.first_tile;
  share_book(x, m, p, &shared.book);
  const Segment& s = segment_at(m, p.segment);
  Place blob{}, part{};
  // The frame's block reports what is wrong; here it is enough to keep away.
  if (find_blob(e, s, p.segment, blob) != DecodeError::none ||
      find_part_bytes(m, s, blob, p.index, part) != DecodeError::none)
    return;
  if (p.kind == PartKind::split4) {
    const DecodeError wrong = decode_split<D>(x, m, t, p, tile, part, shared.split);
    if (wrong != DecodeError::none && x.thread() == 0) x.flag(error, wrong);
  } else if (p.kind == PartKind::absmax8_page) {
    decode_page<D>(x, m, t, p, tile, part.begin, error);
  } else {
    decode_vectors<D>(x, m, t, p, tile, part.begin, shared, error);
  }
}

}  // namespace sluice::kv::cuda
