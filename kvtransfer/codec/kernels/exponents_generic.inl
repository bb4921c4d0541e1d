// The exponent kernels in plain C++: the scalar table, and the ends of what vector kernels begin. Included once by each
// exponents_*.cpp inside an unnamed namespace, so that each compiles its own copy under its own flags.

inline std::uint8_t exponent_largest_generic(const std::byte* values, std::size_t n) {
  std::uint16_t m = 0;
  for (std::size_t i = 0; i < n; ++i) m = std::max<std::uint16_t>(m, load_le<std::uint16_t>(values + 2 * i) & 0x7fffU);
  return static_cast<std::uint8_t>(m >> 7);
}

inline std::uint8_t exponent_of(std::uint16_t v) { return static_cast<std::uint8_t>(v >> 7); }
inline std::byte rest_of(std::uint16_t v) { return static_cast<std::byte>((v >> 8 & 0x80) | (v & 0x7f)); }
inline std::uint16_t value_of(std::uint8_t exponent, std::byte rest) {
  const auto r = static_cast<std::uint32_t>(rest);
  return static_cast<std::uint16_t>((r & 0x80) << 8 | exponent << 7 | (r & 0x7f));
}

inline std::size_t split_encode_generic(const std::byte* values, std::size_t n, std::uint8_t base, std::byte* nibbles,
                                        std::byte* rest, std::byte* escapes) {
  std::size_t count = 0;
  const auto code = [&](std::size_t i) {
    const auto v = load_le<std::uint16_t>(values + 2 * i);
    const auto c = static_cast<std::uint8_t>(exponent_of(v) - base);
    rest[i] = rest_of(v);
    escapes[count] = static_cast<std::byte>(exponent_of(v));
    count += c >= 15;
    return std::min<std::uint8_t>(c, 15);
  };
  for (std::size_t i = 0; i < n; i += 2) {
    const std::uint8_t low = code(i), high = code(i + 1);
    nibbles[i / 2] = static_cast<std::byte>(low | high << 4);
  }
  return count;
}

inline std::size_t split_decode_generic(const std::byte* nibbles, const std::byte* rest, std::size_t n,
                                        std::uint8_t base, const std::byte* escapes, std::size_t count,
                                        std::byte* values, bool) {
  std::size_t used = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const auto pair = static_cast<std::uint8_t>(nibbles[i / 2]);
    const std::uint8_t c = i % 2 ? pair >> 4 : pair & 15;
    if (c == 15 && used == count) return count + 1;
    const auto e = static_cast<std::uint8_t>(c == 15 ? static_cast<std::uint8_t>(escapes[used++]) : base + c);
    store_le(values + 2 * i, value_of(e, rest[i]));
  }
  return used;
}

inline void exponent_split_generic(const std::byte* values, std::size_t n, std::uint8_t* exponents, std::byte* rest) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto v = load_le<std::uint16_t>(values + 2 * i);
    exponents[i] = exponent_of(v);
    rest[i] = rest_of(v);
  }
}

inline void exponent_join_generic(const std::uint8_t* exponents, const std::byte* rest, std::size_t n,
                                  std::byte* values) {
  for (std::size_t i = 0; i < n; ++i) store_le(values + 2 * i, value_of(exponents[i], rest[i]));
}

inline void stream_lines_generic(std::byte* to, const std::byte* from, std::size_t n) {
  std::memcpy(to, from, n * kStreamLine);
}
inline void settle_generic() {}
