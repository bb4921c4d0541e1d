#include "engine/kv_sizing.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace sluice::engine {
namespace {

constexpr std::uint64_t kMiB = 1U << 20;
constexpr std::uint64_t kAlwaysAllowed = 512 * kMiB;
constexpr std::uint64_t kMostContexts = 16;
constexpr std::uint32_t kShortChat = 2048;  // tokens: fewer serve nobody

// Products of sizes that no machine has stay at the largest number.
std::uint64_t product(std::uint64_t a, std::uint64_t b) noexcept {
  std::uint64_t out = 0;
  return __builtin_mul_overflow(a, b, &out) ? std::numeric_limits<std::uint64_t>::max() : out;
}

// Bytes of as many whole blocks as the context needs.
std::uint64_t context_bytes(const KvDemand& d) noexcept {
  const std::uint64_t blocks = (std::uint64_t{d.context} + d.block_size - 1) / d.block_size;
  return product(blocks, product(d.block_size, d.token_bytes));
}

std::uint64_t automatic(const KvDemand& d) noexcept {
  const std::uint64_t one = context_bytes(d);
  std::uint64_t bytes = d.available / 2;
  if (bytes < one) bytes = std::min(one, d.available / 5 * 4);
  bytes = std::min(bytes, std::max(kAlwaysAllowed, product(kMostContexts, one)));
  return d.max_seqs == 0 ? bytes : std::min(bytes, product(d.max_seqs, one));
}

std::string too_small_note(const KvDemand& d, const KvSizing& s) {
  if (s.longest < d.context)
    return fmt::format(
        "KV memory of {} MiB holds {} tokens, fewer than the model's context of {}: this node takes no longer request. "
        "One context needs {} MiB (--kv-memory-mib)",
        s.bytes / kMiB, s.longest, d.context, (context_bytes(d) + kMiB - 1) / kMiB);
  if (d.requested && *d.requested > d.available)
    return fmt::format("KV memory of {} MiB is more than the {} MiB that are available", s.bytes / kMiB,
                       d.available / kMiB);
  return {};
}

std::optional<std::uint64_t> number(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return std::nullopt;
  std::uint64_t n = 0;
  const auto r = std::from_chars(text.data() + begin, text.data() + text.size(), n);
  return r.ec == std::errc() ? std::optional(n) : std::nullopt;
}

// The number behind a key that begins a line.
std::optional<std::uint64_t> value_of(std::string_view text, std::string_view key) {
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (line.starts_with(key)) return number(line.substr(key.size()));
    at += line.size() + 1;
  }
  return std::nullopt;
}

}  // namespace

Result<KvSizing> size_kv_pool(const KvDemand& d) {
  const std::uint64_t block_bytes = product(d.block_size, d.token_bytes);
  const std::uint64_t want = d.requested.value_or(automatic(d));
  const std::uint64_t blocks = std::min<std::uint64_t>(want / block_bytes, std::numeric_limits<std::uint32_t>::max());
  if (d.requested && blocks == 0)
    return fail(Errc::invalid_argument, "--kv-memory-mib {} holds no block of {} bytes; raise it or lower --block-size",
                want / kMiB, block_bytes);
  KvSizing s;
  s.blocks = static_cast<std::uint32_t>(blocks);
  s.bytes = blocks * block_bytes;
  s.longest = static_cast<std::uint32_t>(std::min<std::uint64_t>(product(blocks, d.block_size), d.context));
  if (!d.requested && s.longest < std::min(d.context, kShortChat))
    return fail(
        Errc::resource_exhausted,
        "{} MiB of memory are available for KV, which hold {} tokens; free memory, take a machine with more, or "
        "say how much to use with --kv-memory-mib",
        d.available / kMiB, s.longest);
  s.note = too_small_note(d, s);
  return s;
}

std::optional<std::uint64_t> free_in_machine(std::string_view meminfo) {
  const auto kib = value_of(meminfo, "MemAvailable:");
  return kib ? std::optional(product(*kib, 1024)) : std::nullopt;
}

std::optional<std::uint64_t> free_in_group(const GroupMemory& group) {
  const auto most = number(group.limit), used = number(group.usage);  // "max" is no number: no limit
  if (!most || !used) return std::nullopt;
  // Version 1 counts the groups below only in total_.
  const auto total = value_of(group.stat, "total_inactive_file ");
  const std::uint64_t idle = total ? *total : value_of(group.stat, "inactive_file ").value_or(0);
  const std::uint64_t held = *used - std::min(*used, idle);
  return *most - std::min(*most, held);
}

}  // namespace sluice::engine
