// Decoding with a book over vectors; after generic_book.inl and vector.inl. It works on floats, stage by stage as
// fwht().

inline constexpr auto kLog8Values = [] {
  std::array<float, 256> v{};
  for (unsigned c = 0; c < 256; ++c) v[c] = log8::value(static_cast<std::uint8_t>(c));
  return v;
}();

inline float vector_scale(const BookShape& s, const std::byte* scales, std::size_t at) {
  return s.scale == Scale::bf16 ? bf16_to_f32(load_bf16(scales, at))
                                : kLog8Values[static_cast<std::uint8_t>(scales[at])];
}

template <std::uint32_t kHalf, std::uint32_t R>
[[gnu::always_inline]] inline void floats_across(F (&y)[R]) {
  if constexpr (kHalf < R) {
    unrolled<R / 2>([&](auto k) {
      constexpr std::uint32_t j = k.value / kHalf * 2 * kHalf + k.value % kHalf;
      const F u = y[j], v = y[j + kHalf];
      y[j] = add(u, v), y[j + kHalf] = sub(u, v);
    });
    floats_across<2 * kHalf>(y);
  }
}

/// As fwht() of one block.
template <std::uint32_t R>
[[gnu::always_inline]] inline void fwht_floats(F (&y)[R]) {
  unrolled<R>([&](auto i) { y[i] = stages_within(y[i]); });
  floats_across<1>(y);
}

template <std::uint32_t kBlock>
inline void fwht_blocks(float* y, std::uint32_t count) {
  for (std::uint32_t b = 0; b < count; b += kBlock) {
    F v[kBlock / kFloats];
    for (std::uint32_t i = 0; i < kBlock / kFloats; ++i) v[i] = load_f(y + b + i * kFloats);
    fwht_floats(v);
    for (std::uint32_t i = 0; i < kBlock / kFloats; ++i) store_f(y + b + i * kFloats, v[i]);
  }
}

/// As fwht().
void fwht_vectors(float* y, std::uint32_t count, std::uint32_t block) {
  if (block == 32) return fwht_blocks<32>(y, count);
  if (block == 64) return fwht_blocks<64>(y, count);
  if (block == 128) return fwht_blocks<128>(y, count);
  if (block == 256) return fwht_blocks<256>(y, count);
  fwht(y, count, block);
}

/// Books of at most 16 levels; kPacked: 4 bits a symbol, else a byte.
template <std::uint32_t kDim, bool kRotated, bool kPacked>
void decode_book(const BookShape& s, const std::uint16_t* signs, const std::byte* scales, const void* codes,
                 RowsOut rows) {
  constexpr std::uint32_t R = kDim / kFloats;
  const Table16 table(s.book->value.data());
  write_rows(rows, [&](std::size_t r, std::byte* row, auto streaming) {
    for (std::uint32_t h = 0; h < s.heads; ++h) {
      const std::size_t number = r * s.heads + h;
      Table16 value = table;
      value.scale(set(vector_scale(s, scales, number)));
      F y[R];
      const auto* in = static_cast<const std::byte*>(codes) + number * (kPacked ? kDim / 2 : kDim);
      if constexpr (kPacked)
        unrolled<R / 2>([&](auto i) {
          const I two = extend_u8(in + i * kFloats);
          y[i] = value[two];
          y[i + R / 2] = value[shr32<4>(two)];
        });
      else
        unrolled<R>([&](auto i) { y[i] = value[extend_u8(in + i * kFloats)]; });
      if constexpr (kRotated) fwht_floats(y);
      std::byte* x = row + 2 * std::size_t{h} * kDim;
      unrolled<R / 2>([&](auto i) {
        I v = narrow(y[2 * i], y[2 * i + 1]);
        if constexpr (kRotated) v = xor_i(v, load(signs + std::size_t{h} * kDim + i * kWords));
        put<streaming.value>(x + i * kBytes, v);
      });
    }
  });
}
