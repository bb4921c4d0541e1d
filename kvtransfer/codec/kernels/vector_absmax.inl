// absmax over vectors, after vector.inl and generic_absmax.inl. What does not fill vectors goes to the generic code.

/// As absmax8_quantize(), kWords values to 16 bits (not in order); +infinity and NaN become `most` here, -infinity and
/// what is below -most the caller's business.
inline I quantize_words(I x, F inverse_even, F inverse_odd, F most) {
  return pack32(to_int(min(mul(even(x), inverse_even), most)), to_int(min(mul(odd(x), inverse_odd), most)));
}

inline I quantize8(const std::byte* x, const F (&inverse)[4]) {
  const F most = set(127.0F);
  const I a = quantize_words(load(x), inverse[0], inverse[1], most);
  const I b = quantize_words(load(x + kBytes), inverse[2], inverse[3], most);
  return order_bytes(max8(pack16(a, b), set8(-127)));
}

/// As absmax8_scale() and inverse_of() of kWords channels.
inline void absmax8_scales(I absmax, std::byte* scales, float* inverses) {
  const I m = min_u16(absmax, set16(kBf16Max));
  const auto bits = [](F largest) {
    const I up = shr32<16>(add32(as_i(mul(largest, set(1.0F / 127.0F))), set32(0xffff)));
    return zero_below(min_u32(up, set32(kAbsmaxMaxScale)), set32(kBf16MinNormal));
  };
  const I e = bits(even(m)), o = bits(odd(m));
  store(scales, or_i(e, shl32<16>(o)));
  store_f(inverses, inverse_or_zero(as_f(shl32<16>(e))));
  store_f(inverses + kFloats, inverse_or_zero(as_f(shl32<16>(o))));
}

/// Two passes over rows that stay in the second-level cache; the second has time to fetch the next page. It asks for
/// that page's lines as for its own, into the first level: they fall from there into the second. Asked into the second
/// they come a sixth slower.
void absmax8_page_encode(RowsIn rows, std::uint32_t channels, std::byte* scales, std::byte* q) {
  constexpr std::uint32_t kTile = 1024;
  alignas(64) std::uint16_t absmax[kTile];
  alignas(64) float inverse[kTile];
  const std::uint32_t whole = channels / kBytes * kBytes;
  const bool one_tile = channels == whole && whole <= kTile;
  for (std::uint32_t c0 = 0; c0 < whole; c0 += kTile) {
    const std::uint32_t w = std::min(kTile, whole - c0);
    const std::size_t at = 2 * std::size_t{c0};
    std::fill_n(absmax, w, std::uint16_t{0});
    const I abs = set16(kBf16Abs);
    for (std::uint32_t r = 0; r < rows.n; r += 4) {
      const std::byte* x[4];
      const std::byte* next[4];
      for (std::uint32_t i = 0; i < 4; ++i) {
        x[i] = rows.at[std::min(r + i, rows.n - 1)] + at;
        next[i] = rows.at[std::min(r + i + 4, rows.n - 1)] + at;
      }
      for (std::uint32_t c = 0; c < w; c += kWords) {
        const std::size_t i = 2 * std::size_t{c};
        for (const std::byte* row : next) prefetch(row + i, kBytes);
        const I ab = max_u16(and_i(load(x[0] + i), abs), and_i(load(x[1] + i), abs));
        const I cd = max_u16(and_i(load(x[2] + i), abs), and_i(load(x[3] + i), abs));
        store(absmax + c, max_u16(load(absmax + c), max_u16(ab, cd)));
      }
    }
    for (std::uint32_t c = 0; c < w; c += kWords) absmax8_scales(load(absmax + c), scales + at + 2 * c, inverse + c);
    Lines<kTile> lines(q, rows.stream && one_tile);
    for (std::uint32_t r = 0; r < rows.n; ++r) {
      const std::byte* x = rows.at[r] + at;
      const std::uint32_t last = rows.n + rows.ahead - 1;
      const std::byte* soon = rows.at[std::min(r + kAheadRows, rows.n - 1)] + at;
      const std::byte* next = rows.at[std::min(rows.n + r, last)] + at;
      ask_translation(rows.at[std::min(rows.n + r + kTranslateRows, last)]);
      std::byte* out = one_tile ? lines.room() : q + std::size_t{r} * channels + c0;
      for (std::uint32_t c = 0; c < w; c += kBytes) {
        const F by[4] = {load_f(inverse + c), load_f(inverse + c + kFloats), load_f(inverse + c + 2 * kFloats),
                         load_f(inverse + c + 3 * kFloats)};
        prefetch(next + 2 * c, 2 * kBytes);
        prefetch(soon + 2 * c, 2 * kBytes);
        store(out + c, quantize8(x + 2 * std::size_t{c}, by));
      }
      if (one_tile) lines.add(w);
    }
  }
  absmax8_page_encode_range(rows.at, rows.n, channels, whole, channels, scales, q);
}

template <bool kStream>
inline void dequantize8(const std::byte* q, F scale_low, F scale_high, std::byte* x) {
  put<kStream>(x, narrow(mul(to_float(extend_s8(q)), scale_low), mul(to_float(extend_s8(q + kFloats)), scale_high)));
}

void absmax8_page_decode(const std::byte* scales, const std::byte* q, std::uint32_t channels, RowsOut rows) {
  constexpr std::uint32_t kTile = 1024;
  alignas(64) float scale[kTile];
  const std::uint32_t whole = channels / kWords * kWords;
  for (std::uint32_t c0 = 0; c0 < whole; c0 += kTile) {
    const std::uint32_t w = std::min(kTile, whole - c0);
    for (std::uint32_t c = 0; c < w; c += kFloats) store_f(scale + c, widen(scales + 2 * (std::size_t{c0} + c)));
    write_rows(rows, [&](std::size_t r, std::byte* row, auto streaming) {
      const std::byte* in = q + r * channels + c0;
      std::byte* out = row + 2 * std::size_t{c0};
      for (std::uint32_t c = 0; c < w; c += kWords)
        dequantize8<streaming.value>(in + c, load_f(scale + c), load_f(scale + c + kFloats), out + 2 * std::size_t{c});
    });
  }
  absmax8_page_decode_range(scales, q, rows.n, channels, whole, channels, rows.at);
}

/// Calls fn(r, x, n, inverse, code index of the first head) for groups of heads, the scales of which it writes.
template <class Fn>
inline void absmax_rows(RowsIn rows, std::uint32_t heads, std::uint32_t head_dim, float one_over_top, std::byte* scales,
                        Fn&& fn) {
  constexpr std::uint32_t kGroup = 8;
  const std::uint32_t head_bytes = 2 * head_dim;
  for (std::uint32_t r = 0; r < rows.n; ++r) {
    const std::byte* next = row_ahead(rows, r);
    for (std::uint32_t first = 0; first < heads; first += kGroup) {
      const std::uint32_t n = std::min(kGroup, heads - first);
      const std::size_t at = std::size_t{r} * heads + first;
      const std::byte* x = rows.at[r] + std::size_t{first} * head_bytes;
      float inverse[kGroup];
      for (std::uint32_t h = 0; h < n; ++h) {
        I m = zero();
        for (std::uint32_t i = 0; i < head_bytes; i += kBytes)
          m = max_u16(m, and_i(load(x + std::size_t{h} * head_bytes + i), set16(kBf16Abs)));
        const std::uint16_t s = scale_under(max_of_u16(m), one_over_top);
        store_bf16(scales, at + h, s);
        inverse[h] = inverse_of(s);
      }
      for (std::uint32_t h = 0; h < n; ++h) {
        const std::size_t from = std::size_t{first + h} * head_bytes;
        prefetch(next + from, head_bytes);
        fn(rows.at[r] + from, inverse[h], at + h);
      }
    }
  }
}

void absmax8_encode(RowsIn rows, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales, std::byte* q) {
  if (head_dim % kBytes != 0) return encode_rows<absmax8_row_encode, 8>(rows, heads, head_dim, scales, q);
  absmax_rows(rows, heads, head_dim, 1.0F / 127.0F, scales, [&](const std::byte* x, float inverse, std::size_t at) {
    const F v = set(inverse);
    for (std::uint32_t i = 0; i < head_dim; i += kBytes)
      store(q + at * head_dim + i, quantize8(x + 2 * std::size_t{i}, {v, v, v, v}));
  });
}

void absmax8_decode(const std::byte* scales, const std::byte* q, std::uint32_t heads, std::uint32_t head_dim,
                    RowsOut rows) {
  if (head_dim % kWords != 0) return decode_rows<absmax8_row_decode, 8>(scales, q, heads, head_dim, rows);
  write_rows(rows, [&](std::size_t r, std::byte* row, auto streaming) {
    for (std::uint32_t h = 0; h < heads; ++h) {
      const std::size_t at = r * heads + h;
      const F s = set(bf16_to_f32(load_bf16(scales, at)));
      for (std::uint32_t i = 0; i < head_dim; i += kWords)
        dequantize8<streaming.value>(q + at * head_dim + i, s, s, row + 2 * (std::size_t{h} * head_dim + i));
    }
  });
}

/// kWords values to words of 1..15.
inline I quantize4_words(const std::byte* x, F inverse) {
  return add16(max16(quantize_words(load(x), inverse, inverse, set(7.0F)), set16(-7)), set16(8));
}

void absmax4_encode(RowsIn rows, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales, std::byte* codes) {
  if (head_dim % (2 * kWords) != 0) return encode_rows<absmax4_row_encode, 4>(rows, heads, head_dim, scales, codes);
  const std::uint32_t half = head_dim / 2;
  absmax_rows(rows, heads, head_dim, 1.0F / 7.0F, scales, [&](const std::byte* x, float inverse, std::size_t at) {
    const F v = set(inverse);
    const auto words = [&](std::uint32_t i) {
      return or_i(quantize4_words(x + 2 * std::size_t{i}, v),
                  shl16<4>(quantize4_words(x + 2 * (std::size_t{i} + half), v)));
    };
    std::byte* out = codes + at * half;
    std::uint32_t i = 0;
    for (; i + kBytes <= half; i += kBytes) store(out + i, order_bytes(pack_u16(words(i), words(i + kWords))));
    if (i < half) store_half(out + i, lower_half(order_bytes(pack_u16(words(i), zero()))));
  });
}

inline constexpr float kAbsmax4Levels[16] = {-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7};

void absmax4_decode(const std::byte* scales, const std::byte* codes, std::uint32_t heads, std::uint32_t head_dim,
                    RowsOut rows) {
  if (head_dim % (2 * kWords) != 0) return decode_rows<absmax4_row_decode, 4>(scales, codes, heads, head_dim, rows);
  const std::uint32_t half = head_dim / 2;
  write_rows(rows, [&](std::size_t r, std::byte* row, auto streaming) {
    for (std::uint32_t h = 0; h < heads; ++h) {
      const std::size_t at = r * heads + h;
      Table16 value(kAbsmax4Levels);
      value.scale(set(bf16_to_f32(load_bf16(scales, at))));
      const std::byte* in = codes + at * half;
      std::byte* x = row + 2 * std::size_t{h} * head_dim;
      for (std::uint32_t i = 0; i < half; i += kWords) {
        const I a = extend_u8(in + i), b = extend_u8(in + i + kFloats);
        put<streaming.value>(x + 2 * std::size_t{i}, narrow(value[a], value[b]));
        put<streaming.value>(x + 2 * (std::size_t{i} + half), narrow(value[shr32<4>(a)], value[shr32<4>(b)]));
      }
    }
  });
}
