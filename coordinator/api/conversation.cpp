// The conversation part of a chat request: roles, content parts, tool calls.
#include <algorithm>
#include <utility>

#include "coordinator/api/key_order.h"
#include "coordinator/api/request_fields.h"

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

enum class Role { system, developer, user, assistant, tool, function };
constexpr Named<Role> kRoles[] = {{"system", Role::system}, {"developer", Role::developer},
                                  {"user", Role::user},     {"assistant", Role::assistant},
                                  {"tool", Role::tool},     {"function", Role::function}};

struct Parts {
  std::string joined;  // a line each, as vLLM joins them
  ordered_json list = ordered_json::array();
};

/// Content that came in parts: text, and of an assistant what it refused to say.
Parts read_parts(const JsonValue& parts, bool assistant) {
  Parts out;
  bool first = true;
  parts.each({}, [&](const JsonValue& part) {
    const json& p = part.raw();
    if (!p.is_object() || !p.contains("type") || !p["type"].is_string())
      return part.wrong("must be an object with a type, like {{\"type\": \"text\", \"text\": ...}}");
    const auto& type = p["type"].get_ref<const std::string&>();
    const bool refusal = assistant && type == "refusal";
    if (type != "text" && !refusal)
      return part.wrong("is a content part of type '{}', which is not supported; only text is", clip_utf8(type, 64));
    std::string line;
    JsonObject fields = part.object();
    (refusal ? fields.need("refusal") : fields.need("text")).into(line);
    if (!std::exchange(first, false)) out.joined += '\n';
    out.joined += line;
    out.list.push_back({{"type", "text"}, {"text", std::move(line)}});
  });
  return out;
}

/// What clients send for a call without arguments.
bool no_arguments(const ordered_json& arguments) {
  if (arguments.is_null()) return true;
  if (!arguments.is_string()) return false;
  const std::string_view text = arguments.get_ref<const std::string&>();
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos || text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin) == "null";
}

/// Arguments travel as JSON text; templates expect the object, an empty one where there are none.
void open_arguments(ordered_json& message, KeyOrder& order) {
  auto calls = message.find("tool_calls");
  if (calls == message.end() || !calls->is_array()) return;
  for (auto& call : *calls) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) continue;
    auto& f = call["function"];
    if (!f.contains("arguments") || no_arguments(f["arguments"])) f["arguments"] = ordered_json::object();
    if (!f["arguments"].is_string()) continue;
    auto text = f["arguments"].get<std::string>();
    if (auto body = parse_body(text)) f["arguments"] = order.of(text, *body);
  }
}

/// `raw` is checked; `message`, the same with its keys in order, goes on to the template.
void read_message(const JsonValue& raw, ordered_json message, KeyOrder& order, ChatPrompt& out) {
  JsonObject m = raw.object();
  Role role = Role::user;
  if (!m.need("role").into(role, kRoles)) return;
  if (role == Role::developer) message["role"] = "system";  // the newer name of the same thing; templates know the old
  const JsonValue content = m.want("content");
  if (!content.present()) {
    // Clients replay what they got: tool calls, a refusal or reasoning without a text.
    if (role != Role::assistant) return content.wrong("is missing; only an assistant message may omit it");
    message["content"] = "";
  } else if (content.raw().is_array()) {
    Parts parts = read_parts(content, role == Role::assistant);
    message["content"] = std::move(parts.joined);
    out.parts.emplace_back(out.messages.size(), std::move(parts.list));
  } else if (!content.raw().is_string()) {
    return content.wrong_type("a string or a list of text parts");
  }
  open_arguments(message, order);
  out.messages.push_back(std::move(message));
}

/// Messages in the one shape chat templates know: role and a content string, tool call arguments as objects.
void read_messages(ordered_json& ordered, JsonObject& body, KeyOrder& order, ChatPrompt& out) {
  out.messages = ordered_json::array();
  ordered_json& list = ordered["messages"];
  std::size_t i = 0;
  body.need("messages").each({1, kMaxMessages}, [&](const JsonValue& m) {
    read_message(m, std::move(list[i++]), order, out);
  });
}

/// Variables of the template, as many as some template may want.
void read_variables(ordered_json& ordered, JsonObject& body, ChatPrompt& out) {
  const JsonValue given = body.want("chat_template_kwargs");
  if (!given.object().present()) return;
  const std::size_t names = names_in(given.raw());
  if (names > kMaxTemplateNames)
    return given.wrong("holds {} names, those inside counted; at most {} are allowed", names, kMaxTemplateNames);
  out.kwargs = std::move(ordered["chat_template_kwargs"]);
}

/// What the client gives in a field of its own and the template reads as a variable; the field goes before.
void read_effort(JsonObject& body, ChatPrompt& out) {
  static constexpr std::string_view kNone = "none";
  static constexpr Named<std::string_view> kEfforts[] = {
      {kNone, kNone},   {"minimal", "minimal"}, {"low", "low"}, {"medium", "medium"},
      {"high", "high"}, {"xhigh", "xhigh"},     {"max", "max"}};
  std::string_view effort;
  if (!body.want("reasoning_effort").into(effort, kEfforts)) return;
  out.kwargs["reasoning_effort"] = effort;
  if (!out.kwargs.contains("enable_thinking")) out.kwargs["enable_thinking"] = effort != kNone;
}

/// Where the prompt ends: behind the opening of the answer, or in the final message.
void read_ending(JsonObject& body, ChatPrompt& out) {
  body.want("continue_final_message").into(out.continue_final_message);
  const bool told = body.want("add_generation_prompt").into(out.add_generation_prompt);
  if (!out.continue_final_message) return;
  if (told && out.add_generation_prompt)
    return body.refuse("continue_final_message",
                       "continue_final_message ends the prompt in the final message, and add_generation_prompt behind "
                       "it; only one of them may be true");
  out.add_generation_prompt = false;
  const JsonValue messages = body.want("messages");
  if (!messages.present()) return;
  const json& last = messages.raw().back();
  if (!last.contains("content") || last["content"].is_null())
    body.refuse("continue_final_message", "The final message has no content to continue");
}

}  // namespace

ChatPrompt read_chat_prompt(std::string_view text, const json& sorted, JsonObject& body) {
  KeyOrder order;
  ordered_json ordered = order.of(text, sorted);
  return read_chat_prompt(std::move(ordered), order, body);
}

ChatPrompt read_chat_prompt(ordered_json ordered, KeyOrder& order, JsonObject& body) {
  ChatPrompt p;
  read_messages(ordered, body, order, p);
  if (read_tools(body, p.choice) && body.has("tools")) p.tools = std::move(ordered["tools"]);
  read_variables(ordered, body, p);
  read_effort(body, p);
  read_ending(body, p);
  return p;
}

}  // namespace sluice::coordinator
