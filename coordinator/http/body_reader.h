#pragma once
// Internal to the HTTP server: one request's body, from the head that was accepted to the last byte decoded.
//
// It sees to the order of things: a client that waits to be told (Expect: 100-continue) is told when its body has a
// place, and not before; a large body waits for its place (body_gate.h); while bytes come the seat can be lost to
// somebody new if they come too slowly, and while it waits for a place as any seat that waits.
// Threading: a coroutine of the connection, whose parts it borrows. Failure: the ApiError that the client gets.
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "coordinator/http/answer_writer.h"
#include "coordinator/http/request_reader.h"
#include "coordinator/http/server_core.h"
#include "coordinator/http/signal.h"

namespace sluice::coordinator {

class BodyReader {
 public:
  /// What it borrows of the connection.
  struct Uses {
    HttpServerCore& core;
    EvictionQueue::Seat& seat;
    Inbox& in;
    AnswerWriter& out;
    tls::Stream& stream;
    Signal& wake;               // notified when the place is free, and when the connection ends
    std::weak_ptr<void> owner;  // of all these
    std::function<boost::asio::awaitable<void>()> flush;  // of `out`, with what its failure means
  };
  BodyReader(Uses uses, RequestReader& reader, RequestTraits traits)
      : with_(std::move(uses)), reader_(reader), traits_(traits) {}

  /// Into the request, with its place.
  boost::asio::awaitable<std::optional<ApiError>> read(HttpRequest& request);

 private:
  /// Whose requests share bounds: those of one key, else of one address.
  [[nodiscard]] std::string client(const HttpRequest& request) const;
  /// Waits for a place for a body of so many bytes, as long as a body may take. Null: in vain.
  boost::asio::awaitable<std::shared_ptr<BodyGate::Place>> take_place(std::string client, std::size_t bytes);
  /// Tells a client that asked to send its body.
  boost::asio::awaitable<void> let_it_come(const HttpRequest& request);

  Uses with_;
  RequestReader& reader_;
  RequestTraits traits_;
};

}  // namespace sluice::coordinator
