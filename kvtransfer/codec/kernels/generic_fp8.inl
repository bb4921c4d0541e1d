// fp8 (e4m3) in plain C++, after generic.inl.

inline std::uint8_t fp8_quantize(float x, float inverse) {
  const float scaled = x * inverse;
  float v = std::fabs(scaled);
  v = v < 448.0F ? v : 448.0F;
  const auto bits = std::bit_cast<std::uint32_t>(v);
  // Below 2^-6 codes count steps of 2^-9; above, the three highest mantissa bits stay.
  const auto small = static_cast<std::uint32_t>(static_cast<std::int32_t>(round_even(v * 512.0F)));
  const std::uint32_t large = ((bits + 0x7ffffU + ((bits >> 20) & 1U)) >> 20) - (120U << 3);
  const std::uint32_t code = v < 0x1p-6F ? small : large;
  return static_cast<std::uint8_t>(code | (std::bit_cast<std::uint32_t>(scaled) >> 24 & 0x80U));
}

inline float fp8_value(std::uint32_t code) {
  const std::uint32_t magnitude = code & 0x7fU;
  const float large = std::bit_cast<float>((magnitude + (120U << 3)) << 20);
  const float v = magnitude < 8 ? static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-9F : large;
  return code & 0x80U ? -v : v;
}

inline void fp8_row_encode(const std::byte* row, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales,
                           std::byte* codes) {
  for (std::uint32_t h = 0; h < heads; ++h) {
    const std::byte* __restrict x = row + 2 * std::size_t{h} * head_dim;
    std::byte* __restrict out = codes + std::size_t{h} * head_dim;
    const std::uint16_t s = scale_under(absmax_of(x, 0, head_dim), 1.0F / 448.0F);
    store_bf16(scales, h, s);
    const float inverse = inverse_of(s);
    for (std::uint32_t i = 0; i < head_dim; ++i)
      out[i] = static_cast<std::byte>(fp8_quantize(bf16_to_f32(load_bf16(x, i)), inverse));
  }
}

inline void fp8_row_decode(const std::byte* scales, const std::byte* codes, std::uint32_t heads, std::uint32_t head_dim,
                           std::byte* row) {
  for (std::uint32_t h = 0; h < heads; ++h) {
    const float scale = bf16_to_f32(load_bf16(scales, h));
    const std::byte* __restrict in = codes + std::size_t{h} * head_dim;
    std::byte* __restrict x = row + 2 * std::size_t{h} * head_dim;
    for (std::uint32_t i = 0; i < head_dim; ++i)
      store_bf16(x, i, f32_to_bf16(fp8_value(static_cast<std::uint32_t>(in[i])) * scale));
  }
}
