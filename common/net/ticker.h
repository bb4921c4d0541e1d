#pragma once
// Runs a function every so often on an io_context. Threading: that thread. Lifetime: the function is not called after
// the ticker is destroyed.
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace sluice::net {

class Ticker {
 public:
  Ticker(boost::asio::io_context& io, std::chrono::milliseconds every, std::function<void()> run)
      : timer_(io), every_(every), run_(std::move(run)) {
    arm();
  }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  void arm() {
    timer_.expires_after(every_);
    timer_.async_wait([this, alive = std::weak_ptr<int>(life_)](boost::system::error_code ec) {
      if (ec || alive.expired()) return;
      run_();
      arm();
    });
  }
  std::shared_ptr<int> life_ = std::make_shared<int>(0);
  boost::asio::steady_timer timer_;
  std::chrono::milliseconds every_;
  std::function<void()> run_;
};

}  // namespace sluice::net
