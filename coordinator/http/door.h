#pragma once
// Internal to the HTTP server: it listens, and gives each new connection to a lane; and it drains all lanes together.
//
// A new socket has a seat from the moment it was accepted. It goes to the lane with the fewest. When there are more
// seats than there may be, it goes to the lane where one peer has the most that wait, which looks for a connection that
// can be spared, then to the other lanes in turn, and if none has one it is turned away. So the bound holds for all
// lanes together, and a crowd pays for itself on whatever lanes it is.
// Threading: the first lane's thread, but for what says another. What goes to a lane is posted there; with one lane all
// of it happens at once. Ownership: a socket on its way is its handler's; the accepting coroutine holds the door.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "coordinator/http/server_core.h"

namespace sluice::coordinator {

class HttpDoor : public std::enable_shared_from_this<HttpDoor> {
 public:
  explicit HttpDoor(std::vector<std::shared_ptr<HttpServerCore>> lanes);

  [[nodiscard]] Result<> listen();
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string address() const;
  /// On any thread.
  [[nodiscard]] HttpServerStats stats() const;
  /// On any thread; see HttpServer.
  void drain(Duration deadline, std::function<void()> done);
  /// Cuts everything now, while nobody else runs the lanes.
  void close();

 private:
  /// A socket between its accept and its connection.
  struct Arrival {
    boost::asio::ip::tcp::socket socket;
    SeatCount::Seat seat;
    std::size_t lane = 0;
    std::size_t asked = 0;  // lanes that had nobody to spare
  };
  boost::asio::awaitable<void> accept_loop();
  void note_shortage(std::string_view what);
  /// Closes a connection of some lane. False: not at once.
  [[nodiscard]] bool free_descriptor();
  [[nodiscard]] std::size_t seats() const;
  /// The lane with the fewest seats taken; of equal ones, each in turn.
  [[nodiscard]] std::size_t fewest();
  /// The lane where the largest crowd waits.
  [[nodiscard]] std::size_t most_crowded() const;
  void send(Arrival arrival, std::size_t lane);
  /// On the thread of its lane.
  void arrive(Arrival arrival);
  void stop_accepting();

  /// Runs f on the lane's thread, at once if this is it.
  template <class F>
  static void on(const std::shared_ptr<HttpServerCore>& lane, F f);
  /// Calls `then` on the first lane's thread once the returned function was called once for each lane, on any thread.
  [[nodiscard]] std::function<void()> after_all(std::function<void()> then);
  void end_lanes(std::function<void()> done);

  const std::vector<std::shared_ptr<HttpServerCore>> lanes_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer drain_timer_;
  std::uint16_t port_ = 0;
  std::size_t turn_ = 0;
  TimePoint next_note_{};
};

}  // namespace sluice::coordinator
