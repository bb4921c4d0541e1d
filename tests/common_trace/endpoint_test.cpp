#include "common/trace/endpoint.h"

#include <catch2/catch.hpp>

using namespace sluice::trace;
using Catch::Contains;

TEST_CASE("the path of traces is added to a receiver's base URL") {
  const auto plain = parse_endpoint("http://localhost:4318");
  REQUIRE(plain);
  CHECK(plain->address == "localhost:4318");
  CHECK(plain->target == "/v1/traces");
  CHECK(parse_endpoint("http://localhost:4318/")->target == "/v1/traces");
  CHECK(parse_endpoint("http://10.0.0.1:80/otlp/")->target == "/otlp/v1/traces");
  CHECK(parse_endpoint("http://[::1]:4318")->address == "[::1]:4318");
}

TEST_CASE("what is no such URL is refused, with how to write it") {
  for (const char* bad : {"", "localhost:4318", "grpc://localhost:4317", "http://", "http://localhost",
                          "http://localhost:0x", "http://u:p@localhost:4318", "http://localhost:4318/?a",
                          "http://localhost:4318/#a", "http://local host:4318", "http://localhost:99999"})
    CHECK_FALSE(parse_endpoint(bad));
  CHECK_THAT(parse_endpoint("localhost:4318").error().message, Contains("http://localhost:4318"));
  CHECK_THAT(parse_endpoint("https://otel:4318").error().message, Contains("without TLS"));
  CHECK_THAT(parse_endpoint("http://collector").error().message, Contains("4318"));
  CHECK_THAT(parse_endpoint("http://c:4318/v1/traces").error().message, Contains("leave /v1/traces out"));
}
