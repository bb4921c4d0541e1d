// Refused requests leave a trace: a record, a count, a log line.
#include "coordinator/http/observer.h"

#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;

TEST_CASE("every refusal is told to the observer, with its code, and '-' where no route matched") {
  HttpRoutes routes = echo_routes();
  routes.add("GET", "/full", [](HttpRequest, std::shared_ptr<Responder> out) {
    out->respond(error_response({429, "full", "rate_limit_error", {}, "resource_exhausted", {}}));
  });
  ServerFixture s(std::move(routes), {.max_header_bytes = 4096,
                                      .max_body_bytes = 10,
                                      .header_timeout = 200ms,
                                      .body_timeout = 200ms,
                                      .identify = accept_keys({"k"})});
  struct Case {
    std::string request;
    std::string method;
    std::string route;
    int status;
    std::string code;
  };
  const std::string key = "Host: x\r\nAuthorization: Bearer k\r\n";
  for (const auto& [request, method, route, status, code] : std::initializer_list<Case>{
           {"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/hello", 401, "invalid_api_key"},
           {"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "-", 401, "invalid_api_key"},
           {"GET /nope HTTP/1.1\r\n" + key + "\r\n", "GET", "-", 404, "unknown_path"},
           {"BREW /hello HTTP/1.1\r\n" + key + "\r\n", "BREW", "/hello", 405, "method_not_allowed"},
           {"POST /echo HTTP/1.1\r\n" + key + "Content-Length: 11\r\n\r\n", "POST", "/echo", 413, "body_too_large"},
           {"POST /echo HTTP/1.1\r\n" + key + "Content-Length: 3\r\n\r\n", "POST", "/echo", 408, "request_timeout"},
           {"POST /echo HTTP/1.1\r\n" + key + "Content-Encoding: br\r\nContent-Length: 3\r\n\r\n", "POST", "/echo", 415,
            "unsupported_content_encoding"},
           {"POST /echo HTTP/1.1\r\n" + key + "Expect: coffee\r\nContent-Length: 3\r\n\r\n", "POST", "/echo", 417,
            "expectation_failed"},
           {"GET /hello HTTP/1.1\r\nA: " + std::string(5000, 'a'), "", "-", 431, "header_too_large"},
           {"GET /hello HTTP/1.1\r\nA", "", "-", 408, "request_timeout"},
           {"nonsense\r\n\r\n", "", "-", 400, "malformed_http"},
           {"GET /hello HTTP/1.1\r\n\r\n", "GET", "-", 400, "malformed_http"},
           {"POST /echo HTTP/1.1\r\n" + key + "Transfer-Encoding: gzip\r\n\r\n", "POST", "-", 501,
            "unsupported_transfer_encoding"},
           {"GET /full HTTP/1.1\r\n" + key + "\r\n", "GET", "/full", 429, "resource_exhausted"}}) {
    CAPTURE(request);
    RawClient c(s.port());
    c.send(request);
    CHECK_THAT(c.read_response(), Contains(std::to_string(status)));
    const auto x = s.exchanges().back();
    CHECK(x.method == method);
    CHECK(x.route == route);
    CHECK(x.status == status);
    CHECK(x.code == code);
    CHECK_THAT(x.peer, Catch::StartsWith("127.0.0.1:"));
    CHECK_FALSE(x.request_id.empty());
  }
}

HttpExchange exchange(std::string method, int status, std::string code = {}) {
  return {.method = std::move(method), .route = "/v1/models", .status = status, .code = std::move(code)};
}

TEST_CASE("requests are counted by labels that clients can't multiply") {
  boost::asio::io_context io;
  Metrics metrics;
  HttpObserver o(io, metrics);
  o(exchange("GET", 200));
  o(exchange("GET", 200));
  for (int i = 0; i < 20; ++i) o(exchange(fmt::format("BREW{}", i), 405, "method_not_allowed"));
  HttpExchange cut = exchange("POST", 0);
  cut.cut = Disconnect::client_closed;
  o(cut);
  o(exchange("", 400, "malformed_http"));
  const auto text = metrics.text();
  const auto line = [](std::string_view code, std::string_view method, int status, int n) {
    return fmt::format(
        "sluice_http_requests_total{{code=\"{}\",method=\"{}\",route=\"/v1/models\",status=\"{}\"}} {}\n", code, method,
        status, n);
  };
  CHECK_THAT(text, Contains(line("none", "GET", 200, 2)) && Contains(line("method_not_allowed", "other", 405, 20)) &&
                       Contains(line("client_closed", "POST", 0, 1)) &&
                       Contains(line("malformed_http", "other", 400, 1)));
  CHECK(std::ranges::count(text, '\n') == 6);  // 4 and the two lines about the metric
}

TEST_CASE("the observer's timer ends when there is nothing to tell") {
  boost::asio::io_context io;
  Metrics metrics;
  HttpObserver o(io, metrics);
  for (int i = 0; i < 20; ++i) o(exchange("GET", 404, "unknown_path"));
  CHECK(io.run_for(10s) >= 1);
  CHECK(io.stopped());
}

}  // namespace
}  // namespace sluice::test
