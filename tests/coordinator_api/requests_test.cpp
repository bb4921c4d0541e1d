// Every field of the API, its accepted and its refused values.
#include "coordinator/api/requests.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "common/control/messages.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using nlohmann::json;

ModelInfo tiny() {
  ModelInfo m;
  m.id = "tiny";
  m.aliases = {"org/tiny"};
  m.max_model_len = 100;
  m.vocab_size = 1000;
  m.defaults.temperature = 0.6;
  return m;
}

/// The base request with more fields' JSON text put in.
std::string with(bool chat, std::string_view extra) {
  std::string base = chat ? R"("messages":[{"role":"user","content":"hi"}])" : R"("prompt":"hi")";
  return "{" + base + (extra.empty() ? "" : ",") + std::string(extra) + "}";
}

ApiResult<GenerateRequest> parse(bool chat, const std::string& body, const HttpHeaders& h = {}) {
  return chat ? parse_chat(body, h, tiny()) : parse_completion(body, h, tiny());
}

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
    {R"("response_format":{"type":"json_object"})", "response_format"},
    {R"("response_format":{"type":"json_schema","json_schema":{}})", "response_format"},
    {R"("response_format":{})", "response_format"},
    {R"("response_format":"text")", "response_format"},
    {R"("guided_json":{})", "guided_json"},
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
  for (const char* field :
       {"allowed_token_ids", "bad_words", "truncate_prompt_tokens", "documents", "return_token_ids",
        "thinking_token_budget", "prompt_embeds", "grammar", "json_schema", "regex", "ebnf", "guided_json",
        "structured_outputs", "web_search_options", "typical_p", "logits_processors"}) {
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

TEST_CASE("strict tools are refused: arguments are not constrained") {
  const char* tool = R"("tools":[{{"type":"function","function":{{"name":"f","strict":{}}}}}])";
  CHECK(parse(true, with(true, fmt::format(fmt::runtime(tool), "false"))));
  const auto r = parse(true, with(true, fmt::format(fmt::runtime(tool), "true")));
  REQUIRE_FALSE(r);
  CHECK(r.error().param == "tools[0]");
}

TEST_CASE("an unknown model is 404 model_not_found; aliases and no name at all are served") {
  auto r = parse(false, with(false, R"("model":"gpt-4")"));
  REQUIRE_FALSE(r);
  CHECK(r.error().status == 404);
  CHECK(r.error().code == "model_not_found");
  CHECK(r.error().param == "model");
  CHECK(parse(false, with(false, R"("model":"tiny")")));
  CHECK(parse(true, with(true, R"("model":"org/tiny")")));
  CHECK(parse(true, with(true, "")));
}

TEST_CASE("defaults come from the model; null means absent; unknown fields are ignored") {
  auto r = parse(false, with(false, R"("temperature":null,"stop":null,"n":null,"from_the_future":{"x":1})"));
  REQUIRE(r);
  CHECK(r->sampling.temperature == 0.6);
  CHECK(r->n == 1);
  CHECK(r->stop.empty());
  CHECK_FALSE(r->max_tokens);
  CHECK_FALSE(r->seed);
  CHECK_FALSE(r->sampling.logprobs);
  CHECK(r->add_special_tokens);
  CHECK_FALSE(parse(true, with(true, ""))->add_special_tokens);
}

TEST_CASE("every good field lands where it belongs") {
  auto r = parse(false, with(false, R"("max_tokens":7,"n":2,"best_of":2,"stream":true,
    "stream_options":{"include_usage":true,"continuous_usage_stats":true},"stop":["a","b"],"temperature":0,"top_p":0.5,
    "top_k":-1,"min_p":0.1,"repetition_penalty":1.1,"presence_penalty":-2,"frequency_penalty":2,
    "logit_bias":{"7":-100,"3":1.5},"seed":-1,"min_tokens":2,"ignore_eos":true,"stop_token_ids":[1,2],"logprobs":0,
    "user":"u","cache_salt":"s","priority":-3,"request_id":"my id","skip_special_tokens":false,
    "include_stop_str_in_output":true,"response_format":{"type":"text"},
    "sluice":{"explain":true,"profile":"q4","quality_budget":0.02,"mode":"split","unknown":1})"),
                 {{"X-SLO-TTFT-ms", "250"}, {"x-slo-tpot-ms", "12.5"}});
  REQUIRE(r);
  CHECK(r->max_tokens == 7);
  CHECK(r->n == 2);
  CHECK(r->stream);
  CHECK(r->include_usage);
  CHECK(r->continuous_usage);
  CHECK(r->stop == std::vector<std::string>{"a", "b"});
  const auto& s = r->sampling;
  CHECK(s.temperature == 0);
  CHECK(s.top_p == 0.5);
  CHECK(s.top_k == 0);
  CHECK(s.min_p == 0.1);
  CHECK(s.repetition_penalty == 1.1);
  CHECK(s.presence_penalty == -2);
  CHECK(s.frequency_penalty == 2);
  CHECK(s.logit_bias == std::vector<std::pair<TokenId, double>>{{3, 1.5}, {7, -100}});
  CHECK(r->seed == ~std::uint64_t{0});
  CHECK(s.min_tokens == 2);
  CHECK(s.ignore_eos);
  CHECK(s.stop_token_ids == std::vector<TokenId>{1, 2});
  CHECK(s.logprobs == 0);
  CHECK(r->user == "u");
  CHECK(r->cache_salt == "s");
  CHECK(r->priority == -3);
  CHECK(r->request_id == "myid");
  CHECK_FALSE(r->skip_special_tokens);
  CHECK(r->include_stop_str);
  CHECK(r->explain);
  CHECK(r->profile == "q4");
  CHECK(r->quality_budget == 0.02);
  CHECK(r->mode == LegMode::split);
  CHECK(r->slo_ttft == std::chrono::milliseconds(250));
  CHECK(r->slo_tpot == std::chrono::microseconds(12500));
  CHECK(parse(true, with(true, R"("max_tokens":7,"max_completion_tokens":9)"))->max_tokens == 9);
  CHECK(parse(true, with(true, R"("logprobs":true,"top_logprobs":3)"))->sampling.logprobs == 3);
  CHECK(parse(true, with(true, R"("logprobs":true)"))->sampling.logprobs == 0);
}

TEST_CASE("log-probabilities of the prompt are wanted for their list, or for an echo that has some") {
  CHECK_FALSE(parse(false, with(false, R"("logprobs":3)"))->rates_prompt());
  CHECK_FALSE(parse(false, with(false, R"("echo":true)"))->rates_prompt());
  CHECK_FALSE(parse(true, with(true, R"("logprobs":true)"))->rates_prompt());
  CHECK(parse(false, with(false, R"("echo":true,"logprobs":3)"))->rates_prompt() == 3);
  CHECK(parse(false, with(false, R"("echo":true,"logprobs":0)"))->rates_prompt() == 0);
  CHECK(parse(false, with(false, R"("prompt_logprobs":0)"))->rates_prompt() == 0);
  CHECK(parse(false, with(false, R"("prompt_logprobs":2,"logprobs":5)"))->rates_prompt() == 2);
  CHECK(parse(false, with(false, R"("prompt_logprobs":2,"logprobs":5,"echo":true)"))->rates_prompt() == 5);
  CHECK(parse(true, with(true, R"("prompt_logprobs":20)"))->rates_prompt() == 20);
}

TEST_CASE("a completion of no tokens is one token's room that says nothing") {
  const auto none = parse(false, with(false, R"("max_tokens":0)"));
  REQUIRE(none);
  CHECK(none->max_tokens == 0);
  CHECK(fit(*none, 3, tiny()) == 1);
}

TEST_CASE("SLO headers must be positive milliseconds") {
  for (const char* bad : {"", "0", "-5", "fast", "5ms", "nan", "inf", "1e99"})
    for (const char* header : {"x-slo-ttft-ms", "x-slo-tpot-ms"}) {
      INFO(header << "=" << bad);
      auto r = parse(true, with(true, ""), {{header, bad}});
      REQUIRE_FALSE(r);
      CHECK(r.error().param == header);
    }
}

TEST_CASE("prompts come as text, ids, or a batch of either") {
  using Ids = std::vector<TokenId>;
  CHECK(std::get<Ids>(parse(false, R"({"prompt":[1,2]})")->prompts.at(0)) == Ids{1, 2});
  auto batch = parse(false, R"({"prompt":["a",[3],"b"]})");
  REQUIRE(batch);
  REQUIRE(batch->prompts.size() == 3);
  CHECK(std::get<std::string>(batch->prompts[2]) == "b");
  CHECK(std::get<Ids>(batch->prompts[1]) == Ids{3});
}

TEST_CASE("messages reach the template in one shape") {
  auto r = parse(true, R"({"messages":[
    {"role":"developer","content":"d"},
    {"role":"user","name":"ann","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
    {"role":"assistant","content":null,
     "tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},
    {"role":"tool","tool_call_id":"1","content":"r"}],
    "tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"auto",
    "chat_template_kwargs":{"thinking":false},"add_generation_prompt":false})");
  REQUIRE(r);
  const auto& m = r->chat.messages;
  REQUIRE(m.size() == 4);
  CHECK(m[0]["role"] == "system");
  CHECK(m[1]["content"] == "a\nb");
  CHECK(m[1]["name"] == "ann");
  CHECK(m[2]["content"] == "");
  CHECK(m[2]["tool_calls"][0]["function"]["arguments"]["x"] == 1);
  CHECK(m[3]["tool_call_id"] == "1");
  CHECK(r->chat.tools.size() == 1);
  CHECK(r->chat.kwargs["thinking"] == false);
  CHECK_FALSE(r->chat.add_generation_prompt);
  auto none = parse(true, with(true, R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none")"));
  REQUIRE(none);
  CHECK(none->chat.tools.empty());
}

TEST_CASE("a call without arguments has an empty object of them, however it is said") {
  for (const std::string arguments : {R"("{}")", R"("")", R"(" \n")", R"("null")", "null", "{}"}) {
    CAPTURE(arguments);
    auto r = parse(true, R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":)" +
                             arguments + "}}]}]}");
    REQUIRE(r);
    CHECK(r->chat.messages[0]["tool_calls"][0]["function"]["arguments"] == nlohmann::json::object());
  }
  auto none = parse(true, R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]})");
  CHECK(none->chat.messages[0]["tool_calls"][0]["function"]["arguments"] == nlohmann::json::object());
}

TEST_CASE("content in parts is there both ways, for the template to choose") {
  auto r = parse(true, R"({"messages":[{"role":"system","content":"s"},
    {"role":"user","content":[{"type":"text","text":"a","x":1},{"type":"text","text":"b"}]}]})");
  REQUIRE(r);
  CHECK(r->chat.messages[1]["content"] == "a\nb");
  REQUIRE(r->chat.parts.size() == 1);
  CHECK(r->chat.parts[0].first == 1);
  CHECK(r->chat.parts[0].second.dump() == R"([{"type":"text","text":"a"},{"type":"text","text":"b"}])");
}

TEST_CASE("tools keep the order of their keys, unless an object is made to be expensive") {
  auto r = parse(true, with(true, R"("tools":[{"type":"function","function":{"name":"f","description":"d","a":1}}])"));
  REQUIRE(r);
  CHECK(r->chat.tools.dump() == R"([{"type":"function","function":{"name":"f","description":"d","a":1}}])");
  auto calls = parse(
      true, R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{\"b\":1,\"a\":2}"}}]}]})");
  REQUIRE(calls);
  CHECK(calls->chat.messages[0]["tool_calls"][0]["function"]["arguments"].dump() == R"({"b":1,"a":2})");
  std::string many;  // ordering these would cost their square: hours, past any test's timeout
  for (int i = 200'000; i > 0; --i) many += fmt::format(",\"{}\":0", i);
  CHECK(parse(true, with(true, R"("metadata":{"z":0)" + many + "}")));
  CHECK(parse(true, R"({"messages":[{"role":"user","content":"hi")" + many + "}]}"));
  CHECK(parse(true,
              with(true, R"("tools":[{"type":"function","function":{"name":"f","parameters":{"z":0)" + many + "}}}]")));
}

TEST_CASE("many keys are cheap however they come") {
  // Once 1,300 keys, and then one of them a million times: each is looked for among the 1,300.
  std::string again = R"("metadata":{"z":0)";
  for (int i = 0; i < 1300; ++i) again += fmt::format(",\"{}\":0", i);
  for (int i = 0; i < 1'000'000; ++i) again += ",\"1299\":0";
  CHECK(parse(true, with(true, again + "}")));

  // Calls whose arguments are dear to order, each less than the limit, and all together far more.
  std::string arguments = "{\\\"z\\\":0";
  for (int i = 0; i < 1300; ++i) arguments += fmt::format(",\\\"{}\\\":0", i);
  std::string calls = R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}})";
  for (int i = 0; i < 800; ++i) calls += R"(,{"function":{"arguments":")" + arguments + "}\"}}";
  CHECK(parse(true, calls + "]}]}"));

  // A long list beside many other fields: the list is not looked for anew for each of its items.
  std::string chat = R"({"messages":[{"role":"user","content":"0"})";
  for (int i = 1; i < 4096; ++i) chat += R"(,{"role":"user","content":"0"})";
  chat += "]";
  for (int i = 0; i < 200'000; ++i) chat += fmt::format(",\"{}\":0", i);
  CHECK(parse(true, chat + "}"));
}

TEST_CASE("template variables are so many and no more, at whatever depth") {
  const auto flat = [](int n) {
    std::string s = R"("chat_template_kwargs":{"z":0)";
    for (int i = 1; i < n; ++i) s += fmt::format(",\"k{}\":0", i);
    return s + "}";
  };
  const auto lists = [](int n) {
    std::string s = R"("chat_template_kwargs":{"z":[{"y":0})";
    for (int i = 2; i < n; ++i) s += R"(,{"y":0})";
    return s + "]}";
  };
  CHECK(parse(true, with(true, flat(256)))->chat.kwargs.size() == 256);
  CHECK(parse(true, with(true, lists(256))));
  for (const auto& many : {flat(257), lists(257), flat(60'000), lists(60'000)}) {
    const auto r = parse(true, with(true, many));
    REQUIRE_FALSE(r);
    CHECK(r.error().status == 400);
    CHECK(r.error().param == "chat_template_kwargs");
    CHECK(r.error().message.find("at most 256") != std::string::npos);
  }
}

TEST_CASE("fit settles max_tokens within the context") {
  auto ask = [](bool chat, const std::string& extra) { return *parse(chat, with(chat, extra)); };
  CHECK(*fit(ask(false, ""), 10, tiny()) == 16);
  CHECK(*fit(ask(false, ""), 95, tiny()) == 5);
  CHECK(*fit(ask(true, ""), 10, tiny()) == 90);
  CHECK(*fit(ask(true, R"("max_tokens":90)"), 10, tiny()) == 90);
  using P = std::pair<std::string, std::string>;
  auto refused = [&](bool chat, const std::string& extra, std::size_t prompt) {
    auto r = fit(ask(chat, extra), prompt, tiny());
    REQUIRE_FALSE(r);
    CHECK(r.error().status == 400);
    return P(r.error().code, r.error().param);
  };
  CHECK(refused(true, R"("max_tokens":91)", 10) == P{"context_length_exceeded", "max_tokens"});
  CHECK(refused(true, "", 100) == P{"context_length_exceeded", "messages"});
  CHECK(refused(false, "", 5000) == P{"context_length_exceeded", "prompt"});
  CHECK(refused(false, R"("min_tokens":50)", 10) == P{"invalid_value", "min_tokens"});
  CHECK(refused(false, "", 0).second == "prompt");
}

// A chat without max_tokens was refused for a max_tokens that nobody sent where KV memory held less than the context.
TEST_CASE("fit keeps to what the nodes' KV memory holds") {
  auto ask = [](bool chat, const std::string& extra) { return *parse(chat, with(chat, extra)); };
  CHECK(*fit(ask(true, ""), 10, tiny(), 64) == 54);
  CHECK(*fit(ask(true, ""), 10, tiny(), 1000) == 90);
  CHECK(*fit(ask(false, ""), 60, tiny(), 64) == 4);
  CHECK(*fit(ask(true, R"("max_tokens":54)"), 10, tiny(), 64) == 54);
  auto r = fit(ask(true, R"("max_tokens":55)"), 10, tiny(), 64);
  REQUIRE_FALSE(r);
  CHECK(r.error().code == "context_length_exceeded");
  CHECK(r.error().param == "max_tokens");
  CHECK_THAT(r.error().message, Catch::Contains("64 tokens that the nodes' KV memory holds") &&
                                    Catch::Contains("context is 100") && Catch::Contains("At most 54"));
  r = fit(ask(true, ""), 64, tiny(), 64);
  REQUIRE_FALSE(r);
  CHECK(r.error().param == "messages");
}

TEST_CASE("sampling parameters survive the way to the node and are checked there") {
  auto q = parse(false, with(false, R"("logit_bias":{"7":-100},"stop_token_ids":[5],"logprobs":3,"top_k":4)"));
  REQUIRE(q);
  auto s = q->sampling;
  s.seed = ~std::uint64_t{0};
  s.max_tokens = 9;
  CHECK(control::parse<control::SamplingSpec>(json::from_cbor(json::to_cbor(control::to_json(s)))).value() == s);
  CHECK(control::parse<control::SamplingSpec>(json::object()).value() == control::SamplingSpec{});
  CHECK(control::parse<control::SamplingSpec>({{"top_k", "many"}}).error().param == "top_k");
  s.temperature = std::nan("");
  CHECK(control::check(s).error().param == "temperature");
  s = {};
  s.max_tokens = 0;
  CHECK(control::check(s).error().param == "max_tokens");
}

TEST_CASE("tokenize and detokenize requests") {
  CHECK(*parse_tokenize(R"({"prompt":"a"})", tiny())->text == "a");
  CHECK(parse_tokenize(R"({"messages":[{"role":"user","content":"a"}]})", tiny())->chat.messages.size() == 1);
  CHECK(parse_tokenize(R"({})", tiny()).error().param == "prompt");
  CHECK(parse_tokenize(R"({"prompt":["a"]})", tiny()).error().param == "prompt");
  CHECK(*parse_detokenize(R"({"tokens":[1,2]})", tiny()) == std::vector<TokenId>{1, 2});
  CHECK(parse_detokenize(R"({"tokens":[]})", tiny())->empty());
  CHECK(parse_detokenize(R"({"tokens":[1000]})", tiny()).error().param == "tokens");
  CHECK(parse_detokenize(R"({})", tiny()).error().param == "tokens");
}

}  // namespace
}  // namespace sluice::test
