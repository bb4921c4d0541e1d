#include "node/ingest/transfer.h"

#include <algorithm>

namespace sluice::node {

Transfer::Transfer(DrawnTicket drawn, BlocksLease blocks, TimePoint now)
    : ticket_(std::move(drawn.ticket)),
      fallbacks_(std::move(drawn.fallbacks)),
      issued_(now),
      blocks_(std::move(blocks)),
      coverage_(ticket_.layout, ticket_.tokens),
      changes_(ticket_.layout.layers) {}

bool Transfer::borne_by(kv::ConnId conn) const {
  const std::lock_guard lock(mutex_);
  return bearer_ == conn;
}

BlocksLease Transfer::enter(kv::ConnId conn) {
  const std::lock_guard lock(mutex_);
  if (closed_) return nullptr;
  bearer_ = conn;
  return blocks_;
}

Result<> Transfer::claim(const kv::FrameHeader& h) {
  const std::lock_guard lock(mutex_);
  if (closed_) return fail(Errc::cancelled, "the transfer ended");
  SLUICE_TRY(coverage_.claim(h.spec));
  return note_profile(h);
}

/// Under the mutex.
Result<> Transfer::note_profile(const kv::FrameHeader& h) {
  if (fallbacks_.empty()) return {};
  const bool changed = h.codec != ticket_.codec;
  if (changed) {
    const auto to = std::ranges::find_if(fallbacks_, [&](const auto* p) { return p->codec->id() == h.codec; });
    if (to == fallbacks_.end() || (changed_to_ != nullptr && changed_to_ != *to))
      return fail(Errc::data_corrupt, "a transfer changes its profile once");
    changed_to_ = *to;
  }
  return changes_.add(h.spec.tokens.begin, h.spec.layers.begin, h.spec.layers.count, changed);
}

Result<> Transfer::commit(const kv::FrameSpec& f) {
  const std::lock_guard lock(mutex_);
  coverage_.commit(f);
  if (changed_to_ == nullptr || !coverage_.complete()) return {};
  SLUICE_ASSIGN(auto steps, changes_.steps());
  change_ = control::ProfileChange{changed_to_->name, std::move(steps)};
  return {};
}

void Transfer::spent(double decode_s, std::uint64_t wire_bytes) {
  const std::lock_guard lock(mutex_);
  decode_s_ += decode_s;
  wire_bytes_ += wire_bytes;
}

std::optional<Transfer::Finished> Transfer::finish(TimePoint now) {
  BlocksLease dropped;  // after the mutex
  const std::lock_guard lock(mutex_);
  if (closed_ || !bearer_ || !coverage_.complete() || (changed_to_ != nullptr && !change_)) return std::nullopt;
  closed_ = true;
  dropped.swap(blocks_);
  return Finished{.result = {.request = ticket_.request,
                             .decode_s = decode_s_,
                             .wall_s = seconds(now - issued_),
                             .raw_bytes = std::uint64_t{ticket_.layout.token_bytes()} * ticket_.tokens.count,
                             .wire_bytes = wire_bytes_,
                             .change = std::move(change_)},
                  .bearer = *bearer_};
}

std::optional<Transfer::Closed> Transfer::close() {
  const std::lock_guard lock(mutex_);
  if (closed_) return std::nullopt;
  closed_ = true;
  return Closed{std::move(blocks_), bearer_};
}

}  // namespace sluice::node
