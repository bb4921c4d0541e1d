#include "coordinator/serving/leg_account.h"

namespace sluice::coordinator {

void LegAccount::take(Session& s) {
  Attempt& a = s.run;
  a.prefill_reported = s.asked.colocated;
  a.prefill_tokens = s.asked.colocated ? 0 : s.asked.features.prompt_tokens - 1;
  use_.view.assign(a.prefill, a.prefill_tokens, a.decode, a.blocks);
  if (s.asked.colocated) return;
  use_.placement.placed(a.chosen, use_.clock.now());
  use_.links.began(a.prefill, a.decode);
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
  use_.placement.abandoned(s.run.chosen);
}

std::function<void()> LegAccount::release_later(const Session& s) {
  const NodeRecord* n = use_.view.find(s.run.decode);
  if (n == nullptr) return [] {};
  return [this, node = s.run.decode, incarnation = n->info.incarnation, blocks = s.run.blocks] {
    const NodeRecord* now = use_.view.find(node);
    if (now != nullptr && now->info.incarnation == incarnation) use_.view.release(node, blocks);
  };
}

}  // namespace sluice::coordinator
