// Nodes as whoever balances their roles sees them: what the latency model says of each, over requests like the load's.
#include "coordinator/policy/placement.h"
#include "coordinator/policy/role_balance.h"

namespace sluice::coordinator {

RoleView Placement::role_view(ClusterSnapshot c, const OfferedLoad& l, const Slo& slo, TimePoint now) {
  constexpr std::uint32_t kMany = 33;  // sequences at which a step is asked for, besides one
  RoleView v{
      .prefills = {}, .decodes = {}, .ttft_slo_s = slo.ttft_s, .tpot_slo_s = slo.tpot_s, .attainment = slo.attainment};
  bind(c);
  const double context = l.prompt_tokens + 0.5 * l.output_tokens;  // of a sequence half way
  for (std::size_t p = 0; p < c.prefills.size(); ++p)
    if (c.prefills[p].usable)
      v.prefills.push_back({.node = c.prefills[p].id,
                            .prompt_s = latency_.prefill_s(c, p, 0, std::max(l.prompt_tokens - 1, 1.0), now),
                            .queued_tokens = c.prefills[p].queued_tokens});
  for (std::size_t d = 0; d < c.decodes.size(); ++d) {
    DecodeView& node = c.decodes[d];
    if (!node.usable) continue;
    DecodeRole r{.node = node.id, .seqs = node.seqs};
    node.seqs = 0;
    const double one = latency_.tpot_s(c, d, context, now);
    node.seqs = kMany - 1;
    const double many = latency_.tpot_s(c, d, context * kMany, now);
    r.seq_s = std::max(many - one, 0.0) / (kMany - 1);
    r.step_s = std::max(one - r.seq_s, 0.0);
    const double memory = static_cast<double>(node.total_blocks) * node.block_size;
    // Who stands there at a time is rather one with a long output: it stays for longer.
    const double held = l.prompt_tokens + l.output_tokens * (1 + l.output_scv);
    r.most_seqs = std::min<double>(node.max_seqs, memory / std::max(held, 1.0));
    v.decodes.push_back(r);
  }
  return v;
}

}  // namespace sluice::coordinator
