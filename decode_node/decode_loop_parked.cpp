// Legs that give up their blocks for a while (docs/adr/0010).
#include <utility>

#include "common/log.h"
#include "decode_node/decode_loop.h"
#include "decode_node/leg.h"

namespace sluice::decode {

bool DecodeLoop::part(Held& held, const node::PassPlan& plan, std::vector<LegPtr>& ending) {
  bool changed = false;
  for (const engine::Eviction& e : plan.evictions) {
    const LegPtr& leg = legs_.at(e.id);
    leg->parked = SteadyClock().now();
    const WayBack way = way_of(*leg, e);
    if (way == WayBack::swap) {
      parked_.copy_out(e.blocks, e.computed, [this, leg, e](Result<ImagePtr> i) { copied_out(leg, e, std::move(i)); });
      continue;
    }
    evicted(held, e);
    changed = true;
    if (way == WayBack::give_back) ending.push_back(leg);
  }
  for (const engine::Return& r : plan.returns) {
    const LegPtr& leg = legs_.at(r.id);
    changed = changed || !leg->image;
    bring_back(held, leg, r);
  }
  return changed;
}

WayBack DecodeLoop::way_of(const Leg& leg, const engine::Eviction& e) const {
  const Parked::Figures swap = parked_.figures();
  return way_back({.exact = leg.exact,
                   .positions = e.computed,
                   .raw_bytes = parked_.raw_bytes(e.computed),
                   .swap_free = swap.swap_limit - swap.swap_used,
                   .swap_ratio = swap.ratio,
                   .out_bps = swap.out_bps,
                   .in_bps = swap.in_bps,
                   .prompt_tokens_per_s = prompt_tokens_per_s_.value()});
}

void DecodeLoop::evicted(Held& held, const engine::Eviction& e) {
  if (auto r = held.scheduler().evicted(e); !r)
    log::error("evicted blocks not released", {{"leg", e.id}, {"why", r.error().message}});
}

/// The copier's thread. What did not fit after all goes another way.
void DecodeLoop::copied_out(const LegPtr& leg, const engine::Eviction& e, Result<ImagePtr> image) {
  {
    Held held = core_.hold();
    evicted(held, e);
    core_.wake();
    if (leg->ended) return;
    if (image) {
      leg->image = std::move(*image);
      return;
    }
    if (leg->exact) return;
  }
  give_back(leg);
}

void DecodeLoop::bring_back(Held& held, const LegPtr& leg, const engine::Return& r) {
  if (!leg->image) return recompute(held, leg);
  const auto used = held.scheduler().view(r.id)->blocks.first(core_.blocks_for(r.computed));
  std::vector<engine::BlockHandle> blocks(used.begin(), used.end());
  held.retain(blocks);  // the leg may end while they are written
  auto lease = std::make_shared<const node::HeldBlocks>(
      std::move(blocks), [this](const std::vector<engine::BlockHandle>& b) { core_.release(b); });
  parked_.copy_in(leg->image, std::move(lease), [this, leg](const Result<>& copied) { copied_in(leg, copied); });
}

/// The copier's thread.
void DecodeLoop::copied_in(const LegPtr& leg, const Result<>& copied) {
  {
    Held held = core_.hold();
    if (leg->ended) return;
    leg->image.reset();
    core_.wake();
    if (copied) {
      ++leg->swapped;
      count(WayBack::swap);
      is_back(*leg);
      if (auto r = held.scheduler().mark_ready(leg->id); !r)
        log::error("a parked leg is not ready", {{"leg", leg->id}, {"why", r.error().message}});
      return;
    }
    log::error("parked KV not restored", {{"leg", leg->id}, {"why", copied.error().message}});
    if (leg->exact) return recompute(held, leg);
  }
  give_back(leg);
}

void DecodeLoop::recompute(Held& held, const LegPtr& leg) {
  ++leg->recomputed;
  count(WayBack::recompute);
  is_back(*leg);
  if (auto r = held.scheduler().recompute(leg->id); !r)
    log::error("a parked leg is not computed again", {{"leg", leg->id}, {"why", r.error().message}});
}

void DecodeLoop::is_back(Leg& leg) {
  const double took = seconds(SteadyClock().now() - leg.parked);
  leg.parked_s += took;
  preempted_.parked_s += took;
}

/// Without the mutex.
void DecodeLoop::give_back(const LegPtr& leg) {
  {
    const Held held = core_.hold();
    if (leg->ended) return;
    count(WayBack::give_back);
  }
  end(leg, "preempted", std::nullopt);
  sink_.flush();
}

}  // namespace sluice::decode
