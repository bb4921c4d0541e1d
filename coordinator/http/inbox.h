#pragma once
// Internal to the HTTP server: what a client has sent and nobody has parsed yet.
//
// run() always has a read outstanding, so a client's end is noticed at once, also while an answer streams; it stops
// reading while the box is full. Threading: two coroutines of one connection, on the server's thread. The stream
// is the connection's, which outlives both coroutines, and so does the chunk that the outstanding read fills.
#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/tls/stream.h"
#include "coordinator/http/pace.h"
#include "coordinator/http/server.h"
#include "coordinator/http/signal.h"

namespace sluice::coordinator {

class Inbox {
 public:
  enum class More { data, end, timeout };

  Inbox(tls::Stream& stream, std::size_t max_header_bytes, HttpServerStats& stats, Pace& discard_pace);

  /// Reads until the client ends or the socket closes.
  boost::asio::awaitable<void> run();
  /// After run(): returns once the client is known to be gone, not only to have ended its sending, or the socket
  /// closes.
  boost::asio::awaitable<void> until_gone();
  /// Waits for bytes beyond those that are there; callers have parsed all of these.
  boost::asio::awaitable<More> more(TimePoint deadline);

  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
  void consume(std::size_t n);
  /// A request's head is awaited from now on, or has come. One that trickles is read ever more rarely: thousands of
  /// them, a few bytes at a time, would keep the thread busy.
  void await_head() { small_pieces_ = 0, in_head_ = true; }
  void head_came() {
    in_head_ = false;
    go_on_.notify();
  }
  /// The client has sent its last byte.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  /// It reads no more either: it reset the connection.
  [[nodiscard]] bool gone() const noexcept { return gone_; }
  /// Bytes that came, ever.
  [[nodiscard]] const std::uint64_t& received() const noexcept { return received_; }
  /// From now on what comes is thrown away, at the pace of all that is; returns at the client's end or the deadline.
  boost::asio::awaitable<void> discard(TimePoint deadline);
  [[nodiscard]] bool discarding() const noexcept { return discarding_; }
  /// The socket was closed: wakes whoever waits.
  void closed();

 private:
  [[nodiscard]] Duration pause() const;

  tls::Stream& stream_;
  HttpServerStats& stats_;
  Pace& discard_pace_;
  std::array<char, 16 * 1024> chunk_;  // owned by the outstanding read
  std::string bytes_;
  std::size_t capacity_;
  std::uint64_t received_ = 0;
  bool in_head_ = false;
  unsigned small_pieces_ = 0;  // of this head
  bool ended_ = false;
  bool gone_ = false;
  bool discarding_ = false;
  Signal data_;   // bytes_ grew, or the end
  Signal space_;  // bytes_ shrank, or the socket closed
  Signal go_on_;  // no pause any more
};

}  // namespace sluice::coordinator
