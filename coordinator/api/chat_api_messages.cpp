// The conversation part of a chat request: roles, content parts, tool calls.
#include <algorithm>
#include <array>

#include "coordinator/api/chat_api_fields.h"

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr std::array<std::string_view, 6> kRoles = {"system", "developer", "user", "assistant", "tool", "function"};

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

/// Text parts become one string, a line each, as vLLM joins them; nullopt after a refusal.
std::optional<std::string> join_parts(const json& parts, const std::string& field, Fields& fields) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const json& p = parts[i];
    std::string at = fmt::format("{}[{}]", field, i);
    if (!p.is_object() || !p.contains("type") || !p["type"].is_string()) {
      fields.refuse(at, "{} must be an object with a type, like {{\"type\": \"text\", \"text\": ...}}.", at);
      return std::nullopt;
    }
    const auto& type = p["type"].get_ref<const std::string&>();
    if (type != "text") {
      fields.refuse(at, "{}: content parts of type '{}' are not supported; only text is.", at, type.substr(0, 64));
      return std::nullopt;
    }
    if (!p.contains("text") || !p["text"].is_string()) {
      fields.refuse(at + ".text", "{}.text must be a string.", at);
      return std::nullopt;
    }
    if (i > 0) text += '\n';
    text += p["text"].get_ref<const std::string&>();
  }
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
void read_message(const json& raw, ordered_json message, const std::string& at, ordered_json& out, Fields& fields) {
  if (!raw.is_object()) return fields.wrong_type(at, "an object", raw);
  auto role = raw.find("role");
  if (role == raw.end() || !role->is_string()) return fields.refuse(at + ".role", "{}.role must be a string.", at);
  const auto& r = role->get_ref<const std::string&>();
  if (std::ranges::find(kRoles, r) == kRoles.end())
    return fields.refuse(at + ".role", "{}.role must be one of {}, not '{}'.", at, fmt::join(kRoles, ", "),
                         r.substr(0, 64));
  if (r == "developer") message["role"] = "system";  // the newer name of the same thing; templates know the old one
  auto content = raw.find("content");
  bool none = content == raw.end() || content->is_null();
  if (none) {
    bool calls = raw.contains("tool_calls") && raw["tool_calls"].is_array() && !raw["tool_calls"].empty();
    if (r != "assistant" || !calls)
      return fields.refuse(at + ".content",
                           "{}.content is missing; only an assistant message with tool_calls may omit it.", at);
    message["content"] = "";
  } else if (content->is_array()) {
    auto text = join_parts(*content, at + ".content", fields);
    if (!text) return;
    message["content"] = std::move(*text);
  } else if (!content->is_string()) {
    return fields.wrong_type(at + ".content", "a string or a list of text parts", *content);
  }
  open_arguments(message);
  out.push_back(std::move(message));
}

/// Messages in the one shape chat templates know: role and a content string, tool call arguments as objects.
ordered_json read_messages(ordered_json& ordered, Fields& fields) {
  ordered_json out = ordered_json::array();
  const json* raw = fields.list("messages");
  if (!raw || raw->empty()) {
    fields.refuse("messages", "messages must be a list with at least one message.");
    return out;
  }
  if (raw->size() > kMaxMessages) {
    fields.refuse("messages", "messages holds {} messages; at most {} are allowed.", raw->size(), kMaxMessages);
    return out;
  }
  for (std::size_t i = 0; i < raw->size(); ++i)
    read_message((*raw)[i], std::move(ordered["messages"][i]), fmt::format("messages[{}]", i), out, fields);
  return out;
}

}  // namespace

ChatPrompt read_chat_prompt(std::string_view body, Fields& fields) {
  ordered_json ordered = in_order(body, fields.all());
  ChatPrompt p;
  p.messages = read_messages(ordered, fields);
  bool with_tools = true;
  if (const json* choice = fields.find("tool_choice")) {
    if (*choice == "none")
      with_tools = false;
    else if (*choice != "auto")
      fields.refuse("tool_choice", "tool_choice '{}' is not supported; use \"none\" or \"auto\".",
                    choice->is_string() ? choice->get_ref<const std::string&>().substr(0, 64) : "{...}");
  }
  if (const json* tools = fields.list("tools")) {
    for (std::size_t i = 0; i < tools->size(); ++i) {
      const json& t = (*tools)[i];
      bool ok = t.is_object() && t.contains("function") && t["function"].is_object() &&
                t["function"].contains("name") && t["function"]["name"].is_string();
      if (!ok)
        fields.refuse(fmt::format("tools[{}]", i),
                      "tools[{}] must be {{\"type\": \"function\", \"function\": {{\"name\": ...}}}}.", i);
    }
    if (with_tools) p.tools = std::move(ordered["tools"]);
  }
  if (fields.object("chat_template_kwargs")) p.kwargs = std::move(ordered["chat_template_kwargs"]);
  p.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
  return p;
}

}  // namespace sluice::coordinator
