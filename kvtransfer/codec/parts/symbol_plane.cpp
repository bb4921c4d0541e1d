#include "kvtransfer/codec/parts/symbol_plane.h"

#include <algorithm>
#include <cstring>

#include "kvtransfer/bytes.h"

namespace sluice::kv {
namespace {

constexpr std::uint32_t kStored = 1U << 31;
constexpr std::size_t kTogether = 2;  // blocks decoded side by side

std::size_t packed_bytes(unsigned levels, std::size_t n) { return levels <= 16 ? (n + 1) / 2 : n; }
std::size_t header_bytes(unsigned levels) { return kRansStateBytes + (levels > 16 ? 4 : 0); }

/// Room for one block's work, kept by each thread.
struct Work {
  std::vector<std::uint8_t> symbols = std::vector<std::uint8_t>(kMaxBlockSymbols);
  std::vector<std::byte> escapes = std::vector<std::byte>(kMaxBlockSymbols + kCoderSlack);
  std::vector<std::byte> bytes = std::vector<std::byte>(kMaxBlockSymbols + kRansLanes + kCoderSlack);
};
Work& work() {
  thread_local Work w;
  return w;
}

SymbolMap map_of(const PlaneSpec& spec) {
  if (spec.levels <= 16) return {};
  return spec.map ? *spec.map : window_map((spec.levels - 1) / 2 - 7);
}

}  // namespace

SymbolMap window_map(unsigned first) noexcept {
  SymbolMap m;
  m.to.fill(15);
  for (unsigned s = 0; s < 15; ++s) {
    m.to[first + s] = static_cast<std::uint8_t>(s);
    m.from[s] = static_cast<std::uint8_t>(first + s);
  }
  return m;
}

std::size_t max_plane_bytes(unsigned levels, std::size_t total, std::uint32_t block_symbols) noexcept {
  const std::size_t whole = total / block_symbols, rest = total % block_symbols;
  return 16 + 4 * (whole + (rest != 0)) + whole * packed_bytes(levels, block_symbols) + packed_bytes(levels, rest);
}

SymbolWriter::SymbolWriter(const CoderKernels& kernels, const PlaneSpec& spec, std::byte* out)
    : k_(kernels),
      spec_(spec),
      map_(map_of(spec)),
      has_table_(spec.fixed != nullptr),
      out_(out),
      directory_(out + (spec.fixed ? 0 : 16)),
      at_(out + spec.prefix_bytes()) {
  if (spec.fixed) table_ = *spec.fixed;
}

void SymbolWriter::block(std::span<const std::uint8_t> symbols) {
  while (!symbols.empty()) {
    const auto now = symbols.first(std::min<std::size_t>(symbols.size(), spec_.block_symbols));
    store_le(directory_, code(now));
    directory_ += 4;
    symbols = symbols.subspan(now.size());
  }
}

void SymbolWriter::measure(std::span<const std::uint8_t> symbols) {
  std::uint32_t counts[16];
  k_.count_symbols(symbols.data(), symbols.size(), counts);
  table_ = rans_table_for(std::span(counts).first(spec_.alphabet()));
  for (std::size_t s = 0; s < 16; ++s) out_[s] = static_cast<std::byte>(s < spec_.alphabet() ? table_.freq[s] - 1 : 0);
  has_table_ = true;
}

/// Writes one block and returns its entry in the directory.
std::uint32_t SymbolWriter::code(std::span<const std::uint8_t> symbols) {
  Work& w = work();
  const std::size_t n = symbols.size(), packed = packed_bytes(spec_.levels, n);
  const bool escaping = spec_.levels > 16;
  const std::uint8_t* coded = symbols.data();
  std::size_t escapes = 0;
  if (escaping) {
    escapes = k_.map_symbols(map_, symbols.data(), n, w.symbols.data(), w.escapes.data());
    coded = w.symbols.data();
  }
  if (!has_table_) measure({coded, n});

  const std::size_t header = header_bytes(spec_.levels);
  if (header + escapes < packed) {
    std::byte states[kRansStateBytes];
    std::byte* end = w.bytes.data() + w.bytes.size();
    const std::size_t bytes = k_.rans_encode(table_, coded, n, states, end);
    const std::size_t length = header + bytes + escapes;
    if (length < packed) {
      std::memcpy(at_, states, kRansStateBytes);
      if (escaping) store_le(at_ + kRansStateBytes, static_cast<std::uint32_t>(escapes));
      std::memcpy(at_ + header, end - bytes, bytes);
      std::memcpy(at_ + header + bytes, w.escapes.data(), escapes);
      at_ += length;
      return static_cast<std::uint32_t>(length);
    }
  }
  if (escaping)
    std::memcpy(at_, symbols.data(), n);
  else
    k_.pack4(symbols.data(), n, at_);
  at_ += packed;
  return static_cast<std::uint32_t>(packed) | kStored;
}

SymbolReader::SymbolReader(const CoderKernels& kernels, const PlaneSpec& spec, std::span<const std::byte> in)
    : k_(&kernels), spec_(spec), map_(map_of(spec)), in_(in), at_(spec.prefix_bytes()) {}

Result<SymbolReader> SymbolReader::open(const CoderKernels& kernels, const PlaneSpec& spec,
                                        std::span<const std::byte> in) {
  SymbolReader r(kernels, spec, in);
  if (in.size() < spec.prefix_bytes()) return fail(Errc::data_corrupt, "a symbol plane of only {} bytes", in.size());
  if (spec.fixed) {
    r.table_ = *spec.fixed;
  } else {
    std::array<std::uint16_t, 16> freqs{};
    for (std::size_t s = 0; s < 16; ++s) {
      freqs[s] = static_cast<std::uint16_t>(static_cast<std::uint16_t>(in[s]) + 1);
      if (s >= spec.alphabet() && freqs[s] != 1)
        return fail(Errc::data_corrupt, "a symbol plane's table has symbols that its levels have not");
    }
    SLUICE_ASSIGN(r.table_, rans_table(std::span(freqs).first(spec.alphabet())));
  }
  const std::size_t header = header_bytes(spec.levels);
  std::size_t left = in.size() - spec.prefix_bytes(), symbols = spec.total;
  for (std::size_t b = 0; b < spec.blocks(); ++b) {
    const std::size_t n = std::min<std::size_t>(symbols, spec.block_symbols), packed = packed_bytes(spec.levels, n);
    const auto entry = load_le<std::uint32_t>(in.data() + (spec.fixed ? 0 : 16) + 4 * b);
    const std::size_t length = entry & ~kStored;
    if (length > left || (entry & kStored ? length != packed : length < header || length >= packed))
      return fail(Errc::data_corrupt, "block {} of a symbol plane says {} bytes", b, length);
    left -= length;
    symbols -= n;
  }
  if (left != 0) return fail(Errc::data_corrupt, "a symbol plane has {} bytes too many", left);
  return r;
}

Result<> SymbolReader::stored(std::span<const std::byte> in, std::span<std::uint8_t> symbols) const {
  if (spec_.levels > 16)
    std::memcpy(symbols.data(), in.data(), symbols.size());
  else
    k_->unpack4(in.data(), symbols.size(), symbols.data());
  if (k_->largest(symbols.data(), symbols.size()) >= spec_.levels)
    return fail(Errc::data_corrupt, "a stored block holds a symbol of {} levels or more", spec_.levels);
  return {};
}

Result<> SymbolReader::coded(std::span<RansBlock> blocks, std::span<const std::span<const std::byte>> escapes) const {
  if (!k_->rans_decode(table_, blocks.data(), blocks.size()))
    return fail(Errc::data_corrupt, "a rANS block does not decode");
  if (spec_.levels <= 16) return {};  // the table has no symbol beyond
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    RansBlock& b = blocks[i];
    const auto raw = escapes[i];
    if (!k_->unmap_symbols(map_, b.symbols, b.count, raw.data(), raw.size()))
      return fail(Errc::data_corrupt, "a rANS block does not have its {} escapes", raw.size());
    if (!raw.empty() && k_->largest(reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size()) >= spec_.levels)
      return fail(Errc::data_corrupt, "an escape is a symbol of {} levels or more", spec_.levels);
  }
  return {};
}

Result<> SymbolReader::block(std::span<std::uint8_t> symbols) {
  const bool escaping = spec_.levels > 16;
  std::array<RansBlock, kTogether> pending;
  std::array<std::span<const std::byte>, kTogether> escapes;
  std::size_t waiting = 0;
  while (!symbols.empty()) {
    if (next_ == spec_.blocks()) return fail(Errc::data_corrupt, "a symbol plane has no more blocks");
    const auto entry = load_le<std::uint32_t>(in_.data() + (spec_.fixed ? 0 : 16) + 4 * next_++);
    const std::size_t n = std::min<std::size_t>(spec_.block_symbols, spec_.total - spec_.block_symbols * (next_ - 1));
    if (symbols.size() < n) return fail(Errc::internal, "room for {} symbols of a block of {}", symbols.size(), n);
    const auto now = symbols.first(n);
    const auto bytes = in_.subspan(at_, entry & ~kStored);
    symbols = symbols.subspan(now.size());
    at_ += bytes.size();
    if (entry & kStored) {
      SLUICE_TRY(stored(bytes, now));
      continue;
    }
    const auto body = bytes.subspan(header_bytes(spec_.levels));
    std::size_t raw = 0;
    if (escaping) {
      raw = load_le<std::uint32_t>(bytes.data() + kRansStateBytes);
      if (raw > body.size() || raw > now.size())
        return fail(Errc::data_corrupt, "a rANS block of {} bytes says it has {} escapes", body.size(), raw);
    }
    escapes[waiting] = body.last(raw);
    pending[waiting++] = {.states = bytes.data(),
                          .bytes = body.data(),
                          .size = body.size() - raw,
                          .symbols = now.data(),
                          .count = now.size()};
    if (waiting == kTogether) {
      SLUICE_TRY(coded(pending, escapes));
      waiting = 0;
    }
  }
  return coded(std::span(pending).first(waiting), escapes);
}

Result<> SymbolReader::finish() const {
  if (next_ != spec_.blocks()) return fail(Errc::data_corrupt, "{} blocks were not read", spec_.blocks() - next_);
  return {};
}

}  // namespace sluice::kv
