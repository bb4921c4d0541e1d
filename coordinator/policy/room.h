#pragma once
// Which nodes' KV memory can hold a request, ever and now; and why none can. Pure; values in, values out.
#include <algorithm>
#include <optional>
#include <variant>

#include "common/result.h"
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct Wait {};

struct Refusal {
  Error error;
  double retry_after_s = 0;  // 0 = retrying does not help
};

/// Whether a decode node could hold the request ever, and now.
enum class Room { never, later, now };

[[nodiscard]] constexpr std::uint32_t blocks_of(std::uint64_t tokens, std::uint32_t block_size) {
  return static_cast<std::uint32_t>((tokens + block_size - 1) / std::max(block_size, 1U));
}
/// KV blocks a request needs on a decode node, its whole output included.
[[nodiscard]] inline std::uint32_t blocks_needed(const RequestFeatures& r, std::uint32_t block_size) {
  return blocks_of(std::uint64_t{r.prompt_tokens} + r.max_new_tokens, block_size);
}
/// KV blocks that it takes at once: all of them, or those of what it comes with.
[[nodiscard]] inline std::uint32_t blocks_at_start(const DecodeView& d, const RequestFeatures& r) {
  return d.grows && !r.whole ? blocks_of(std::uint64_t{r.prompt_tokens} + r.emitted, d.block_size)
                             : blocks_needed(r, d.block_size);
}
/// As a forecast of a node's memory sees it. Of a request that can hold something there.
[[nodiscard]] inline Growing growing(const RequestFeatures& r, std::uint32_t block_size) {
  return {.tokens = r.prompt_tokens + r.emitted,
          .left = r.max_new_tokens - std::min(r.emitted, r.max_new_tokens),
          .block_size = block_size};
}
/// What a sequence has of a decode node, as its coordinator accounts for it.
struct DecodePlace {
  std::uint32_t blocks = 0;
  std::uint32_t grows_at = 0;  // tokens, prompt included, with which it holds more; 0: it has all that it may need
  MemoryPart part;             // in the forecast of a node whose sequences grow
};
[[nodiscard]] DecodePlace place_on(const DecodeView& d, const RequestFeatures& r);
/// Tokens that room is to be found for: all it may need, or where nodes grow those that it is expected to hold.
[[nodiscard]] inline double tokens_expected(const RequestFeatures& r, bool grows) {
  if (!grows) return static_cast<double>(r.prompt_tokens) + r.max_new_tokens;
  const Growing g = growing(r, 1);
  return g.tokens + expected_left(r.stay, g.left);
}
[[nodiscard]] inline Room room_on(const DecodeView& d, const RequestFeatures& r) {
  if (!d.usable) return Room::never;
  if (blocks_needed(r, d.block_size) > d.total_blocks) return Room::never;
  if (blocks_at_start(d, r) > d.free_blocks || d.seqs >= d.max_seqs) return Room::later;
  if (!d.grows) return Room::now;
  return !d.closed && d.memory.fits(growing(r, d.block_size), r.stay, d.total_blocks) ? Room::now : Room::later;
}
/// All decode nodes that take requests take blocks as positions come.
[[nodiscard]] bool all_grow(const ClusterSnapshot& c);
/// Whether a prefill node could compute the prompt at all. Its last token is the decode node's.
[[nodiscard]] inline bool holds(const PrefillView& p, const RequestFeatures& r) {
  return p.usable && (p.total_tokens == 0 || r.prompt_tokens <= p.total_tokens + 1);
}

/// Tokens of prompt and output that the largest decode node can hold; 0: there is none.
[[nodiscard]] std::uint32_t largest_context(const ClusterSnapshot& c);

/// Why no decode node has room: an answer that differs by whether waiting helps. None when one has.
[[nodiscard]] std::optional<std::variant<Wait, Refusal>> check_room(const ClusterSnapshot& c, const RequestFeatures& r);
/// Why no prefill node can take the request; none when one can.
[[nodiscard]] std::optional<Refusal> check_prefill(const ClusterSnapshot& c, const RequestFeatures& r);

}  // namespace sluice::coordinator
