#include "coordinator/http/inbox.h"

#include <poll.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sluice::coordinator {

namespace asio = boost::asio;
using boost::system::error_code;

Inbox::Inbox(tls::Stream& stream, std::size_t max_header_bytes, HttpServerStats& stats, Pace& discard_pace)
    : stream_(stream),
      stats_(stats),
      discard_pace_(discard_pace),
      capacity_(std::max<std::size_t>(64 * 1024, max_header_bytes + chunk_.size())),
      data_(stream.get_executor()),
      space_(stream.get_executor()),
      go_on_(stream.get_executor()) {}

namespace {
constexpr std::size_t kSmallPiece = 1024;
}

Duration Inbox::pause() const {
  constexpr unsigned kFree = 2;
  if (!in_head_ || small_pieces_ <= kFree) return {};
  return std::chrono::milliseconds(100) * (1U << std::min(small_pieces_ - kFree - 1, 6U));
}

asio::awaitable<void> Inbox::run() {
  while (stream_.is_open()) {
    if (const auto p = pause(); p > Duration::zero()) {
      co_await go_on_.wait(std::chrono::steady_clock::now() + p);
      if (!stream_.is_open()) break;
    }
    if (bytes_.size() >= capacity_) {
      co_await space_.wait();
      continue;
    }
    error_code ec;
    std::size_t n =
        co_await stream_.async_read_some(asio::buffer(chunk_), asio::redirect_error(asio::use_awaitable, ec));
    if (ec) {
      gone_ = ec != asio::error::eof;
      break;
    }
    stats_.bytes_in += n;
    received_ += n;
    if (in_head_ && n < kSmallPiece) ++small_pieces_;
    if (discarding_) {
      const auto now = std::chrono::steady_clock::now();
      if (const auto next = discard_pace_.charge(n, now); next > now) co_await go_on_.wait(next);
      continue;
    }
    bytes_.append(chunk_.data(), n);
    data_.notify();
  }
  ended_ = true;
  data_.notify();
}

asio::awaitable<void> Inbox::until_gone() {
  if (gone_ || !stream_.is_open()) co_return;
  error_code ec;
  co_await stream_.socket().async_wait(asio::ip::tcp::socket::wait_error,
                                       asio::redirect_error(asio::use_awaitable, ec));
  if (ec || !stream_.is_open()) co_return;
  pollfd p{stream_.socket().native_handle(), 0, 0};  // urgent data ends that wait, too
  gone_ = ::poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

asio::awaitable<Inbox::More> Inbox::more(TimePoint deadline) {
  if (ended_ || !stream_.is_open()) co_return More::end;
  bool woken = co_await data_.wait(deadline);
  co_return woken ? More::data : More::timeout;
}

void Inbox::consume(std::size_t n) {
  bytes_.erase(0, n);
  space_.notify();
}

asio::awaitable<void> Inbox::discard(TimePoint deadline) {
  discarding_ = true;
  consume(bytes_.size());
  // Not one condition: g++ 12 destroys what is awaited behind && also where it was never awaited.
  while (!ended_ && stream_.is_open()) {
    const bool more = co_await data_.wait(deadline);
    if (!more) break;
  }
}

void Inbox::closed() {
  data_.notify();
  space_.notify();
  go_on_.notify();
}

}  // namespace sluice::coordinator
