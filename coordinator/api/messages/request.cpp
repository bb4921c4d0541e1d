#include "coordinator/api/messages/request.h"

#include <algorithm>
#include <utility>

#include "common/utf8.h"
#include "coordinator/api/chat_draft.h"
#include "coordinator/api/key_order.h"
#include "coordinator/api/messages/blocks.h"
#include "coordinator/api/request_body.h"

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr ChatWord kWords[] = {
    {"].function.parameters", "].input_schema"}, {"].function", "]"},
    {"tool_choice.function", "tool_choice"},     {"response_format.json_schema", "output_config.format"},
    {"response_format", "output_config.format"}, {"reasoning_effort", "output_config.effort"},
    {"continue_final_message", "messages"},      {"stop", "stop_sequences"}};

class Reader {
 public:
  Reader(RequestBody& body, std::string_view text, MessagesUse use)
      : body_(body), f_(body.fields()), text_(text), ordered_(order_.of(text, body.sorted())), use_(use) {}

  void read() {
    read_sampling();
    read_conversation();
    read_tools();
    read_thinking();
    read_output_config();
    read_labels();
    draft_.take_variables(f_, ordered_);
    draft_.take_ours(f_);
    f_.ignore({"model"});
    f_.closed();
  }
  ChatDraft& draft() { return draft_; }

 private:
  void read_sampling() {
    const JsonValue most = use_ == MessagesUse::create ? f_.need("max_tokens") : f_.want("max_tokens");
    if (most.into(max_tokens_, {.least = 1}) && use_ == MessagesUse::create) draft_.set("max_tokens", max_tokens_);
    for (const FieldName name : {FieldName("temperature"), FieldName("top_p"), FieldName("top_k"), FieldName("stream")})
      draft_.take(name.text(), f_.want(name));
    draft_.take("stop", f_.want("stop_sequences"));
  }

  void read_conversation() {
    BlockReader reader(draft_.messages);
    reader.read_system(f_.want("system"));
    std::size_t i = 0;
    f_.need("messages").each({.least = 1, .most = kMaxMessages}, [&](const JsonValue& m) {
      reader.read_message(m, ordered_["messages"][i++]);
    });
    if (draft_.messages.empty()) return;
    // The answer goes on from an assistant's text.
    const ordered_json& last = draft_.messages.back();
    if (last["role"] == "assistant" && !last.contains("tool_calls")) draft_.set("continue_final_message", true);
  }

  void read_tools() {
    std::size_t i = 0;
    f_.want("tools").each({}, [&](const JsonValue& tool) { read_tool(tool, ordered_["tools"][i++]); });
    read_tool_choice();
  }

  void read_tool(const JsonValue& tool, ordered_json& ordered) {
    JsonObject t = tool.object();
    if (!t.present()) return;
    std::string type = "custom", text;
    t.want("type").into(type);
    if (type != "custom")
      return tool.wrong("is a tool of type '{}', which is not supported; only custom is",
                        clip_utf8(type, kMaxWordShown));
    t.need("name").into(text, Length{1, kMaxNameBytes});
    t.want("description").into(text);
    const JsonValue schema = t.need("input_schema");
    if (schema.present() && !schema.raw().is_object()) schema.wrong_type("an object");
    bool on = false;
    t.want("strict").into(on);
    if (t.want("defer_loading").into(on) && on) t.refuse("defer_loading", "defer_loading is not supported");
    // How prompts are cached, and how finely arguments are streamed (always as they come), is not the client's to say.
    t.ignore({"cache_control", "eager_input_streaming"});
    t.closed();
    ordered_json function = ordered_json::object();
    for (const auto& [name, as] : {std::pair("name", "name"), std::pair("description", "description"),
                                   std::pair("input_schema", "parameters"), std::pair("strict", "strict")})
      if (const auto it = ordered.find(name); it != ordered.end() && !it->is_null()) function[as] = std::move(*it);
    draft_.tools.push_back({{"type", "function"}, {"function", std::move(function)}});
  }

  void read_tool_choice() {
    JsonObject c = f_.want("tool_choice").object();
    if (!c.present()) return;
    static constexpr Named<std::string_view> kTypes[] = {
        {"auto", "auto"}, {"any", "required"}, {"tool", "tool"}, {"none", "none"}};
    std::string_view type;
    if (!c.need("type").into(type, kTypes)) return;
    if (std::string name; type != "tool")
      draft_.set("tool_choice", type);
    else if (c.need("name").into(name, Length{1, kMaxNameBytes}))
      draft_.set("tool_choice", {{"type", "function"}, {"function", {{"name", std::move(name)}}}});
    if (bool one = false; c.want("disable_parallel_tool_use").into(one)) draft_.set("parallel_tool_calls", !one);
    c.closed();
  }

  void read_thinking() {
    JsonObject t = f_.want("thinking").object();
    if (!t.present()) return;
    enum class Type { enabled, adaptive, disabled };
    static constexpr Named<Type> kTypes[] = {
        {"enabled", Type::enabled}, {"adaptive", Type::adaptive}, {"disabled", Type::disabled}};
    Type type = Type::enabled;
    if (!t.need("type").into(type, kTypes)) return;
    draft_.variables["enable_thinking"] = type != Type::disabled;
    if (type == Type::enabled) {
      int budget = 0;
      if (t.need("budget_tokens").into(budget, {.least = 1}) && max_tokens_ > 0 && budget >= max_tokens_)
        t.refuse("budget_tokens", "thinking.budget_tokens ({}) must be less than max_tokens ({})", budget, max_tokens_);
    }
    if (std::string shown; t.want("display").into(shown) && shown != "summarized")
      t.refuse("display", "thinking.display may only be \"summarized\"; thinking comes as it was written");
    t.closed();
  }

  void read_output_config() {
    JsonObject o = f_.want("output_config").object();
    if (!o.present()) return;
    draft_.take("reasoning_effort", o.want("effort"));
    const JsonValue format = o.want("format");
    JsonObject g = format.object();
    if (g.present()) {
      std::string type;
      if (g.need("type").into(type) && type != "json_schema")
        return format.wrong("is of type '{}', which is not supported; only json_schema is",
                            clip_utf8(type, kMaxWordShown));
      const JsonValue schema = g.need("schema");
      if (schema.present() && !schema.raw().is_object()) schema.wrong_type("an object");
      if (schema.present()) {
        ordered_json inside = {{"name", "output"}};
        inside["schema"] = order_.plain_of(text_, body_.sorted())["output_config"]["format"]["schema"];
        inside["strict"] = true;
        draft_.format = {{"type", "json_schema"}, {"json_schema", std::move(inside)}};
      }
      g.closed();
    }
    o.closed();
  }

  void read_labels() {
    JsonObject metadata = f_.want("metadata").object();
    std::string user;
    if (metadata.want("user_id").into(user, Length{.most = kMaxLabelBytes}) && !user.empty())
      draft_.set("user", std::move(user));
    metadata.closed();
    if (std::string tier; f_.want("service_tier").into(tier) && tier != "auto" && tier != "standard_only")
      f_.refuse("service_tier", "service_tier must be \"auto\" or \"standard_only\"");
    if (std::string speed; f_.want("speed").into(speed) && speed != "standard")
      f_.refuse("speed", "speed may only be \"standard\"");
    f_.ignore({"cache_control"});
    static constexpr FieldName kNever[] = {"container", "mcp_servers", "context_management", "inference_geo"};
    for (const FieldName name : kNever)
      if (f_.has(name)) f_.want(name).wrong("is not supported");
  }

  const RequestBody& body_;
  JsonObject& f_;
  std::string_view text_;
  KeyOrder order_;
  ordered_json ordered_;  // the body
  MessagesUse use_;
  ChatDraft draft_;
  int max_tokens_ = 0;
};

}  // namespace

ApiError in_words_of_messages(ApiError error) { return in_words(std::move(error), kWords); }

ApiResult<GenerateRequest> read_messages_request(std::string_view text, const HttpHeaders& headers,
                                                 const ModelInfo& model, MessagesUse use) {
  SLUICE_ASSIGN(const auto body, RequestBody::open(text, model));
  Reader reader(*body, text, use);
  reader.read();
  SLUICE_TRY(body->done());
  return std::move(reader.draft()).read(headers, model, kWords);
}

}  // namespace sluice::coordinator
