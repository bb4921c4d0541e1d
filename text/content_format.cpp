#include "text/content_format.h"

#include <algorithm>

namespace sluice::text {

namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 4> kRoles = {"user", "system", "assistant", "tool"};
constexpr std::string_view kWords = "sluice asks whether this is seen";

ordered_json part_list(std::string_view text) {
  return ordered_json::array({ordered_json{{"type", "text"}, {"text", text}}});
}

ordered_json message(std::string_view role, ordered_json content) {
  return ordered_json{{"role", role}, {"content", std::move(content)}};
}

/// A chat in which the message of `role` says kWords and the others nothing of note.
ordered_json chat_with(std::string_view role, ordered_json content, bool others_in_parts) {
  const auto plain = [&](std::string_view text) { return others_in_parts ? part_list(text) : ordered_json(text); };
  ordered_json chat = ordered_json::array();
  if (role == "system") chat.push_back(message("system", content));
  chat.push_back(message("user", role == "user" ? content : plain("Hello")));
  if (role == "tool") {
    ordered_json call = message("assistant", plain(""));
    const ordered_json function = {{"name", "look"}, {"arguments", ordered_json::object()}};
    call["tool_calls"] = ordered_json::array({{{"id", "abcdefghi"}, {"type", "function"}, {"function", function}}});
    chat.push_back(std::move(call));
    ordered_json result = message("tool", content);
    result["tool_call_id"] = "abcdefghi";
    result["name"] = "look";
    chat.push_back(std::move(result));
  }
  if (role == "assistant") {
    chat.push_back(message("assistant", content));
    chat.push_back(message("user", plain("Go on")));
  }
  return chat;
}

/// A list of parts printed as such: 'text': or "text": somewhere.
bool prints_parts(std::string_view s) {
  for (std::size_t at = s.find("text"); at != std::string_view::npos; at = s.find("text", at + 4)) {
    const std::size_t quote = at + 4;
    if (quote + 1 < s.size() && (s[quote] == '\'' || s[quote] == '"') && s[quote + 1] == ':') return true;
  }
  return false;
}

bool shows(const std::optional<std::string>& rendered) {
  return rendered && rendered->find(kWords) != std::string::npos && !prints_parts(*rendered);
}

/// Null where the template shows it neither way, or refuses both.
std::optional<Content> probe(const TryRender& render, std::string_view role, bool others_in_parts) {
  const bool text = shows(render(chat_with(role, kWords, others_in_parts)));
  const bool parts = shows(render(chat_with(role, part_list(kWords), others_in_parts)));
  if (text && parts) return Content::either;
  if (text) return Content::text;
  if (parts) return Content::parts;
  return std::nullopt;
}

}  // namespace

ContentFormat ContentFormat::of(const TryRender& render) {
  ContentFormat out;
  out.by_role_[0] = probe(render, kRoles[0], false).value_or(Content::text);
  const bool in_parts = out.by_role_[0] == Content::parts;
  for (std::size_t i = 1; i < kRoles.size(); ++i)
    out.by_role_[i] = probe(render, kRoles[i], in_parts).value_or(out.by_role_[0]);
  return out;
}

Content ContentFormat::of_role(std::string_view role) const {
  const auto it = std::ranges::find(kRoles, role);
  return by_role_[it == kRoles.end() ? 0 : static_cast<std::size_t>(it - kRoles.begin())];
}

std::optional<ordered_json> adapt_content(const ordered_json& content, Content expected) {
  if (content.is_string() && expected == Content::parts) {
    const auto& text = content.get_ref<const std::string&>();
    return text.empty() ? ordered_json::array() : part_list(text);
  }
  if (!content.is_array() || expected != Content::text) return std::nullopt;
  std::string text;
  bool first = true;
  for (const auto& part : content) {
    if (!part.is_object() || part.value("type", ordered_json()) != "text") return std::nullopt;
    const auto words = part.find("text");
    if (words == part.end() || !words->is_string()) return std::nullopt;
    if (!first) text += '\n';  // as vLLM joins them
    first = false;
    text += words->get_ref<const std::string&>();
  }
  return text;
}

}  // namespace sluice::text
