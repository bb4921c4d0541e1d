// Legs that come from another node, or leave for one.
#include <utility>

#include "common/log.h"
#include "decode_node/decode_loop.h"
#include "decode_node/leg.h"

namespace sluice::decode {

Result<> DecodeLoop::go_on(RequestId id, std::uint32_t attempt, std::span<const TokenId> tokens) {
  SLUICE_TRY(core_.check_vocabulary(tokens));
  Held held = core_.hold();
  const LegPtr leg = find(id, attempt);
  if (!leg) return sluice::fail(Errc::not_found, "request {} does not come here", id);
  if (!leg->awaits_tokens) return sluice::fail(Errc::already_exists, "request {} has its tokens", id);
  if (tokens.size() != leg->missing)
    return fail_param("tokens", "{} tokens came after the {} of the reservation, {} are missing", tokens.size(),
                      leg->known, leg->missing);
  SLUICE_TRY(held.scheduler().supply(id, leg->known, tokens));
  for (const TokenId t : tokens) leg->sampler.accept(t);
  leg->replayed = leg->sampler.output_tokens();
  leg->awaits_tokens = false;
  if (leg->awaits_constraint) leg->brought.assign(tokens.begin(), tokens.end());
  try_begin(std::move(held), leg);
  return {};
}

bool DecodeLoop::awaits_tokens(RequestId id, std::uint32_t attempt) const {
  const Held held = core_.hold();
  const LegPtr leg = find(id, attempt);
  return leg && leg->awaits_tokens;
}

Result<Leaving> DecodeLoop::leave(RequestId id, std::uint32_t attempt, LeaveOrder order) {
  Held held = core_.hold();
  const LegPtr leg = find(id, attempt);
  const auto view = leg ? held.scheduler().view(id) : std::nullopt;
  if (!view) return sluice::fail(Errc::not_found, "request {} is not here", id);
  if (leg->leaving) return sluice::fail(Errc::already_exists, "request {} leaves already", id);
  if (!view->ready) return sluice::fail(Errc::not_found, "request {} does not decode: its KV is not here", id);
  if (order.stop < view->tokens.size() || order.stop + 1 > view->max_total)
    return sluice::fail(Errc::stale, "request {} cannot stop at position {}: it has {} tokens", id, order.stop,
                        view->tokens.size());
  SLUICE_TRY(held.scheduler().reserve(id, order.stop));
  SLUICE_TRY(held.scheduler().pin(id));
  const auto now = held.scheduler().view(id);
  const auto used = now->blocks.first(core_.blocks_for(order.stop));
  Leaving out{.computed = now->computed, .blocks = {used.begin(), used.end()}};
  held.retain(out.blocks);
  leg->told = out.computed;
  leg->leaving = std::move(order);
  return out;
}

Result<> DecodeLoop::stay(RequestId id, std::uint32_t attempt) {
  Held held = core_.hold();
  const LegPtr leg = find(id, attempt);
  if (!leg) return sluice::fail(Errc::not_found, "request {} is not here", id);
  leg->leaving.reset();
  held.scheduler().unpin(id);
  if (!std::exchange(leg->halted, false)) return {};
  SLUICE_TRY(held.scheduler().mark_ready(id));
  core_.wake();
  return {};
}

/// Of the step's legs that leave: those that halt now, or have enough that is new. What there is one step before the
/// halt leaves ahead of it, so that the stream waits for one row.
void DecodeLoop::report_rows(const Step& s) {
  std::vector<std::pair<std::function<void(const LegRows&)>, LegRows>> reports;
  {
    Held held = core_.hold();
    for (const LegPtr& leg : s.legs) {
      if (leg->ended || !leg->leaving || leg->halted) continue;
      const auto view = held.scheduler().view(leg->id);
      leg->halted = view->tokens.size() > leg->leaving->stop;
      if (leg->halted) {
        if (auto r = held.scheduler().hold(leg->id); !r)
          log::error("hold failed", {{"leg", leg->id}, {"why", r.error().message}});
      } else if (view->computed - leg->told < leg->leaving->every && view->computed + 1 != leg->leaving->stop) {
        continue;
      }
      leg->told = view->computed;
      reports.emplace_back(leg->leaving->on_rows, LegRows{view->computed, leg->halted});
    }
  }
  for (const auto& [tell, rows] : reports) tell(rows);
}

}  // namespace sluice::decode
