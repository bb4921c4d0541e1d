#include "coordinator/serving/leg_account.h"

#include <algorithm>

namespace sluice::coordinator {

DecodePlace LegAccount::place(const Session& s, const NodeId& decode) const {
  const NodeRecord* n = use_.view.find(decode);
  return n == nullptr ? DecodePlace{} : place_on(use_.view.snapshot().decodes[n->index], asks(s));
}

void LegAccount::grow(Session& s) {
  const DecodePlace before = s.run.place;
  s.run.place = place(s, s.run.decode);
  use_.view.grow(s.run.decode, before, s.run.place);
}

void LegAccount::take_target(Session& s) {
  Moving& m = *s.moves.now;
  m.place = place(s, m.target);
  use_.view.assign(NodeId(), 0, m.target, m.place);
}

/// Nobody tells how far they are. They are taken to begin.
void LegAccount::expect_others() {
  const Staying stay = expected_stay(use_.intake.lengths(), 0, kOthersLimit);
  for (const auto& [id, n] : use_.view.nodes()) {
    if (!n.info.grows || n.last.others_seqs + n.others_counted == 0) continue;
    const std::uint32_t seqs = std::min(n.last.others_seqs, n.info.max_seqs);
    const std::uint64_t tokens = std::uint64_t{n.last.others_blocks} * n.info.block_size / std::max(seqs, 1U);
    use_.view.expect_others(
        id, seqs,
        memory_part({.tokens = static_cast<std::uint32_t>(std::min<std::uint64_t>(tokens, UINT32_MAX)),
                     .left = kOthersLimit,
                     .block_size = n.info.block_size},
                    stay));
  }
}

void LegAccount::take(Session& s) {
  Attempt& a = s.run;
  a.prefill_reported = a.local;
  a.prefill_tokens = a.cut - a.chosen.had;
  a.local_tokens = s.split() ? 0 : s.asked.features.prompt_tokens - a.cut;
  a.place = place(s, a.decode);
  use_.view.assign(a.prefill, a.prefill_tokens, a.decode, a.place, a.local_tokens);
  use_.placement.placed(a.chosen, use_.clock.now());
  if (!a.local) use_.links.began(a.prefill, a.decode);
}

void LegAccount::end_local(Session& s) {
  use_.view.local_finished(s.run.decode, s.run.local_tokens);
  s.run.local_tokens = 0;
}

void LegAccount::local_done(Session& s) {
  if (s.run.local_tokens == 0) return;
  end_local(s);
  use_.placement.here_done(s.run.chosen, use_.clock.now());
}

void LegAccount::local_dropped(Session& s) {
  if (s.run.local_tokens == 0) return;
  end_local(s);
  use_.placement.here_abandoned(s.run.chosen);
}

void LegAccount::end_prefill(Session& s) {
  s.run.prefill_reported = true;
  use_.view.prefill_finished(s.run.prefill, s.run.prefill_tokens);
  use_.links.ended(s.run.prefill, s.run.decode);
}

void LegAccount::prefill_done(Session& s) {
  end_prefill(s);
  use_.placement.prefill_done(s.run.chosen, s.measured(), use_.clock.now());
}

void LegAccount::prefill_dropped(Session& s) {
  end_prefill(s);
  use_.placement.abandoned(s.run.chosen, use_.clock.now());
}

std::function<void()> LegAccount::release_later(const NodeId& decode, const DecodePlace& place) {
  const NodeRecord* n = use_.view.find(decode);
  if (n == nullptr) return [] {};
  return [this, node = decode, incarnation = n->info.incarnation, place] {
    const NodeRecord* now = use_.view.find(node);
    if (now != nullptr && now->info.incarnation == incarnation) use_.view.release(node, place);
  };
}

}  // namespace sluice::coordinator
