// The front door against clients that behave: routes, keep-alive, pipelining, bodies, keys, CORS, drain.
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <tuple>

#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

TEST_CASE("a request is routed and its id echoed; the connection stays") {
  ServerFixture s(echo_routes());
  RawClient c(s.port());
  c.send("GET /hello HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc-1\r\n\r\n");
  auto r = c.read_response();
  CHECK_THAT(r, StartsWith("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(r, Contains("x-request-id: abc-1\r\n"));
  CHECK_THAT(r, EndsWith("\r\n\r\nhello"));
  CHECK_THAT(r, !Contains("connection: close"));
  c.send("GET /items/a%2Fb%20c?k=v HTTP/1.1\r\nHost: x\r\n\r\n");
  r = c.read_response();
  CHECK_THAT(r, EndsWith("a/b c?k=v"));
  CHECK_THAT(r, Contains("x-request-id: req-"));
  auto e = s.exchanges();
  REQUIRE(e.size() == 2);
  CHECK(e[1].route == "/items/*");
  CHECK(e[1].status == 200);
  CHECK_FALSE(e[1].cut);
}

TEST_CASE("a request id cannot carry bytes into headers or logs") {
  ServerFixture s(echo_routes());
  RawClient c(s.port());
  c.send("GET /hello HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\tc\"{}<script>" + std::string(300, 'z') + "\r\n\r\n");
  auto r = c.read_response();
  CHECK_THAT(r, Contains("x-request-id: abcscript" + std::string(119, 'z') + "\r\n"));
}

TEST_CASE("HEAD has GET's headers and no body; OPTIONS, 405 and 404 are told apart") {
  ServerFixture s(echo_routes());
  RawClient c(s.port());
  c.send("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  auto head = c.read_until("\r\n\r\n");
  CHECK_THAT(head, Contains("content-length: 5\r\n"));
  CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 200 OK") && EndsWith("hello"));
  c.send("OPTIONS /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  auto options = c.read_until("\r\n\r\n");
  CHECK_THAT(options, StartsWith("HTTP/1.1 204 ") && Contains("allow: POST, OPTIONS\r\n"));
  CHECK_THAT(options, !Contains("access-control"));
  c.send("DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  auto r = c.read_response();
  CHECK_THAT(r, StartsWith("HTTP/1.1 405 ") && Contains("allow: GET, HEAD, OPTIONS\r\n"));
  CHECK_THAT(r, Contains(R"("code":"method_not_allowed")"));
  c.send("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n");
  r = c.read_response();
  CHECK_THAT(r, StartsWith("HTTP/1.1 404 "));
  auto body = nlohmann::json::parse(r.substr(r.find("\r\n\r\n") + 4));
  CHECK(body["error"]["type"] == "invalid_request_error");
  CHECK(body["error"]["param"].is_null());
  CHECK(body["error"]["message"].is_string());
}

TEST_CASE("an answer that may have no body says no length: of 304 it would be that of what the client has") {
  HttpRoutes routes = echo_routes();
  routes.add("GET", "/known", [](HttpRequest, std::shared_ptr<Responder> out) { out->respond({304, {}, ""}); });
  ServerFixture s(std::move(routes));
  RawClient c(s.port());
  c.send("GET /known HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto head = c.read_until("\r\n\r\n");
  CHECK_THAT(head, StartsWith("HTTP/1.1 304 ") && !Contains("content-length") && !Contains("transfer-encoding"));
  c.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(c.read_response(), EndsWith("hello"));
}

TEST_CASE("a trailing slash is no other path, and what follows a prefix loses it too") {
  HttpRoutes routes = echo_routes();
  routes.add("GET", "/items", [](HttpRequest, std::shared_ptr<Responder> out) { out->respond({200, {}, "all"}); });
  ServerFixture s(std::move(routes));
  RawClient c(s.port());
  const auto get = [&](const std::string& path) {
    c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    return c.read_response();
  };
  CHECK_THAT(get("/hello/"), StartsWith("HTTP/1.1 200 ") && EndsWith("hello"));
  CHECK_THAT(get("/items/"), EndsWith("\r\n\r\nall"));
  CHECK_THAT(get("/items/a/?k=v"), EndsWith("\r\n\r\na?k=v"));
  CHECK_THAT(get("/items/a%2F"), EndsWith("\r\n\r\na/?"));
  CHECK_THAT(get("/hello//"), StartsWith("HTTP/1.1 404 "));
  CHECK_THAT(get("/items//"), StartsWith("HTTP/1.1 404 "));
  CHECK_THAT(get("//"), StartsWith("HTTP/1.1 404 "));
  CHECK_THAT(get("/"), StartsWith("HTTP/1.1 404 "));
  c.send("POST /echo/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 200 ") && EndsWith("body"));
  c.send("DELETE /echo/ HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 405 ") && Contains("allow: POST, OPTIONS\r\n"));
  CHECK(s.exchanges().front().route == "/hello");
}

TEST_CASE("every answer has a date") {
  ServerFixture s(echo_routes());
  RawClient c(s.port());
  for (const char* request : {"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
                              "OPTIONS /hello HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    c.send(request);
    CHECK_THAT(c.read_response(), Catch::Matches("[^]*\r\ndate: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} 20[0-9]{2} "
                                                 "[0-9]{2}:[0-9]{2}:[0-9]{2} GMT\r\n[^]*"));
  }
}

TEST_CASE("pipelined requests are answered in order, also when handlers answer later") {
  HttpRoutes routes = echo_routes();
  ServerFixture* fixture = nullptr;
  routes.add("GET", "/later", [&](HttpRequest, std::shared_ptr<Responder> out) {
    auto timer = std::make_shared<boost::asio::steady_timer>(fixture->io(), 50ms);
    timer->async_wait([timer, out](auto) { out->respond({200, {}, "later"}); });
  });
  ServerFixture s(std::move(routes));
  fixture = &s;
  RawClient c(s.port());
  std::string all;
  for (int i = 0; i < 20; ++i)
    all += fmt::format("{} HTTP/1.1\r\nHost: x\r\nx-request-id: {}\r\n\r\n", i % 4 ? "GET /hello" : "GET /later", i);
  c.send(all);
  for (int i = 0; i < 20; ++i) {
    auto r = c.read_response();
    CHECK_THAT(r, Contains(fmt::format("x-request-id: {}\r\n", i)) && EndsWith(i % 4 ? "hello" : "later"));
  }
}

TEST_CASE("bodies arrive whole: sized, chunked, byte by byte, and after 100-continue") {
  ServerFixture s(echo_routes());
  RawClient c(s.port());
  std::string big(3 << 20, 'b');
  c.send(fmt::format("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{}", big.size(), big));
  auto r = c.read_response();
  CHECK(r.size() > big.size());
  CHECK(r.ends_with(big));
  c.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n");
  CHECK_THAT(c.read_response(), EndsWith("\r\n\r\nabcdefg"));
  for (char b : std::string("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nslow")) c.send({&b, 1});
  CHECK_THAT(c.read_response(), EndsWith("\r\n\r\nslow"));
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  CHECK(c.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  c.send("body");
  CHECK_THAT(c.read_response(), EndsWith("\r\n\r\nbody"));
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: coffee\r\n\r\n");
  CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 417 "));
}

TEST_CASE("who waits to be asked for its body is refused without it where the head tells") {
  ServerFixture s(echo_routes(), {.max_body_bytes = 1000});
  const auto answer = [&](const std::string& path, const std::string& fields) {
    RawClient c(s.port());
    c.send(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{}\r\n", path, fields));
    return c.read_all();  // up to the close: what was to come is not waited for
  };
  CHECK_THAT(answer("/nothing", "Content-Length: 4\r\n"), StartsWith("HTTP/1.1 404 "));
  CHECK_THAT(answer("/hello", "Content-Length: 4\r\n"), StartsWith("HTTP/1.1 405 "));
  CHECK_THAT(answer("/echo", "Content-Length: 1001\r\n"), StartsWith("HTTP/1.1 413 "));
  CHECK_THAT(answer("/echo", "Content-Length: 4\r\nContent-Encoding: zstd\r\n"), StartsWith("HTTP/1.1 415 "));
  // In chunks it can't be told; the client is asked.
  RawClient c(s.port());
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n");
  CHECK(c.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  c.send("4\r\nbody\r\n0\r\n\r\n");
  CHECK_THAT(c.read_response(), EndsWith("\r\n\r\nbody"));
}

TEST_CASE("HTTP/1.0 is answered and closed unless it asks to stay") {
  ServerFixture s(echo_routes());
  RawClient c(s.port());
  c.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK_THAT(c.read_response(), Contains("connection: keep-alive\r\n"));
  c.send("GET /hello HTTP/1.0\r\n\r\n");
  CHECK_THAT(c.read_all(), Contains("connection: close\r\n") && EndsWith("hello"));
}

TEST_CASE("a stream is chunked for HTTP/1.1, plain for HTTP/1.0, and may be followed by a request") {
  HttpRoutes routes = echo_routes();
  routes.add("GET", "/stream", [](HttpRequest, std::shared_ptr<Responder> out) {
    auto w = out->begin_stream(200, {{"content-type", "text/event-stream"}});
    w->write("data: 1\n\n");
    w->write("");
    w->write("data: 2\n\n");
    w->finish();
  });
  ServerFixture s(std::move(routes));
  RawClient c(s.port());
  c.send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(c.read_until("\r\n\r\n"), Contains("transfer-encoding: chunked"));
  CHECK(c.read_until("0\r\n\r\n") == "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  CHECK_THAT(c.read_response(), EndsWith("hello"));
  RawClient old(s.port());
  old.send("GET /stream HTTP/1.0\r\n\r\n");
  CHECK_THAT(old.read_all(), EndsWith("\r\n\r\ndata: 1\n\ndata: 2\n\n"));
}

TEST_CASE("an API key guards all but open routes, before a body is read") {
  ServerFixture s(echo_routes(), {.identify = accept_keys({"first", "second"})});
  RawClient c(s.port());
  auto get = [&](std::string extra, std::string path = "/hello") {
    c.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + extra + "\r\n");
    return c.read_response();
  };
  auto r = get("");
  CHECK_THAT(r, StartsWith("HTTP/1.1 401 ") && Contains("www-authenticate: Bearer") && Contains("invalid_api_key"));
  CHECK_THAT(get("Authorization: Bearer firs\r\n"), StartsWith("HTTP/1.1 401 "));
  CHECK_THAT(get("Authorization: Basic first\r\n"), StartsWith("HTTP/1.1 401 "));
  CHECK_THAT(get("Authorization: Bearer\r\n"), StartsWith("HTTP/1.1 401 "));
  CHECK_THAT(get("Authorization: Bearer first\r\n"), StartsWith("HTTP/1.1 200 "));
  CHECK_THAT(get("authorization: bearer second\r\n"), StartsWith("HTTP/1.1 200 "));
  CHECK_THAT(get("", "/health"), StartsWith("HTTP/1.1 200 "));
  // What exists is not told without a key.
  CHECK_THAT(get("", "/nowhere"), StartsWith("HTTP/1.1 401 "));
  c.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  CHECK_THAT(c.read_all(), StartsWith("HTTP/1.1 401 ") && Contains("connection: close"));
}

TEST_CASE("what changes things takes an administrator's key") {
  HttpRoutes routes = echo_routes();
  routes.add("PUT", "/setting", [](HttpRequest, std::shared_ptr<Responder> out) { out->respond({200, {}, "set"}); },
             {.admin = true});
  ServerFixture s(std::move(routes), {.identify = accept_keys({"boss", "user-1"})});
  RawClient c(s.port());
  const auto ask = [&](const std::string& line, const std::string& key) {
    c.send(line + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\n\r\n");
    return c.read_response();
  };
  CHECK_THAT(ask("PUT /setting", "user-1"), StartsWith("HTTP/1.1 403 ") && Contains("admin_key_required"));
  CHECK_THAT(ask("PUT /setting", "nobody"), StartsWith("HTTP/1.1 401 "));
  CHECK_THAT(ask("GET /hello", "user-1"), StartsWith("HTTP/1.1 200 "));
  CHECK_THAT(ask("PUT /setting", "boss"), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("CORS headers are sent only where configured") {
  const std::string ask = "GET /hello HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\n\r\n";
  {
    ServerFixture s(echo_routes());
    RawClient c(s.port());
    c.send(ask);
    CHECK_THAT(c.read_response(), !Contains("access-control"));
  }
  ServerFixture s(echo_routes(), {.cors_origins = {"https://a.example"}});
  RawClient c(s.port());
  c.send(ask);
  CHECK_THAT(c.read_response(), Contains("access-control-allow-origin: https://a.example\r\n"));
  c.send(
      "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n\r\n");
  CHECK_THAT(c.read_until("\r\n\r\n"), Contains("access-control-allow-methods: POST, OPTIONS\r\n"));
  // The OpenAI client in a browser asks for headers of its own; a fixed list kept it out.
  const std::string preflight =
      "OPTIONS /echo HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"
      "Access-Control-Request-Headers: ";
  c.send(preflight + "authorization,x-stainless-os\r\n\r\n");
  CHECK_THAT(c.read_until("\r\n\r\n"), Contains("access-control-allow-headers: authorization,x-stainless-os\r\n"));
  c.send(preflight + "a;b\r\n\r\n");
  CHECK_THAT(c.read_until("\r\n\r\n"), Contains("access-control-allow-headers: authorization, content-type"));
  c.send("GET /hello HTTP/1.1\r\nHost: x\r\nOrigin: https://b.example\r\n\r\n");
  CHECK_THAT(c.read_response(), !Contains("access-control"));
}

TEST_CASE("a handler that throws or forgets its answer gives 500, not silence") {
  HttpRoutes routes;
  routes.add("GET", "/throws", [](HttpRequest, std::shared_ptr<Responder>) { throw std::runtime_error("secret"); });
  routes.add("GET", "/forgets", [](HttpRequest, std::shared_ptr<Responder>) {});
  routes.add("GET", "/half",
             [](HttpRequest, std::shared_ptr<Responder> out) { out->begin_stream(200, {})->write("half"); });
  routes.add("GET", "/twice", [](HttpRequest, std::shared_ptr<Responder> out) {
    out->respond({200, {}, "one"});
    out->respond({200, {}, "two"});
  });
  ServerFixture s(std::move(routes));
  for (const char* path : {"/throws", "/forgets"}) {
    RawClient c(s.port());
    c.send(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path));
    CHECK_THAT(c.read_response(), StartsWith("HTTP/1.1 500 ") && !Contains("secret"));
  }
  RawClient c(s.port());
  c.send("GET /half HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(c.read_all(), !Contains("0\r\n\r\n"));
  RawClient d(s.port());
  d.send("GET /twice HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK_THAT(d.read_all(), EndsWith("\r\n\r\none"));
}

TEST_CASE("a header value from a handler cannot start another header") {
  HttpRoutes routes;
  routes.add("GET", "/x", [](HttpRequest, std::shared_ptr<Responder> out) {
    out->respond({200, {{"x-note", "a\r\nset-cookie: b"}}, {}});
  });
  ServerFixture s(std::move(routes));
  RawClient c(s.port());
  c.send("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(c.read_response(), Contains("x-note: aset-cookie: b\r\n"));
}

TEST_CASE("drain closes idle connections, lets answers finish, answers new clients, cuts the rest at the deadline") {
  HttpRoutes routes = echo_routes();
  std::shared_ptr<StreamWriter> finishing, hanging;
  std::optional<Disconnect> why;
  routes.add("GET", "/finishing", [&](HttpRequest, std::shared_ptr<Responder> out) {
    finishing = out->begin_stream(200, {});
    finishing->write("a");
  });
  routes.add("GET", "/hanging", [&](HttpRequest, std::shared_ptr<Responder> out) {
    out->on_disconnect([&](Disconnect d) { why = d; });
    hanging = out->begin_stream(200, {});
    hanging->write("a");
  });
  ServerFixture s(std::move(routes));
  RawClient idle(s.port()), a(s.port()), b(s.port());
  idle.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  idle.read_response();
  a.send("GET /finishing HTTP/1.1\r\nHost: x\r\n\r\n");
  a.read_until("a\r\n");
  b.send("GET /hanging HTTP/1.1\r\nHost: x\r\n\r\n");
  b.read_until("a\r\n");
  std::promise<void> done;
  s.on_io([&] { s.server().drain(1500ms, [&] { done.set_value(); }); });
  CHECK(idle.read_some().empty());
  RawClient fresh(s.port());
  fresh.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string only = fresh.read_all();
  CHECK_THAT(only, StartsWith("HTTP/1.1 200 ") && Contains("connection: close\r\n") && EndsWith("\r\n\r\nhello"));
  s.on_io([&] {
    finishing->write("b");
    finishing->finish();
  });
  CHECK_THAT(a.read_until("0\r\n\r\n"), EndsWith("b\r\n0\r\n\r\n"));
  a.close();
  CHECK(b.read_some().empty());
  REQUIRE(done.get_future().wait_for(5s) == std::future_status::ready);
  s.on_io([&] {
    CHECK(why == Disconnect::server_stopping);
    CHECK(hanging->closed());
    hanging.reset();
    finishing.reset();
  });
  CHECK_THROWS(RawClient(s.port()));
}

TEST_CASE("a drain waits for the requests of before it, not for silent or new clients") {
  HttpRoutes routes = echo_routes();
  std::shared_ptr<StreamWriter> running;
  std::shared_ptr<Responder> later;
  routes.add("GET", "/running", [&](HttpRequest, std::shared_ptr<Responder> out) {
    running = out->begin_stream(200, {});
    running->write("a");
  });
  routes.add("GET", "/later", [&](HttpRequest, std::shared_ptr<Responder> out) { later = std::move(out); });
  ServerFixture s(std::move(routes));
  RawClient old_silent(s.port()), asked_before(s.port());
  asked_before.send("GET /running HTTP/1.1\r\nHost: x\r\n\r\n");
  asked_before.read_until("a\r\n");
  REQUIRE(s.eventually([](const HttpServerStats& st) { return st.open == 2; }));
  std::promise<void> done;
  auto over = done.get_future();
  s.on_io([&] { s.server().drain(1h, [&] { done.set_value(); }); });
  // A client that had connected and not asked yet is not thrown out.
  old_silent.send("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK_THAT(old_silent.read_all(), EndsWith("hello"));
  RawClient new_silent(s.port()), new_half(s.port()), new_waiting(s.port());
  new_half.send("GET /hel");
  new_waiting.send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  REQUIRE(s.eventually([&](const HttpServerStats& st) { return st.open == 4 && later != nullptr; }));
  CHECK(over.wait_for(0s) == std::future_status::timeout);
  s.on_io([&] { running->finish(); });
  CHECK_THAT(asked_before.read_until("0\r\n\r\n"), EndsWith("0\r\n\r\n"));
  asked_before.close();
  CHECK(new_silent.read_some().empty());
  CHECK(new_half.read_some().empty());
  s.on_io([&] { later->respond({200, {}, "answered"}); });
  CHECK_THAT(new_waiting.read_all(), EndsWith("answered"));
  new_waiting.close();
  CHECK(over.wait_for(10s) == std::future_status::ready);
  s.on_io([&] {
    running.reset();
    later.reset();
  });
}

TEST_CASE("IPv6 peers are written with brackets, IPv4 ones on a socket for both without") {
  namespace ip = boost::asio::ip;
  for (const auto& [host, from, shown] : {std::tuple{"::1", "::1", "[::1]:"}, std::tuple{"[::1]", "::1", "[::1]:"},
                                          std::tuple{"::", "127.0.0.1", "127.0.0.1:"}}) {
    CAPTURE(host);
    ServerFixture s(echo_routes(), {.host = host});
    boost::asio::io_context io;
    ip::tcp::socket client(io);
    client.connect({ip::make_address(from), s.port()});
    boost::asio::write(client, boost::asio::buffer(std::string_view("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")));
    char first = 0;
    boost::asio::read(client, boost::asio::buffer(&first, 1));
    CHECK_THAT(s.exchanges().at(0).peer, StartsWith(shown));
    CHECK(s.server().address() == fmt::format("{}:{}", host == std::string_view("::") ? "[::]" : "[::1]", s.port()));
  }
}

TEST_CASE("a taken port is an error in words") {
  ServerFixture s(echo_routes());
  boost::asio::io_context io;
  HttpServer second(io, {.port = s.port()}, echo_routes());
  auto r = second.listen();
  REQUIRE_FALSE(r);
  CHECK_THAT(r.error().message, Contains(std::to_string(s.port())));
  CHECK_FALSE(HttpServer(io, {.host = "not-an-address"}, {}).listen());
}

}  // namespace
}  // namespace sluice::test
