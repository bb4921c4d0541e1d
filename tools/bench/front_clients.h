#pragma once
// Clients that ask for streamed answers over HTTP, and note when each event came. They read no JSON: what they cost
// would be in the way of what is measured.
// Threading: the io_context's thread. Failure: a client that is cut, or gets another answer than a stream, tells
// `broken` and asks no more.
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"

namespace sluice::bench {

using WallTime = std::chrono::steady_clock::time_point;

struct ClientEvents {
  /// The client's count-th event of this answer, from 1 on.
  std::function<void(std::size_t client, std::size_t count, WallTime at)> on_event;
  std::function<void(std::size_t client)> on_end;
  std::function<void(std::size_t client, const std::string& why)> broken;
};

class FrontClients {
 public:
  /// Connects `count` clients to host:port, one after another.
  [[nodiscard]] static Result<std::unique_ptr<FrontClients>> connect(boost::asio::io_context& io,
                                                                     const std::string& address, std::size_t count);
  void listen(ClientEvents events) { events_ = std::move(events); }
  /// The next request of this client; its last answer has ended.
  void ask(std::size_t client, std::string request);
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_; }

 private:
  struct Client {
    explicit Client(boost::asio::io_context& io) : socket(io) {}
    boost::asio::ip::tcp::socket socket;
    std::string request;                // owned by the outstanding write
    std::array<char, 16 * 1024> chunk;  // owned by the outstanding read
    std::array<char, 5> last{};         // bytes of the answer
    std::size_t read = 0, events = 0;   // of the answer
    bool ended = true;
  };
  void read(std::size_t client);
  void take(std::size_t client, std::size_t bytes);

  std::vector<std::unique_ptr<Client>> clients_;
  ClientEvents events_;
  std::uint64_t bytes_ = 0;
};

/// Clients' names are numbers from here on: all requests are equally long.
inline constexpr std::size_t kFirstClient = 1000;

/// A chat's request in HTTP. Its id is the client's name, which a coordinator passes on to nodes.
[[nodiscard]] std::string stream_request(std::size_t client, std::size_t max_tokens);

}  // namespace sluice::bench
