#include "kvstore/tier_lane.h"

namespace sluice::kvstore {
namespace {

TimePoint now() { return std::chrono::steady_clock::now(); }

/// Of a tier that nobody read yet.
TierSpeed believed_speed(const Tier& tier) {
  if (tier.immediate()) return {1e-6, 1e10};
  return tier.kind() == "disk" ? TierSpeed{2e-4, 1e9} : TierSpeed{1e-3, 5e8};
}

/// Where a reader leaves its answer, for as long as somebody waits. Shared by both.
template <class T>
struct Answer {
  std::mutex mutex;
  std::condition_variable came;
  std::optional<Result<T>> result;
  bool begun = false, left = false;  // by the reader; by who waited
};

}  // namespace

TierLane::TierLane(std::unique_ptr<Tier> tier, const LaneOptions& options)
    : tier_(std::move(tier)), options_(options), pause_(options.first_pause), speed_(believed_speed(*tier_)) {
  threads_.emplace_back([this] { write_loop(); });
  if (!tier_->immediate())
    for (unsigned i = 0; i < options_.readers; ++i) threads_.emplace_back([this] { read_loop(); });
}

TierLane::~TierLane() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
    counts_.dropped_end += writes_.size();
    writes_.clear();
  }
  writes_changed_.notify_all();
  reads_changed_.notify_all();
  threads_.clear();  // joins
}

void TierLane::write(ObjectBytes object) {
  const std::uint64_t bytes = object.bytes().size();
  const std::scoped_lock lock(mutex_);
  if (!pause_.open(now())) {
    ++counts_.dropped_paused;
  } else if (stopping_ || bytes > options_.queue_bytes - queued_bytes_) {
    ++counts_.dropped_full;
  } else {
    queued_bytes_ += bytes;
    writes_.push_back(std::move(object));
    writes_changed_.notify_all();
  }
}

void TierLane::write_loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    writes_changed_.wait(lock, [&] { return stopping_ || !writes_.empty(); });
    if (stopping_) return;
    const ObjectBytes object = std::move(writes_.front());
    writes_.pop_front();
    if (pause_.open(now())) {
      lock.unlock();
      write_one(object);
      lock.lock();
    } else {
      ++counts_.dropped_paused;
    }
    queued_bytes_ -= object.bytes().size();
    writes_changed_.notify_all();
  }
}

void TierLane::write_one(const ObjectBytes& object) {
  const auto put = put_object(*tier_, object, now() + options_.write_limit);
  settle(put ? std::nullopt : std::optional(put.error().code));
  const std::scoped_lock lock(mutex_);
  if (put) {
    ++counts_.written;
    counts_.written_bytes += object.bytes().size();
  } else if (put.error().code != Errc::already_exists) {
    ++counts_.failed_writes;
  }
}

void TierLane::settle(std::optional<Errc> failure) {
  const std::scoped_lock lock(mutex_);
  if (failure && TierPause::is_failure(*failure)) {
    pause_.failed(*failure, now());
  } else {
    pause_.worked();
  }
}

void TierLane::read_loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    reads_changed_.wait(lock, [&] { return stopping_ || !reads_.empty(); });
    if (stopping_) return;  // who still waits finds its deadline; the store's owner lets nobody in by then
    const Job job = std::move(reads_.front());
    reads_.pop_front();
    lock.unlock();
    job();
    lock.lock();
  }
}

bool TierLane::closed() const { return !pause_.open(now()) || (!tier_->immediate() && overdue_ >= options_.readers); }

template <class T, class F>
Result<T> TierLane::on_reader(F fn, Deadline deadline) {
  if (tier_->immediate()) return fn(*tier_);
  const auto answer = std::make_shared<Answer<T>>();
  {
    const std::scoped_lock lock(mutex_);
    if (closed()) return fail(Errc::unavailable, "the {} tier failed, and is left alone for a while", tier_->kind());
    if (reads_.size() >= options_.queued_calls)
      return fail(Errc::resource_exhausted, "too many wait for the {} tier", tier_->kind());
    reads_.push_back([this, answer, deadline, fn = std::move(fn)] {
      {
        const std::scoped_lock lock(answer->mutex);
        if (answer->left || now() >= deadline) return;  // nobody waits any more
        answer->begun = true;
      }
      Result<T> result = fn(*tier_);
      settle(result ? std::nullopt : std::optional(result.error().code));
      const std::scoped_lock lock(answer->mutex);
      if (answer->left) {
        const std::scoped_lock own(mutex_);
        --overdue_;
      }
      answer->result = std::move(result);
      answer->came.notify_all();
    });
    reads_changed_.notify_one();
  }
  std::unique_lock lock(answer->mutex);
  if (!answer->came.wait_until(lock, deadline, [&] { return answer->result.has_value(); })) {
    answer->left = true;
    if (answer->begun) {
      const std::scoped_lock own(mutex_);
      ++overdue_;
    }
    return fail(Errc::deadline_exceeded, "the {} tier did not answer in time", tier_->kind());
  }
  return std::move(*answer->result);
}

Result<ObjectBytes> TierLane::read(const ObjectKey& key, Deadline deadline) {
  const TimePoint begin = now();
  auto object = on_reader<ObjectBytes>([key, deadline](Tier& t) { return t.get(key, deadline); }, deadline);
  const TimePoint end = now();
  const std::scoped_lock lock(mutex_);
  if (object) {
    const auto bytes = object->bytes().size();
    ++counts_.hits;
    counts_.read_bytes += bytes;
    counts_.read_seconds += seconds(end - begin);
    speed_.observe(static_cast<double>(bytes), seconds(end - begin), end);
  } else if (object.error().code == Errc::not_found || object.error().code == Errc::data_corrupt) {
    ++counts_.misses;
    speed_.observe(0, seconds(end - begin), end);
  } else {
    ++counts_.failures;
    // Late, it is at least as slow as that: the next caller asks another tier first.
    if (object.error().code == Errc::deadline_exceeded) speed_.observe(0, seconds(end - begin), end);
  }
  return object;
}

Result<std::vector<bool>> TierLane::has(std::span<const ObjectKey> keys, Deadline deadline) {
  const std::vector<ObjectKey> own(keys.begin(), keys.end());  // the caller may be gone before the reader
  return on_reader<std::vector<bool>>([own, deadline](Tier& t) { return t.has(own, deadline); }, deadline);
}

Result<> TierLane::erase(const ObjectKey& key, Deadline deadline) {
  return on_reader<void>([key, deadline](Tier& t) { return t.erase(key, deadline); }, deadline);
}

Result<TierUse> TierLane::use(Deadline deadline) {
  return on_reader<TierUse>([deadline](Tier& t) { return t.use(deadline); }, deadline);
}

double TierLane::predict(double bytes) const {
  const std::scoped_lock lock(mutex_);
  return speed_.predict(bytes, now());
}

LaneState TierLane::state() const {
  const std::scoped_lock lock(mutex_);
  return {counts_, queued_bytes_, closed(), speed_.latency_s(), speed_.bytes_per_s()};
}

bool TierLane::drain(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return writes_changed_.wait_until(lock, deadline, [&] { return queued_bytes_ == 0; });
}

}  // namespace sluice::kvstore
