// The Responses API over real sockets.
#include "coordinator/api/responses/routes.h"

#include <sys/stat.h>

#include "tests/coordinator_api/api_fixture.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_dir.h"

namespace sluice::test {
namespace {

using Catch::Contains;

struct Served {
  explicit Served(ResponseMemory::Limits limits = {}, Tenants* tenants = nullptr)
      : memory(limits, clock), api(tenants, {}, [this](HttpRoutes& routes, ApiRouter& router) {
          responses.push_back(std::make_unique<ResponsesApi>(router, memory));
          responses.back()->add_routes(routes);
        }) {}
  Answer create(json body, const std::string& headers = {}) { return api.post("/v1/responses", body, headers); }

  ManualClock clock;
  ResponseMemory memory;
  std::vector<std::unique_ptr<ResponsesApi>> responses;  // one a front thread
  Api api;
};

std::string text_of(const json& response) { return response["output"][0]["content"][0]["text"]; }

TEST_CASE("a response is one object, with its usage") {
  Served s;
  const Answer a = s.create({{"input", "hi"}, {"metadata", {{"a", "b"}}}});
  REQUIRE(a.status == 200);
  CHECK(a.body["object"] == "response");
  CHECK(a.body["status"] == "completed");
  CHECK(a.body["id"].get<std::string>().starts_with("resp_"));
  CHECK(text_of(a.body) == "user:hi\nassistant:");
  CHECK(a.body["usage"]["input_tokens"] == 18);
  CHECK(a.body["usage"]["output_tokens"] == 19);  // and the end
  CHECK(a.body["usage"]["input_tokens_details"]["cached_tokens"] == 2);
  CHECK(a.body["metadata"]["a"] == "b");
  CHECK(a.body["system_fingerprint"] == "fp_0123456789abcdef");
  CHECK(a.body["error"].is_null());
}

TEST_CASE("a response that reached its bound is incomplete") {
  Served s;
  const Answer a = s.create({{"input", "hi"}, {"max_output_tokens", 4}});
  CHECK(a.body["status"] == "incomplete");
  CHECK(a.body["incomplete_details"]["reason"] == "max_output_tokens");
  CHECK(a.body["output"][0]["status"] == "incomplete");
  CHECK(text_of(a.body) == "user");
}

TEST_CASE("a stream begins, grows and ends with the response that a whole answer is") {
  Served s;
  const Answer whole = s.create({{"input", "hi"}, {"store", false}});
  const Answer a = s.create({{"input", "hi"}, {"stream", true}, {"store", false}});
  REQUIRE(a.status == 200);
  CHECK_FALSE(a.done);
  REQUIRE(a.events.size() > 6);
  CHECK(a.events[0]["type"] == "response.created");
  CHECK(a.events[0]["response"]["status"] == "in_progress");
  CHECK(a.events[1]["type"] == "response.in_progress");
  std::string text;
  for (std::size_t i = 0; i < a.events.size(); ++i) {
    CHECK(a.events[i]["sequence_number"] == i);
    if (a.events[i]["type"] == "response.output_text.delta") text += a.events[i]["delta"].get<std::string>();
  }
  CHECK(a.events.back()["type"] == "response.completed");
  json end = a.events.back()["response"];
  CHECK(text == text_of(end));
  json expected = whole.body;
  for (json* j : {&end, &expected}) {
    for (const char* own : {"id", "created_at", "completed_at"}) j->erase(own);
    (*j)["output"][0].erase("id");
  }
  CHECK(end == expected);
}

TEST_CASE("log-probabilities where they were asked for") {
  Served s;
  const Answer a = s.create(
      {{"input", "hi"}, {"max_output_tokens", 3}, {"include", {"message.output_text.logprobs"}}, {"top_logprobs", 1}});
  const json logprobs = a.body["output"][0]["content"][0]["logprobs"];
  REQUIRE(logprobs.size() == 3);
  CHECK(logprobs[0]["token"] == "u");
  CHECK(logprobs[0]["top_logprobs"].size() == 1);
}

TEST_CASE("a conversation goes on by its last response's id") {
  Served s;
  const Answer first = s.create({{"input", "one"}, {"max_output_tokens", 3}});
  const Answer next = s.create({{"input", "two"}, {"previous_response_id", first.body["id"]}});
  REQUIRE(next.status == 200);
  CHECK(text_of(next.body) == "user:one\nassistant:use\nuser:two\nassistant:");
  CHECK(next.body["previous_response_id"] == first.body["id"]);
  // A stream is kept as well.
  const Answer third = s.create({{"input", "three"}, {"previous_response_id", next.body["id"]}, {"stream", true}});
  const json end = third.events.back()["response"];
  CHECK_THAT(text_of(end), Contains("user:three"));
  CHECK(s.api.get("/v1/responses/" + end["id"].get<std::string>()).body == end);
}

TEST_CASE("what is kept can be read and deleted") {
  Served s;
  const Answer a =
      s.create({{"input", json::parse(R"([{"role":"user","content":"a"},{"role":"user","content":"b"}])")}});
  const std::string path = "/v1/responses/" + a.body["id"].get<std::string>();
  CHECK(s.api.get(path).body == a.body);
  CHECK(s.api.get(path + "?stream=true").body["error"]["param"] == "query");

  const json list = s.api.get(path + "/input_items").body;
  REQUIRE(list["data"].size() == 2);
  CHECK(list["data"][0]["content"][0]["text"] == "b");  // the newest first
  CHECK(list["has_more"] == false);
  const json page = s.api.get(path + "/input_items?order=asc&limit=1").body;
  REQUIRE(page["data"].size() == 1);
  CHECK(page["has_more"] == true);
  CHECK(page["data"][0]["content"][0]["text"] == "a");
  const json rest = s.api.get(path + "/input_items?order=asc&after=" + page["last_id"].get<std::string>()).body;
  REQUIRE(rest["data"].size() == 1);
  CHECK(rest["data"][0]["content"][0]["text"] == "b");
  for (const char* bad : {"limit=0", "limit=101", "limit=x", "order=up", "after=none", "page=2"}) {
    CAPTURE(bad);
    CHECK(s.api.get(path + "/input_items?" + bad).status == 400);
  }

  CHECK(s.api.ask("DELETE", path).body["deleted"] == true);
  CHECK(s.api.ask("DELETE", path).status == 404);
  const Answer gone = s.api.get(path);
  CHECK(gone.status == 404);
  CHECK(gone.body["error"]["code"] == "response_not_found");
  CHECK(s.create({{"input", "x"}, {"previous_response_id", a.body["id"]}}).status == 404);
}

TEST_CASE("what must not be stored is not") {
  Served s;
  const Answer a = s.create({{"input", "hi"}, {"store", false}});
  CHECK(a.body["store"] == false);
  CHECK(s.api.get("/v1/responses/" + a.body["id"].get<std::string>()).status == 404);
  CHECK(s.memory.size().count == 0);
}

TEST_CASE("an answer larger than the memory says that it was not kept") {
  Served s({.bytes = 1200});
  const Answer a = s.create({{"input", "hi"}});
  REQUIRE(a.status == 200);
  CHECK(a.body["store"] == false);
}

TEST_CASE("the chain that has lost a turn is refused with its name") {
  Served s;
  const std::string first = s.create({{"input", "one"}}).body["id"];
  const std::string next = s.create({{"input", "two"}, {"previous_response_id", first}}).body["id"];
  s.api.ask("DELETE", "/v1/responses/" + first);
  const Answer a = s.create({{"input", "three"}, {"previous_response_id", next}});
  CHECK(a.status == 404);
  CHECK_THAT(a.body["error"]["message"].get<std::string>(), Contains(first) && Contains(next));
}

TEST_CASE("refusals are OpenAI's errors, in this API's words") {
  Served s;
  Answer a = s.create({{"input", "hi"}, {"max_output_tokens", 100'000}});
  CHECK(a.status == 400);
  CHECK(a.body["error"]["param"] == "max_output_tokens");
  CHECK(a.body["error"]["code"] == "context_length_exceeded");
  a = s.create({{"input", std::string(5000, 'x')}});
  CHECK(a.body["error"]["param"] == "input");
  a = s.create({{"input", "hi"}, {"tools", {{{"type", "file_search"}}}}});
  CHECK(a.body["error"]["param"] == "tools[0]");
}

TEST_CASE("a stream that breaks off ends as failed") {
  Served s;
  s.api.on_io([&] {
    s.api.backend().script = [](FakeBackend& b, RequestId id) {
      b.say(id, "ab");
      b.fail_leg(id, Error{Errc::unavailable, "the node is gone", {}});
    };
  });
  const Answer a = s.create({{"input", "hi"}, {"stream", true}});
  CHECK(a.events.back()["type"] == "response.failed");
  CHECK(a.events.back()["response"]["status"] == "failed");
  CHECK(a.events.back()["response"]["error"]["message"] == "the node is gone");
  CHECK(s.memory.size().count == 0);
}

TEST_CASE("no key finds another's responses") {
  TempDir dir;
  std::string keys;
  for (const char* id : {"a", "b"}) {
    ApiKey k;
    k.key_id = id;
    k.tenant = "acme";
    keys += key_line(k, std::string("secret-") + id) + "\n";
  }
  dir.write("keys", keys);
  ::chmod((dir / "keys").c_str(), 0600);
  ManualClock clock;
  Metrics metrics;
  Tenants tenants({.file = (dir / "keys").string()}, clock, metrics);
  Served s({}, &tenants);
  const std::string a = "Authorization: Bearer secret-a\r\n", b = "x-api-key: secret-b\r\n";
  CHECK(s.create({{"input", "hi"}}).status == 401);
  const std::string id = s.create({{"input", "hi"}}, a).body["id"];
  CHECK(s.api.get("/v1/responses/" + id, a).status == 200);
  CHECK(s.api.get("/v1/responses/" + id, b).status == 404);
  CHECK(s.api.get("/v1/responses/" + id + "/input_items", b).status == 404);
  CHECK(s.api.ask("DELETE", "/v1/responses/" + id, b).status == 404);
  CHECK(s.create({{"input", "hi"}, {"previous_response_id", id}}, b).status == 404);
  CHECK(s.create({{"input", "hi"}, {"previous_response_id", id}}, a).status == 200);
}

}  // namespace
}  // namespace sluice::test
