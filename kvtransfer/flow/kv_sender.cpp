#include "kvtransfer/flow/kv_sender.h"

#include <algorithm>
#include <optional>

#include "kvtransfer/flow/fair_queue.h"
#include "kvtransfer/flow/messages.h"

namespace sluice::kv {
namespace {

constexpr int kProbePings = 3;
constexpr int kProbeBlocks = 4;

}  // namespace

struct KvSender::Frame {
  std::vector<std::byte> header;
  Buffer payload;
  SendDone done;
};

/// A probe in progress: pings for the round trip, then blocks for the bandwidth, one at a time.
struct KvSender::Probe {
  ProbeDone done;
  std::size_t block_bytes = flow::kMaxProbe;
  int step = 0;
  double rtt_s = 0;
  TimePoint sent{};
  double block_s = 0;
};

struct KvSender::Peer {
  std::string address;
  ConnId conn{};
  bool ready = false, closed = false;
  CreditWindow credit;
  std::uint64_t max_frame = 0;
  FairQueue<Frame> queue;  // in turns by request
  std::size_t queue_bytes = 0;
  std::vector<std::shared_ptr<Probe>> probes;  // the first one is running once the peer is ready
  BandwidthMeter meter;
  std::uint64_t sent_bytes = 0;
};

KvSender::KvSender(std::vector<std::byte> hello, const SenderOptions& o, const Clock& clock, SenderEvents events)
    : hello_(std::move(hello)), options_(o), clock_(clock), events_(std::move(events)), probe_bytes_(flow::kMaxProbe) {
  // Bytes that no link-level compression can shrink, so that the probe measures the link.
  std::uint64_t x = 0x9e3779b97f4a7c15ULL;
  for (auto& b : probe_bytes_) {
    x ^= x << 13U;
    x ^= x >> 7U;
    x ^= x << 17U;
    b = static_cast<std::byte>(x);
  }
}

void KvSender::run(Later& later) {
  for (auto& f : later) f();
  later.clear();
}

void KvSender::detach() {
  const std::lock_guard lock(mutex_);
  transport_ = nullptr;
}

KvSender::PeerPtr KvSender::by_conn(ConnId conn) const {
  const auto it = conns_.find(conn);
  return it == conns_.end() ? nullptr : it->second;
}

/// The peer at an address, connecting it on first use. Under the mutex.
KvSender::PeerPtr KvSender::peer(const std::string& address, Later& later) {
  PeerPtr& p = peers_[address];
  if (p) return p;
  p = std::make_shared<Peer>();
  p->address = address;
  // connect() may resolve names and must see conns_ filled before its callbacks look: both happen under the mutex,
  // which callbacks wait for.
  auto conn = transport_ != nullptr ? transport_->connect(address) : fail(Errc::unavailable, "the node stops");
  if (conn) {
    p->conn = *conn;
    conns_[*conn] = p;
    return p;
  }
  const PeerPtr dead = p;
  peers_.erase(address);
  later.push_back([this, dead, why = conn.error()] {
    Later more;
    {
      const std::lock_guard lock(mutex_);
      down(dead, why, more);
    }
    run(more);
  });
  return dead;
}

void KvSender::send_frame(const std::string& address, std::uint64_t tag, std::span<const std::byte> header,
                          Buffer payload, SendDone done) {
  Later later;
  {
    const std::lock_guard lock(mutex_);
    const PeerPtr p = peer(address, later);
    if (header.size() > kMaxMessageHeader) {
      later.push_back([done = std::move(done), bytes = header.size()]() mutable {
        done(fail(Errc::invalid_argument, "a frame header of {} bytes, at most {} travel", bytes, kMaxMessageHeader));
      });
    } else if (p->queue_bytes + payload.size() > options_.max_queue_bytes) {
      later.push_back([done = std::move(done), address]() mutable {
        done(fail(Errc::resource_exhausted, "the queue of KV frames to {} is full", address));
      });
    } else {
      p->queue_bytes += payload.size();
      p->queue.push(tag, {{header.begin(), header.end()}, std::move(payload), std::move(done)});
      pump(p, later);
    }
  }
  run(later);
}

/// Sends what the receiver's window has room for. Under the mutex.
void KvSender::pump(const PeerPtr& p, Later& later) {
  while (transport_ != nullptr && p->ready && !p->queue.empty()) {
    Frame& front = p->queue.front();
    const std::size_t bytes = front.payload.size();
    if (bytes > p->max_frame) {
      later.push_back([done = std::move(front.done), bytes, most = p->max_frame]() mutable {
        done(fail(Errc::invalid_argument, "a KV frame of {} bytes exceeds the receiver's limit of {}", bytes, most));
      });
      (void)p->queue.pop();
    } else if (p->credit.take(flow::charge(bytes))) {
      p->meter.on_send(bytes, clock_.now());
      auto frame = std::make_shared<Frame>(p->queue.pop());
      transport_->send(p->conn, {flow::kFrame, frame->header, frame->payload.bytes()}, [frame](Result<> r) {
        frame->payload = {};  // first, so that whoever hears of it finds a warm buffer
        frame->done(std::move(r));
      });
    } else {
      return;
    }
    p->queue_bytes -= bytes;
  }
}

Result<> KvSender::send_note(const std::string& address, std::span<const std::byte> note) {
  if (note.size() > kMaxMessageHeader)
    return fail(Errc::invalid_argument, "a note of {} bytes, at most {} travel", note.size(), kMaxMessageHeader);
  const std::lock_guard lock(mutex_);
  const auto it = peers_.find(address);
  if (transport_ == nullptr || it == peers_.end() || !it->second->ready)
    return fail(Errc::unavailable, "no connection to {} is ready", address);
  transport_->send(it->second->conn, {flow::kNote, note, {}}, [](const Result<>&) {});
  return {};
}

void KvSender::cancel(const std::string& address, std::uint64_t tag) {
  std::deque<Frame> dropped;
  {
    const std::lock_guard lock(mutex_);
    const auto it = peers_.find(address);
    if (it == peers_.end()) return;
    dropped = it->second->queue.remove(tag);
    for (const Frame& f : dropped) it->second->queue_bytes -= f.payload.size();
  }
  for (Frame& f : dropped) f.done(fail(Errc::cancelled, "the request was cancelled"));
}

void KvSender::probe(const std::string& address, std::size_t block_bytes, ProbeDone done) {
  const std::size_t block = block_bytes > 0 ? std::min(block_bytes, flow::kMaxProbe) : flow::kMaxProbe;
  Later later;
  {
    const std::lock_guard lock(mutex_);
    const PeerPtr p = peer(address, later);
    p->probes.push_back(std::make_shared<Probe>(Probe{.done = std::move(done), .block_bytes = block}));
    if (p->ready && p->probes.size() == 1) send_probe(p, 0, later);
  }
  run(later);
}

void KvSender::send_probe(const PeerPtr& p, std::size_t bytes, Later&) {
  if (transport_ == nullptr) return;  // its end tells the probes
  Probe& probe = *p->probes.front();
  probe.sent = clock_.now();
  std::vector<std::byte> header;
  flow::put_u64(header, static_cast<std::uint64_t>(probe.step));
  transport_->send(p->conn, {flow::kProbe, header, std::span(probe_bytes_).first(bytes)}, [](const Result<>&) {});
}

void KvSender::on_probed(const PeerPtr& p, std::span<const std::byte> header, Later& later) {
  if (p->probes.empty()) return;
  Probe& probe = *p->probes.front();
  if (flow::get_u64(header) != static_cast<std::uint64_t>(probe.step)) return;
  const double took = seconds(clock_.now() - probe.sent);
  if (probe.step < kProbePings) {
    probe.rtt_s = probe.step == 0 ? took : std::min(probe.rtt_s, took);
  } else {
    const double block = std::max(wire_time(took, probe.rtt_s), 1e-9);
    probe.block_s = probe.step == kProbePings ? block : std::min(probe.block_s, block);
  }
  ++probe.step;
  if (probe.step < kProbePings) return send_probe(p, 0, later);
  if (probe.step < kProbePings + kProbeBlocks) return send_probe(p, probe.block_bytes, later);
  p->meter.on_probe(static_cast<double>(probe.block_bytes) / probe.block_s, probe.rtt_s);
  later.push_back([ended = p->probes.front(), result = stats_of(*p)] { ended->done(result); });
  p->probes.erase(p->probes.begin());
  if (!p->probes.empty()) send_probe(p, 0, later);
}

LinkStats KvSender::stats_of(const Peer& p) const {
  return {.bandwidth_bytes_per_s = p.meter.bytes_per_s(),
          .now_bytes_per_s = p.meter.bytes_per_s(clock_.now()),
          .rtt_s = p.meter.rtt_s(),
          .bytes_in_flight = p.credit.outstanding(),
          .queue_bytes = p.queue_bytes,
          .sent_bytes = p.sent_bytes,
          .busy_bytes = p.meter.busy_bytes(),
          .busy_s = p.meter.busy_s()};
}

std::vector<std::pair<std::string, LinkStats>> KvSender::stats() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, LinkStats>> out;
  for (const auto& [address, p] : peers_) out.emplace_back(address, stats_of(*p));
  return out;
}

LinkStats KvSender::stats(const std::string& address) const {
  const std::lock_guard lock(mutex_);
  const auto it = peers_.find(address);
  return it == peers_.end() ? LinkStats{} : stats_of(*it->second);
}

void KvSender::on_connected(ConnId conn, bool) {
  const std::lock_guard lock(mutex_);
  if (!by_conn(conn) || transport_ == nullptr) return;
  transport_->send(conn, {flow::kHello, hello_, {}}, [this, conn](const Result<>& r) {
    if (r) return;
    on_closed(conn, r.error());  // without a hello nothing would ever leave
    const std::lock_guard lock(mutex_);
    close(conn);
  });
}

std::span<std::byte> KvSender::on_payload(ConnId, MessageId, std::span<const std::byte>, std::size_t) {
  return {};  // receivers send no payloads
}

void KvSender::on_message(ConnId conn, MessageId id, std::span<const std::byte> header, std::span<std::byte>) {
  Later later;
  {
    const std::lock_guard lock(mutex_);
    const PeerPtr p = by_conn(conn);
    if (!p) return;
    switch (id) {
      case flow::kWelcome:
        on_welcome(p, header, later);
        break;
      case flow::kCredit:
        on_credit(p, header, later);
        break;
      case flow::kProbed:
        on_probed(p, header, later);
        break;
      case flow::kNote:
        later.push_back([this, p, bytes = std::vector<std::byte>(header.begin(), header.end())] {
          events_.on_note(p->address, bytes);
        });
        break;
      case flow::kRefused: {
        const auto code = header.empty() ? Errc::internal
                                         : static_cast<Errc>(std::min<unsigned>(static_cast<unsigned>(header[0]),
                                                                                static_cast<unsigned>(Errc::internal)));
        const std::string text(reinterpret_cast<const char*>(header.data()) + std::min<std::size_t>(1, header.size()),
                               header.size() - std::min<std::size_t>(1, header.size()));
        down(p, Error{code, "the receiver refused: " + text, {}}, later);
        close(conn);
        break;
      }
      default:
        break;  // a newer peer's message
    }
  }
  run(later);
}

void KvSender::on_welcome(const PeerPtr& p, std::span<const std::byte> header, Later& later) {
  const auto window = flow::get_u64(header);
  const auto most = flow::get_u64(header, 8);
  if (!window || !most || p->ready) return;
  p->credit = CreditWindow(*window);
  p->max_frame = std::min(*most, *window);
  p->ready = true;
  if (!p->probes.empty()) send_probe(p, 0, later);
  pump(p, later);
}

void KvSender::on_credit(const PeerPtr& p, std::span<const std::byte> header, Later& later) {
  const auto bytes = flow::get_u64(header);
  if (!bytes || !p->credit.give(flow::charge(*bytes))) {
    down(p, Error{Errc::data_corrupt, "the receiver's credit does not add up", {}}, later);
    close(p->conn);
    return;
  }
  p->sent_bytes += *bytes;
  p->meter.on_ack(*bytes, clock_.now());
  pump(p, later);
}

/// Under the mutex.
void KvSender::close(ConnId conn) {
  if (transport_ != nullptr) transport_->close(conn);
}

/// Forgets a peer and fails what was meant for it. Under the mutex; later use connects anew.
void KvSender::down(const PeerPtr& p, const Error& why, Later& later) {
  if (p->closed) return;
  p->closed = true;
  p->ready = false;
  conns_.erase(p->conn);
  if (const auto it = peers_.find(p->address); it != peers_.end() && it->second == p) peers_.erase(it);
  const Error gone{why.code == Errc::cancelled ? Errc::unavailable : why.code, why.message, {}};
  later.push_back([this, p, gone, frames = p->queue.drain(), probes = std::move(p->probes)]() mutable {
    for (Frame& f : frames) f.done(std::unexpected(gone));
    for (auto& probe : probes) probe->done(std::unexpected(gone));
    events_.on_peer_down(p->address, gone);
  });
  p->queue_bytes = 0;
}

void KvSender::on_closed(ConnId conn, const Error& why) {
  Later later;
  {
    const std::lock_guard lock(mutex_);
    if (const PeerPtr p = by_conn(conn)) down(p, why, later);
  }
  run(later);
}

}  // namespace sluice::kv
