#pragma once
// What HTTP handlers see: requests, responses, streams and the OpenAI error shape, the error body of all
// routes that name no other (RouteOptions::errors). No Beast here: handlers stay independent of the server's libraries.
// Threading: one io_context thread, the connection's (docs/adr/0013-a-front-of-several-threads.md).
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace sluice::coordinator {

/// Header fields in their order of arrival; names compare without case.
class HttpHeaders {
 public:
  using Field = std::pair<std::string, std::string>;
  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<Field> fields) : fields_(fields) {}

  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// The first field of that name.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  [[nodiscard]] auto begin() const { return fields_.begin(); }
  [[nodiscard]] auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

/// Who asks, by the API key that was shown. Where none is demanded: anybody, who may do everything.
struct Caller {
  virtual ~Caller() = default;
  std::string tenant = "default";
  std::string key_id;  // names the key, and is no secret; empty: none was demanded
  bool admin = true;   // may change things: objectives, drains
};

struct HttpRequest {
  std::string method;  // upper case; a HEAD arrives at GET handlers as "GET"
  std::string path;    // without the query, as sent
  std::string query;   // after '?', as sent
  std::string rest;    // of a prefix route: what follows the prefix, percent-decoded
  HttpHeaders headers;
  std::string body;
  std::string request_id;                     // the client's x-request-id, sanitised, or a generated one
  std::string peer;                           // "127.0.0.1:4242"
  std::shared_ptr<const Caller> caller = {};  // null: an open route, asked without a key
  TimePoint received;                         // when the request's first bytes arrived
  std::shared_ptr<void> place;                // of a large body: to be dropped with it, on any thread
};

/// {"error": {message, type, param, code}} with its HTTP status.
struct ApiError {
  int status = 500;
  std::string message;
  std::string type = "server_error";
  std::string param;  // empty = null
  std::string code;   // empty = null
  std::optional<Duration> retry_after;

  [[nodiscard]] static ApiError invalid(std::string message, std::string param = {}, std::string code = {});
  /// The one table from the house's error codes to HTTP.
  [[nodiscard]] static ApiError from(const Error& error, std::optional<Duration> retry_after = std::nullopt);
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;
  std::string body;
  std::string code = {};               // of an error, for logs and metrics: one of our own list
  std::optional<ApiError> error = {};  // what the body says, so that a route can say it in its own words
};

/// Why a response can no longer be delivered.
enum class Disconnect {
  client_closed,   // it closed or reset the connection while we were answering
  slow_reader,     // it read slower than we generated, past the buffer bound or the write timeout
  server_stopping  // the drain deadline passed
};
[[nodiscard]] std::string_view name(Disconnect d) noexcept;

/// A response body in pieces. Dropping it before finish() cuts the connection, so that the client sees a
/// truncated body rather than a complete-looking one.
class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  /// Queues bytes (each call at most one HTTP chunk). After closed() a no-op.
  virtual void write(std::string_view bytes) = 0;
  virtual void finish() = 0;
  [[nodiscard]] virtual bool closed() const = 0;
};

/// Answers one request, once: respond() or begin_stream(). Later calls are ignored. Dropping it unanswered makes
/// the server answer 500.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void respond(HttpResponse response) = 0;
  [[nodiscard]] virtual std::shared_ptr<StreamWriter> begin_stream(int status, HttpHeaders headers) = 0;
  /// `gone` runs at most once, as soon as the client is known to be gone before the answer was complete; at once
  /// if it already is. It is released when the answer is complete.
  virtual void on_disconnect(std::function<void(Disconnect)> gone) = 0;
  /// For an answer that is going to be a stream of events. Whenever nothing of it was sent for the server's interval,
  /// `comment`, which its readers skip, goes out; before the first one `begin` is called unless the stream has begun,
  /// and should begin it. The comment also serves to ask a client that has ended its sending whether it still listens.
  virtual void keep_alive(std::string comment, std::function<void()> begin) {
    static_cast<void>(comment), static_cast<void>(begin);  // a responder without a connection keeps nothing alive
  }
  [[nodiscard]] virtual bool closed() const = 0;
};

using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<Responder>)>;

[[nodiscard]] nlohmann::json error_json(const ApiError& error);
[[nodiscard]] HttpResponse error_response(const ApiError& error);
[[nodiscard]] HttpResponse json_response(const nlohmann::json& body, int status = 200);
/// JSON text; bytes that are not UTF-8 are replaced, never thrown over.
[[nodiscard]] std::string dump(const nlohmann::json& j);

[[nodiscard]] bool equals_ignore_case(std::string_view a, std::string_view b) noexcept;
/// Keeps the characters that are safe in a header and a log line, at most 128 of them; empty if none are.
[[nodiscard]] std::string sanitize_request_id(std::string_view raw);
[[nodiscard]] std::string generate_request_id();
/// nullopt on a broken escape.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view s);

}  // namespace sluice::coordinator
