#include "coordinator/http/signal.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace sluice::coordinator {

namespace asio = boost::asio;
using boost::system::error_code;

asio::awaitable<bool> Signal::wait(TimePoint deadline) {
  if (!set_) {
    timer_.expires_at(deadline);
    error_code ec;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ec));
  }
  co_return std::exchange(set_, false);
}

}  // namespace sluice::coordinator
