#include "kvtransfer/flow/kv_receiver.h"

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "kvtransfer/flow/credit.h"
#include "kvtransfer/flow/messages.h"

namespace sluice::kv {
namespace {

constexpr std::size_t kMaxText = 256;

void ignore(const Result<>&) {}

}  // namespace

struct KvReceiver::State {
  struct Conn {
    bool greeted = false;
    bool sink_knows = false;                                // on_hello said yes: on_peer_down is owed
    CreditWindow credit;                                    // `available` mirrors what the sender believes
    std::unordered_map<std::byte*, StagingBuffer> landing;  // payloads between on_payload and on_message
  };
  std::mutex mutex;
  Transport* transport = nullptr;
  std::unordered_map<ConnId, Conn> conns;
  std::uint64_t granted = 0, staged = 0, violations = 0;
  BufferPool pool{0};

  /// The pool may hold what the windows allow, and a quarter more for the rounding of sizes to classes. Under the
  /// mutex.
  void fit_pool() { pool.set_limit(granted + granted / 4); }

  /// A buffer of `conn` was freed. What a dead peer's buffers held counts as granted until then: their memory is not
  /// free for a new window before.
  void freed(ConnId conn, std::size_t bytes) {
    const std::lock_guard lock(mutex);
    staged -= bytes;
    const auto it = conns.find(conn);
    if (it == conns.end()) {
      granted -= flow::charge(bytes);
      return fit_pool();
    }
    if (!it->second.credit.give(flow::charge(bytes)) || transport == nullptr) return;
    std::vector<std::byte> header;
    flow::put_u64(header, bytes);
    transport->send(conn, {flow::kCredit, header, {}}, ignore);
  }
};

KvReceiver::KvReceiver(const ReceiverOptions& o, FrameSink& sink)
    : options_(o), sink_(sink), state_(std::make_shared<State>()), discard_(flow::kMaxProbe) {}

KvReceiver::~KvReceiver() { detach(); }

void KvReceiver::attach(Transport& transport) {
  const std::lock_guard lock(state_->mutex);
  state_->transport = &transport;
}

void KvReceiver::detach() {
  const std::lock_guard lock(state_->mutex);
  state_->transport = nullptr;
}

Result<> KvReceiver::send_note(ConnId conn, std::span<const std::byte> note) {
  if (note.size() > kMaxMessageHeader)
    return fail(Errc::invalid_argument, "a note of {} bytes, at most {} travel", note.size(), kMaxMessageHeader);
  const std::lock_guard lock(state_->mutex);
  if (state_->transport == nullptr || !state_->conns.contains(conn))
    return fail(Errc::unavailable, "connection {} is over", conn);
  state_->transport->send(conn, {flow::kNote, note, {}}, ignore);
  return {};
}

KvReceiver::Figures KvReceiver::figures() const {
  const std::lock_guard lock(state_->mutex);
  return {state_->conns.size(), state_->staged, state_->granted, state_->pool.figures().mapped_bytes,
          state_->violations};
}

void KvReceiver::release_unused() { state_->pool.release_unused(); }

void KvReceiver::on_connected(ConnId conn, bool inbound) {
  const std::lock_guard lock(state_->mutex);
  if (inbound) state_->conns.try_emplace(conn);
}

std::span<std::byte> KvReceiver::on_payload(ConnId conn, MessageId id, std::span<const std::byte>, std::size_t bytes) {
  {
    const std::lock_guard lock(state_->mutex);
    const auto it = state_->conns.find(conn);
    const bool greeted = it != state_->conns.end() && it->second.greeted;
    if (greeted && id == flow::kProbe && bytes <= discard_.size()) return std::span(discard_).first(bytes);
    if (greeted && id == flow::kFrame && bytes <= options_.max_frame_bytes &&
        it->second.credit.take(flow::charge(bytes))) {
      Buffer memory = state_->pool.take(bytes);
      if (!memory.empty()) {
        state_->staged += bytes;
        StagingBuffer buffer(std::move(memory), [state = state_, conn](std::size_t n) { state->freed(conn, n); });
        const auto span = buffer.bytes();
        it->second.landing.emplace(span.data(), std::move(buffer));
        return span;
      }
    }
  }
  cut_off(conn);  // it broke the protocol, or there is no memory
  return {};
}

void KvReceiver::on_message(ConnId conn, MessageId id, std::span<const std::byte> header,
                            std::span<std::byte> payload) {
  bool greeted = false;
  {
    const std::lock_guard lock(state_->mutex);
    const auto it = state_->conns.find(conn);
    if (it == state_->conns.end()) return;
    greeted = it->second.greeted;
  }
  // A stranger may only say hello, and only once: until then nothing it sends reaches the sink.
  if (greeted == (id == flow::kHello)) return cut_off(conn);
  switch (id) {
    case flow::kHello:
      return greet(conn, header);
    case flow::kNote:
      return sink_.on_note(conn, header);
    case flow::kProbe: {
      const std::lock_guard lock(state_->mutex);
      if (state_->transport != nullptr && state_->conns.contains(conn))
        state_->transport->send(conn, {flow::kProbed, header, {}}, ignore);
      return;
    }
    case flow::kFrame: {
      StagingBuffer buffer;
      {
        const std::lock_guard lock(state_->mutex);
        const auto it = state_->conns.find(conn);
        if (it == state_->conns.end()) return;
        const auto landed = it->second.landing.find(payload.data());
        if (landed != it->second.landing.end()) {
          buffer = std::move(landed->second);
          it->second.landing.erase(landed);
        }
      }
      if (buffer.bytes().empty()) return cut_off(conn);  // a frame without a payload is no frame
      return sink_.on_frame(conn, header, std::move(buffer));
    }
    default:
      return;  // a newer peer's message
  }
}

void KvReceiver::greet(ConnId conn, std::span<const std::byte> hello) {
  Result<> accepted = sink_.on_hello(conn, hello);
  const std::lock_guard lock(state_->mutex);
  const auto it = state_->conns.find(conn);
  if (it == state_->conns.end() || state_->transport == nullptr) return;
  it->second.sink_knows = accepted.has_value();
  const std::uint64_t window = std::min<std::uint64_t>(options_.window_bytes, options_.staging_bytes - state_->granted);
  if (accepted && window < options_.max_frame_bytes)
    accepted = fail(Errc::resource_exhausted, "{} senders share all staging memory; raise --staging-mib",
                    state_->conns.size() - 1);
  std::vector<std::byte> header;
  if (!accepted) {
    const auto text =
        std::as_bytes(std::span(accepted.error().message)).first(std::min(kMaxText, accepted.error().message.size()));
    header.resize(1 + text.size());
    header[0] = static_cast<std::byte>(accepted.error().code);
    std::ranges::copy(text, header.begin() + 1);
    state_->transport->send(conn, {flow::kRefused, header, {}}, ignore);
    state_->transport->close(conn);
    return;
  }
  it->second.greeted = true;
  it->second.credit = CreditWindow(window);
  state_->granted += window;
  state_->fit_pool();
  flow::put_u64(header, window);
  flow::put_u64(header, options_.max_frame_bytes);
  state_->transport->send(conn, {flow::kWelcome, header, {}}, ignore);
}

void KvReceiver::cut_off(ConnId conn) {
  const std::lock_guard lock(state_->mutex);
  ++state_->violations;
  if (state_->transport != nullptr) state_->transport->close(conn);
}

void KvReceiver::on_closed(ConnId conn, const Error& why) {
  State::Conn gone;
  {
    const std::lock_guard lock(state_->mutex);
    const auto it = state_->conns.find(conn);
    if (it == state_->conns.end()) return;
    gone = std::move(it->second);
    state_->conns.erase(it);
    state_->granted -= gone.credit.available();  // the rest when its buffers are freed
    state_->fit_pool();
  }
  gone.landing.clear();  // outside the mutex: releasing takes it
  if (gone.sink_knows) sink_.on_peer_down(conn, why);
}

}  // namespace sluice::kv
