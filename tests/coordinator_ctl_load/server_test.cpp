#include "coordinator/ctl/load/server.h"

#include <catch2/catch.hpp>

using namespace sluice::ctl::load;
using Catch::Contains;

namespace {

LoadOptions at(const std::string& url) {
  LoadOptions o;
  o.url = url;
  return o;
}

}  // namespace

TEST_CASE("a server's address may have a base") {
  const auto plain = server_of(at("http://10.0.0.1:8000/"));
  REQUIRE(plain);
  CHECK(plain->address == "10.0.0.1:8000");
  CHECK(plain->path("completions") == "/v1/completions");
  CHECK(server_of(at("host:80/v1"))->path("chat") == "/v1/chat/completions");
  const auto based = server_of(at("http://gateway:80/team/a/v1/"));
  REQUIRE(based);
  CHECK(based->address == "gateway:80");
  CHECK(based->path("completions") == "/team/a/v1/completions");
  for (const char* bad :
       {"", "http://", "host", "host:0", "host:99999", "ftp://host:1", "http://h:1/a b", "h:1/a?b", "h:1/\r\nx: y"}) {
    CAPTURE(bad);
    const auto s = server_of(at(bad));
    REQUIRE_FALSE(s);
    CHECK(s.error().param == "url");
  }
}

TEST_CASE("headers are read strictly") {
  LoadOptions o = at("h:1");
  o.api_key = std::string("key");
  o.headers = {"X-Slo-Class: chat", "x-empty:"};
  const auto s = server_of(o);
  REQUIRE(s);
  CHECK(s->headers ==
        std::map<std::string, std::string>{{"authorization", "Bearer key"}, {"x-slo-class", "chat"}, {"x-empty", ""}});
  for (const char* bad : {"", "x", ": v", "a b: v", "a\r\nb: v"}) {
    CAPTURE(bad);
    o.headers = {bad};
    CHECK_FALSE(server_of(o));
  }
}

TEST_CASE("errors of servers are told in their own words") {
  CHECK(error_words(429, R"({"error": {"message": "full"}})") == "full");
  CHECK(error_words(400, R"({"error": "bad"})") == "bad");
  CHECK(error_words(400, R"({"object": "error", "message": "older vLLM"})") == "older vLLM");
  CHECK_THAT(error_words(502, "<html>"), Contains("HTTP 502 <html>"));
  CHECK_THAT(error_words(500, "[]"), Contains("HTTP 500"));
  CHECK(error_words(500, std::string("\x1b[2J")).find('\x1b') == std::string::npos);
}
