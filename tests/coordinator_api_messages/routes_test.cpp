// The Messages API over real sockets.
#include "coordinator/api/messages/routes.h"

#include <sys/stat.h>

#include "tests/coordinator_api/api_fixture.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_dir.h"

namespace sluice::test {
namespace {

using Catch::Contains;

struct Served {
  explicit Served(Tenants* tenants = nullptr) : api(tenants, {}, add_messages_routes) {}
  Answer create(const json& extra = {}, const std::string& headers = {}) {
    json body = {{"max_tokens", 100}, {"messages", {{{"role", "user"}, {"content", "hi"}}}}};
    if (extra.is_object()) body.update(extra);
    return api.post("/v1/messages", body, headers);
  }
  Api api;
};

TEST_CASE("a message is one object of blocks, with its usage") {
  Served s;
  const Answer a = s.create({{"sluice", {{"explain", true}}}}, "anthropic-version: 2023-06-01\r\n");
  REQUIRE(a.status == 200);
  CHECK(a.body["type"] == "message");
  CHECK(a.body["role"] == "assistant");
  CHECK(a.body["model"] == "fake");
  CHECK(a.body["id"].get<std::string>().starts_with("msg_"));
  CHECK(a.body["content"] == json::parse(R"([{"type":"text","text":"user:hi\nassistant:"}])"));
  CHECK(a.body["stop_reason"] == "end_turn");
  CHECK(a.body["usage"]["input_tokens"] == 16);
  CHECK(a.body["usage"]["cache_read_input_tokens"] == 2);
  CHECK(a.body["usage"]["output_tokens"] == 19);
  CHECK(a.body["sluice"]["profile"] == "q8");
}

TEST_CASE("answers, streams and errors say their id in the header that Anthropic's client reads") {
  Served s;
  const std::string id = "x-request-id: r1\r\n";
  for (const Answer& a : {s.create({}, id), s.create({{"stream", true}}, id), s.create({{"max_tokens", 0}}, id),
                          s.api.get("/v1/messages", id)})
    CHECK_THAT(a.head, Contains("\r\nx-request-id: r1\r\n") && Contains("\r\nrequest-id: r1\r\n"));
  CHECK_THAT(s.api.get("/v1/models", id).head, !Contains("\r\nrequest-id:"));
}

TEST_CASE("stop sequences and the bound of tokens are told apart") {
  Served s;
  Answer a = s.create({{"stop_sequences", {"hi"}}});
  CHECK(a.body["stop_reason"] == "stop_sequence");
  CHECK(a.body["stop_sequence"] == "hi");
  CHECK(a.body["content"][0]["text"] == "user:");
  a = s.create({{"max_tokens", 4}});
  CHECK(a.body["stop_reason"] == "max_tokens");
  CHECK(a.body["content"][0]["text"] == "user");
}

TEST_CASE("a stream has the events that clients join to the message") {
  Served s;
  const Answer a = s.create({{"stream", true}});
  REQUIRE(a.events.size() > 5);
  CHECK(a.events[0]["type"] == "message_start");
  CHECK(a.events[0]["message"]["usage"]["input_tokens"] == 18);  // what of it was there is known at the end
  std::string text;
  for (const auto& e : a.events)
    if (e["type"] == "content_block_delta") text += e["delta"]["text"].get<std::string>();
  CHECK(text == "user:hi\nassistant:");
  CHECK(a.events[a.events.size() - 2]["delta"]["stop_reason"] == "end_turn");
  CHECK(a.events[a.events.size() - 2]["usage"]["input_tokens"] == 16);
  CHECK(a.events.back()["type"] == "message_stop");
  CHECK_FALSE(a.done);
}

TEST_CASE("tokens are counted without an answer") {
  Served s;
  const json body = {{"messages", {{{"role", "user"}, {"content", "hi"}}}}, {"system", "s"}};
  const Answer a = s.api.post("/v1/messages/count_tokens", body);
  CHECK(a.status == 200);
  CHECK(a.body == json{{"input_tokens", 27}});
  CHECK(s.api.on_io([&] { return s.api.backend().legs.empty(); }));
}

TEST_CASE("every error of these routes is in their shape, wherever it arises") {
  Served s;
  const auto check = [](const Answer& a, int status, const char* type) {
    CHECK(a.status == status);
    CHECK(a.body["type"] == "error");
    CHECK(a.body["error"]["type"] == type);
    CHECK_FALSE(a.body["error"]["message"].get<std::string>().empty());
    CHECK(a.body["request_id"] == "r1");
  };
  const std::string id = "x-request-id: r1\r\n";
  check(s.create({{"max_tokens", 0}}, id), 400, "invalid_request_error");
  check(s.create({{"max_tokens", 100'000}}, id), 400, "invalid_request_error");
  check(s.create({{"model", "claude"}}, id), 404, "not_found_error");
  check(s.api.post("/v1/messages", "text", id), 400, "invalid_request_error");
  check(s.api.get("/v1/messages", id), 405, "invalid_request_error");
  check(s.api.post("/v1/messages/count_tokens", json::object(), id), 400, "invalid_request_error");
  check(s.api.post("/v1/messages/batches", json::object(), id), 404, "not_found_error");
  check(s.api.get("/v1/messages/batches/b", id), 404, "not_found_error");
  s.api.on_io([&] {
    s.api.backend().script = [](FakeBackend& b, RequestId leg) {
      b.fail_leg(leg, Error{Errc::resource_exhausted, "no room", {}}, std::chrono::seconds(3));
    };
  });
  const Answer full = s.create({}, id);
  check(full, 429, "rate_limit_error");
  CHECK_THAT(full.head, Contains("retry-after: 3\r\n"));
  // Other routes keep OpenAI's.
  CHECK(s.api.post("/v1/chat/completions", json::object()).body["error"]["param"] == "messages");
}

TEST_CASE("a key may come as x-api-key") {
  TempDir dir;
  ApiKey k;
  k.key_id = "a";
  k.tenant = "acme";
  k.admin = false;
  k.limits.requests_per_minute = 3;
  dir.write("keys", key_line(k, "secret") + "\n");
  ::chmod((dir / "keys").c_str(), 0600);
  ManualClock clock;
  Metrics metrics;
  Tenants tenants({.file = (dir / "keys").string()}, clock, metrics);
  Served s(&tenants);
  const Answer none = s.create();
  CHECK(none.status == 401);
  CHECK(none.body["error"]["type"] == "authentication_error");
  CHECK(s.create({}, "x-api-key: wrong\r\n").status == 401);
  CHECK(s.create({}, "x-api-key: secret\r\nauthorization: Bearer wrong\r\n").status == 401);
  const Answer ok = s.create({}, "x-api-key: secret\r\n");
  CHECK(ok.status == 200);
  CHECK_THAT(ok.head, Contains("x-ratelimit-remaining-requests: 2\r\n"));
  CHECK(s.api.on_io([&] { return s.api.backend().legs.begin()->second.spec.tenant; }) == "acme");
  CHECK(s.create({}, "x-api-key: secret\r\n").status == 200);
  CHECK(s.create({}, "Authorization: Bearer secret\r\n").status == 200);
  const Answer spent = s.create({}, "x-api-key: secret\r\n");
  CHECK(spent.status == 429);
  CHECK(spent.body["error"]["type"] == "rate_limit_error");
}

}  // namespace
}  // namespace sluice::test
