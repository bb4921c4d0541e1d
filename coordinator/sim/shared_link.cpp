#include "coordinator/sim/shared_link.h"

#include <algorithm>

namespace sluice::sim {

std::size_t SharedLink::next() const {
  std::size_t least = chunks_.size();
  for (std::size_t i = 0; i < chunks_.size(); ++i)
    if (chunks_[i].sending && (least == chunks_.size() || chunks_[i].left < chunks_[least].left)) least = i;
  return least;
}

void SharedLink::advance(double now, const Rate& r) {
  const double gone = now - at_s_;
  if (gone <= 0) return;
  if (!chunks_.empty()) {
    const double bytes = r.timeline.bytes(at_s_, now, r.bps);
    const double each = bytes / senders_;
    for (Piece& c : chunks_)
      if (c.sending) c.left = std::max(0.0, c.left - each);
    sent_bytes_ += bytes;
    busy_s_ += gone;
  }
  at_s_ = now;
}

void SharedLink::enter(double now, Piece c, const Rate& r) {
  advance(now, r);
  c.sending = std::ranges::none_of(chunks_, [&](const Piece& o) { return o.request == c.request; });
  senders_ += c.sending ? 1 : 0;
  chunks_.push_back(c);
}

double SharedLink::next_end(const Rate& r) const {
  return r.timeline.finish(at_s_, chunks_[next()].left * senders_, r.bps);
}

SharedLink::Piece SharedLink::leave(double now, const Rate& r) {
  advance(now, r);
  const std::size_t i = next();
  const Piece out = chunks_[i];
  chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(i));
  const auto after = std::ranges::find(chunks_, out.request, &Piece::request);
  if (after != chunks_.end())
    after->sending = true;
  else
    --senders_;
  return out;
}

std::vector<SharedLink::Shrunk> SharedLink::shrink(double now, std::uint32_t request, double keep, double factor,
                                                   const Rate& r) {
  advance(now, r);
  std::vector<Shrunk> out;
  for (Piece& c : chunks_) {
    if (c.request != request) continue;
    const double kept = std::min(c.left, keep);
    keep -= kept;
    if (c.left > kept) out.push_back({c.chunk, c.left - kept});
    c.left = kept + (c.left - kept) * factor;
  }
  return out;
}

double SharedLink::backlog_bytes(std::uint32_t request) const {
  double sum = 0;
  for (const Piece& c : chunks_)
    if (c.request == request) sum += c.left;
  return sum;
}

std::vector<std::uint32_t> SharedLink::requests() const {
  std::vector<std::uint32_t> out;
  for (const Piece& c : chunks_)
    if (c.sending) out.push_back(c.request);
  return out;
}

double SharedLink::backlog_bytes() const {
  double sum = 0;
  for (const Piece& c : chunks_) sum += c.left;
  return sum;
}

}  // namespace sluice::sim
