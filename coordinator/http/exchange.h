#pragma once
// Internal to the HTTP server: the answer in progress, as its handler sees it.
// States: waiting, then done (one response) or streaming, then done. Cut: the client can't be answered any more.
// Threading: the server's io_context thread. Ownership: handlers hold the Exchange, which holds the connection weakly.
#include <functional>
#include <memory>
#include <optional>

#include "coordinator/http/server.h"

namespace sluice::coordinator {

class HttpConnection;

/// The answer to one request, as its handler sees it.
class Exchange final : public Responder, public StreamWriter, public std::enable_shared_from_this<Exchange> {
 public:
  explicit Exchange(std::weak_ptr<HttpConnection> connection) : connection_(std::move(connection)) {}
  ~Exchange() override;

  void respond(HttpResponse response) override;
  std::shared_ptr<StreamWriter> begin_stream(int status, HttpHeaders headers) override;
  void on_disconnect(std::function<void(Disconnect)> gone) override;
  void keep_alive(std::string comment, std::function<void()> begin) override;
  void write(std::string_view bytes) override;
  void finish() override;
  [[nodiscard]] bool closed() const override { return state_ == State::done || cut_.has_value(); }

  [[nodiscard]] bool done() const { return state_ == State::done; }
  [[nodiscard]] bool streaming() const { return state_ == State::streaming; }
  /// The client can't be answered any more; tells the handler.
  void cut(Disconnect why);

 private:
  enum class State { waiting, streaming, done };
  void complete();

  std::weak_ptr<HttpConnection> connection_;
  State state_ = State::waiting;
  std::optional<Disconnect> cut_;
  std::function<void(Disconnect)> gone_;
};

}  // namespace sluice::coordinator
