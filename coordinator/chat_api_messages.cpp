// The conversation part of a chat request: roles, content parts, tool calls.
#include <algorithm>
#include <array>

#include "coordinator/chat_api_fields.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 6> kRoles = {"system", "developer", "user", "assistant", "tool", "function"};

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
void open_arguments(json& message) {
  auto calls = message.find("tool_calls");
  if (calls == message.end() || !calls->is_array()) return;
  for (auto& call : *calls) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object()) continue;
    auto& f = call["function"];
    if (!f.contains("arguments") || !f["arguments"].is_string()) continue;
    auto body = parse_body(f["arguments"].get_ref<const std::string&>());
    if (body) f["arguments"] = std::move(*body);
  }
}

void read_message(const json& raw, const std::string& at, json& out, Fields& fields) {
  if (!raw.is_object()) return fields.wrong_type(at, "an object", raw);
  auto role = raw.find("role");
  if (role == raw.end() || !role->is_string()) return fields.refuse(at + ".role", "{}.role must be a string.", at);
  const auto& r = role->get_ref<const std::string&>();
  if (std::ranges::find(kRoles, r) == kRoles.end())
    return fields.refuse(at + ".role", "{}.role must be one of {}, not '{}'.", at, fmt::join(kRoles, ", "),
                         r.substr(0, 64));
  json message = raw;
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

}  // namespace

json read_messages(Fields& fields) {
  json out = json::array();
  const json* raw = fields.list("messages");
  if (!raw || raw->empty()) {
    fields.refuse("messages", "messages must be a list with at least one message.");
    return out;
  }
  if (raw->size() > kMaxMessages) {
    fields.refuse("messages", "messages holds {} messages; at most {} are allowed.", raw->size(), kMaxMessages);
    return out;
  }
  for (std::size_t i = 0; i < raw->size(); ++i) read_message((*raw)[i], fmt::format("messages[{}]", i), out, fields);
  return out;
}

ChatPrompt read_chat_prompt(Fields& fields) {
  ChatPrompt p;
  p.messages = read_messages(fields);
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
    if (with_tools) p.tools = *tools;
  }
  if (const json* kwargs = fields.object("chat_template_kwargs")) p.kwargs = *kwargs;
  p.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(true);
  return p;
}

}  // namespace sluice::coordinator
