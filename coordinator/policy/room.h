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

/// KV blocks a request needs on a decode node, its whole output included.
[[nodiscard]] inline std::uint32_t blocks_needed(const RequestFeatures& r, std::uint32_t block_size) {
  const std::uint64_t tokens = std::uint64_t{r.prompt_tokens} + r.max_new_tokens;
  return static_cast<std::uint32_t>((tokens + block_size - 1) / std::max(block_size, 1U));
}
[[nodiscard]] inline Room room_on(const DecodeView& d, const RequestFeatures& r) {
  if (!d.usable) return Room::never;
  const std::uint32_t need = blocks_needed(r, d.block_size);
  if (need > d.total_blocks) return Room::never;
  return need <= d.free_blocks && d.seqs < d.max_seqs ? Room::now : Room::later;
}
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
