// The description of the API, held to the routes and to the bounds that readers check.
#include "coordinator/openapi/openapi.h"

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <set>

#include "coordinator/api/router.h"
#include "coordinator/api/status_routes.h"
#include "tests/coordinator_api/request_bodies.h"
#include "tests/support/fake_backend.h"
#include "tests/support/inline_prompts.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;

struct Surface {
  boost::asio::io_context io;
  FakeBackend backend{io};
  InlinePrompts prompts;
  ApiRouter router{backend, prompts};
  HttpRoutes routes;
  Surface() {
    router.add_routes(routes);
    add_status_routes(routes, backend);
  }
};

const json& document() {
  static const json kDocument = json::parse(openapi_document());
  return kDocument;
}

const json& field(const char* schema, const std::string& name) {
  return document()["components"]["schemas"][schema]["properties"].at(name);
}

TEST_CASE("every route of the API is described, and only routes that are there") {
  Surface s;
  CHECK(undescribed(s.routes).empty());
  const json here = openapi_of(s.routes);
  CHECK(here["info"]["version"] == SLUICE_VERSION);
  CHECK(here["paths"]["/v1/completions"].contains("post"));
  CHECK(here["paths"]["/v1/models/{model}"].contains("get"));
  CHECK_FALSE(here["paths"].contains("/sluice/v1/status"));
  CHECK_FALSE(here["paths"].contains("/livez"));
  s.routes.add("GET", "/v1/new", {});
  CHECK(undescribed(s.routes) == std::vector<std::string>{"GET /v1/new"});
}

TEST_CASE("the route tells of itself and of all that were there before") {
  Surface s;
  add_openapi_route(s.routes);
  CHECK(undescribed(s.routes).empty());
  CHECK(openapi_of(s.routes)["paths"].contains("/openapi.json"));
  CHECK(s.routes.find("GET", "/openapi.json").open);
}

TEST_CASE("bounds are those that requests are read by") {
  for (const char* schema : {"CompletionRequest", "ChatRequest"}) {
    CHECK(field(schema, "n")["maximum"] == kMaxN);
    CHECK(field(schema, "stop")["anyOf"][1]["maxItems"] == kMaxStops);
    CHECK(field(schema, "stop")["anyOf"][0]["maxLength"] == kMaxStopBytes);
    CHECK(field(schema, "user")["maxLength"] == kMaxLabelBytes);
    CHECK(field(schema, "logit_bias")["maxProperties"] == control::kMaxLogitBias);
    CHECK(field(schema, "stop_token_ids")["maxItems"] == control::kMaxStopTokenIds);
    CHECK(field(schema, "prompt_logprobs")["maximum"] == control::kMaxLogprobs);
  }
  CHECK(field("CompletionRequest", "prompt")["anyOf"][2]["maxItems"] == kMaxPrompts);
  CHECK(field("CompletionRequest", "logprobs")["maximum"] == control::kMaxLogprobs);
  CHECK(field("ChatRequest", "messages")["maxItems"] == kMaxMessages);
  CHECK(field("ChatRequest", "top_logprobs")["maximum"] == control::kMaxLogprobs);
  CHECK(field("ChatRequest", "chat_template_kwargs")["maxProperties"] == kMaxTemplateNames);
}

/// A value that is neither of the field's type nor within its bounds, whatever these are.
TEST_CASE("every field that is described is read, with the types that are described") {
  for (const bool chat : {false, true})
    for (const auto& [name, schema] :
         document()["components"]["schemas"][chat ? "ChatRequest" : "CompletionRequest"]["properties"].items()) {
      INFO((chat ? "chats: " : "completions: ") << name);
      int refused = 0;
      for (const char* value : {R"({"x":[]})", R"([{}])", R"("?")", "-3.5", "true"})
        refused += parse(chat, with(chat, fmt::format("\"{}\":{}", name, value))) ? 0 : 1;
      CHECK(refused > 0);
      const json types = schema.value("type", json());
      if (!types.is_array() || name == "messages") continue;
      const std::set<std::string> allowed(types.begin(), types.end());
      CHECK(parse(chat, with(chat, fmt::format("\"{}\":null", name))).has_value() == allowed.contains("null"));
      if (!allowed.contains("boolean")) CHECK_FALSE(parse(chat, with(chat, fmt::format("\"{}\":true", name))));
      if (!allowed.contains("string")) CHECK_FALSE(parse(chat, with(chat, fmt::format("\"{}\":\"5\"", name))));
      if (!allowed.contains("array")) CHECK_FALSE(parse(chat, with(chat, fmt::format("\"{}\":[]", name))));
    }
}

TEST_CASE("what is referred to is there") {
  const std::string text(openapi_document());
  for (std::size_t at = 0; (at = text.find("\"#/", at)) != std::string::npos; ++at) {
    const auto end = text.find('"', at + 1);
    const std::string pointer = text.substr(at + 2, end - at - 2);
    INFO(pointer);
    CHECK(document().contains(json::json_pointer(pointer)));
  }
}

}  // namespace
}  // namespace sluice::test
