#include "common/trace/exporter.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>

#include "common/http/client.h"
#include "common/log.h"
#include "common/log_gate.h"

namespace sluice::trace {

/// The queue and the thread's work; the thread keeps it alive.
class Exporter::Sender {
 public:
  Sender(ExporterOptions o, const Counters& spans)
      : o_(std::move(o)),
        exported_(spans.with({{"outcome", "exported"}})),
        dropped_(spans.with({{"outcome", "dropped"}})),
        failed_(spans.with({{"outcome", "failed"}})) {}

  void add(Span span) {
    {
      const std::lock_guard lock(mutex_);
      if (queue_.size() >= o_.max_queue || stopping_) return dropped_.add();
      queue_.push_back(std::move(span));
      if (queue_.size() > 1 && queue_.size() < o_.max_batch) return;  // the thread knows of the first
    }
    changed_.notify_all();
  }

  void run() {
    while (auto batch = next()) deliver(*batch);
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
  }

  /// Whether the thread has ended in time.
  bool stop() {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    flush_until_ = std::chrono::steady_clock::now() + o_.flush_time;
    changed_.notify_all();
    constexpr std::chrono::milliseconds kLastStep{200};
    const bool in_time = changed_.wait_until(lock, flush_until_ + kLastStep, [this] { return ended_; });
    left_behind_ = !in_time;
    return in_time;
  }

 private:
  using Batch = std::vector<Span>;

  /// Waits for a batch; nothing once all is sent and it should stop.
  std::optional<Batch> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    changed_.wait_for(lock, o_.interval, [this] { return stopping_ || queue_.size() >= o_.max_batch; });
    if (stopping_ && std::chrono::steady_clock::now() >= flush_until_) drop_all();
    if (queue_.empty()) return std::nullopt;
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), o_.max_batch));
    Batch batch(std::move_iterator(queue_.begin()), std::move_iterator(end));
    queue_.erase(queue_.begin(), end);
    return batch;
  }

  void drop_all() {
    dropped_.add(static_cast<double>(queue_.size()));
    if (!queue_.empty() && !left_behind_)
      log::warn("the process ended before its last spans were sent", {{"spans", queue_.size()}});
    queue_.clear();
  }

  void deliver(const Batch& batch) {
    const std::string body = to_otlp(batch, o_.resource);
    for (unsigned tries = 1;; ++tries) {
      const auto answer = send(body);
      if (answer && answer->status / 100 == 2) return count_taken(batch.size(), answer->body);
      const bool again = !answer || worth_a_retry(answer->status);
      const auto wait = again ? wait_before(tries, asked_wait(answer), chance(), o_.retry) : std::nullopt;
      if (wait && rest(*wait)) continue;
      failed_.add(static_cast<double>(batch.size()));
      return say(answer ? fmt::format("it answered {}", answer->status) : answer.error().message, batch.size());
    }
  }

  Result<http::ClientResponse> send(const std::string& body) {
    http::ClientRequest q{.address = o_.endpoint.address,
                          .method = "POST",
                          .target = o_.endpoint.target,
                          .headers = {{"Content-Type", "application/json"}, {"User-Agent", "sluice/" SLUICE_VERSION}},
                          .body = body};
    q.timeout = timeout();
    return http::request(q);
  }

  std::chrono::milliseconds timeout() {
    const std::lock_guard lock(mutex_);
    return stopping_ ? std::clamp(left(), std::chrono::milliseconds(1), o_.timeout) : o_.timeout;
  }

  std::chrono::milliseconds left() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(flush_until_ - std::chrono::steady_clock::now());
  }

  /// Before another try. False: the process ends, and there is no time for one.
  bool rest(Duration wait) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait, [this] { return stopping_; });
    if (!stopping_) return true;
    constexpr std::chrono::milliseconds kShort{50};
    if (left() <= kShort) return false;
    lock.unlock();
    std::this_thread::sleep_for(kShort);
    return true;
  }

  void count_taken(std::size_t spans, const std::string& answer) {
    const std::size_t refused = std::min<std::uint64_t>(spans, rejected_spans(answer));
    exported_.add(static_cast<double>(spans - refused));
    if (refused == 0) return;
    failed_.add(static_cast<double>(refused));
    say("it did not take all spans of a batch", refused);
  }

  void say(const std::string& why, std::size_t spans) {
    {
      const std::lock_guard lock(mutex_);
      if (left_behind_) return;
    }
    if (const auto held = lost_.pass(0, std::chrono::steady_clock::now()))
      log::warn("spans are lost: the receiver does not take them",
                {{"receiver", o_.endpoint.address}, {"why", why}, {"spans", spans}, {"held_back", *held}});
  }

  static std::optional<Duration> asked_wait(const Result<http::ClientResponse>& answer) {
    if (!answer) return std::nullopt;
    const auto it = answer->headers.find("retry-after");
    return it == answer->headers.end() ? std::nullopt : parse_retry_after(it->second, std::chrono::system_clock::now());
  }

  double chance() { return std::uniform_real_distribution(0.0, 1.0)(rng_); }

  const ExporterOptions o_;
  const Counter exported_, dropped_, failed_;
  LogGate lost_{std::chrono::seconds(60)};
  std::minstd_rand rng_{std::random_device{}()};  // the thread's

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Span> queue_;
  bool stopping_ = false, ended_ = false, left_behind_ = false;
  TimePoint flush_until_{};
};

Exporter::Exporter(ExporterOptions o, const Counters& spans)
    : sender_(std::make_shared<Sender>(std::move(o), spans)), thread_([s = sender_] { s->run(); }) {}

Exporter::~Exporter() {
  if (sender_->stop())
    thread_.join();
  else
    thread_.detach();
}

void Exporter::add(Span span) { sender_->add(std::move(span)); }

}  // namespace sluice::trace
