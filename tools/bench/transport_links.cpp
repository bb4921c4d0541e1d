#include "tools/bench/transport_links.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <mutex>

#include "kvtransfer/flow/kv_receiver.h"
#include "kvtransfer/flow/kv_sender.h"
#include "kvtransfer/transport/transport.h"
#include "tools/bench/bench_util.h"

namespace sluice::bench {
namespace {

/// Bytes handed over and not yet sent, at most, but at least one payload: ucx_perftest too sends one buffer again and
/// again, and with more of them in turn both ends would work from memory where it works from the cache.
constexpr std::size_t kOutstanding = 4U << 20;
constexpr std::chrono::seconds kPatience{120};
constexpr kv::MessageId kData = 1, kDone = 2;

/// A count that one thread raises and another waits for.
class Gate {
 public:
  void raise(std::uint64_t by = 1) {
    {
      const std::lock_guard lock(mutex_);
      count_ += by;
    }
    changed_.notify_all();
  }
  [[nodiscard]] bool wait_for(std::uint64_t at_least) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return count_ >= at_least; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t count_ = 0;
};

/// `count` sends, so many at a time: each one's end posts the next, on the progress thread, so that handing over costs
/// no switch to another thread (ucx_perftest has only one).
class Series : public std::enable_shared_from_this<Series> {
 public:
  using Post = std::function<void(kv::SendDone)>;
  Series(std::size_t count, std::size_t bytes, Post post)
      : count_(count),
        ahead_(std::min(count, std::max<std::size_t>(1, kOutstanding / bytes))),
        post_(std::move(post)) {}

  [[nodiscard]] Result<> run() {
    for (std::size_t i = 0; i < ahead_; ++i) next();
    if (ended_.wait_for(1) && !failed_) return {};
    return fail(Errc::unavailable, "the peer stopped receiving");
  }

 private:
  void next() {
    if (posted_++ < count_) post_([self = shared_from_this()](const Result<>& r) { self->sent(r); });
  }
  void sent(const Result<>& r) {
    if (!r) failed_ = true;
    if (++done_ == count_ || failed_) return ended_.raise();
    next();
  }

  const std::size_t count_, ahead_;
  const Post post_;
  std::atomic<std::size_t> posted_ = 0, done_ = 0;
  std::atomic<bool> failed_ = false;
  Gate ended_;
};

class RawPeer final : public kv::TransportHandler {
 public:
  kv::Transport* transport = nullptr;
  void on_connected(kv::ConnId, bool) override {}
  std::span<std::byte> on_payload(kv::ConnId, kv::MessageId, std::span<const std::byte>, std::size_t n) override {
    if (landing_.size() < n) landing_ = pool_.take(n);
    return landing_.bytes().first(n);
  }
  /// The header says whether the sender wants to know that everything came.
  void on_message(kv::ConnId c, kv::MessageId, std::span<const std::byte> head, std::span<std::byte>) override {
    if (!head.empty()) transport->send(c, {kDone, {}, {}}, [](Result<>) {});
  }
  void on_closed(kv::ConnId, const Error&) override {}

 private:
  // Of the same memory as staging buffers, so that the two links differ in the flow only.
  kv::BufferPool pool_{64U << 20};
  kv::Buffer landing_;
};

/// Frees every frame at once and answers the last of a series with a note.
class FlowPeer final : public kv::FrameSink {
 public:
  kv::KvReceiver* receiver = nullptr;
  Result<> on_hello(kv::ConnId, std::span<const std::byte>) override { return {}; }
  void on_frame(kv::ConnId c, std::span<const std::byte> head, kv::StagingBuffer payload) override {
    payload = {};
    if (head.size() > 1) (void)receiver->send_note(c, head);
  }
  void on_note(kv::ConnId, std::span<const std::byte>) override {}
  void on_peer_down(kv::ConnId, const Error&) override {}
};

int serve(kv::Transport& t) {
  const auto address = t.listen("127.0.0.1:0");
  std::cout << "peer at " << address.value_or("nowhere") << std::endl;
  while (std::getchar() != EOF) {
  }
  return 0;
}

kv::UcxOptions options(const std::string& tls) { return {.tls = tls}; }

/// Memory that nothing else used before.
kv::Buffer fresh(std::size_t bytes, Source source) {
  kv::Buffer b = kv::BufferPool(0).take(bytes);
  if (source == Source::written) std::ranges::fill(b.bytes(), std::byte{7});
  return b;
}

class RawLink final : public Link, kv::TransportHandler {
 public:
  static Result<std::unique_ptr<Link>> open(Child child, const std::string& address, const std::string& tls) {
    auto l = std::unique_ptr<RawLink>(new RawLink(std::move(child)));
    SLUICE_ASSIGN(l->transport_, kv::make_ucx_transport(options(tls), *l));
    SLUICE_ASSIGN(l->conn_, l->transport_->connect(address));
    if (!l->connected_.wait_for(1)) return fail(Errc::unavailable, "no connection to the peer process");
    return l;
  }
  ~RawLink() override { transport_.reset(); }

  Result<double> move(std::size_t bytes, std::size_t count, Source source) override {
    kv::Buffer& payload = source == Source::written ? written_ : unwritten_;
    if (payload.size() != bytes) payload = fresh(bytes, source);
    const auto start = std::chrono::steady_clock::now();
    SLUICE_TRY(std::make_shared<Series>(count, bytes, [this, &payload](kv::SendDone done) {
                 transport_->send(conn_, {kData, {}, payload.bytes()}, std::move(done));
               })->run());
    const std::array answer{std::byte{1}};
    transport_->send(conn_, {kData, answer, {}}, [](const Result<>&) {});
    if (!done_.wait_for(++series_)) return fail(Errc::unavailable, "the peer did not finish");
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  double peer_cpu_seconds() const override { return child_.cpu_seconds(); }
  std::string describe() const override { return transport_->describe(conn_); }

 private:
  explicit RawLink(Child child) : child_(std::move(child)) {}
  void on_connected(kv::ConnId, bool) override { connected_.raise(); }
  std::span<std::byte> on_payload(kv::ConnId, kv::MessageId, std::span<const std::byte>, std::size_t) override {
    return {};
  }
  void on_message(kv::ConnId, kv::MessageId, std::span<const std::byte>, std::span<std::byte>) override {
    done_.raise();
  }
  void on_closed(kv::ConnId, const Error&) override {}

  Child child_;
  Gate connected_, done_;
  std::uint64_t series_ = 0;
  kv::Buffer written_, unwritten_;
  kv::ConnId conn_;
  std::unique_ptr<kv::Transport> transport_;
};

class FlowLink final : public Link {
 public:
  static Result<std::unique_ptr<Link>> open(Child child, const std::string& address, const std::string& tls) {
    auto l = std::unique_ptr<FlowLink>(new FlowLink(std::move(child), address));
    SLUICE_ASSIGN(l->transport_, kv::make_ucx_transport(options(tls), l->sender_));
    l->sender_.attach(*l->transport_);
    SLUICE_TRY(l->move(1, 1, Source::unwritten));
    return l;
  }
  ~FlowLink() override { transport_.reset(); }

  Result<double> move(std::size_t bytes, std::size_t count, Source source) override {
    // A receiver takes frames of 16 MiB, so a larger payload goes as several, as the transfer planner would cut it.
    const std::size_t frame = std::min(bytes, kv::ReceiverOptions{}.max_frame_bytes);
    const std::size_t frames = bytes / frame * count;
    kv::BufferPool& payloads = source == Source::written ? written_ : unwritten_;
    if (source == Source::written) prepare(payloads, frame);
    const auto start = std::chrono::steady_clock::now();
    SLUICE_TRY(std::make_shared<Series>(frames, frame, [this, frame, &payloads](kv::SendDone done) {
                 sender_.send_frame(address_, 1, kData, payloads.take(frame), std::move(done));
               })->run());
    sender_.send_frame(address_, 1, kLast, payloads.take(1), [](const Result<>&) {});
    if (!notes_.wait_for(++series_)) return fail(Errc::unavailable, "the peer did not finish");
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  double peer_cpu_seconds() const override { return child_.cpu_seconds(); }
  std::string describe() const override { return "KvSender"; }

 private:
  /// Writes as many buffers as a series takes at once; the pool hands the same ones out again.
  static void prepare(kv::BufferPool& pool, std::size_t bytes) {
    std::vector<kv::Buffer> all(std::max<std::size_t>(1, kOutstanding / bytes) + 1);
    for (kv::Buffer& b : all) {
      b = pool.take(bytes);
      std::ranges::fill(b.bytes(), std::byte{7});
    }
  }
  FlowLink(Child child, std::string address)
      : child_(std::move(child)),
        address_(std::move(address)),
        sender_({}, {.max_queue_bytes = 4ULL << 30}, clock_,
                {.on_note = [this](const std::string&, std::span<const std::byte>) { notes_.raise(); },
                 .on_peer_down = [](const std::string&, const Error&) {}}) {}
  static constexpr std::array kData{std::byte{0}}, kLast{std::byte{0}, std::byte{0}};  // frame headers
  Child child_;
  std::string address_;
  SteadyClock clock_;
  // Recycled, as the prefill node recycles what its encoders write.
  kv::BufferPool written_{64U << 20}, unwritten_{64U << 20};
  Gate notes_;
  std::uint64_t series_ = 0;
  kv::KvSender sender_;
  std::unique_ptr<kv::Transport> transport_;
};

}  // namespace

int run_peer(const std::string& kind, const std::string& tls) {
  if (kind == "raw") {
    RawPeer peer;
    const auto t = kv::make_ucx_transport(options(tls), peer);
    if (!t) return 1;
    peer.transport = t->get();
    return serve(**t);
  }
  FlowPeer sink;
  kv::KvReceiver receiver({}, sink);  // a decode node's defaults
  const auto t = kv::make_ucx_transport(options(tls), receiver);
  if (!t) return 1;
  sink.receiver = &receiver;
  receiver.attach(**t);
  const int rc = serve(**t);
  receiver.detach();
  return rc;
}

Result<std::unique_ptr<Link>> open_link(const std::string& kind, const std::string& tls) {
  SLUICE_ASSIGN(auto child, Child::start({self_path(), "transport", "--", "peer", kind, tls}));
  std::string address;
  constexpr std::string_view kMark = "peer at ";
  for (std::string l = child.line(); !l.empty() && address.empty(); l = address.empty() ? child.line() : l)
    if (l.starts_with(kMark)) address = l.substr(kMark.size());
  if (address.empty()) return fail(Errc::unavailable, "the peer process did not start");
  return kind == "raw" ? RawLink::open(std::move(child), address, tls) : FlowLink::open(std::move(child), address, tls);
}

}  // namespace sluice::bench
