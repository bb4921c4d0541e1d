#include "node/export/encoder_pool.h"

#include <algorithm>

#include "node/kv/pool_rows.h"

namespace sluice::node {

EncoderPool::EncoderPool(engine::KvPool& pool, const Clock& clock, const ExportOptions& o, FrameQueue& queue,
                         FrameOut& out, Broken broken)
    : pool_(pool),
      clock_(clock),
      queue_(queue),
      out_(out),
      broken_(std::move(broken)),
      payloads_(o.max_inflight_bytes + o.max_inflight_bytes / 4) {  // a quarter for the rounding to size classes
  for (unsigned i = 0; i < std::max(o.workers, 1U); ++i) workers_.emplace_back([this] { work(); });
}

EncoderPool::~EncoderPool() { stop(); }

void EncoderPool::stop() {
  queue_.close();
  for (auto& t : workers_)
    if (t.joinable()) t.join();
}

void EncoderPool::work() {
  kv::FrameScratch scratch;
  while (const auto job = queue_.pop()) {
    if (job->owner->closed()) {
      queue_.give_back(job->owner->address(), job->most);
    } else if (const auto encoded = encode(*job, scratch); !encoded) {
      broken_(job->owner, encoded.error());
    }
  }
}

Result<> EncoderPool::encode(const FrameJob& job, kv::FrameScratch& scratch) {
  Export& e = *job.owner;
  kv::Buffer payload = payloads_.take(job.most);
  if (payload.empty()) {
    queue_.give_back(e.address(), job.most);
    return fail(Errc::resource_exhausted, "no memory for a KV frame of {} bytes", job.most);
  }
  PoolRows<const std::byte> in_pool(pool_, job.blocks->blocks());
  const kv::RowsOf rows = [&](const kv::SegmentShape& s) { return in_pool.of(s); };
  const std::size_t picked = e.pick(job.frame, e.may_change() ? out_.link(e.address()) : LinkNow{});
  const TimePoint begin = clock_.now();
  const kv::FrameTimes times{.queue_us = static_cast<std::uint32_t>(seconds(begin - job.ready) * 1e6)};
  const auto built = kv::build_frame(e.ticket(), e.profile(picked), job.frame.spec, job.frame.sequence, rows,
                                     payload.bytes(), scratch, times);
  if (!built) {
    queue_.give_back(e.address(), job.most);
    return std::unexpected(built.error());
  }
  const TimePoint now = clock_.now();
  const std::size_t bytes = built->payload_bytes;
  payload.shrink(bytes);
  e.encoded(job.frame, picked, bytes, seconds(now - begin), now);
  queue_.give_back(e.address(), job.most - bytes);
  out_.send(e.address(), e.request(), built->header, std::move(payload), [this, owner = job.owner, bytes](Result<> r) {
    queue_.give_back(owner->address(), bytes);
    if (!r) broken_(owner, r.error());
  });
  return {};
}

}  // namespace sluice::node
