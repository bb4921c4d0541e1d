#pragma once
// A blocking HTTP/1.1 client, over TCP or TLS, for command-line tools and tests: one request per call, optionally
// streamed. Threading: each call is independent; call from any thread. Failure: unavailable (cannot connect, connection
// lost), deadline_exceeded (no progress within the timeout), data_corrupt (not HTTP, or larger than the limit).
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/result.h"
#include "common/tls/context.h"

namespace sluice::http {

struct ClientRequest {
  std::string address;  // host:port
  std::string method = "GET";
  std::string target = "/";
  std::map<std::string, std::string> headers;
  std::string body;
  std::chrono::milliseconds timeout{30000};  // without any progress
  std::chrono::milliseconds total{0};        // of the whole exchange, however it progresses; 0: no bound
  std::uint64_t max_body = 256U << 20;       // of an answer that is not streamed
  /// https: the host in `address` must have a certificate that this believes. Null: plain.
  std::shared_ptr<const tls::Context> tls = {};
};

struct ClientResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

/// Called with each piece of a streamed body; return false to hang up.
using OnBody = std::function<bool(std::string_view)>;

[[nodiscard]] Result<ClientResponse> request(const ClientRequest& q);
/// As request(), but the body of a 2xx answer goes to on_body as it comes (the response's body stays empty).
[[nodiscard]] Result<ClientResponse> stream(const ClientRequest& q, const OnBody& on_body);

}  // namespace sluice::http
