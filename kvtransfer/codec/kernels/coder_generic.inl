// The coder kernels in plain C++: the scalar table, and the ends of what vector kernels begin. Included once by each
// coder_*.cpp inside an unnamed namespace, so that each compiles its own copy under its own flags.

constexpr std::uint32_t kStart = 256;  // every lane's state where encoding begins and decoding ends

inline std::size_t rans_encode_generic(const RansTable& t, const std::uint8_t* symbols, std::size_t n,
                                       std::byte* states, std::byte* end) {
  std::uint32_t x[kRansLanes];
  std::fill_n(x, kRansLanes, kStart);
  std::byte* p = end;
  for (std::size_t i = (n + kRansLanes - 1) / kRansLanes * kRansLanes; i-- > 0;) {
    const std::uint8_t s = i < n ? symbols[i] : t.likeliest;
    const std::uint32_t f = t.freq[s];
    std::uint32_t v = x[i % kRansLanes];
    // Without a branch: giving a byte or not is a coin's toss.
    const bool full = v >= f << 8;
    p[-1] = static_cast<std::byte>(v);
    p -= full;
    v = full ? v >> 8 : v;
    x[i % kRansLanes] = (v / f << 8) + v % f + t.cum[s];
  }
  for (std::size_t lane = 0; lane < kRansLanes; ++lane)
    store_le(states + 2 * lane, static_cast<std::uint16_t>(x[lane]));
  return static_cast<std::size_t>(end - p);
}

inline bool rans_decode_one_generic(const RansTable& t, const RansBlock& b) {
  std::uint32_t x[kRansLanes];
  for (std::size_t lane = 0; lane < kRansLanes; ++lane) {
    x[lane] = load_le<std::uint16_t>(b.states + 2 * lane);
    if (x[lane] < kStart) return false;
  }
  std::size_t used = 0;
  std::uint8_t symbols[kRansLanes];
  const auto pop = [&](std::uint32_t v, std::uint8_t& symbol) {
    const std::uint32_t slot = v & 255;
    symbol = t.slot_symbol[slot];
    return t.freq[symbol] * (v >> 8) + slot - t.cum[symbol];
  };
  for (std::size_t i = 0; i < b.count; i += kRansLanes) {
    if (b.size - used >= kRansLanes) {
      // Every lane may take a byte. Whether it does is a coin's toss: no branch.
      const std::byte* p = b.bytes + used;
      for (std::size_t lane = 0; lane < kRansLanes; ++lane) {
        const std::uint32_t v = pop(x[lane], symbols[lane]);
        const std::uint32_t take = v < kStart;
        x[lane] = v << 8 * take | (static_cast<std::uint32_t>(*p) & (0U - take));
        p += take;
      }
      used = static_cast<std::size_t>(p - b.bytes);
    } else {
      for (std::size_t lane = 0; lane < kRansLanes; ++lane) {
        x[lane] = pop(x[lane], symbols[lane]);
        if (x[lane] >= kStart) continue;
        if (used == b.size) return false;
        x[lane] = x[lane] << 8 | static_cast<std::uint32_t>(b.bytes[used++]);
      }
    }
    std::copy_n(symbols, std::min(kRansLanes, b.count - i), b.symbols + i);
  }
  return used == b.size && std::all_of(x, x + kRansLanes, [](std::uint32_t v) { return v == kStart; });
}

inline bool rans_decode_generic(const RansTable& t, const RansBlock* blocks, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    if (!rans_decode_one_generic(t, blocks[i])) return false;
  return true;
}

inline void count_symbols_generic(const std::uint8_t* symbols, std::size_t n, std::uint32_t counts[16]) {
  // Four tables: neighbouring symbols are often the same, and one counter would wait for itself.
  std::uint32_t part[4][256] = {};
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (std::size_t j = 0; j < 4; ++j) ++part[j][symbols[i + j]];
  for (; i < n; ++i) ++part[0][symbols[i]];
  for (std::size_t s = 0; s < 16; ++s) counts[s] = part[0][s] + part[1][s] + part[2][s] + part[3][s];
}

inline std::size_t map_symbols_generic(const SymbolMap& map, const std::uint8_t* in, std::size_t n,
                                       std::uint8_t* symbols, std::byte* escapes) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < n; ++i) {
    symbols[i] = map.to[in[i]];
    escapes[count] = static_cast<std::byte>(in[i]);
    count += symbols[i] == 15;
  }
  return count;
}

inline bool unmap_symbols_generic(const SymbolMap& map, std::uint8_t* symbols, std::size_t n, const std::byte* escapes,
                                  std::size_t count) {
  std::size_t used = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint8_t s = symbols[i] & 15;
    if (s == 15) {
      if (used == count) return false;
      symbols[i] = static_cast<std::uint8_t>(escapes[used++]);
    } else {
      symbols[i] = map.from[s];
    }
  }
  return used == count;
}

inline void pack4_generic(const std::uint8_t* symbols, std::size_t n, std::byte* out) {
  for (std::size_t i = 0; i < n / 2; ++i) out[i] = static_cast<std::byte>(symbols[2 * i] | symbols[2 * i + 1] << 4);
  if (n % 2) out[n / 2] = static_cast<std::byte>(symbols[n - 1]);
}

inline void unpack4_generic(const std::byte* in, std::size_t n, std::uint8_t* symbols) {
  for (std::size_t i = 0; i < n / 2; ++i) {
    const auto b = static_cast<std::uint8_t>(in[i]);
    symbols[2 * i] = b & 15;
    symbols[2 * i + 1] = b >> 4;
  }
  if (n % 2) symbols[n - 1] = static_cast<std::uint8_t>(in[n / 2]);
}

inline std::uint8_t largest_generic(const std::uint8_t* symbols, std::size_t n) {
  std::uint8_t m = 0;
  for (std::size_t i = 0; i < n; ++i) m = std::max(m, symbols[i]);
  return m;
}
