// fp8 over vectors, after vector_absmax.inl and generic_fp8.inl. What does not fill vectors goes to the generic code.

/// As fp8_quantize(), to 32 bits each.
inline I fp8_codes(F scaled) {
  const I bits = as_i(scaled);
  const F v = min(as_f(and_i(bits, set32(0x7fffffff))), set(448.0F));
  const I small = to_int(mul(v, set(512.0F)));
  const I m = as_i(v);
  const I up = add32(add32(m, set32(0x7ffff)), and_i(shr32<20>(m), set32(1)));
  const I large = sub32(shr32<20>(up), set32(120 << 3));
  return or_i(if_less(v, set(0x1p-6F), small, large), and_i(shr32<24>(bits), set32(0x80)));
}

/// As fp8_value().
inline F fp8_values(I code) {
  const I m = and_i(code, set32(0x7f));
  const I large = shl32<20>(add32(m, set32(120 << 3)));
  const F small = mul(to_float(m), set(0x1p-9F));
  const F tiny = set(0x1p-6F);
  return as_f(or_i(if_less(as_f(large), tiny, as_i(small), large), shl32<24>(and_i(code, set32(0x80)))));
}

void fp8_encode(RowsIn rows, std::uint32_t heads, std::uint32_t head_dim, std::byte* scales, std::byte* codes) {
  if (head_dim % kBytes != 0) return encode_rows<fp8_row_encode, 8>(rows, heads, head_dim, scales, codes);
  absmax_rows(rows, heads, head_dim, 1.0F / 448.0F, scales, [&](const std::byte* x, float inverse, std::size_t at) {
    const F by = set(inverse);
    const auto words = [&](std::uint32_t i) {
      const I v = load(x + 2 * std::size_t{i});
      return pack32(fp8_codes(mul(even(v), by)), fp8_codes(mul(odd(v), by)));
    };
    for (std::uint32_t i = 0; i < head_dim; i += kBytes)
      store(codes + at * head_dim + i, order_bytes(pack_u16(words(i), words(i + kWords))));
  });
}

void fp8_decode(const std::byte* scales, const std::byte* codes, std::uint32_t heads, std::uint32_t head_dim,
                RowsOut rows) {
  if (head_dim % kWords != 0) return decode_rows<fp8_row_decode, 8>(scales, codes, heads, head_dim, rows);
  write_rows(rows, [&](std::size_t r, std::byte* row, auto streaming) {
    for (std::uint32_t h = 0; h < heads; ++h) {
      const std::size_t at = r * heads + h;
      const F s = set(bf16_to_f32(load_bf16(scales, at)));
      const std::byte* in = codes + at * head_dim;
      for (std::uint32_t i = 0; i < head_dim; i += kWords)
        put<streaming.value>(
            row + 2 * (std::size_t{h} * head_dim + i),
            narrow(mul(fp8_values(extend_u8(in + i)), s), mul(fp8_values(extend_u8(in + i + kFloats)), s)));
    }
  });
}
