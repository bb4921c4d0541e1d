#pragma once
// Names prefixes: name(i) = H(key, name(i - 1) | tokens of block i), name(-1) = H(key, tenant | salt | identity).
// H is SipHash-2-4 with 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): keyed, so nobody
// who chooses prompts can make two that share a name, and fast: 128k tokens take below a millisecond (`sluice-bench
// reuse`).
//
// What is hashed, all integers u64 and little-endian but for tokens (i32):
//   root   'r' | size | tenant | size | salt | size | identity
//   block  'b' | count of tokens | parent's 16 bytes | tokens
//   mark   'm' | tenant
// The first word keeps the three apart, sizes keep a root's parts apart, and a count keeps blocks of other sizes apart.
//
// Threading: const methods are thread-safe. No failure.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/prefix/key.h"
#include "common/prefix/name.h"

namespace sluice::prefix {

/// A tenant in places that must tell tenants apart and need not know them: accounts of stores, heads of objects.
using TenantMark = StrongId<struct TenantMarkTag, std::uint64_t>;

/// Whose prefixes, and under which model. Prefixes of two that differ in anything never meet.
struct PrefixOwner {
  std::string_view tenant;
  std::string_view cache_salt;          // of the request; empty when it has none
  std::span<const std::byte> identity;  // model, layout, format: all that decides what KV means
};

class PrefixNamer {
 public:
  explicit PrefixNamer(const PrefixKey& key) : key_(key) {}

  /// The name of no tokens at all; parent of the first block.
  [[nodiscard]] PrefixName root(const PrefixOwner& owner) const;
  /// The name of parent's tokens with one more block.
  [[nodiscard]] PrefixName extend(const PrefixName& parent, std::span<const TokenId> block) const;
  /// Appends the name after each full block of a prompt; tokens that do not fill one have none. block_tokens: above 0.
  void append_names(const PrefixName& root, std::span<const TokenId> tokens, std::size_t block_tokens,
                    std::vector<PrefixName>& out) const;
  [[nodiscard]] TenantMark mark(std::string_view tenant) const;

 private:
  PrefixKey key_;
};

}  // namespace sluice::prefix
