// What the API refuses, by the name of the field or the message at fault.
#include "coordinator/api/requests.h"

#include <catch2/catch.hpp>

#include "tests/coordinator_api/request_bodies.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;

struct Bad {
  const char* text;  // JSON: fields, or a whole body
  const char* param;
};

const Bad kBadAnywhere[] = {
    {R"("max_completion_tokens":0)", "max_completion_tokens"},
    {R"("prompt_logprobs":-1)", "prompt_logprobs"},
    {R"("prompt_logprobs":21)", "prompt_logprobs"},
    {R"("prompt_logprobs":true)", "prompt_logprobs"},
    {R"("prompt_logprobs":1,"stream":true)", "prompt_logprobs"},
    {R"("prompt_logprobs":0,"sluice":{"mode":"colocated"})", "sluice.mode"},
    {R"("max_tokens":-1)", "max_tokens"},
    {R"("max_tokens":1.5)", "max_tokens"},
    {R"("max_tokens":"16")", "max_tokens"},
    {R"("max_tokens":true)", "max_tokens"},
    {R"("max_tokens":99999999999)", "max_tokens"},
    {R"("max_tokens":18446744073709551615)", "max_tokens"},
    {R"("max_completion_tokens":0)", "max_completion_tokens"},
    {R"("n":0)", "n"},
    {R"("n":9)", "n"},
    {R"("n":"1")", "n"},
    {R"("best_of":2)", "best_of"},
    {R"("stream":1)", "stream"},
    {R"("stream":"true")", "stream"},
    {R"("stream_options":{"include_usage":true})", "stream_options"},
    {R"("stream":true,"stream_options":{"include_usage":1})", "stream_options.include_usage"},
    {R"("stream":true,"stream_options":[])", "stream_options"},
    {R"("stop":5)", "stop"},
    {R"("stop":"")", "stop"},
    {R"("stop":["a",1])", "stop"},
    {R"("stop":["a",""])", "stop"},
    {R"("stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])", "stop"},
    {R"("temperature":-0.1)", "temperature"},
    {R"("temperature":2.1)", "temperature"},
    {R"("temperature":"0")", "temperature"},
    {R"("temperature":false)", "temperature"},
    {R"("top_p":0)", "top_p"},
    {R"("top_p":1.01)", "top_p"},
    {R"("top_k":-2)", "top_k"},
    {R"("top_k":1.0)", "top_k"},
    {R"("min_p":-0.1)", "min_p"},
    {R"("min_p":1.1)", "min_p"},
    {R"("repetition_penalty":0)", "repetition_penalty"},
    {R"("presence_penalty":2.5)", "presence_penalty"},
    {R"("frequency_penalty":-2.5)", "frequency_penalty"},
    {R"("logit_bias":[])", "logit_bias"},
    {R"("logit_bias":{"a":1})", "logit_bias"},
    {R"("logit_bias":{"1 ":1})", "logit_bias"},
    {R"("logit_bias":{"1000":1})", "logit_bias"},
    {R"("logit_bias":{"-1":1})", "logit_bias"},
    {R"("logit_bias":{"1":"x"})", "logit_bias"},
    {R"("logit_bias":{"1":101})", "logit_bias"},
    {R"("logit_bias":{"7":1,"07":2})", "logit_bias"},
    {R"("seed":1.5)", "seed"},
    {R"("seed":"1")", "seed"},
    {R"("min_tokens":-1)", "min_tokens"},
    {R"("min_tokens":5,"max_tokens":4)", "min_tokens"},
    {R"("ignore_eos":0)", "ignore_eos"},
    {R"("stop_token_ids":[1000])", "stop_token_ids"},
    {R"("stop_token_ids":[1.0])", "stop_token_ids"},
    {R"("stop_token_ids":7)", "stop_token_ids"},
    {R"("user":1)", "user"},
    {R"("cache_salt":{})", "cache_salt"},
    {R"("priority":0.5)", "priority"},
    {R"("request_id":1)", "request_id"},
    {R"("skip_special_tokens":"no")", "skip_special_tokens"},
    {R"("include_stop_str_in_output":1)", "include_stop_str_in_output"},
    {R"("response_format":{"type":"json_schema","json_schema":{}})", "response_format.json_schema.schema"},
    {R"("response_format":{})", "response_format.type"},
    {R"("response_format":"text")", "response_format"},
    {R"("guided_json":[])", "guided_json"},
    {R"("functions":[])", "functions"},
    {R"("use_beam_search":true)", "use_beam_search"},
    {R"("modalities":["audio"])", "modalities"},
    {R"("sluice":1)", "sluice"},
    {R"("sluice":{"explain":1})", "sluice.explain"},
    {R"("sluice":{"profile":7})", "sluice.profile"},
    {R"("sluice":{"profile":""})", "sluice.profile"},
    {R"("sluice":{"quality_budget":-0.1})", "sluice.quality_budget"},
    {R"("sluice":{"quality_budget":"0"})", "sluice.quality_budget"},
    {R"("sluice":{"mode":"both"})", "sluice.mode"},
    {R"("model":5)", "model"},
};

TEST_CASE("bad values of common fields are refused by name in both APIs") {
  for (bool chat : {false, true})
    for (const auto& bad : kBadAnywhere) {
      INFO((chat ? "chat " : "completion ") << bad.text);
      auto r = parse(chat, with(chat, bad.text));
      REQUIRE_FALSE(r);
      CHECK(r.error().status == 400);
      CHECK(r.error().param == bad.param);
      CHECK(r.error().type == "invalid_request_error");
      CHECK_FALSE(r.error().message.empty());
    }
}

TEST_CASE("bad values of completion fields are refused by name") {
  const Bad cases[] = {{R"("logprobs":21)", "logprobs"},
                       {R"("logprobs":-1)", "logprobs"},
                       {R"("logprobs":true)", "logprobs"},
                       {R"("echo":1)", "echo"},
                       {R"("echo":true,"logprobs":1,"stream":true)", "echo"},
                       {R"("echo":true,"logprobs":1,"sluice":{"mode":"colocated"})", "sluice.mode"},
                       {R"("max_tokens":0,"min_tokens":1)", "min_tokens"},
                       {R"("suffix":"x")", "suffix"},
                       {R"("prompt":null)", "prompt"},
                       {R"("prompt":5)", "prompt"},
                       {R"("prompt":{})", "prompt"},
                       {R"("prompt":[])", "prompt"},
                       {R"("prompt":[1,"a"])", "prompt"},
                       {R"("prompt":[1,1000])", "prompt"},
                       {R"("prompt":[-1])", "prompt"},
                       {R"("prompt":[1.5])", "prompt"},
                       {R"("prompt":["a",5])", "prompt[1]"},
                       {R"("prompt":["a",[]])", "prompt[1]"},
                       {R"("prompt":[[1],[2,1000]])", "prompt[1]"}};
  for (const auto& bad : cases) {
    INFO(bad.text);
    auto r = parse(false, with(false, bad.text));  // a later duplicate key wins
    REQUIRE_FALSE(r);
    CHECK(r.error().param == bad.param);
  }
  CHECK(parse(false, "{}").error().param == "prompt");
  std::string many = R"({"prompt":["a")";
  for (int i = 0; i < 64; ++i) many += R"(,"a")";
  CHECK(parse(false, many + "]}").error().param == "prompt");
  std::string wide = R"({"n":8,"prompt":["a")";
  for (int i = 0; i < 16; ++i) wide += R"(,"a")";
  CHECK(parse(false, wide + "]}").error().param == "n");
}

TEST_CASE("bad conversations are refused at the message at fault") {
  const Bad bodies[] = {
      {R"({})", "messages"},
      {R"({"messages":[]})", "messages"},
      {R"({"messages":"hi"})", "messages"},
      {R"({"messages":["hi"]})", "messages[0]"},
      {R"({"messages":[{"content":"hi"}]})", "messages[0].role"},
      {R"({"messages":[{"role":"robot","content":"hi"}]})", "messages[0].role"},
      {R"({"messages":[{"role":"user"}]})", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":null}]})", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":7}]})", "messages[0].content"},
      {R"({"messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"image_url"}]}]})",
       "messages[1].content[0]"},
      {R"({"messages":[{"role":"user","content":["a"]}]})", "messages[0].content[0]"},
      {R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})", "messages[0].content[0].text"},
  };
  for (const auto& bad : bodies) {
    INFO(bad.text);
    auto r = parse(true, bad.text);
    REQUIRE_FALSE(r);
    CHECK(r.error().param == bad.param);
  }
  auto image = parse(true, R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})");
  CHECK_THAT(image.error().message, Catch::Contains("'image_url'"));
  const Bad fields[] = {{R"("logprobs":1)", "logprobs"},
                        {R"("max_tokens":0)", "max_tokens"},
                        {R"("top_logprobs":5)", "top_logprobs"},
                        {R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
                        {R"("tools":{})", "tools"},
                        {R"("tools":[{"type":"function"}])", "tools[0]"},
                        {R"("tool_choice":"required")", "tool_choice"},
                        {R"("tool_choice":{"type":"function"})", "tool_choice"},
                        {R"("chat_template_kwargs":[])", "chat_template_kwargs"},
                        {R"("chat_template":"{{x}}")", "chat_template"},
                        {R"("add_generation_prompt":1)", "add_generation_prompt"}};
  for (const auto& bad : fields) {
    INFO(bad.text);
    auto r = parse(true, with(true, bad.text));
    REQUIRE_FALSE(r);
    CHECK(r.error().param == bad.param);
  }
}

TEST_CASE("bodies that are no JSON objects are refused in clear words") {
  auto message = [](const std::string& body) {
    auto r = parse_body(body);
    REQUIRE_FALSE(r);
    CHECK(r.error().status == 400);
    CHECK(r.error().code == "invalid_json");
    return r.error().message;
  };
  using Catch::Contains;
  CHECK_THAT(message(""), Contains("not valid JSON"));
  CHECK_THAT(message("{"), Contains("not valid JSON"));
  CHECK_THAT(message("[]"), Contains("must be a JSON object, not a list"));
  CHECK_THAT(message("null"), Contains("must be a JSON object"));
  CHECK_THAT(message(R"({"temperature":NaN})"), Contains("no NaN or Infinity"));
  CHECK_THAT(message(R"({"temperature":Infinity})"), Contains("no NaN or Infinity"));
  CHECK_THAT(message(R"({"temperature":-Infinity})"), Contains("no NaN or Infinity"));
  CHECK_THAT(message(R"({"temperature":1e999})"), Contains("too large"));
  CHECK_THAT(message("{\"prompt\":\"\xff\xfe\"}"), Contains("UTF-8"));
  CHECK_THAT(message(R"({"prompt":"\ud800"})"), Contains("not valid JSON"));
  CHECK_THAT(message("{\"prompt\":" + std::string(65, '[') + std::string(65, ']') + "}"), Contains("64 levels"));
  CHECK_THAT(message(std::string(1'000'000, '[')), Contains("64 levels"));
  CHECK(parse_body("{\"prompt\":\"" + std::string(100, '[') + "\\\"" + std::string(100, '{') + "\"}"));
  CHECK(parse_body("{\"a\":" + std::string(63, '[') + std::string(63, ']') + "}"));
}

// Twelve fields that change the answer on other servers were taken without a word.
TEST_CASE("fields that other servers honour and this one does not are refused by name") {
  for (const char* field : {"allowed_token_ids", "bad_words", "kv_transfer_params", "documents", "logprob_token_ids",
                            "thinking_token_budget", "prompt_embeds", "grammar", "json_schema", "regex", "ebnf",
                            "guided_whitespace_pattern", "web_search_options", "typical_p", "logits_processors"}) {
    CAPTURE(field);
    for (const bool chat : {false, true}) {
      const auto r = parse(chat, with(chat, fmt::format(R"("{}":[1])", field)));
      REQUIRE_FALSE(r);
      CHECK(r.error().param == field);
      CHECK(parse(chat, with(chat, fmt::format(R"("{}":null)", field))));
    }
  }
  REQUIRE_FALSE(parse(true, with(true, R"("echo":true)")));
  CHECK(parse(true, with(true, R"("echo":false)")));
  CHECK(parse(false, with(false, R"("echo":true)")));
}

// Clients replay what they were given: an answer of tool calls, a refusal or reasoning alone has no text.
TEST_CASE("an assistant's message may have no content") {
  for (const char* more : {"", R"(,"tool_calls":[])", R"(,"refusal":"no")", R"(,"reasoning_content":"hm")",
                           R"(,"function_call":{"name":"f","arguments":"{}"})"}) {
    CAPTURE(more);
    const auto r = parse(true, fmt::format(R"({{"messages":[{{"role":"user","content":"hi"}},
      {{"role":"assistant","content":null{}}},{{"role":"user","content":"hi"}}]}})",
                                           more));
    REQUIRE(r);
    CHECK(r->chat.messages[1]["content"] == "");
  }
  const auto refused = parse(true, R"({"messages":[{"role":"user","content":"hi"},
    {"role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]})");
  REQUIRE(refused);
  CHECK(refused->chat.messages[1]["content"] == "no");
  CHECK_FALSE(parse(true, R"({"messages":[{"role":"user","content":null}]})"));
  CHECK_FALSE(parse(true, R"({"messages":[{"role":"user","content":[{"type":"refusal","refusal":"no"}]}]})"));
}

TEST_CASE("tools and what may be called of them are checked, field by field") {
  struct Bad {
    const char* text;
    const char* param;
  };
  const std::string f = R"("tools":[{"type":"function","function":{"name":"f"}}])";
  const Bad bad[] = {
      {R"("tools":[{"type":"function","function":{"name":"f","strict":1}}])", "tools[0].function.strict"},
      {R"("tools":[{"type":"function","function":{"name":"f g"}}])", "tools[0].function.name"},
      {R"("tools":[{"type":"function","function":{"name":""}}])", "tools[0].function.name"},
      {R"("tools":[{"type":"function","function":{"name":1}}])", "tools[0]"},
      {R"("tools":[{"type":"custom","function":{"name":"f"}}])", "tools[0].type"},
      {R"("tools":[{"function":{"name":"f","parameters":[]}}])", "tools[0].function.parameters"},
      {R"("tools":[{"function":{"name":"f","parameters":{"type":"array"}}}])", "tools[0].function.parameters"},
      {R"("tools":[{"function":{"name":"f","description":1}}])", "tools[0].function.description"},
      {R"("tools":[],"tool_choice":"required")", "tool_choice"},
      {R"("tool_choice":"any")", "tool_choice"},
      {R"("tool_choice":1)", "tool_choice"},
      {R"("parallel_tool_calls":1)", "parallel_tool_calls"},
      {R"("function_call":"auto")", "function_call"},
      {R"("functions":[])", "functions"}};
  for (const auto& b : bad) {
    CAPTURE(b.text);
    const auto r = parse(true, with(true, b.text));
    REQUIRE_FALSE(r);
    CHECK(r.error().param == b.param);
  }
  const Bad choices[] = {
      {R"({"type":"function","function":{"name":"g"}})", "tool_choice"},
      {R"({"type":"custom","function":{"name":"f"}})", "tool_choice.type"},
      {R"({"type":"allowed_tools"})", "tool_choice.allowed_tools"},
      {R"({"type":"allowed_tools","allowed_tools":{"mode":"none","tools":[]}})", "tool_choice.allowed_tools.mode"},
      {R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}})", "tool_choice.allowed_tools.tools"},
      {R"({"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"function":{"name":"g"}}]}})",
       "tool_choice"}};
  for (const auto& b : choices) {
    CAPTURE(b.text);
    const auto r = parse(true, with(true, f + R"(,"tool_choice":)" + b.text));
    REQUIRE_FALSE(r);
    CHECK(r.error().param == b.param);
  }
}

TEST_CASE("what may be called is read: any, one at least, one of these") {
  using Mode = ToolChoice::Mode;
  const std::string tools = R"("tools":[{"function":{"name":"f","strict":true}},{"function":{"name":"g"}}])";
  const auto choice = [&](const std::string& more) { return parse(true, with(true, tools + more))->chat.choice; };
  CHECK(choice("").mode == Mode::automatic);
  CHECK(choice("").parallel);
  CHECK_FALSE(choice(R"(,"parallel_tool_calls":false)").parallel);
  CHECK(choice(R"(,"tool_choice":"required")").mode == Mode::required);
  const auto named = choice(R"(,"tool_choice":{"type":"function","function":{"name":"g"}})");
  CHECK(named.mode == Mode::named);
  CHECK(named.allowed == std::vector<std::string>{"g"});
  const auto some = choice(
      R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"function":{"name":"f"}}]}})");
  CHECK(some.mode == Mode::automatic);
  CHECK(some.allowed == std::vector<std::string>{"f"});
}

}  // namespace
}  // namespace sluice::test
