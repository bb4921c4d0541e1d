#include "node/export/export.h"

#include <algorithm>

#include "kvtransfer/wire/frame_io.h"

namespace sluice::node {

Export::Export(ExportStart s, const kv::KvLayout& layout, const ExportOptions& o, ReleaseBlocks release)
    : request_(s.request),
      address_(std::move(s.address)),
      ticket_(std::move(s.ticket)),
      profile_(s.profile),
      profiles_(s.plan.profiles),
      ways_(s.plan.ways.size()),
      raw_total_(std::uint64_t{layout.token_bytes()} * ticket_.tokens.count),
      planner_(layout, o.target_frame_bytes, o.overlap),
      choice_(std::move(s.plan)),
      blocks_(std::make_shared<const HeldBlocks>(std::move(s.blocks), std::move(release))) {}

const kv::Profile& Export::profile(std::size_t picked) const { return picked == 0 ? *profile_ : *profiles_[picked]; }

std::vector<FrameJob> Export::layer_done(kv::TokenRange tokens, std::uint32_t layer, TimePoint now) {
  std::vector<PlannedFrame> frames;
  BlocksLease lease;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return {};
    frames = planner_.layer_done(tokens, layer);
    lease = blocks_;
  }
  return jobs(frames, lease, now);
}

std::vector<FrameJob> Export::computed(TimePoint now) {
  std::vector<PlannedFrame> frames;
  BlocksLease lease;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return {};
    computed_at_ = now;
    frames = planner_.computed();
    lease = blocks_;
  }
  return jobs(frames, lease, now);
}

std::vector<FrameJob> Export::jobs(const std::vector<PlannedFrame>& frames, const BlocksLease& lease, TimePoint now) {
  std::vector<FrameJob> out;
  out.reserve(frames.size());
  for (const PlannedFrame& f : frames) {
    std::size_t most = kv::max_payload_bytes(ticket_, f.spec, *profile_->codec);
    for (const kv::Profile* p : profiles_) most = std::max(most, kv::max_payload_bytes(ticket_, f.spec, *p->codec));
    out.push_back({shared_from_this(), lease, f, now, most});
  }
  return out;
}

void Export::confirm(TimePoint now) {
  const std::lock_guard lock(mutex_);
  confirmed_at_ = now;
}

bool Export::complete() const {
  const std::lock_guard lock(mutex_);
  return computed_at_ && confirmed_at_;
}

std::size_t Export::pick(const PlannedFrame& f, const LinkNow& link) {
  const std::lock_guard lock(mutex_);
  const ProfilePlan& plan = choice_.plan();
  const auto encoded = kept_.raw_bytes + changed_.raw_bytes;
  const auto uncomputed = static_cast<double>(raw_total_ - planner_.planned_bytes());
  const TransferState now{.planned_bps = plan.planned_bps,
                          .link_bps = link.bytes_per_s,
                          .ahead_bytes = link.ahead_bytes,
                          .raw_left = static_cast<double>(raw_total_ - encoded),
                          .compute_left_s = plan.compute_bps > 0 ? uncomputed / plan.compute_bps : 0};
  return choice_.pick(f.sequence, f.spec, now);
}

void Export::encoded(const PlannedFrame& f, std::size_t picked, std::uint64_t wire_bytes, double took_s,
                     TimePoint now) {
  const std::lock_guard lock(mutex_);
  Sums& sums = picked == 0 ? kept_ : changed_;
  sums.encode_s += took_s;
  sums.raw_bytes += planner_.raw_bytes(f.spec);
  sums.wire_bytes += wire_bytes;
  if (!first_sent_) first_sent_ = now;
  const TimePoint begun = now - from_seconds(took_s);
  encode_begin_ = std::min(encode_begin_.value_or(begun), begun);
  encode_end_ = std::max(encode_end_.value_or(now), now);
}

bool Export::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

std::optional<Export::Closed> Export::close(Result<> outcome, TimePoint now) {
  BlocksLease dropped;  // after the mutex
  const std::lock_guard lock(mutex_);
  if (closed_) return std::nullopt;
  closed_ = true;
  dropped.swap(blocks_);
  Closed c{.end = {.request = request_, .ticket = ticket_.id, .outcome = std::move(outcome)},
           .profile = profile_,
           .kept = kept_,
           .changed = changed_};
  c.end.encode_s = kept_.encode_s + changed_.encode_s;
  c.end.raw_bytes = kept_.raw_bytes + changed_.raw_bytes;
  c.end.wire_bytes = kept_.wire_bytes + changed_.wire_bytes;
  c.end.encode_begin = encode_begin_;
  c.end.encode_end = encode_end_;
  c.end.first_sent = first_sent_;
  c.end.confirmed = confirmed_at_;
  if (const std::size_t to = choice_.changed_to(); to != 0) c.end.changed_to = profiles_[to];
  const TimePoint arrived = confirmed_at_.value_or(now);
  if (first_sent_) c.end.wire_s = seconds(arrived - *first_sent_);
  if (computed_at_) c.end.exposed_s = std::max(0.0, seconds(arrived - *computed_at_));
  return c;
}

void Export::abandon() {
  BlocksLease dropped;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(blocks_);
}

}  // namespace sluice::node
