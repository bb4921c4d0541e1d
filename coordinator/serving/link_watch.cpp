#include "coordinator/serving/link_watch.h"

#include "common/log.h"

namespace sluice::coordinator {
namespace {

constexpr int kProbesPerTurn = 4;

}  // namespace

void LinkWatch::probe(const LinkProbes::Link& l, const std::string& data_address, std::uint32_t block_bytes) {
  const bool first = block_bytes == 0;
  use_.calls.probe_path(l, data_address, block_bytes, [this, l, first](const Result<control::LinkReport>& m) {
    probes_.ended(l, use_.clock.now());
    measured_
        .with(
            {{"prefill_node", l.prefill.value()}, {"decode_node", l.decode.value()}, {"outcome", m ? "ok" : "failed"}})
        .add();
    if (!m) {
      stood_in_.erase(l);
      return log::warn("path probe failed", {{"prefill", l.prefill}, {"decode", l.decode}, {"why", m.error().message}});
    }
    log::write(first ? log::Level::info : log::Level::debug, "path probed",
               {{"prefill", l.prefill},
                {"decode", l.decode},
                {"bandwidth_gbps", m->bandwidth_bps * 8e-9},
                {"rtt_us", m->rtt_s * 1e6}});
  });
}

void LinkWatch::on_node_up(const NodeId& node) {
  if (use_.leads()) return measure_new(node, true);
  waiting_[node] = use_.clock.now();
}

void LinkWatch::measure_new(const NodeId& node, bool all) {
  const ClusterSnapshot& c = use_.view.snapshot();
  const NodeRecord* me = use_.view.find(node);
  if (me == nullptr) return;
  const bool i_prefill = me->info.role == control::Role::prefill;
  for (const auto& [id, other] : use_.view.nodes()) {
    if (other.info.role == me->info.role) continue;
    const LinkProbes::Link l{i_prefill ? node : id, i_prefill ? id : node};
    const NodeRecord& p = i_prefill ? *me : other;
    const NodeRecord& d = i_prefill ? other : *me;
    probes_.began(l);
    const bool unknown = c.link(p.index, d.index).bandwidth_bps <= 0;
    if (all || (unknown && stood_in_.insert(l).second))
      probe(l, d.info.data_address, 0);
    else
      probes_.ended(l, use_.clock.now());
  }
}

void LinkWatch::measure_waiting() {
  const TimePoint now = use_.clock.now();
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (now - it->second < kOthersWait) {
      ++it;
      continue;
    }
    measure_new(it->first, false);
    it = waiting_.erase(it);
  }
}

void LinkWatch::measure_idle() {
  measure_waiting();
  if (!use_.leads()) return;
  const ClusterSnapshot& c = use_.view.snapshot();
  for (int i = 0; i < kProbesPerTurn; ++i) {
    const auto l = probes_.next(use_.clock.now());
    if (!l) return;
    const NodeRecord* p = use_.view.find(l->prefill);
    const NodeRecord* d = use_.view.find(l->decode);
    if (p == nullptr || d == nullptr) continue;          // lost this moment
    if (c.link(p->index, d->index).backlog_bytes > 0) {  // idle to us: another coordinator's KV is on it
      probes_.ended(*l, use_.clock.now());
      continue;
    }
    probe(*l, d->info.data_address, LinkProbes::block_bytes(c.link(p->index, d->index).bandwidth_bps));
  }
}

}  // namespace sluice::coordinator
