#include "coordinator/api/messages/blocks.h"

#include <string_view>
#include <utility>

#include "common/utf8.h"
#include "coordinator/api/chat_draft.h"

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

/// Reads one block: `read` gets its fields and its type, and says whether it knows the type.
template <class F>
void read_block(const JsonValue& block, std::string_view supported, F read) {
  JsonObject f = block.object();
  if (!f.present()) return;
  std::string type;
  if (!f.need("type").into(type)) return;
  f.ignore({"cache_control"});  // prompts are cached by their content, unasked
  if (!read(f, type))
    return block.wrong("is a block of type '{}', which is not supported here; supported are {}",
                       clip_utf8(type, kMaxWordShown), supported);
  f.closed();
}

std::string read_text(JsonObject& f) {
  std::string text;
  f.need("text").into(text);
  f.ignore({"citations"});  // of an answer that is sent back
  return text;
}

ordered_json text_part(std::string text) { return {{"type", "text"}, {"text", std::move(text)}}; }

/// Text that is a string or a list of text blocks.
ordered_json read_texts(const JsonValue& content) {
  if (!content.present()) return "";
  if (content.raw().is_string()) return content.raw().get<std::string>();
  ordered_json parts = ordered_json::array();
  if (!content.raw().is_array()) return content.wrong_type("a string or a list of text blocks"), parts;
  content.each({}, [&](const JsonValue& block) {
    read_block(block, "text", [&](JsonObject& f, const std::string& type) {
      if (type != "text") return false;
      parts.push_back(text_part(read_text(f)));
      return true;
    });
  });
  return parts;
}

}  // namespace

void BlockReader::read_system(const JsonValue& system) {
  if (!system.present()) return;
  ordered_json text = read_texts(system);
  if (text.is_array() && text.empty()) return;
  messages_.push_back({{"role", "system"}, {"content", std::move(text)}});
}

void BlockReader::read_message(const JsonValue& message, ordered_json& ordered) {
  enum class Role { user, assistant, system };
  static constexpr Named<Role> kRoles[] = {
      {"user", Role::user}, {"assistant", Role::assistant}, {"system", Role::system}};
  JsonObject f = message.object();
  if (!f.present()) return;
  Role role = Role::user;
  if (!f.need("role").into(role, kRoles)) return;
  const JsonValue content = f.need("content");
  f.closed();
  if (!content.present()) return;
  if (role == Role::system) return read_system(content);
  if (content.raw().is_string()) {
    messages_.push_back(
        {{"role", role == Role::user ? "user" : "assistant"}, {"content", content.raw().get<std::string>()}});
    return;
  }
  if (!content.raw().is_array()) return content.wrong_type("a string or a list of blocks");
  role == Role::user ? read_user(content) : read_assistant(content, ordered["content"]);
}

void BlockReader::read_user(const JsonValue& blocks) {
  ordered_json parts = ordered_json::array();
  const auto put_texts = [&] {
    if (!parts.empty())
      messages_.push_back({{"role", "user"}, {"content", std::exchange(parts, ordered_json::array())}});
  };
  blocks.each({.least = 1}, [&](const JsonValue& block) {
    read_block(block, "text and tool_result", [&](JsonObject& f, const std::string& type) {
      if (type == "text") return parts.push_back(text_part(read_text(f))), true;
      if (type != "tool_result") return false;
      put_texts();
      read_tool_result(f);
      return true;
    });
  });
  put_texts();
}

void BlockReader::read_tool_result(JsonObject& f) {
  std::string id;
  if (!f.need("tool_use_id").into(id, Length{1, kMaxNameBytes})) return;
  if (!calls_.contains(id))
    return f.refuse("tool_use_id", "No tool_use block with the id '{}' comes before this result",
                    clip_utf8(id, kMaxWordShown));
  ordered_json content = read_texts(f.want("content"));
  if (bool failed = false; f.want("is_error").into(failed) && failed) {
    // Chats have no place for it but the text.
    if (content.is_string())
      content = "Error: " + content.get<std::string>();
    else
      content.insert(content.begin(), text_part("Error:"));
  }
  messages_.push_back({{"role", "tool"}, {"tool_call_id", std::move(id)}, {"content", std::move(content)}});
}

void BlockReader::read_assistant(const JsonValue& blocks, ordered_json& ordered) {
  ordered_json parts = ordered_json::array();
  ordered_json calls = ordered_json::array();
  std::string thinking;
  std::size_t i = 0;
  blocks.each({.least = 1}, [&](const JsonValue& block) {
    ordered_json& raw = ordered[i++];
    read_block(block, "text, tool_use, thinking and redacted_thinking", [&](JsonObject& f, const std::string& type) {
      std::string text, id;
      if (type == "text") return parts.push_back(text_part(read_text(f))), true;
      if (type == "thinking") {
        f.ignore({"signature"});
        if (f.need("thinking").into(text)) add_line(thinking, text);
        return true;
      }
      if (type == "redacted_thinking") return f.ignore({"data"}), true;  // nothing that this model could read
      if (type != "tool_use") return false;
      f.need("id").into(id, Length{1, kMaxNameBytes});
      f.need("name").into(text, Length{1, kMaxNameBytes});
      const JsonValue input = f.need("input");
      if (input.present() && !input.raw().is_object()) input.wrong_type("an object");
      if (!input.present()) return true;
      calls_.insert(id);
      calls.push_back({{"id", std::move(id)},
                       {"type", "function"},
                       {"function", {{"name", std::move(text)}, {"arguments", std::move(raw["input"])}}}});
      return true;
    });
  });
  ordered_json m = {{"role", "assistant"}};
  m["content"] = parts.empty() ? ordered_json("") : std::move(parts);
  if (!thinking.empty()) m["reasoning_content"] = std::move(thinking);
  if (!calls.empty()) m["tool_calls"] = std::move(calls);
  messages_.push_back(std::move(m));
}

}  // namespace sluice::coordinator
