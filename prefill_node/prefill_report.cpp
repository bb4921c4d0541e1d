#include "prefill_node/prefill_report.h"

namespace sluice::prefill {

control::PrefillDone report_of(const OpenRequest& r, const node::ExportEnd& end, const kv::LinkStats& link,
                               TimePoint now) {
  control::PrefillDone d;
  d.request = end.request;
  d.attempt = r.prompt.call.attempt;
  if (!end.outcome) d.error = end.outcome.error();
  d.queue_s = r.times.queue_s;
  d.compute_s = r.times.compute_s;
  d.encode_s = end.encode_s;
  d.wire_s = end.wire_s;
  d.wall_s = seconds(now - r.received);
  d.exposed_s = end.exposed_s;
  d.raw_bytes = end.raw_bytes;
  d.wire_bytes = end.wire_bytes;
  if (link.busy_bytes >= r.link.busy_bytes && link.busy_s >= r.link.busy_s) {  // else it connected anew
    d.link_bytes = link.busy_bytes - r.link.busy_bytes;
    d.link_busy_s = link.busy_s - r.link.busy_s;
  }
  d.tokens = r.prompt.ticket.tokens.count;
  d.cached_tokens = r.times.cached;
  if (end.changed_to != nullptr) d.changed_to = end.changed_to->name;
  return d;
}

}  // namespace sluice::prefill
