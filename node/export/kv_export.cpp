#include "node/export/kv_export.h"

namespace sluice::node {

KvExport::KvExport(const kv::KvLayout& layout, engine::KvPool& pool, const Clock& clock, const ExportOptions& o,
                   Metrics& metrics, FrameOut& out, ExportEvents events)
    : layout_(layout),
      clock_(clock),
      options_(o),
      out_(out),
      events_(std::move(events)),
      sent_raw_(metrics.counters("sluice_kv_sent_raw_bytes_total", "KV bytes before compression.")),
      sent_wire_(metrics.counters("sluice_kv_sent_wire_bytes_total", "KV payload bytes sent.")),
      encode_seconds_(
          metrics.histogram("sluice_kv_encode_seconds", "Codec and seal time per request.", stage_buckets())),
      queue_(o.max_inflight_bytes,
             [this](const std::string& address) { return link_window(out_.link(address).bytes_per_s, options_); }),
      encoders_(pool, clock, o, queue_, out,
                [this](const ExportPtr& e, const Error& why) { end(e, std::unexpected(why)); }) {}

KvExport::~KvExport() { stop(); }

void KvExport::stop() {
  encoders_.stop();
  for (const ExportPtr& e : exports_.all()) {
    e->abandon();
    exports_.erase(e);
  }
}

void KvExport::begin(ExportStart s) {
  exports_.add(std::make_shared<Export>(std::move(s), layout_, options_, events_.release));
}

void KvExport::layer_done(RequestId request, kv::TokenRange tokens, std::uint32_t layer) {
  // None: cancelled while its chunk computed.
  if (const ExportPtr e = exports_.find(request)) queue(e->layer_done(tokens, layer, clock_.now()));
}

void KvExport::computed(RequestId request) {
  const ExportPtr e = exports_.find(request);
  if (!e) return;
  queue(e->computed(clock_.now()));
  if (e->complete()) end(e, {});
}

void KvExport::queue(std::vector<FrameJob> jobs) {
  for (FrameJob& job : jobs) {
    const std::string& address = job.owner->address();
    const std::uint64_t tag = job.owner->request().value();
    const std::size_t most = job.most;
    if (!queue_.push(address, tag, std::move(job), most)) return;  // the process stops
  }
}

void KvExport::on_note(const kv::TransferNote& note) {
  const ExportPtr e = exports_.find(note.ticket);
  if (!e) return;
  if (!note.committed)
    return end(e, std::unexpected(Error{note.code, "the decode node refused the KV: " + note.message, {}}));
  e->confirm(clock_.now());
  if (e->complete()) end(e, {});
}

void KvExport::on_peer_down(const std::string& address, const Error& why) {
  const std::string message = fmt::format("decode node at {} is gone: {}", address, why.message);
  for (const ExportPtr& e : exports_.all())
    if (e->address() == address) end(e, std::unexpected(Error{Errc::unavailable, message, {}}));
}

void KvExport::cancel(RequestId request) { fail(request, Error{Errc::cancelled, "the request was cancelled", {}}); }

void KvExport::fail(RequestId request, const Error& why) {
  if (const ExportPtr e = exports_.find(request)) end(e, std::unexpected(why));
}

/// Once per export, whoever sees its end first.
void KvExport::end(const ExportPtr& e, Result<> outcome) {
  const auto closed = e->close(std::move(outcome), clock_.now());
  if (!closed) return;
  exports_.erase(e);
  const kv::Profile* other = closed->end.changed_to;
  if (closed->end.outcome) {
    encode_seconds_.observe(closed->end.encode_s);
    count(*closed->profile, closed->kept);
    if (other != nullptr) count(*other, closed->changed);
  } else {
    (void)queue_.remove(e->address(), e->request().value());  // their leases go with them
    out_.cancel(e->address(), e->request());
  }
  events_.on_end(closed->end);
}

/// A whole transfer's frames under one profile.
void KvExport::count(const kv::Profile& profile, const Export::Sums& s) {
  rates_.add(profile.name, s.raw_bytes, s.wire_bytes, s.encode_s);
  const Labels labels{{"profile", profile.name}};
  sent_raw_.with(labels).add(static_cast<double>(s.raw_bytes));
  sent_wire_.with(labels).add(static_cast<double>(s.wire_bytes));
}

}  // namespace sluice::node
