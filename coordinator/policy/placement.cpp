#include "coordinator/policy/placement.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "coordinator/policy/latency_model.h"

namespace sluice::coordinator {
namespace {

/// Whether a decode node could hold the request ever, and now.
enum class Room { never, later, now };

Room room_on(const DecodeView& d, const RequestFeatures& r) {
  if (!d.usable) return Room::never;
  const std::uint32_t need = blocks_needed(r, d.block_size);
  if (need > d.total_blocks) return Room::never;
  return need <= d.free_blocks && d.seqs < d.max_seqs ? Room::now : Room::later;
}

Refusal no_nodes(std::string_view role) {
  return {Error{Errc::unavailable, fmt::format("no {} node is ready", role), {}}, 1.0};
}

/// Why no decode node has room: an answer that differs by whether waiting helps.
std::optional<std::variant<Wait, Refusal>> check_room(const ClusterSnapshot& c, const RequestFeatures& r) {
  bool usable = false;
  bool later = false;
  std::uint32_t largest = 0;
  for (const DecodeView& d : c.decodes) {
    usable |= d.usable;
    const Room room = room_on(d, r);
    if (room == Room::now) return std::nullopt;
    later |= room == Room::later;
    if (d.usable) largest = std::max(largest, d.total_blocks * d.block_size);
  }
  if (later) return Wait{};
  if (!usable) return no_nodes("decode");
  return Refusal{
      Error{
          Errc::invalid_argument,
          fmt::format("prompt of {} tokens plus {} output tokens does not fit any decode node's KV memory ({} tokens); "
                      "lower max_tokens or shorten the prompt",
                      r.prompt_tokens, r.max_new_tokens, largest),
          "max_tokens"},
      0};
}

}  // namespace

std::uint32_t blocks_needed(const RequestFeatures& r, std::uint32_t block_size) {
  const std::uint64_t tokens = std::uint64_t{r.prompt_tokens} + r.max_new_tokens;
  return static_cast<std::uint32_t>((tokens + block_size - 1) / std::max(block_size, 1U));
}

Result<std::vector<std::size_t>> Placement::allowed_profiles(const ClusterSnapshot& c, const RequestFeatures& r) const {
  std::vector<std::size_t> out;
  if (r.profile) {
    for (std::size_t i = 0; i < c.profiles.size(); ++i)
      if (c.profiles[i].name == *r.profile) out.push_back(i);
    if (out.empty())
      return std::unexpected(
          Error{Errc::not_found, fmt::format("KV profile '{}' is not offered here", *r.profile), "sluice.profile"});
    return out;
  }
  for (std::size_t i = 0; i < c.profiles.size(); ++i)
    if (c.profiles[i].kl <= r.quality_budget) out.push_back(i);
  if (out.empty())
    return std::unexpected(Error{Errc::invalid_argument,
                                 fmt::format("no KV profile is within the quality budget of {} nats", r.quality_budget),
                                 "sluice.quality_budget"});
  return out;
}

Placed Placement::decide(const ClusterSnapshot& c, const RequestFeatures& r, double deadline_s, TimePoint now) {
  if (std::ranges::none_of(c.prefills, &PrefillView::usable)) return no_nodes("prefill");
  if (auto full = check_room(c, r)) return std::visit([](auto x) -> Placed { return x; }, std::move(*full));
  auto profiles = allowed_profiles(c, r);
  if (!profiles) return Refusal{std::move(profiles).error(), 0};

  candidates_.clear();
  double soonest = INFINITY;
  for (std::size_t p = 0; p < c.prefills.size(); ++p) {
    if (!c.prefills[p].usable) continue;
    for (std::size_t d = 0; d < c.decodes.size(); ++d) {
      if (room_on(c.decodes[d], r) != Room::now) continue;
      for (const std::size_t f : *profiles) {
        Candidate k{.prefill = p, .decode = d, .profile = f, .kl = c.profiles[f].kl};
        k.arm = ProfileController::arm_key(c.prefills[p].id, c.decodes[d].id, c.profiles[f].name);
        const StageTimes t = stage_times(c, p, d, f, r);
        k.model_ttft_s = pipeline_ttft(t, c.layers);
        k.predicted_ttft_s = controller_.corrected(k.arm, k.model_ttft_s);
        k.predicted_tpot_s = t.step_s;
        soonest = std::min(soonest, k.predicted_ttft_s);
        if (k.predicted_ttft_s + r.waited_s <= deadline_s) candidates_.push_back(k);
      }
    }
  }
  if (candidates_.empty()) {
    const double late = soonest + r.waited_s - deadline_s;
    return Refusal{
        Error{
            Errc::resource_exhausted,
            fmt::format(
                "no pair of nodes can start answering within {:.0f} ms (the soonest would take {:.0f} ms); retry later",
                deadline_s * 1e3, (soonest + r.waited_s) * 1e3),
            {}},
        std::max(1.0, std::ceil(late))};
  }
  const Choice choice = controller_.choose(candidates_, r, now);
  return Decision{candidates_[choice.index], choice.reason, candidates_.size()};
}

std::variant<std::size_t, Wait, Refusal> Placement::decide_colocated(const ClusterSnapshot& c,
                                                                     const RequestFeatures& r) {
  if (auto full = check_room(c, r))
    return std::visit([](auto x) -> std::variant<std::size_t, Wait, Refusal> { return x; }, std::move(*full));
  std::size_t best = 0;
  std::uint32_t least = UINT32_MAX;
  for (std::size_t d = 0; d < c.decodes.size(); ++d) {
    if (room_on(c.decodes[d], r) != Room::now || c.decodes[d].seqs >= least) continue;
    best = d;
    least = c.decodes[d].seqs;
  }
  return best;
}

}  // namespace sluice::coordinator
