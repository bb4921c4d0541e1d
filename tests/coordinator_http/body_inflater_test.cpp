// Request bodies in a content coding: what they mean, and what is refused.
#include "coordinator/http/body_inflater.h"

#include <zlib.h>

#include "tests/support/server_fixture.h"

namespace sluice::test {
namespace {

using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

constexpr int kZlib = 15, kGzip = 15 + 16, kRaw = -15;

std::string packed(std::string_view text, int window = kGzip) {
  z_stream z{};
  REQUIRE(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&z, text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

std::string noise(std::size_t n) {
  std::string s(n, '\0');
  std::uint32_t x = 7;
  for (char& c : s) c = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  return s;
}

struct Decoded {
  int status = 200;
  std::string body;
  int steps = 0;
};

Decoded decoded(std::string_view body, ContentCoding coding = ContentCoding::gzip, std::size_t max = 16 << 20) {
  BodyInflater b(coding, body, max);
  Decoded d;
  for (;;) {
    ++d.steps;
    const auto over = b.step();
    if (!over) return {over.error().status, over.error().message, d.steps};
    if (*over) break;
  }
  d.body = b.take();
  return d;
}

TEST_CASE("names of codings: one of them, lists of nothing else, no case") {
  CHECK(content_coding("gzip") == ContentCoding::gzip);
  CHECK(content_coding("x-gzip") == ContentCoding::gzip);
  CHECK(content_coding(" GZip ,") == ContentCoding::gzip);
  CHECK(content_coding("identity, deflate") == ContentCoding::deflate);
  CHECK(content_coding("") == ContentCoding::identity);
  CHECK(content_coding("identity") == ContentCoding::identity);
  CHECK_FALSE(content_coding("br"));
  CHECK_FALSE(content_coding("zstd"));
  CHECK_FALSE(content_coding("gzip, gzip"));
  CHECK_FALSE(content_coding("gzip;q=1"));
}

TEST_CASE("a body of any size comes back whole, in small steps") {
  for (std::size_t n : {std::size_t{0}, std::size_t{1}, BodyInflater::kStep - 1, BodyInflater::kStep,
                        BodyInflater::kStep + 1, std::size_t{3} << 20}) {
    for (const std::string& text : {noise(n), std::string(n, 'a')}) {
      CAPTURE(n, text.substr(0, 1));
      const auto g = decoded(packed(text));
      CHECK(g.status == 200);
      CHECK(g.body == text);
      CHECK(static_cast<std::size_t>(g.steps) >= n / BodyInflater::kStep);
      const auto d = decoded(packed(text, kZlib), ContentCoding::deflate);
      CHECK(d.status == 200);
      CHECK(d.body == text);
    }
  }
}

TEST_CASE("a gzip body is a series of members; no body is an empty one") {
  CHECK(decoded(packed("one ") + packed("") + packed("two")).body == "one two");
  // A member that ends where a step's input or output does.
  const std::string head = packed(noise(BodyInflater::kStep));
  CHECK(decoded(head + packed("tail")).body == noise(BodyInflater::kStep) + "tail");
  std::string many, text;
  for (int i = 0; i < 20'000; ++i) {
    many += packed("x");
    text += "x";
  }
  CHECK(decoded(many).body == text);
  CHECK(decoded("").status == 200);
  CHECK(decoded("").body.empty());
}

TEST_CASE("what is cut off, damaged or followed by something else is refused") {
  const std::string whole = packed(noise(200'000));
  for (std::size_t n : {std::size_t{1}, std::size_t{9}, std::size_t{10}, std::size_t{11}, BodyInflater::kStep,
                        BodyInflater::kStep + 1, whole.size() - 8, whole.size() - 1}) {
    CAPTURE(n);
    CHECK(decoded(std::string_view(whole).substr(0, n)).status == 400);
  }
  CHECK_THAT(decoded(std::string_view(whole).substr(0, 100)).body, Contains("ends too early"));
  CHECK(decoded(whole + "x").status == 400);
  CHECK(decoded(whole + std::string(10, '\0')).status == 400);
  CHECK(decoded(packed("a") + packed("b").substr(0, 5)).status == 400);
  for (std::size_t at : {std::size_t{0}, std::size_t{2}, std::size_t{3}, whole.size() - 8, whole.size() - 1}) {
    CAPTURE(at);
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    CHECK(decoded(damaged).status == 400);
  }
  CHECK(decoded("{\"prompt\":\"plain\"}").status == 400);
  const std::string z = packed("text", kZlib);
  CHECK(decoded(z).status == 400);
  CHECK(decoded(z + "x", ContentCoding::deflate).status == 400);
  CHECK(decoded(z + z, ContentCoding::deflate).status == 400);
  CHECK(decoded(packed("text"), ContentCoding::deflate).status == 400);
  CHECK(decoded(packed("text", kRaw), ContentCoding::deflate).status == 400);
}

TEST_CASE("a body that grows beyond the bound is given up at the bound") {
  const std::string bomb = packed(std::string(64 << 20, '\0'));
  REQUIRE(bomb.size() < 100'000);
  const auto d = decoded(bomb, ContentCoding::gzip, 1 << 20);
  CHECK(d.status == 413);
  CHECK(d.steps <= (1 << 20) / static_cast<int>(BodyInflater::kStep) + 1);
  CHECK(decoded(packed(std::string(1 << 20, '\0')), ContentCoding::gzip, 1 << 20).status == 200);
  CHECK(decoded(packed(std::string((1 << 20) + 1, '\0')), ContentCoding::gzip, 1 << 20).status == 413);
  std::string members;
  for (int i = 0; i < 64; ++i) members += packed(std::string(1 << 20, '\0'));
  CHECK(decoded(members, ContentCoding::gzip, 1 << 20).status == 413);
}

// ---- Over a socket ----

std::string post(std::string_view body, std::string_view coding, std::string_view more = "") {
  return fmt::format("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Encoding: {}\r\n{}Content-Length: {}\r\n\r\n{}", coding,
                     more, body.size(), body);
}

TEST_CASE("handlers get what was meant, and the connection stays") {
  ServerFixture s(echo_routes());
  RawClient c(s.port());
  const std::string text = noise(300'000);
  c.send(post(packed(text), "gzip"));
  CHECK(c.read_response().ends_with("\r\n\r\n" + text));
  c.send(post(packed("deflated", kZlib), "deflate"));
  CHECK_THAT(c.read_response(), EndsWith("\r\n\r\ndeflated"));
  c.send(post("plain", "identity"));
  CHECK_THAT(c.read_response(), EndsWith("\r\n\r\nplain"));
  c.send(post(packed("after expect"), "gzip", "Expect: 100-continue\r\n"));
  CHECK_THAT(c.read_until("\r\n\r\n"), StartsWith("HTTP/1.1 "));
  CHECK_THAT(c.read_until("after expect"), EndsWith("after expect"));
  // A request without a body has none to decode.
  c.send("GET /hello HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\n\r\n");
  CHECK_THAT(c.read_response(), EndsWith("hello"));
}

TEST_CASE("other codings get 415 with those that are read; bombs 413, broken bodies 400") {
  ServerFixture s(echo_routes(), {.max_body_bytes = 100'000});
  const auto answer = [&](const std::string& request) {
    RawClient c(s.port());
    c.send(request);
    return c.read_all();
  };
  CHECK_THAT(answer(post("x", "br")), StartsWith("HTTP/1.1 415 ") && Contains("unsupported_content_encoding") &&
                                          Contains("\r\naccept-encoding: gzip, deflate, identity\r\n"));
  CHECK_THAT(answer(post(packed("x"), "zstd")), StartsWith("HTTP/1.1 415 ") && Contains("'zstd'"));
  CHECK_THAT(answer(post(packed("x"), "gzip, gzip")), StartsWith("HTTP/1.1 415 "));
  CHECK_THAT(answer(post(packed("x"), "gzip", "Content-Encoding: gzip\r\n")), StartsWith("HTTP/1.1 415 "));
  CHECK_THAT(answer(post(packed(std::string(50 << 20, 'a')), "gzip")), StartsWith("HTTP/1.1 413 "));
  CHECK_THAT(answer(post("nonsense", "gzip")), StartsWith("HTTP/1.1 400 ") && Contains("malformed_body"));
  const auto codes = [&] {
    std::vector<std::string> all;
    for (const auto& e : s.exchanges()) all.push_back(e.code);
    return all;
  }();
  CHECK(std::ranges::count(codes, "unsupported_content_encoding") == 4);
  CHECK(std::ranges::count(codes, "body_too_large") == 1);
  CHECK(std::ranges::count(codes, "malformed_body") == 1);
}

// One thread serves everybody: 16 MB at once would be tens of milliseconds in which no token moves.
TEST_CASE("while a large body is inflated, others are served") {
  HttpRoutes routes = echo_routes();
  const std::string body = packed(std::string(16 << 20, 'a'));
  const std::string head = fmt::format(
      "POST /size HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.size());
  int turns = 0;  // of others, once all of the body is there
  bool over = false;
  ServerFixture* fixture = nullptr;
  std::function<void()> tick = [&] {
    if (over) return;
    if (fixture->server().stats().bytes_in == head.size() + body.size()) ++turns;
    boost::asio::post(fixture->io(), tick);
  };
  routes.add("POST", "/size", [&](HttpRequest q, std::shared_ptr<Responder> out) {
    over = true;
    out->respond({200, {}, fmt::format("{} {}", q.body.size(), turns)});
  });
  ServerFixture s(std::move(routes));
  fixture = &s;
  RawClient c(s.port());
  s.on_io(tick);
  c.send(head + body);
  const auto r = c.read_response();
  const auto at = r.rfind("\r\n\r\n") + 4;
  CHECK(r.substr(at, r.find(' ', at) - at) == std::to_string(16 << 20));
  CHECK(std::stoi(r.substr(r.find(' ', at))) >= (16 << 20) / static_cast<int>(BodyInflater::kStep) - 1);
}

}  // namespace
}  // namespace sluice::test
