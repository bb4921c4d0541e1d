#include "coordinator/api/responses/request.h"

#include <algorithm>
#include <initializer_list>
#include <utility>
#include <vector>

#include "common/json/parse.h"
#include "common/utf8.h"
#include "coordinator/api/chat_draft.h"
#include "coordinator/api/key_order.h"
#include "coordinator/api/request_body.h"
#include "coordinator/api/responses/items.h"

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr Length kLabel{.most = kMaxLabelBytes};

constexpr ChatWord kWords[] = {{"].function", "]"},
                               {"tool_choice.function", "tool_choice"},
                               {"tool_choice.allowed_tools", "tool_choice"},
                               {"max_tokens", "max_output_tokens"},
                               {"response_format.json_schema", "text.format"},
                               {"response_format", "text.format"},
                               {"reasoning_effort", "reasoning.effort"},
                               {"messages", "input"}};

/// Reads one request, part by part.
class Reader {
 public:
  Reader(RequestBody& body, std::string_view text)
      : body_(body), f_(body.fields()), text_(text), ordered_(order_.of(text, body.sorted())) {}

  /// Parts whose order does not matter; mistakes are the body's.
  void read() {
    read_sampling();
    read_text();
    read_tools();
    read_reasoning();
    read_labels();
    read_neutral();
    draft_.take_variables(f_, ordered_);
    draft_.take_ours(f_);
    f_.ignore({"model", "input", "instructions", "previous_response_id"});
    f_.closed();
  }
  ChatDraft& draft() { return draft_; }
  json& said() { return said_; }
  [[nodiscard]] bool store() const { return store_; }

 private:
  /// A field that the answer repeats, as it is or null.
  template <class T, class... Limits>
  void repeat(FieldName name, T& out, const Limits&... limits) {
    const JsonValue v = f_.want(name);
    said_[std::string(name.text())] = v.present() ? v.raw() : json(nullptr);
    v.into(out, limits...);
  }

  void read_sampling() {
    draft_.take("temperature", f_.want("temperature"));
    draft_.take("top_p", f_.want("top_p"));
    draft_.take("top_k", f_.want("top_k"));
    draft_.take("stop", f_.want("stop"));
    draft_.take("stream", f_.want("stream"));
    std::optional<int> most;
    repeat("max_output_tokens", most, NumberRange<int>{.least = 1});
    if (most) draft_.set("max_tokens", *most);
    JsonObject stream = f_.want("stream_options").object();
    if (bool padded = false; stream.want("include_obfuscation").into(padded) && padded)
      stream.refuse("include_obfuscation", "include_obfuscation is not supported: events are never padded");
    stream.closed();
    read_logprobs();
  }

  void read_logprobs() {
    bool wanted = false;
    f_.want("include").each({}, [&](const JsonValue& v) {
      std::string what;
      if (!v.into(what)) return;
      if (what == "message.output_text.logprobs")
        wanted = true;
      else
        v.wrong("asks for '{}', which is not there; only message.output_text.logprobs is",
                clip_utf8(what, kMaxWordShown));
    });
    int top = 0;
    f_.want("top_logprobs").into(top, {.least = 0, .most = control::kMaxLogprobs});
    if (top > 0 && !wanted) f_.refuse("top_logprobs", "top_logprobs needs \"message.output_text.logprobs\" in include");
    said_["top_logprobs"] = top;
    if (!wanted) return;
    draft_.set("logprobs", true);
    draft_.set("top_logprobs", top);
  }

  void read_text() {
    const JsonValue text = f_.want("text");
    json& said = said_["text"] = {{"format", {{"type", "text"}}}, {"verbosity", "medium"}};
    JsonObject t = text.object();
    if (std::string v; t.want("verbosity").into(v) && v != "medium")
      t.refuse("verbosity", "text.verbosity is not supported (other than \"medium\"); ask for it in the instructions");
    const JsonValue format = t.want("format");
    JsonObject g = format.object();
    if (g.present()) read_format(format, g, said["format"]);
    t.closed();
  }

  void read_format(const JsonValue& format, JsonObject& g, json& said) {
    std::string type;
    if (!g.need("type").into(type)) return;
    if (type == "json_schema") {
      const Length name{1, 64};
      std::string label;
      g.need("name").into(label, name);
      const JsonValue schema = g.need("schema");
      if (schema.present() && !schema.raw().is_object()) schema.wrong_type("an object");
      bool strict = false;
      g.want("strict").into(strict);
      g.want("description").into(label);
      ordered_json inside = order_.plain_of(text_, body_.sorted())["text"]["format"];
      inside.erase("type");
      draft_.format = {{"type", type}, {"json_schema", std::move(inside)}};
    } else if (type == "text" || type == "json_object") {
      draft_.format = {{"type", type}};
    } else {
      return format.wrong("is of type '{}', which is not supported; supported are text, json_object and json_schema",
                          clip_utf8(type, kMaxWordShown));
    }
    g.closed();
    if (format.present()) said = format.raw();
  }

  void read_tools() {
    const JsonValue tools = f_.want("tools");
    said_["tools"] = tools.present() ? tools.raw() : json::array();
    std::size_t i = 0;
    tools.each({}, [&](const JsonValue& tool) { read_tool(tool, ordered_["tools"][i++]); });
    said_["parallel_tool_calls"] = true;
    if (const JsonValue v = f_.want("parallel_tool_calls"); v.present()) {
      said_["parallel_tool_calls"] = v.raw();
      draft_.set("parallel_tool_calls", v.raw());
    }
    int calls = 0;  // of built-in tools, of which there are none
    repeat("max_tool_calls", calls, NumberRange<int>{.least = 1});
    read_tool_choice();
  }

  void read_tool(const JsonValue& tool, ordered_json& ordered) {
    JsonObject t = tool.object();
    if (!t.present()) return;
    std::string type, text;
    if (!t.need("type").into(type)) return;
    if (type != "function")
      return tool.wrong("is a tool of type '{}', which is not supported; only function is",
                        clip_utf8(type, kMaxWordShown));
    t.need("name").into(text, Length{1, kMaxNameBytes});
    t.want("description").into(text);
    if (const JsonValue p = t.want("parameters"); p.present() && !p.raw().is_object()) p.wrong_type("an object");
    bool strict = false;
    t.want("strict").into(strict);
    for (const FieldName only_off : {FieldName("defer_loading"), FieldName("async")})
      if (bool on = false; t.want(only_off).into(on) && on) t.refuse(only_off, "{} is not supported", only_off.text());
    t.closed();
    ordered_json function = ordered_json::object();
    for (const char* field : {"name", "description", "parameters", "strict"})
      if (const auto it = ordered.find(field); it != ordered.end() && !it->is_null()) function[field] = std::move(*it);
    draft_.tools.push_back({{"type", "function"}, {"function", std::move(function)}});
  }

  static json function_named(const std::string& name) { return {{"type", "function"}, {"function", {{"name", name}}}}; }

  static json read_allowed(const JsonValue& tool) {
    JsonObject t = tool.object();
    std::string type, name;
    if (t.present() && t.need("type").into(type) && type != "function")
      tool.wrong("is of type '{}', which is not supported; only function is", clip_utf8(type, kMaxWordShown));
    t.need("name").into(name);
    t.closed();
    return function_named(name);
  }

  void read_tool_choice() {
    const JsonValue choice = f_.want("tool_choice");
    said_["tool_choice"] = choice.present() ? choice.raw() : json("auto");
    if (!choice.present()) return;
    if (choice.raw().is_string()) return draft_.set("tool_choice", choice.raw());
    if (!choice.raw().is_object()) return choice.wrong_type("a string or an object");
    JsonObject c = choice.object();
    std::string type, name;
    if (!c.need("type").into(type)) return;
    if (type == "function") {
      if (c.need("name").into(name)) draft_.set("tool_choice", function_named(name));
    } else if (type == "allowed_tools") {
      json mode = nullptr, tools = json::array();
      c.need("mode").into(mode);
      c.need("tools").each({1}, [&](const JsonValue& tool) { tools.push_back(read_allowed(tool)); });
      draft_.set("tool_choice", {{"type", type}, {type, {{"mode", std::move(mode)}, {"tools", std::move(tools)}}}});
    } else {
      return choice.wrong(
          "is of type '{}', which is not supported; supported are \"none\", \"auto\", \"required\", "
          "{{\"type\": \"function\", \"name\": ...}} and {{\"type\": \"allowed_tools\", \"mode\": ..., \"tools\": "
          "...}}",
          clip_utf8(type, kMaxWordShown));
    }
    c.closed();
  }

  void read_reasoning() {
    json& said = said_["reasoning"] = {{"effort", nullptr}, {"summary", nullptr}};
    JsonObject r = f_.want("reasoning").object();
    if (const JsonValue effort = r.want("effort"); effort.present()) {
      draft_.set("reasoning_effort", effort.raw());
      said["effort"] = effort.raw();
    }
    // Reasoning comes as it was written, never as a summary.
    static constexpr Named<int> kKinds[] = {{"auto", 0}, {"concise", 1}, {"detailed", 2}};
    int kind = 0;
    r.want("summary").into(kind, kKinds);
    r.want("generate_summary").into(kind, kKinds);
    r.closed();
  }

  void read_labels() {
    const auto label = [&](FieldName name) {
      std::string text;
      repeat(name, text, kLabel);
      return text;
    };
    if (std::string user = label("user"); !user.empty()) draft_.set("user", std::move(user));
    label("safety_identifier");
    label("prompt_cache_key");
    f_.want("store").into(store_);
    said_["metadata"] = json::object();
    constexpr std::size_t kMaxPairs = 16, kMaxKey = 64, kMaxValue = 512;
    const JsonValue metadata = f_.want("metadata");
    metadata.members({.most = kMaxPairs}, [&](const std::string& key, const JsonValue& v) {
      std::string text;
      if (key.size() > kMaxKey) return v.wrong("has a name of more than {} bytes", kMaxKey);
      v.into(text, Length{.most = kMaxValue});
    });
    if (metadata.present()) said_["metadata"] = metadata.raw();
  }

  /// Fields of which only what we do anyway is accepted.
  void read_neutral() {
    const auto only = [&](FieldName name, std::initializer_list<json> neutral, std::string_view why) {
      const JsonValue v = f_.want(name);
      if (v.present() && std::ranges::find(neutral, v.raw()) == neutral.end()) v.wrong("{}", why);
    };
    only("truncation", {"disabled"}, "may only be \"disabled\": a conversation that is too long is refused, never cut");
    only("background", {false}, "is not supported: an answer comes with its request");
    only("service_tier", {"auto", "default"},
         "may only be \"auto\" or \"default\"; there are no tiers (priority and "
         "x-slo-class say who goes first)");
    only("prompt_cache_retention", {"in_memory"}, "may only be \"in_memory\"");
    static constexpr FieldName kNever[] = {"conversation", "prompt", "context_management", "moderation"};
    for (const FieldName name : kNever)
      if (f_.has(name)) f_.want(name).wrong("is not supported");
    said_["truncation"] = "disabled";
    said_["background"] = false;
    said_["service_tier"] = "default";
  }

  const RequestBody& body_;
  JsonObject& f_;
  std::string_view text_;
  KeyOrder order_;
  ordered_json ordered_;  // the body
  ChatDraft draft_;
  json said_ = json::object();
  bool store_ = true;
};

/// Items of a kept document; they were read before, when they came or were written.
void replay(const json& items, ItemReader& reader) {
  JsonReader in(items, {});
  in.value().each({}, [&](const JsonValue& item) { reader.read(item); });
}

/// The turns before, as the memory has them.
ApiResult<> read_turns(const std::string& owner, const std::string& previous, ResponseMemory& memory,
                       ItemReader& reader) {
  if (!memory.enabled())
    return std::unexpected(ApiError::invalid(
        "Responses are not kept here (--responses-memory-mib 0); send the whole conversation as input.",
        "previous_response_id", "unsupported"));
  const auto chain = memory.chain(owner, previous, kMaxTurns + 1);
  if (!chain.missing.empty()) {
    ApiError e = response_not_found(previous, "previous_response_id");
    if (chain.missing != previous)
      e.message = fmt::format(
          "The conversation of response '{}' is not complete: '{}' is not kept any more. Send the "
          "whole conversation as input.",
          clip_utf8(previous, kMaxWordShown), chain.missing);
    return std::unexpected(std::move(e));
  }
  if (chain.responses.size() > kMaxTurns)
    return std::unexpected(ApiError::invalid(
        fmt::format("The conversation has more than {} turns; send what matters of it as input.", kMaxTurns),
        "previous_response_id", "invalid_value"));
  for (const auto& kept : chain.responses) {
    replay(json::parse(kept->input, nullptr, false), reader);
    replay(json::parse(kept->response, nullptr, false)["output"], reader);
  }
  return {};
}

/// The items as they are kept: each with a type, an id, and its content in parts.
json keep_items(const json& input, const std::string& id) {
  json items = json::array();
  const std::string tail = id.substr(id.find('_') + 1);
  const auto add = [&](json item) {
    if (!item.contains("type") || item["type"].is_null()) item["type"] = "message";
    if (!item.contains("id") || !item["id"].is_string()) item["id"] = fmt::format("in_{}_{}", tail, items.size());
    if (json& content = item["content"]; item["type"] == "message" && content.is_string())
      content = json::array(
          {{{"type", item["role"] == "assistant" ? "output_text" : "input_text"}, {"text", std::move(content)}}});
    if (item["type"] != "message" && item["content"].is_null()) item.erase("content");
    items.push_back(std::move(item));
  };
  if (input.is_string())
    add({{"role", "user"}, {"content", input}});
  else
    for (const json& item : input) add(item);
  return items;
}

void read_input(JsonObject& f, ItemReader& reader) {
  const JsonValue input = f.need("input");
  if (!input.present()) return;
  if (input.raw().is_string()) {
    const json item = {{"role", "user"}, {"content", input.raw()}};
    return replay(json::array({item}), reader);
  }
  if (!input.raw().is_array()) return input.wrong_type("a string or a list of items");
  input.each({.least = 1, .most = kMaxMessages}, [&](const JsonValue& item) { reader.read(item); });
}

}  // namespace

ApiError in_words_of_responses(ApiError error) { return in_words(std::move(error), kWords); }

ApiError response_not_found(std::string_view id, std::string param) {
  return {404,
          fmt::format("No response '{}' is kept for this key: it never was, was deleted, or had to make room.",
                      clip_utf8(std::string(id), kMaxWordShown)),
          "invalid_request_error",
          std::move(param),
          "response_not_found",
          std::nullopt};
}

ApiResult<ResponsesRequest> read_responses_request(std::string_view text, const HttpHeaders& headers,
                                                   const ModelInfo& model, const std::string& id,
                                                   const std::string& owner, ResponseMemory& memory) {
  SLUICE_ASSIGN(const auto body, RequestBody::open(text, model));
  Reader reader(*body, text);
  reader.read();
  SLUICE_TRY(body->done());

  JsonObject& f = body->fields();
  ResponsesRequest q;
  q.store = reader.store() && memory.enabled();
  std::optional<std::string> instructions;
  f.want("instructions").into(instructions);
  f.want("previous_response_id").into(q.previous, Length{1, kMaxNameBytes});
  SLUICE_TRY(body->done());

  ChatDraft& draft = reader.draft();
  if (instructions) draft.messages.push_back({{"role", "system"}, {"content", *instructions}});
  ItemReader items(draft.messages);
  if (!q.previous.empty()) SLUICE_TRY(read_turns(owner, q.previous, memory, items));
  read_input(f, items);
  SLUICE_TRY(body->done());
  if (q.store) q.input = dump(keep_items(body->sorted()["input"], id));

  SLUICE_ASSIGN(q.chat, std::move(draft).read(headers, model, kWords));
  q.said = std::move(reader.said());
  q.said["instructions"] = instructions ? json(*instructions) : json(nullptr);
  q.said["previous_response_id"] = q.previous.empty() ? json(nullptr) : json(q.previous);
  q.said["temperature"] = q.chat.sampling.temperature;
  q.said["top_p"] = q.chat.sampling.top_p;
  return q;
}

}  // namespace sluice::coordinator
