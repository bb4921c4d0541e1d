#include "coordinator/api/responses/items.h"

#include <string_view>
#include <utility>

#include "common/utf8.h"
#include "coordinator/api/chat_draft.h"

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

enum class Role { user, assistant, system, developer };
constexpr Named<Role> kRoles[] = {
    {"user", Role::user}, {"assistant", Role::assistant}, {"system", Role::system}, {"developer", Role::developer}};

/// The type of an item or a part; "" after a mistake.
std::string type_of(JsonObject& f, std::string_view otherwise) {
  std::string type(otherwise);
  f.want("type").into(type);
  return type;
}

/// Content in parts, as a chat has them.
ordered_json read_parts(const JsonValue& parts, bool assistant) {
  ordered_json out = ordered_json::array();
  parts.each({}, [&](const JsonValue& part) {
    JsonObject f = part.object();
    if (!f.present()) return;
    const std::string type = type_of(f, "");
    std::string text;
    if (assistant && type == "refusal") {
      f.need("refusal").into(text);
      out.push_back({{"type", "refusal"}, {"refusal", std::move(text)}});
    } else if (type == "input_text" || type == "output_text" || type == "text") {
      f.need("text").into(text);
      f.ignore({"annotations", "logprobs"});  // what an answer's part has beside its text
      out.push_back({{"type", "text"}, {"text", std::move(text)}});
    } else {
      return part.wrong("is a content part of type '{}', which is not supported; only input_text and output_text are",
                        clip_utf8(type, kMaxWordShown));
    }
    f.closed();
  });
  return out;
}

/// Text that is a string or a list of parts; nothing where it was neither.
ordered_json read_content(const JsonValue& content, bool assistant) {
  if (!content.present()) return "";
  if (content.raw().is_string()) return content.raw().get<std::string>();
  if (content.raw().is_array()) return read_parts(content, assistant);
  content.wrong_type("a string or a list of text parts");
  return "";
}

/// The texts of a list of parts of one type.
std::string read_texts(const JsonValue& parts, std::string_view type) {
  std::string out;
  parts.each({}, [&](const JsonValue& part) {
    JsonObject f = part.object();
    std::string text;
    if (type_of(f, type) != type) return part.wrong("must be of type {}", type);
    if (f.need("text").into(text)) add_line(out, text);
    f.closed();
  });
  return out;
}

}  // namespace

void ItemReader::read(const JsonValue& item) {
  JsonObject f = item.object();
  if (!f.present()) return;
  const std::string type = type_of(f, "message");
  f.ignore({"id", "status"});  // what an answer's items have, and clients send back
  if (type == "message") {
    read_message(item, f);
  } else if (type == "function_call") {
    read_call(f);
  } else if (type == "function_call_output") {
    read_call_output(f);
  } else if (type == "reasoning") {
    read_reasoning(f);
  } else {
    return item.wrong(
        "is an item of type '{}', which is not supported; supported are message, function_call, function_call_output "
        "and reasoning",
        clip_utf8(type, kMaxWordShown));
  }
  f.closed();
}

ordered_json& ItemReader::assistant() {
  if (messages_.empty() || messages_.back()["role"] != "assistant" || !reasoning_.empty()) {
    ordered_json m = {{"role", "assistant"}, {"content", ""}};
    if (!reasoning_.empty()) m["reasoning_content"] = std::exchange(reasoning_, {});
    messages_.push_back(std::move(m));
  }
  return messages_.back();
}

void ItemReader::read_message(const JsonValue& item, JsonObject& f) {
  Role role = Role::user;
  if (!f.need("role").into(role, kRoles)) return;
  f.ignore({"phase"});
  const JsonValue content = f.need("content");
  ordered_json text = read_content(content, role == Role::assistant);
  if (content.present() && text.empty() && role != Role::assistant) return item.wrong("has no content");
  if (role != Role::assistant) {
    reasoning_.clear();
    messages_.push_back({{"role", role == Role::user ? "user" : "system"}, {"content", std::move(text)}});
    return;
  }
  // A text after a text, or after calls, is a message of its own.
  const bool fresh = !reasoning_.empty() || messages_.empty() || messages_.back()["role"] != "assistant" ||
                     messages_.back()["content"] != "" || messages_.back().contains("tool_calls");
  if (fresh) {
    ordered_json m = {{"role", "assistant"}, {"content", std::move(text)}};
    if (!reasoning_.empty()) m["reasoning_content"] = std::exchange(reasoning_, {});
    messages_.push_back(std::move(m));
  } else {
    messages_.back()["content"] = std::move(text);
  }
}

void ItemReader::read_call(JsonObject& f) {
  std::string id, name, arguments;
  const Length label{1, kMaxNameBytes};
  f.need("call_id").into(id, label);
  f.need("name").into(name, label);
  if (!f.need("arguments").into(arguments)) return;
  calls_.insert(id);
  assistant()["tool_calls"].push_back({{"id", std::move(id)},
                                       {"type", "function"},
                                       {"function", {{"name", std::move(name)}, {"arguments", std::move(arguments)}}}});
}

void ItemReader::read_call_output(JsonObject& f) {
  std::string id;
  if (!f.need("call_id").into(id, Length{1, kMaxNameBytes})) return;
  if (!calls_.contains(id))
    return f.refuse("call_id", "No function_call with the call_id '{}' comes before this output",
                    clip_utf8(id, kMaxWordShown));
  const JsonValue output = f.need("output");
  ordered_json text = read_content(output, false);
  if (!output.present()) return;
  reasoning_.clear();
  messages_.push_back({{"role", "tool"}, {"tool_call_id", std::move(id)}, {"content", std::move(text)}});
}

void ItemReader::read_reasoning(JsonObject& f) {
  // A summary, or what is encrypted, says nothing to this model.
  f.ignore({"encrypted_content"});
  static_cast<void>(read_texts(f.want("summary"), "summary_text"));
  if (const std::string text = read_texts(f.want("content"), "reasoning_text"); !text.empty())
    add_line(reasoning_, text);
}

}  // namespace sluice::coordinator
