// What kernels share over the vectors of vector_avx512.h or vector_avx2.h, one of which is in scope, after generic.inl;
// in an unnamed namespace, as that.

inline constexpr std::uint32_t kLine = 64;
inline constexpr std::uint32_t kAheadRows = 4;

/// Rows lie in pages in random order, where the hardware does not see what comes next. The row to fetch while row r is
/// at work; the last one again where there is none. Asks for the translation of one further ahead.
inline const std::byte* row_ahead(RowsIn rows, std::uint32_t r) {
  const std::uint32_t last = rows.n + rows.ahead - 1;
  ask_translation(rows.at[std::min(r + kTranslateRows, last)]);
  return rows.at[std::min(r + kAheadRows, last)];
}

template <bool kStream>
inline void put(std::byte* p, I v) {
  if constexpr (kStream)
    stream(p, v);
  else
    store(p, v);
}

/// Bytes that follow each other in memory, made in the cache and written past it line by line if `stream`. Room for
/// kMost bytes at a time.
template <std::uint32_t kMost>
class Lines {
 public:
  Lines(std::byte* to, bool stream) : to_(to), held_(reinterpret_cast<std::uintptr_t>(to) % kLine), stream_(stream) {
    skip_ = held_;
  }
  ~Lines() {
    if (!stream_) return;
    std::memcpy(to_, staged_ + skip_, held_ - skip_);
    _mm_sfence();
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  /// Where the next bytes are to be put.
  std::byte* room() { return stream_ ? staged_ + held_ : to_; }
  /// n of them were.
  void add(std::uint32_t n) {
    if (!stream_) {
      to_ += n;
      return;
    }
    held_ += n;
    if (held_ < kLine) return;
    std::uint32_t i = 0;
    if (skip_ != 0) {  // the line that is not all ours
      std::memcpy(to_, staged_ + skip_, kLine - skip_);
      to_ += kLine - skip_;
      skip_ = 0;
      i = kLine;
    }
    for (; i + kLine <= held_; i += kLine, to_ += kLine)
      for (std::uint32_t j = 0; j < kLine; j += kBytes) stream(to_ + j, load(staged_ + i + j));
    held_ -= i;
    for (std::uint32_t j = 0; j < kLine; j += kBytes) store(staged_ + j, load(staged_ + i + j));
  }

 private:
  std::byte* to_;
  std::uint32_t held_, skip_;
  bool stream_;
  alignas(kLine) std::byte staged_[kMost + 2 * kLine];
};

/// Calls fn(r, row, std::bool_constant<past the caches>) for each row.
template <class Fn>
inline void write_rows(RowsOut rows, Fn&& fn) {
  for (std::uint32_t r = 0; r < rows.n; ++r) {
    std::byte* row = rows.at[r];
    ask_translation(rows.at[std::min(r + kTranslateRows, rows.n - 1)]);
    if (rows.stream && reinterpret_cast<std::uintptr_t>(row) % kLine == 0)
      fn(r, row, std::true_type{});
    else
      fn(r, row, std::false_type{});
  }
  if (rows.stream) _mm_sfence();  // before anybody is told of them
}

// ---- bf16 by twos: values at even and odd places of a vector --------------------------------------------------------

inline F even(I v) { return as_f(shl32<16>(v)); }
inline F odd(I v) { return as_f(and_i(v, set32(static_cast<int>(0xffff0000U)))); }

/// kBytes bytes made by pack32(even, odd) and packing two of these, in order.
inline I order_bytes(I v) {
  alignas(16) static constexpr std::uint8_t at[16] = {0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15};
  return order_packed(shuffle8(v, lanes(at)));
}

/// fn(0) to fn(n - 1), each in place with its number known: what they index stays in registers, where a loop would put
/// it in memory.
template <std::uint32_t n, class Fn>
[[gnu::always_inline]] inline void unrolled(Fn&& fn) {
  [&]<std::uint32_t... i>(std::integer_sequence<std::uint32_t, i...>) __attribute__((always_inline)) {
    (fn(std::integral_constant<std::uint32_t, i>{}), ...);
  }(std::make_integer_sequence<std::uint32_t, n>{});
}
