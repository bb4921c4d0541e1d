#pragma once
// The coordinator's HTTP API as the commands use it: JSON in, JSON out, errors in the server's own words.
// Threading: calls are independent; call from any thread. Failure: those of http::request, and the API's error codes.
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/http/client.h"
#include "common/result.h"
#include "common/tls/context.h"

namespace sluice::ctl {

struct Endpoint {
  std::string address;                           // host:port
  std::string api_key;                           // empty: none
  std::shared_ptr<const tls::Context> tls = {};  // https; null: plain
};

/// The server's answer; anything but 2xx is an error with the message of its body.
[[nodiscard]] Result<nlohmann::json> get(const Endpoint& e, const std::string& target);
[[nodiscard]] Result<nlohmann::json> send(const Endpoint& e, const std::string& method, const std::string& target,
                                          const nlohmann::json& body);

/// What /health says, ready or not.
[[nodiscard]] Result<nlohmann::json> health(const Endpoint& e);

/// Called with each event of a streamed answer; return false to hang up.
using OnEvent = std::function<bool(const nlohmann::json&)>;
/// Posts `body` and hands on the events until [DONE]. A stream that ends without it, or that carries an error, failed.
[[nodiscard]] Result<> post_stream(const Endpoint& e, const std::string& target, const nlohmann::json& body,
                                   std::chrono::milliseconds timeout, const OnEvent& on_event);

/// The message of an API error body, or the body itself, shortened.
[[nodiscard]] std::string error_words(int status, const std::string& body);

}  // namespace sluice::ctl
