#pragma once
// One UCX connection: cuts outgoing messages into chunks, each a single-fragment eager active message, and feeds
// incoming chunks to the Assembler. Why chunks of our own and not UCX's large-message protocols:
// docs/adr/0003-ucx-active-messages.md.
//
// Lifecycle: connecting (greeting, then hello and welcome through UCX) -> open -> [draining ->] broken -> finished().
// The handler hears of an inbound one once the peer has said hello.
// Threading: progress thread only. UCX calls back from Worker::progress(); those callbacks only record what happened,
// pump() and settle() act on it.
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "kvtransfer/transport/assembler.h"
#include "kvtransfer/transport/greeting.h"
#include "kvtransfer/transport/link_pace.h"
#include "kvtransfer/transport/ucx_handles.h"

namespace sluice::kv::ucx {

enum class ChunkKind : std::uint8_t { hello = 1, welcome = 2, first = 3, more = 4, bye = 5 };

/// Leads every active message; `first` chunks append the message's header.
struct ChunkHeader {
  ChunkKind kind{};
  MessageId id = 0;
  std::uint16_t version = 1;
  std::uint32_t reserved = 0;
  std::uint64_t to = 0;     // the receiver's key for the connection, from its Greeting
  std::uint64_t value = 0;  // first: payload bytes in all; more: offset of this chunk
};
static_assert(sizeof(ChunkHeader) == 24);

inline constexpr unsigned kAmId = 0;
/// UCX's segment size on every transport we configure. Part of the protocol: UCX's TCP receiver trusts the sender to
/// keep to the receiver's segment size. Below 64 KiB: UCX 1.13's shared memory counts a segment's bytes in 16 bits, and
/// a full one of 65536 arrives as empty.
inline constexpr std::size_t kSegmentBytes = (64U << 10) - 256;
/// Payload bytes in a chunk, so that it fits one segment together with every header.
inline constexpr std::size_t kChunkBytes = 63U << 10;
inline constexpr std::size_t kUcxHeaderBytes = 64;  // UCX's own headers in a segment, generously
static_assert(kChunkBytes + sizeof(ChunkHeader) + kMaxMessageHeader + kUcxHeaderBytes <= kSegmentBytes);
static_assert(kSegmentBytes <= 0xffff);

struct Outgoing {
  MessageId id = 0;
  std::vector<std::byte> head;  // ChunkHeader and the message's header
  std::span<const std::byte> payload;
  SendDone done;  // null for our own hello, welcome and bye
  std::size_t posted = 0;
  unsigned in_flight = 0;
  bool started = false;
  [[nodiscard]] bool all_posted() const noexcept { return started && posted == payload.size(); }
};
[[nodiscard]] Outgoing make_outgoing(const Message& m, SendDone done);

/// The endpoint to one other worker. Every connection to that worker shares it, and it is kept until the worker dies:
/// UCX pairs both sides' endpoints in the order they were made, so making more of them could pair the wrong two.
struct Peer {
  Endpoint ep;
  bool dead = false;  // failed: not for new connections
};

/// What a connection may take: time for the peer to answer, and of the link (0: all that there is).
struct ConnectionLimits {
  std::chrono::milliseconds timeout;
  double bytes_per_s = 0;
};

class Connection {
 public:
  using OnOpen = std::function<void(Connection&)>;  // called once, before any message is delivered
  /// `attention` is set whenever settle() has something to do.
  Connection(ConnId id, bool inbound, std::uint64_t key, TransportHandler& handler, const Clock& clock,
             ConnectionLimits limits, OnOpen on_open, bool& attention);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void connect(GreetingSocket lifeline);
  /// The peer's greeting arrived: from here on chunks can go to it.
  void attach(std::shared_ptr<Peer> peer, std::uint64_t their_key);
  void send(Outgoing m);
  void close();
  void fail(Error why);
  /// Hands chunks to UCX while its window allows; true if any was.
  bool pump();
  /// Advances timeouts and the way down; call after every progress while !settled().
  void settle();
  void receive(std::span<const std::byte> head, std::span<const std::byte> data);
  /// The lifeline moved: the peer's greeting if it is there. After an error the connection is broken.
  [[nodiscard]] std::optional<Greeting> on_lifeline();
  /// UCX's worker is gone and no callback will come any more.
  void abandon();

  [[nodiscard]] ConnId id() const noexcept { return id_; }
  [[nodiscard]] bool inbound() const noexcept { return inbound_; }
  [[nodiscard]] bool settled() const noexcept { return state_ == State::open; }
  [[nodiscard]] bool finished() const noexcept;
  [[nodiscard]] bool has_work() const noexcept { return !queue_.empty(); }
  /// When pump() can go on, where only a slowed link (LinkPace) holds it up.
  [[nodiscard]] std::optional<TimePoint> paced_until() const noexcept { return pace_ ? pace_->due() : std::nullopt; }
  [[nodiscard]] bool was_announced() const noexcept { return announced_; }
  [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }
  [[nodiscard]] const Error& error() const noexcept { return *error_; }
  [[nodiscard]] GreetingSocket& lifeline() noexcept { return *lifeline_; }
  [[nodiscard]] const std::shared_ptr<Peer>& peer() const noexcept { return peer_; }
  /// True when the shared endpoint must go: the peer vanished without goodbye, or UCX does not let go of our buffers.
  [[nodiscard]] bool condemns_peer() const noexcept;
  [[nodiscard]] std::uint64_t key() const noexcept { return key_; }
  /// Has said nothing yet that would be believed: costs little to lose.
  [[nodiscard]] bool is_stranger() const noexcept { return inbound_ && !peer_ && state_ == State::connecting; }

 private:
  enum class State { connecting, open, draining, broken };
  using Queue = std::list<Outgoing>;
  struct Chunk {
    ChunkHeader head;
    Connection* conn = nullptr;
    Queue::iterator message;
  };

  static void on_sent(void* request, ucs_status_t status, void* arg);
  void send_control(ChunkKind kind);
  bool post_chunk(Queue::iterator m);
  [[nodiscard]] bool held_by_pace(const Outgoing& next);
  void chunk_done(Chunk* chunk, ucs_status_t status);
  void complete(Queue& from, Queue::iterator m, const Result<>& r);
  void fail_sends();
  void opened();

  ConnId id_;
  bool inbound_;
  const Clock& clock_;
  std::chrono::milliseconds timeout_;
  std::optional<LinkPace> pace_;
  Assembler assembler_;
  std::uint64_t key_, their_key_ = 0;
  std::optional<GreetingSocket> lifeline_;
  std::shared_ptr<Peer> peer_;
  State state_ = State::connecting;
  bool opened_ = false, announced_ = false, said_bye_ = false, cut_ = false;
  OnOpen on_open_;
  bool& attention_;
  TimePoint deadline_;
  std::optional<Error> error_;
  Queue queue_;   // not fully posted, in order
  Queue posted_;  // wholly with UCX
  unsigned in_flight_ = 0;
  std::vector<std::unique_ptr<Chunk>> free_chunks_;
};

}  // namespace sluice::kv::ucx
