// The conversation part of a chat request: roles, content parts, tool calls.
#include <algorithm>
#include <utility>

#include "coordinator/api/request_fields.h"

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

enum class Role { system, developer, user, assistant, tool, function };
constexpr Named<Role> kRoles[] = {{"system", Role::system}, {"developer", Role::developer},
                                  {"user", Role::user},     {"assistant", Role::assistant},
                                  {"tool", Role::tool},     {"function", Role::function}};

/// An ordered object finds a key by looking at each, so many keys in one object cost their square.
constexpr std::size_t kMaxOrderingCost = 1'000'000;

bool cheap_to_order(const json& j, std::size_t& cost) {
  if (!j.is_structured()) return true;
  if (j.is_object()) cost += j.size() * j.size() / 2;
  if (cost > kMaxOrderingCost) return false;
  return std::ranges::all_of(j, [&](const json& child) { return cheap_to_order(child, cost); });
}

/// `text` in the order of its keys; where that would cost too much, in `sorted`'s. `sorted` was parsed from `text`.
ordered_json in_order(std::string_view text, const json& sorted) {
  std::size_t cost = 0;
  if (!cheap_to_order(sorted, cost)) return ordered_json(sorted);
  ordered_json ordered = ordered_json::parse(text.begin(), text.end(), nullptr, false);
  return ordered.is_discarded() ? ordered_json(sorted) : ordered;
}

/// Text parts become one string, a line each, as vLLM joins them.
std::string join_parts(const JsonValue& parts) {
  std::string text;
  bool first = true;
  parts.each({}, [&](const JsonValue& part) {
    const json& p = part.raw();
    if (!p.is_object() || !p.contains("type") || !p["type"].is_string())
      return part.wrong("must be an object with a type, like {{\"type\": \"text\", \"text\": ...}}");
    const auto& type = p["type"].get_ref<const std::string&>();
    if (type != "text")
      return part.wrong("is a content part of type '{}', which is not supported; only text is", clip_utf8(type, 64));
    std::string line;
    JsonObject fields = part.object();
    fields.need("text").into(line);
    if (!std::exchange(first, false)) text += '\n';
    text += line;
  });
  return text;
}

/// Arguments travel as JSON text; templates expect the object.
void open_arguments(ordered_json& message) {
  auto calls = message.find("tool_calls");
  if (calls == message.end() || !calls->is_array()) return;
  for (auto& call : *calls) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) continue;
    auto& f = call["function"];
    if (!f.contains("arguments") || !f["arguments"].is_string()) continue;
    auto text = f["arguments"].get<std::string>();
    if (auto body = parse_body(text)) f["arguments"] = in_order(text, *body);
  }
}

/// `raw` is checked; `message`, the same with its keys in order, goes on to the template.
void read_message(const JsonValue& raw, ordered_json message, ordered_json& out) {
  JsonObject m = raw.object();
  Role role = Role::user;
  if (!m.need("role").into(role, kRoles)) return;
  if (role == Role::developer) message["role"] = "system";  // the newer name of the same thing; templates know the old
  const JsonValue content = m.want("content");
  if (!content.present()) {
    const JsonValue calls = m.want("tool_calls");
    if (role != Role::assistant || !calls.present() || !calls.raw().is_array() || calls.raw().empty())
      return content.wrong("is missing; only an assistant message with tool_calls may omit it");
    message["content"] = "";
  } else if (content.raw().is_array()) {
    message["content"] = join_parts(content);
  } else if (!content.raw().is_string()) {
    return content.wrong_type("a string or a list of text parts");
  }
  open_arguments(message);
  out.push_back(std::move(message));
}

/// Messages in the one shape chat templates know: role and a content string, tool call arguments as objects.
ordered_json read_messages(ordered_json& ordered, JsonObject& body) {
  ordered_json out = ordered_json::array();
  std::size_t i = 0;
  body.need("messages").each({1, kMaxMessages}, [&](const JsonValue& m) {
    read_message(m, std::move(ordered["messages"][i++]), out);
  });
  return out;
}

}  // namespace

ChatPrompt read_chat_prompt(std::string_view text, const json& sorted, JsonObject& body) {
  ordered_json ordered = in_order(text, sorted);
  ChatPrompt p;
  p.messages = read_messages(ordered, body);
  bool with_tools = true;
  if (const JsonValue choice = body.want("tool_choice"); choice.present()) {
    with_tools = choice.raw() != "none";
    if (with_tools && choice.raw() != "auto") choice.wrong("must be \"none\" or \"auto\"; others are not supported");
  }
  if (const JsonValue tools = body.want("tools"); tools.present()) {
    tools.each({}, [&](const JsonValue& tool) {
      const json& t = tool.raw();
      const bool ok = t.is_object() && t.contains("function") && t["function"].is_object() &&
                      t["function"].contains("name") && t["function"]["name"].is_string();
      if (!ok) tool.wrong("must be {{\"type\": \"function\", \"function\": {{\"name\": ...}}}}");
    });
    if (with_tools) p.tools = std::move(ordered["tools"]);
  }
  if (body.want("chat_template_kwargs").object().present()) p.kwargs = std::move(ordered["chat_template_kwargs"]);
  body.want("add_generation_prompt").into(p.add_generation_prompt);
  return p;
}

}  // namespace sluice::coordinator
