// minmax over vectors, after vector.inl and generic_minmax.inl. What does not fill vectors goes to the generic code.

/// As bf16_order().
inline I order_of(I bf16) { return xor_i(bf16, shr16<1>(sign16(bf16))); }

/// As minmax_params() of kWords channels, of which least and most are in order.
inline void minmax_scales(I least, I most, F steps, std::byte* scale_at, std::byte* low_at, float* lows,
                          float* inverses) {
  const I limit = set16(kMinmaxMaxLow), below = set16(static_cast<std::int16_t>(~kMinmaxMaxLow));
  const I low = order_of(max16(min16(least, limit), below)), high = order_of(max16(min16(most, limit), below));
  const auto bits = [&](F from, F to) {
    const I up = shr32<16>(add32(as_i(div(sub(to, from), steps)), set32(0xffff)));
    return zero_below(up, set32(kBf16MinNormal));
  };
  const I e = bits(even(low), even(high)), o = bits(odd(low), odd(high));
  store(scale_at, or_i(e, shl32<16>(o)));
  store(low_at, low);
  store_f(lows, even(low));
  store_f(lows + kFloats, odd(low));
  store_f(inverses, inverse_or_zero(as_f(shl32<16>(e))));
  store_f(inverses + kFloats, inverse_or_zero(as_f(shl32<16>(o))));
}

/// kWords values to 16 bits, as minmax_quantize().
inline I minmax_words(I x, const float* low, const float* inverse, F top) {
  const auto q = [&](F v, std::uint32_t at) {
    const F d = mul(sub(v, load_f(low + at)), load_f(inverse + at));
    return to_int(max(min(d, top), zero_f()));
  };
  return pack32(q(even(x), 0), q(odd(x), kFloats));
}

void minmax_page_encode(RowsIn rows, std::uint32_t channels, std::uint32_t levels, std::byte* params,
                        std::uint8_t* symbols) {
  constexpr std::uint32_t kTile = 1024;
  if (channels % kBytes != 0) return minmax_page_encode_generic(rows, channels, levels, params, symbols);
  alignas(64) std::int16_t least[kTile], most[kTile];
  alignas(64) float low[kTile], inverse[kTile];
  const F top = set(static_cast<float>(levels - 1));
  for (std::uint32_t c0 = 0; c0 < channels; c0 += kTile) {
    const std::uint32_t w = std::min(kTile, channels - c0);
    const std::size_t at = 2 * std::size_t{c0};
    std::fill_n(least, w, std::int16_t{0x7fff});
    std::fill_n(most, w, std::int16_t{-0x8000});
    for (std::uint32_t r = 0; r < rows.n; ++r) {
      const std::byte* x = rows.at[r] + at;
      const std::byte* next = row_ahead(rows, r) + at;
      for (std::uint32_t c = 0; c < w; c += kWords) {
        prefetch(next + 2 * c, kBytes);
        const I v = order_of(load(x + 2 * c));
        store(least + c, min16(load(least + c), v));
        store(most + c, max16(load(most + c), v));
      }
    }
    for (std::uint32_t c = 0; c < w; c += kWords)
      minmax_scales(load(least + c), load(most + c), top, params + at + 2 * c,
                    params + 2 * std::size_t{channels} + at + 2 * c, low + c, inverse + c);
    for (std::uint32_t r = 0; r < rows.n; ++r) {
      const std::byte* x = rows.at[r] + at;
      std::uint8_t* out = symbols + std::size_t{r} * channels + c0;
      for (std::uint32_t c = 0; c < w; c += kBytes) {
        const I a = minmax_words(load(x + 2 * c), low + c, inverse + c, top);
        const I b = minmax_words(load(x + 2 * c + kBytes), low + c + kWords, inverse + c + kWords, top);
        store(out + c, order_bytes(pack_u16(a, b)));
      }
    }
  }
}

template <bool kStream>
inline void minmax_values(const std::uint8_t* q, F low_a, F low_b, F scale_a, F scale_b, std::byte* x) {
  put<kStream>(x, narrow(add(low_a, mul(to_float(extend_u8(q)), scale_a)),
                         add(low_b, mul(to_float(extend_u8(q + kFloats)), scale_b))));
}

void minmax_page_decode(const std::byte* params, const std::uint8_t* symbols, std::uint32_t channels, RowsOut rows) {
  constexpr std::uint32_t kTile = 1024;
  if (channels % kWords != 0) return minmax_page_decode_generic(params, symbols, channels, rows);
  alignas(64) float low[kTile], scale[kTile];
  for (std::uint32_t c0 = 0; c0 < channels; c0 += kTile) {
    const std::uint32_t w = std::min(kTile, channels - c0);
    for (std::uint32_t c = 0; c < w; c += kFloats) {
      store_f(scale + c, widen(params + 2 * (std::size_t{c0} + c)));
      store_f(low + c, widen(params + 2 * (std::size_t{channels} + c0 + c)));
    }
    write_rows(rows, [&](std::size_t r, std::byte* row, auto streaming) {
      const std::uint8_t* in = symbols + r * channels + c0;
      for (std::uint32_t c = 0; c < w; c += kWords)
        minmax_values<streaming.value>(in + c, load_f(low + c), load_f(low + c + kFloats), load_f(scale + c),
                                       load_f(scale + c + kFloats), row + 2 * (std::size_t{c0} + c));
    });
  }
}

void minmax_encode(RowsIn rows, std::uint32_t groups, std::uint32_t group, std::uint32_t levels, std::byte* params,
                   std::uint8_t* symbols) {
  if (group % kWords != 0 || std::size_t{groups} * group % kBytes != 0)
    return minmax_encode_generic(rows, groups, group, levels, params, symbols);
  const float top = static_cast<float>(levels - 1);
  const auto words = [&](const std::byte* x, const MinmaxParams& p) {
    const I v = load(x);
    const F low = set(p.low), by = set(p.inverse), most = set(top);
    const auto q = [&](F f) { return to_int(max(min(mul(sub(f, low), by), most), zero_f())); };
    return pack32(q(even(v)), q(odd(v)));
  };
  const std::size_t row_words = std::size_t{groups} * group / kWords, group_words = group / kWords;
  for (std::uint32_t r = 0; r < rows.n; ++r) {
    const std::byte* next = row_ahead(rows, r);
    std::byte* at = params + 4 * std::size_t{r} * groups;
    MinmaxParams p;
    I held = zero();
    for (std::size_t i = 0; i < row_words; ++i) {
      const std::byte* x = rows.at[r] + i * kBytes;
      if (i % group_words == 0) {
        I least = set16(0x7fff), most = set16(-0x8000);
        for (std::size_t j = 0; j < group_words; ++j) {
          const I v = order_of(load(x + j * kBytes));
          least = min16(least, v), most = max16(most, v);
          prefetch(next + (i + j) * kBytes, kBytes);
        }
        const std::size_t g = i / group_words;
        p = minmax_params(min_of_16(least), max_of_16(most), levels, at + 2 * g, at + 2 * (groups + g));
      }
      const I w = words(x, p);
      if (i % 2 == 0)
        held = w;
      else
        store(symbols + (std::size_t{r} * row_words + i - 1) * kWords, order_bytes(pack_u16(held, w)));
    }
  }
}

void minmax_decode(const std::byte* params, const std::uint8_t* symbols, std::uint32_t groups, std::uint32_t group,
                   RowsOut rows) {
  if (group % kWords != 0) return minmax_decode_generic(params, symbols, groups, group, rows);
  write_rows(rows, [&](std::size_t r, std::byte* row, auto streaming) {
    const std::byte* at = params + 4 * r * groups;
    for (std::size_t g = 0; g < groups; ++g) {
      const F scale = set(bf16_to_f32(load_bf16(at, g))), low = set(bf16_to_f32(load_bf16(at, groups + g)));
      for (std::size_t i = g * group; i < (g + 1) * group; i += kWords)
        minmax_values<streaming.value>(symbols + r * groups * group + i, low, low, scale, scale, row + 2 * i);
    }
  });
}
