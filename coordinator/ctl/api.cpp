#include "coordinator/ctl/api.h"

#include "common/http/sse.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxErrorWords = 500;

http::ClientRequest make_request(const Endpoint& e, const std::string& method, const std::string& target) {
  http::ClientRequest q;
  q.address = e.address;
  q.method = method;
  q.target = target;
  q.tls = e.tls;
  if (!e.api_key.empty()) q.headers["authorization"] = "Bearer " + e.api_key;
  return q;
}

Errc code_of(int status, const std::string& body) {
  if (status == 401) return Errc::permission_denied;  // its code in the body is OpenAI's, not one of ours
  const json j = json::parse(body, nullptr, false);
  if (j.is_object() && j.contains("error") && j["error"].is_object() && j["error"].contains("code") &&
      j["error"]["code"].is_string())
    return errc_from_name(j["error"]["code"].get<std::string>());
  return Errc::internal;
}

Result<json> answer(const Endpoint& e, const http::ClientResponse& r) {
  if (r.status / 100 != 2) return fail(code_of(r.status, r.body), "{}: {}", e.address, error_words(r.status, r.body));
  json j = json::parse(r.body, nullptr, false);
  if (j.is_discarded()) return fail(Errc::data_corrupt, "{} answers, but not in JSON; is it Sluice?", e.address);
  return j;
}

/// As http::request; says what to do when nobody is there.
Result<http::ClientResponse> ask(const http::ClientRequest& q) {
  auto r = http::request(q);
  if (!r && r.error().code == Errc::unavailable)
    return fail(Errc::unavailable, "{}; `sluicectl up` starts a cluster, --url names a coordinator elsewhere",
                r.error().message);
  return r;
}

}  // namespace

std::string error_words(int status, const std::string& body) {
  const json j = json::parse(body, nullptr, false);
  if (j.is_object() && j.contains("error") && j["error"].is_object()) {
    const auto message = j["error"].find("message");
    if (message != j["error"].end() && message->is_string()) return message->get<std::string>();
  }
  return fmt::format("HTTP {} {}", status, body.substr(0, kMaxErrorWords));
}

Result<json> get(const Endpoint& e, const std::string& target) {
  SLUICE_ASSIGN(const auto r, ask(make_request(e, "GET", target)));
  return answer(e, r);
}

Result<json> send(const Endpoint& e, const std::string& method, const std::string& target, const json& body) {
  auto q = make_request(e, method, target);
  q.headers["content-type"] = "application/json";
  q.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  SLUICE_ASSIGN(const auto r, ask(q));
  return answer(e, r);
}

Result<json> health(const Endpoint& e) {
  auto q = make_request(e, "GET", "/health");
  q.timeout = std::chrono::seconds(5);
  SLUICE_ASSIGN(const auto r, http::request(q));
  json j = json::parse(r.body, nullptr, false);
  if (!j.is_object()) return fail(Errc::data_corrupt, "{} answers, but not as Sluice does", e.address);
  return j;
}

Result<> post_stream(const Endpoint& e, const std::string& target, const json& body, std::chrono::milliseconds timeout,
                     const OnEvent& on_event) {
  auto q = make_request(e, "POST", target);
  q.headers["content-type"] = "application/json";
  q.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  q.timeout = timeout;
  bool done = false;
  bool going = true;
  std::string error;
  http::SseParser parser([&](std::string_view data) {
    if (data == "[DONE]") done = true;
    if (done || !going) return;
    const json event = json::parse(data, nullptr, false);
    if (event.is_discarded())
      error = "an event of the stream is not JSON";
    else if (event.contains("error"))
      error = error_words(200, std::string(data));
    else
      going = on_event(event);
    going = going && error.empty();
  });
  const auto r = http::stream(q, [&](std::string_view piece) {
    if (const auto read = parser.push(piece); !read) error = read.error().message;
    return going && error.empty();
  });
  if (!error.empty()) return fail(Errc::internal, "{}: {}", e.address, error);
  if (!r) return std::unexpected(r.error());
  if (r->status / 100 != 2)
    return fail(code_of(r->status, r->body), "{}: {}", e.address, error_words(r->status, r->body));
  if (!done) return fail(Errc::unavailable, "the stream from {} ended early", e.address);
  return {};
}

}  // namespace sluice::ctl
