#include "coordinator/policy/room.h"

#include <algorithm>

namespace sluice::coordinator {
namespace {

Refusal no_nodes(std::string_view role) {
  return {Error{Errc::unavailable, fmt::format("no {} node is ready", role), {}}, 1.0};
}

}  // namespace

bool all_grow(const ClusterSnapshot& c) {
  return std::ranges::all_of(c.decodes, [](const DecodeView& d) { return d.grows || !d.usable; });
}

DecodePlace place_on(const DecodeView& d, const RequestFeatures& r) {
  DecodePlace out{.blocks = blocks_at_start(d, r), .part = {}};
  if (!d.grows) return out;
  out.grows_at = out.blocks * d.block_size + 1;
  out.part = memory_part(growing(r, d.block_size), r.stay);
  return out;
}

std::uint32_t largest_context(const ClusterSnapshot& c) {
  std::uint64_t largest = 0;
  for (const DecodeView& d : c.decodes)
    if (d.usable) largest = std::max(largest, std::uint64_t{d.total_blocks} * d.block_size);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(largest, UINT32_MAX));
}

std::optional<std::variant<Wait, Refusal>> check_room(const ClusterSnapshot& c, const RequestFeatures& r) {
  bool usable = false;
  bool later = false;
  for (const DecodeView& d : c.decodes) {
    usable |= d.usable;
    const Room room = room_on(d, r);
    if (room == Room::now) return std::nullopt;
    later |= room == Room::later;
  }
  if (later) return Wait{};
  if (!usable) return no_nodes("decode");
  return Refusal{
      Error{
          Errc::invalid_argument,
          fmt::format("prompt of {} tokens plus {} output tokens does not fit any decode node's KV memory ({} tokens); "
                      "lower max_tokens or shorten the prompt",
                      r.prompt_tokens, r.max_new_tokens, largest_context(c)),
          "max_tokens"},
      0};
}

std::optional<Refusal> check_prefill(const ClusterSnapshot& c, const RequestFeatures& r) {
  std::uint64_t largest = 0;
  for (const PrefillView& p : c.prefills) {
    if (holds(p, r)) return std::nullopt;
    if (p.usable) largest = std::max(largest, p.total_tokens);
  }
  if (largest == 0) return no_nodes("prefill");
  return Refusal{
      Error{Errc::invalid_argument,
            fmt::format("prompt of {} tokens does not fit any prefill node's KV memory ({} tokens); shorten the prompt",
                        r.prompt_tokens, largest),
            "prompt"},
      0};
}

}  // namespace sluice::coordinator
