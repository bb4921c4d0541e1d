#include "coordinator/serving/leg_account.h"

namespace sluice::coordinator {

void LegAccount::take(Session& s) {
  Attempt& a = s.run;
  a.prefill_reported = a.local;
  a.prefill_tokens = a.cut;
  a.local_tokens = s.split() ? 0 : s.asked.features.prompt_tokens - a.cut;
  use_.view.assign(a.prefill, a.prefill_tokens, a.decode, a.blocks, a.local_tokens);
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

std::function<void()> LegAccount::release_later(const NodeId& decode, std::uint32_t blocks) {
  const NodeRecord* n = use_.view.find(decode);
  if (n == nullptr) return [] {};
  return [this, node = decode, incarnation = n->info.incarnation, blocks] {
    const NodeRecord* now = use_.view.find(node);
    if (now != nullptr && now->info.incarnation == incarnation) use_.view.release(node, blocks);
  };
}

}  // namespace sluice::coordinator
