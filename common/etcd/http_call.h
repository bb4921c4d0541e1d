#pragma once
// One POST to etcd's JSON gateway over a connection of its own, plain or TLS; its answer whole, or line by line as it
// comes.
//
// Life: start() -> on_line for each line of a streamed 2xx body -> done, once. cancel(): neither is called any more. It
// keeps itself alive until then. Threading: one io_context thread. Failure: unavailable (cannot connect, cut off),
// deadline_exceeded (no whole answer in time; of a stream no header in time), resource_exhausted (more than max_bytes
// in an answer or a line).
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/net/address.h"
#include "common/result.h"
#include "common/tls/context.h"

namespace sluice::etcd {

class HttpCall {
 public:
  struct Request {
    net::Address at;
    std::string target;  // path
    std::string body;    // JSON
    std::string token;   // of authentication; empty: none
    std::chrono::milliseconds timeout{1000};
    std::size_t max_bytes = std::size_t{16} << 20;
  };
  struct Answer {
    int status = 0;
    std::string body;  // empty of a stream that was answered 2xx
  };
  using Done = std::function<void(Result<Answer>)>;
  using OnLine = std::function<void(std::string_view)>;

  virtual ~HttpCall() = default;
  virtual void cancel() = 0;

  /// on_line: empty for an answer that is wanted whole. Nothing is called from inside start().
  [[nodiscard]] static std::shared_ptr<HttpCall> start(boost::asio::io_context& io,
                                                       std::shared_ptr<const tls::Context> tls, Request q,
                                                       OnLine on_line, Done done);
};

}  // namespace sluice::etcd
