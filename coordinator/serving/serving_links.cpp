// The part of Serving that has links measured: all of a node's when it registers, and one that was idle for long.
#include "common/log.h"
#include "coordinator/serving/serving.h"

namespace sluice::coordinator {
namespace {

constexpr std::chrono::milliseconds kProbeTimeout{20000};
constexpr int kProbesPerSweep = 4;

}  // namespace

void Serving::probe_path(const LinkProbes::Link& l, const std::string& address, std::uint32_t block_bytes) {
  const bool first = block_bytes == 0;
  registry_.call(l.prefill, control::type::kProbePath, to_json(control::ProbePathRequest{address, block_bytes}),
                 kProbeTimeout, [this, l, first](Result<nlohmann::json> r) {
                   link_probes_.ended(l, clock_.now());
                   auto m = r ? control::parse<control::LinkReport>(*r)
                              : Result<control::LinkReport>(std::unexpected(r.error()));
                   metrics_
                       .counter("sluice_link_probes_total", "Measurements of links by outcome.",
                                {{"outcome", m ? "ok" : "failed"}})
                       .Increment();
                   if (!m)
                     return log::warn("path probe failed",
                                      {{"prefill", l.prefill}, {"decode", l.decode}, {"why", m.error().message}});
                   log::write(first ? log::Level::info : log::Level::debug, "path probed",
                              {{"prefill", l.prefill},
                               {"decode", l.decode},
                               {"bandwidth_gbps", m->bandwidth_bps * 8e-9},
                               {"rtt_us", m->rtt_s * 1e6}});
                 });
}

/// Asks each prefill node to measure its path to each decode node that is new to it.
void Serving::probe_paths(const NodeId& node) {
  const NodeRecord* me = view_.find(node);
  const bool i_prefill = me->info.role == control::Role::prefill;
  for (const auto& [id, other] : view_.nodes()) {
    if (other.info.role == me->info.role) continue;
    const LinkProbes::Link l{i_prefill ? node : id, i_prefill ? id : node};
    link_probes_.began(l);
    probe_path(l, i_prefill ? other.info.data_address : me->info.data_address, 0);
  }
}

void Serving::measure_idle_links() {
  const ClusterSnapshot& c = view_.snapshot();
  for (int i = 0; i < kProbesPerSweep; ++i) {
    const auto l = link_probes_.next(clock_.now());
    if (!l) return;
    const NodeRecord* p = view_.find(l->prefill);
    const NodeRecord* d = view_.find(l->decode);
    if (p == nullptr || d == nullptr) continue;  // lost this moment
    probe_path(*l, d->info.data_address, LinkProbes::block_bytes(c.link(p->index, d->index).bandwidth_bps));
  }
}

}  // namespace sluice::coordinator
