#include "kvtransfer/transport/ucx_connection.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

namespace sluice::kv::ucx {
namespace {

static_assert(std::endian::native == std::endian::little, "chunk headers travel as they lie in memory");

constexpr unsigned kWindow = 16;         // chunks with UCX at once, per connection
constexpr unsigned kChunksPerPump = 32;  // then others get their turn

}  // namespace

Outgoing make_outgoing(const Message& m, SendDone done) {
  Outgoing o;
  o.id = m.id;
  const ChunkHeader h{.kind = ChunkKind::first, .id = m.id, .value = m.payload.size()};
  o.head.resize(sizeof h + m.header.size());
  std::memcpy(o.head.data(), &h, sizeof h);
  std::ranges::copy(m.header, o.head.begin() + sizeof h);
  o.payload = m.payload;
  o.done = std::move(done);
  return o;
}

Connection::Connection(ConnId id, bool inbound, std::uint64_t key, TransportHandler& handler, const Clock& clock,
                       ConnectionLimits limits, OnOpen on_open, bool& attention)
    : id_(id),
      inbound_(inbound),
      clock_(clock),
      timeout_(limits.timeout),
      assembler_(id, handler),
      key_(key),
      on_open_(std::move(on_open)),
      attention_(attention),
      deadline_(clock.now() + limits.timeout) {
  attention_ = true;
  if (limits.bytes_per_s > 0) pace_.emplace(limits.bytes_per_s);
}

void Connection::connect(GreetingSocket lifeline) { lifeline_ = std::move(lifeline); }

void Connection::attach(std::shared_ptr<Peer> peer, std::uint64_t their_key) {
  peer_ = std::move(peer);
  their_key_ = their_key;
  if (!inbound_) send_control(ChunkKind::hello);
}

std::optional<Greeting> Connection::on_lifeline() {
  if (!lifeline_ || state_ == State::broken) return std::nullopt;
  auto greeting = lifeline_->advance();
  if (greeting) return std::move(*greeting);
  cut_ = !said_bye_;
  fail(std::move(greeting).error());
  return std::nullopt;
}

bool Connection::condemns_peer() const noexcept {
  return peer_ && !peer_->dead && state_ == State::broken && (cut_ || (in_flight_ != 0 && clock_.now() >= deadline_));
}

void Connection::send_control(ChunkKind kind) {
  Outgoing o;
  const ChunkHeader h{.kind = kind, .to = their_key_};
  o.head.resize(sizeof h);
  std::memcpy(o.head.data(), &h, sizeof h);
  // Nothing has been posted before hello and welcome, nothing is queued behind bye: the front is the right place.
  queue_.push_front(std::move(o));
}

void Connection::send(Outgoing m) {
  if (state_ == State::draining || state_ == State::broken) {
    m.done(sluice::fail(Errc::unavailable, "connection {} is closed", id_));
    return;
  }
  queue_.push_back(std::move(m));
}

void Connection::close() {
  if (state_ == State::draining || state_ == State::broken) return;
  state_ = State::draining;
  attention_ = true;
  deadline_ = clock_.now() + timeout_;
}

void Connection::fail(Error why) {
  if (state_ == State::broken) return;
  if (state_ == State::draining) why = {Errc::cancelled, "closed here", {}};
  state_ = State::broken;
  deadline_ = clock_.now() + timeout_;
  attention_ = true;
  error_ = std::move(why);
}

bool Connection::pump() {
  unsigned posted = 0;
  while (!queue_.empty() && peer_ && !peer_->dead && state_ != State::broken && in_flight_ < kWindow &&
         posted < kChunksPerPump) {
    const auto m = queue_.begin();
    if (m->done && !opened_) break;
    if (held_by_pace(*m)) break;
    if (!post_chunk(m)) break;
    ++posted;
  }
  return posted != 0;
}

bool Connection::held_by_pace(const Outgoing& next) {
  if (!pace_) return false;
  const std::size_t head = next.started ? sizeof(ChunkHeader) : next.head.size();
  const bool held = !pace_->pass(head + std::min(kChunkBytes, next.payload.size() - next.posted), clock_.now());
  // The peer is not what is slow: it still has its time to answer once all was sent.
  if (held && state_ == State::draining) deadline_ = clock_.now() + timeout_;
  return held;
}

bool Connection::post_chunk(Queue::iterator m) {
  if (free_chunks_.empty()) free_chunks_.push_back(std::make_unique<Chunk>());
  Chunk* const chunk = free_chunks_.back().release();
  free_chunks_.pop_back();
  chunk->conn = this;
  chunk->message = m;
  chunk->head = {.kind = ChunkKind::more, .to = their_key_, .value = m->posted};

  if (!m->started) std::memcpy(m->head.data() + offsetof(ChunkHeader, to), &their_key_, sizeof their_key_);
  const std::span<const std::byte> head = m->started ? std::as_bytes(std::span(&chunk->head, 1)) : std::span(m->head);
  const auto data = m->payload.subspan(m->posted, std::min(kChunkBytes, m->payload.size() - m->posted));
  m->started = true;
  m->posted += data.size();
  ++m->in_flight;
  ++in_flight_;
  if (m->all_posted()) posted_.splice(posted_.end(), queue_, m);

  ucp_request_param_t p{};
  p.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  p.flags = UCP_AM_SEND_FLAG_EAGER;  // the data travels in the message; no address of ours does
  p.cb.send = on_sent;
  p.user_data = chunk;
  const auto r = ucp_am_send_nbx(peer_->ep.get(), kAmId, head.data(), head.size(), data.data(), data.size(), &p);
  if (!UCS_PTR_IS_PTR(r)) chunk_done(chunk, UCS_PTR_STATUS(r));
  return state_ != State::broken;
}

void Connection::on_sent(void* request, ucs_status_t status, void* arg) {
  const Request owned(request);
  auto* const chunk = static_cast<Chunk*>(arg);
  chunk->conn->chunk_done(chunk, status);
}

void Connection::chunk_done(Chunk* chunk, ucs_status_t status) {
  const auto m = chunk->message;
  free_chunks_.emplace_back(chunk);
  --in_flight_;
  --m->in_flight;
  if (status != UCS_OK) fail(to_error(status, "sending"));
  if (state_ == State::draining) deadline_ = clock_.now() + timeout_;
  // What a failure leaves is completed by settle(), once UCX lets go of every buffer.
  if (state_ != State::broken && m->all_posted() && m->in_flight == 0) complete(posted_, m, {});
}

void Connection::complete(Queue& from, Queue::iterator m, const Result<>& r) {
  auto done = std::move(m->done);
  from.erase(m);
  if (done) done(r);
}

void Connection::settle() {
  if (state_ == State::broken) {
    if (in_flight_ == 0) fail_sends();
    return;
  }
  if (state_ == State::draining && queue_.empty() && posted_.empty()) {
    if (!opened_) return fail({});
    if (!std::exchange(said_bye_, true)) send_control(ChunkKind::bye);
  }
  if (clock_.now() >= deadline_)
    fail({Errc::unavailable, fmt::format("the peer did not answer within {} ms", timeout_.count()), {}});
}

void Connection::fail_sends() {
  for (Queue* q : {&posted_, &queue_})
    while (!q->empty()) complete(*q, q->begin(), std::unexpected(*error_));
}

void Connection::abandon() {
  in_flight_ = 0;
  fail_sends();
}

void Connection::opened() {
  opened_ = true;
  if (state_ != State::connecting) return;  // closed here before the peer answered
  state_ = State::open;
  announced_ = true;
  on_open_(*this);
}

void Connection::receive(std::span<const std::byte> head, std::span<const std::byte> data) {
  ChunkHeader h;
  if (state_ == State::broken) return;
  if (head.size() < sizeof h) return fail({Errc::data_corrupt, "the peer sent a chunk without a header", {}});
  std::memcpy(&h, head.data(), sizeof h);
  const bool greeting = h.kind == ChunkKind::hello || h.kind == ChunkKind::welcome;
  if (greeting != !opened_ || h.version != ChunkHeader{}.version)
    return fail({Errc::data_corrupt, "the peer does not speak this protocol", {}});
  Result<> r;
  switch (h.kind) {
    case ChunkKind::hello:
      if (!inbound_) return fail({Errc::data_corrupt, "the peer said hello to its own caller", {}});
      send_control(ChunkKind::welcome);
      return opened();
    case ChunkKind::welcome:
      if (inbound_) return fail({Errc::data_corrupt, "the peer welcomed its own host", {}});
      return opened();
    case ChunkKind::bye:
      return fail({Errc::unavailable, "the peer closed the connection", {}});
    case ChunkKind::first:
      if (state_ == State::open) r = assembler_.first(h.id, head.subspan(sizeof h), h.value, data);
      break;
    case ChunkKind::more:
      if (state_ == State::open) r = assembler_.more(h.value, data);
      break;
    default:
      r = sluice::fail(Errc::data_corrupt, "the peer sent a chunk of unknown kind {}", static_cast<int>(h.kind));
  }
  if (!r) fail(std::move(r).error());
}

bool Connection::finished() const noexcept {
  return state_ == State::broken && in_flight_ == 0 && queue_.empty() && posted_.empty();
}

}  // namespace sluice::kv::ucx
