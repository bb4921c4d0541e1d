#include "kvtransfer/codec/kernels/rans_table.h"

#include <algorithm>
#include <numeric>

namespace sluice::kv {
namespace {

constexpr std::uint32_t kTotal = 256;

/// freqs as rans_table() wants them.
RansTable build(std::span<const std::uint16_t> freqs) {
  RansTable t;
  t.symbols = static_cast<std::uint32_t>(freqs.size());
  std::uint32_t at = 0;
  for (std::size_t s = 0; s < freqs.size(); ++s) {
    const std::uint32_t f = freqs[s], rcp = std::min(65535U, 65536U / f);
    t.freq[s] = static_cast<std::uint8_t>(f);
    t.cum[s] = static_cast<std::uint8_t>(at);
    t.rcp_low[s] = static_cast<std::uint8_t>(rcp);
    t.rcp_high[s] = static_cast<std::uint8_t>(rcp >> 8);
    std::fill_n(t.slot_symbol.begin() + at, f, static_cast<std::uint8_t>(s));
    at += f;
  }
  t.likeliest = static_cast<std::uint8_t>(std::ranges::max_element(freqs) - freqs.begin());
  return t;
}

}  // namespace

Result<RansTable> rans_table(std::span<const std::uint16_t> freqs) {
  if (freqs.size() < 2 || freqs.size() > 16)
    return fail(Errc::data_corrupt, "a rANS table of {} symbols", freqs.size());
  std::uint32_t sum = 0;
  for (const std::uint16_t f : freqs) {
    if (f == 0 || f >= kTotal) return fail(Errc::data_corrupt, "a rANS table with a frequency of {}", f);
    sum += f;
  }
  if (sum != kTotal) return fail(Errc::data_corrupt, "a rANS table that sums to {}", sum);
  return build(freqs);
}

RansTable rans_table_for(std::span<const std::uint32_t> counts) {
  const std::size_t n = counts.size();
  const std::uint64_t seen = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  std::array<std::uint16_t, 16> f{};
  std::uint32_t sum = 0;
  for (std::size_t s = 0; s < n; ++s) {
    const std::uint64_t rounded = seen ? (kTotal * counts[s] + seen / 2) / seen : kTotal / n;
    f[s] = static_cast<std::uint16_t>(std::max<std::uint64_t>(1, rounded));
    sum += f[s];
  }
  // One unit more for symbol s saves about count / (f + 1/2), one less costs count / (f - 1/2).
  const auto dearer = [&](std::size_t a, std::size_t b, int side) {
    return std::uint64_t{counts[a]} * static_cast<std::uint64_t>(2 * f[b] + side) >
           std::uint64_t{counts[b]} * static_cast<std::uint64_t>(2 * f[a] + side);
  };
  for (; sum < kTotal; ++sum) {
    std::size_t best = 0;
    for (std::size_t s = 1; s < n; ++s)
      if (dearer(s, best, 1)) best = s;
    ++f[best];
  }
  for (; sum > kTotal; --sum) {
    std::size_t best = n;
    for (std::size_t s = 0; s < n; ++s)
      if (f[s] > 1 && (best == n || dearer(best, s, -1))) best = s;
    --f[best];
  }
  return build(std::span(f).first(n));
}

const RansTable& lloyd_table(unsigned bits) {
  static const std::array tables = [] {
    // 256 times the Gaussian's mass between the midpoints of neighbouring centroids, rounded to sum 128 for each sign.
    static constexpr std::array<std::uint16_t, 4> two = {86, 42, 86, 42};
    static constexpr std::array<std::uint16_t, 8> three = {49, 42, 27, 10, 49, 42, 27, 10};
    static constexpr std::array<std::uint16_t, 16> four = {26, 25, 23, 20, 15, 11, 6, 2, 26, 25, 23, 20, 15, 11, 6, 2};
    return std::array{build(two), build(three), build(four)};
  }();
  return tables[std::clamp(bits, 2U, 4U) - 2];
}

}  // namespace sluice::kv
