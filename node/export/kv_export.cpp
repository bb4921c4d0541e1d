#include "node/export/kv_export.h"

#include <algorithm>

#include "common/log.h"

namespace sluice::node {

using engine::BlockHandle;

namespace {

/// Less than this says more about fixed costs than about a codec's speed.
constexpr double kMinMeasuredBytes = 1U << 20;

std::uint64_t raw_bytes_of(const kv::KvLayout& l, const kv::FrameSpec& f) {
  return std::uint64_t{f.segments()} * f.tokens.count * l.row_bytes();
}

}  // namespace

struct KvExport::Export {
  ExportStart start;
  std::uint64_t raw_total = 0;
  // Under mutex_ from here.
  kv::TransferPlanner planner;
  ProfileChoice choice;
  std::vector<kv::FrameSpec> held_back;  // without overlap: frames that wait for the end of compute
  std::uint64_t next_sequence = 0;
  int encoders = 0;
  bool closed = false;
  std::uint64_t raw_queued = 0;
  Sums kept, changed;  // of the chosen profile's frames, and of another's
  std::optional<TimePoint> first_sent, computed_at;
  std::optional<TimePoint> confirmed_at;
};

struct KvExport::Job {
  ExportPtr owner;
  kv::FrameSpec spec;
  std::uint64_t sequence = 0;
  TimePoint ready{};
  std::size_t most = 0;  // payload bytes; reserved when the job is handed out
};

KvExport::KvExport(const kv::KvLayout& layout, engine::KvPool& pool, const Clock& clock, const ExportOptions& o,
                   Metrics& metrics, FrameOut& out, ExportEvents events)
    : layout_(layout),
      pool_(pool),
      clock_(clock),
      options_(o),
      metrics_(metrics),
      out_(out),
      events_(std::move(events)),
      encode_seconds_(
          metrics.histogram("sluice_kv_encode_seconds", "Codec and seal time per request.", stage_buckets())),
      payloads_(o.max_inflight_bytes + o.max_inflight_bytes / 4),  // a quarter for the rounding to size classes
      queue_(o.max_inflight_bytes, [this](const std::string& address) { return link_window(address); }) {
  for (unsigned i = 0; i < std::max(o.workers, 1U); ++i) workers_.emplace_back([this] { work(); });
}

KvExport::~KvExport() { stop(); }

void KvExport::stop() {
  queue_.close();
  for (auto& t : workers_)
    if (t.joinable()) t.join();
}

void KvExport::begin(ExportStart s) {
  const kv::PlanOptions plan{.target_frame_bytes = options_.target_frame_bytes};
  const RequestId id = s.request;
  const std::uint64_t raw = std::uint64_t{layout_.token_bytes()} * s.ticket.tokens.count;
  ProfilePlan profiles = std::move(s.plan);
  auto e = std::make_shared<Export>(Export{.start = std::move(s),
                                           .raw_total = raw,
                                           .planner = kv::TransferPlanner(layout_, plan),
                                           .choice = ProfileChoice(std::move(profiles))});
  const std::lock_guard lock(mutex_);
  exports_[id] = std::move(e);
}

KvExport::ExportPtr KvExport::find(RequestId request) const {
  const std::lock_guard lock(mutex_);
  const auto it = exports_.find(request);
  return it == exports_.end() ? nullptr : it->second;
}

void KvExport::layer_done(RequestId request, kv::TokenRange tokens, std::uint32_t layer) {
  const ExportPtr e = find(request);
  if (!e) return;  // cancelled while its chunk computed
  std::vector<kv::FrameSpec> frames;
  {
    const std::lock_guard lock(mutex_);
    frames = e->planner.layer_done(tokens, layer);
    if (!options_.overlap) {
      e->held_back.insert(e->held_back.end(), frames.begin(), frames.end());
      return;
    }
  }
  queue_frames(e, frames);
}

void KvExport::computed(RequestId request) {
  const ExportPtr e = find(request);
  if (!e) return;
  std::vector<kv::FrameSpec> frames;
  bool confirmed = false;
  {
    const std::lock_guard lock(mutex_);
    e->computed_at = clock_.now();
    frames.swap(e->held_back);
    confirmed = e->confirmed_at.has_value();
  }
  queue_frames(e, frames);
  if (confirmed) end(e, {});
}

void KvExport::queue_frames(const ExportPtr& e, const std::vector<kv::FrameSpec>& frames) {
  const TimePoint now = clock_.now();
  for (const kv::FrameSpec& f : frames) {
    std::uint64_t sequence = 0;
    {
      const std::lock_guard lock(mutex_);
      if (e->closed) return;
      ++e->encoders;  // counted from here, so that the blocks stay while the job waits
      sequence = e->next_sequence++;
      e->raw_queued += raw_bytes_of(layout_, f);
    }
    std::size_t most = kv::max_payload_bytes(e->start.ticket, f, *e->start.profile->codec);
    for (const kv::Profile* p : e->choice.plan().profiles)
      most = std::max(most, kv::max_payload_bytes(e->start.ticket, f, *p->codec));
    if (!queue_.push(e->start.address, e->start.request.value(), Job{e, f, sequence, now, most}, most)) leave(e);
  }
}

void KvExport::work() {
  kv::FrameScratch scratch;
  while (auto job = queue_.pop()) encode(*job, scratch);
}

void KvExport::encode(const Job& job, kv::FrameScratch& scratch) {
  const ExportPtr& e = job.owner;
  bool closed = false;
  {
    const std::lock_guard lock(mutex_);
    closed = e->closed;
  }
  if (closed) {
    queue_.give_back(e->start.address, job.most);
  } else if (const auto built = build(job, scratch); !built) {
    end(e, std::unexpected(built.error()));
  }
  leave(e);
}

Result<std::size_t> KvExport::build(const Job& job, kv::FrameScratch& scratch) {
  const ExportPtr& e = job.owner;
  const std::size_t most = job.most;
  kv::Buffer payload = payloads_.take(most);
  if (payload.empty()) {
    sent(e, most, {});
    return sluice::fail(Errc::resource_exhausted, "no memory for a KV frame of {} bytes", most);
  }
  const std::uint32_t per_block = pool_.shape().block_size;
  std::vector<const std::byte*> pages;
  const kv::RowsOf rows = [&](const kv::SegmentShape& s) {
    pages.clear();
    const std::uint32_t last = (s.first_token + s.tokens - 1) / per_block;
    for (std::uint32_t b = s.first_token / per_block; b <= last; ++b)
      pages.push_back(pool_.block(s.layer, s.kind == kv::KvKind::value, e->start.blocks[b].id));
    return kv::ConstRows{pages, per_block, s.first_token % per_block, s.row_bytes()};
  };
  const std::size_t picked = pick_profile(job);
  const kv::Profile& profile = picked == 0 ? *e->start.profile : *e->choice.plan().profiles[picked];
  const TimePoint begin = clock_.now();
  const kv::FrameTimes times{.queue_us = static_cast<std::uint32_t>(seconds(begin - job.ready) * 1e6)};
  auto frame = kv::build_frame(e->start.ticket, profile, job.spec, job.sequence, rows, payload.bytes(), scratch, times);
  if (!frame) {
    sent(e, most, {});
    return std::unexpected(frame.error());
  }
  const TimePoint now = clock_.now();
  payload.shrink(frame->payload_bytes);
  {
    const std::lock_guard lock(mutex_);
    Sums& sums = picked == 0 ? e->kept : e->changed;
    sums.encode_s += seconds(now - begin);
    sums.raw_bytes += raw_bytes_of(layout_, job.spec);
    sums.wire_bytes += frame->payload_bytes;
    if (!e->first_sent) e->first_sent = now;
  }
  queue_.give_back(e->start.address, most - frame->payload_bytes);
  const std::size_t bytes = frame->payload_bytes;
  out_.send(e->start.address, e->start.request, frame->header, std::move(payload),
            [this, e, bytes](Result<> r) { sent(e, bytes, r); });
  return bytes;
}

std::size_t KvExport::pick_profile(const Job& job) {
  Export& e = *job.owner;
  const LinkNow link = e.choice.plan().ways.size() > 1 ? out_.link(e.start.address) : LinkNow{};
  const std::lock_guard lock(mutex_);
  const std::uint64_t encoded = e.kept.raw_bytes + e.changed.raw_bytes;
  const double compute_bps = e.choice.plan().compute_bps;
  const auto uncomputed = static_cast<double>(e.raw_total - e.raw_queued);
  const TransferState now{.planned_bps = e.choice.plan().planned_bps,
                          .link_bps = link.bytes_per_s,
                          .ahead_bytes = link.ahead_bytes,
                          .raw_left = static_cast<double>(e.raw_total - encoded),
                          .compute_left_s = compute_bps > 0 ? uncomputed / compute_bps : 0};
  return e.choice.pick(job.sequence, job.spec, now);
}

/// At most three quarters of the whole: one link at a stand leaves room for the others.
std::size_t KvExport::link_window(const std::string& address) const {
  const std::size_t most = options_.max_inflight_bytes - options_.max_inflight_bytes / 4;
  const double bps = out_.link(address).bytes_per_s;
  const double bytes = bps > 0 ? std::min(bps * kLinkWindowS, static_cast<double>(most)) : static_cast<double>(most);
  return std::max(static_cast<std::size_t>(bytes), 2 * options_.target_frame_bytes);
}

void KvExport::sent(const ExportPtr& e, std::size_t bytes, const Result<>& r) {
  queue_.give_back(e->start.address, bytes);
  if (!r) end(e, std::unexpected(r.error()));
}

/// One encoder (or queued job) is through; the last one out of a closed export gives its blocks back.
void KvExport::leave(const ExportPtr& e) {
  std::vector<BlockHandle> blocks;
  {
    const std::lock_guard lock(mutex_);
    --e->encoders;
    if (e->closed && e->encoders == 0) blocks.swap(e->start.blocks);
  }
  if (!blocks.empty()) events_.release(blocks);
}

void KvExport::end(const ExportPtr& e, Result<> outcome) {
  std::vector<BlockHandle> blocks;
  ExportEnd result{.request = e->start.request, .ticket = e->start.ticket.id, .outcome = std::move(outcome)};
  {
    const std::lock_guard lock(mutex_);
    if (e->closed) return;
    e->closed = true;
    exports_.erase(e->start.request);
    const TimePoint now = clock_.now();
    result.encode_s = e->kept.encode_s + e->changed.encode_s;
    result.raw_bytes = e->kept.raw_bytes + e->changed.raw_bytes;
    result.wire_bytes = e->kept.wire_bytes + e->changed.wire_bytes;
    if (const std::size_t to = e->choice.changed_to(); to != 0) result.changed_to = e->choice.plan().profiles[to];
    const TimePoint arrived = e->confirmed_at.value_or(now);
    if (e->first_sent) result.wire_s = seconds(arrived - *e->first_sent);
    if (e->computed_at) result.exposed_s = std::max(0.0, seconds(arrived - *e->computed_at));
    if (e->encoders == 0) blocks.swap(e->start.blocks);
    if (result.outcome) learn(*e->start.profile, e->kept);
    if (result.outcome && result.changed_to != nullptr) learn(*result.changed_to, e->changed);
  }
  if (!blocks.empty()) events_.release(blocks);
  if (!result.outcome) {
    for (const Job& job : queue_.remove(e->start.address, e->start.request.value())) leave(job.owner);
    out_.cancel(e->start.address, e->start.request);
  } else {
    encode_seconds_.Observe(result.encode_s);
    count(*e->start.profile, e->kept);
    if (result.changed_to != nullptr) count(*result.changed_to, e->changed);
  }
  events_.on_end(result);
}

void KvExport::count(const kv::Profile& profile, const Sums& s) {
  const Labels labels{{"profile", profile.name}};
  metrics_.counter("sluice_kv_sent_raw_bytes_total", "KV bytes before compression.", labels)
      .Increment(static_cast<double>(s.raw_bytes));
  metrics_.counter("sluice_kv_sent_wire_bytes_total", "KV payload bytes sent.", labels)
      .Increment(static_cast<double>(s.wire_bytes));
}

/// Under the mutex.
void KvExport::learn(const kv::Profile& profile, const Sums& s) {
  Meters& m = rates_[profile.name];
  m.encode.add(static_cast<double>(s.raw_bytes), s.encode_s);
  m.ratio.add(static_cast<double>(s.raw_bytes), static_cast<double>(s.wire_bytes));
}

void KvExport::cancel(RequestId request) { fail(request, Error{Errc::cancelled, "the request was cancelled", {}}); }

void KvExport::fail(RequestId request, const Error& why) {
  if (const ExportPtr e = find(request)) end(e, std::unexpected(why));
}

void KvExport::on_note(const kv::TransferNote& note) {
  ExportPtr hit;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, e] : exports_)
      if (e->start.ticket.id == note.ticket) hit = e;
    if (!hit) return;
    if (note.committed) hit->confirmed_at = clock_.now();
    // The last layer's KV leaves before its pass returns, so the confirmation can overtake it; computed() ends it then.
    if (note.committed && !hit->computed_at) return;
  }
  if (note.committed) return end(hit, {});
  end(hit, std::unexpected(Error{note.code, "the decode node refused the KV: " + note.message, {}}));
}

void KvExport::on_peer_down(const std::string& address, const Error& why) {
  std::vector<ExportPtr> hit;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, e] : exports_)
      if (e->start.address == address) hit.push_back(e);
  }
  for (const ExportPtr& e : hit)
    end(e, std::unexpected(
               Error{Errc::unavailable, fmt::format("decode node at {} is gone: {}", address, why.message), {}}));
}

std::unordered_map<std::string, ProfileRate> KvExport::rates() const {
  const std::lock_guard lock(mutex_);
  std::unordered_map<std::string, ProfileRate> out;
  for (const auto& [profile, m] : rates_)
    if (m.encode.weight() >= kMinMeasuredBytes) out[profile] = {m.encode.rate(), m.ratio.rate()};
  return out;
}

}  // namespace sluice::node
