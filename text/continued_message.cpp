#include "text/continued_message.h"

#include <utility>

#include "text/jinja/strings.h"

namespace sluice::text {

namespace {

/// Its last byte is a space: where that is missing, the template trims.
constexpr std::string_view kMark = "CONTINUE_FINAL_MESSAGE_TAG ";
constexpr std::string_view kTrimmedMark = kMark.substr(0, kMark.size() - 1);

template <class... Args>
std::unexpected<Error> refuse(fmt::format_string<Args...> words, Args&&... args) {
  return fail_param("continue_final_message", words, std::forward<Args>(args)...);
}

bool is_text_part(const nlohmann::ordered_json& part) {
  return part.is_object() && part.contains("text") && part["text"].is_string();
}

}  // namespace

Result<std::string> mark_final_message(nlohmann::ordered_json& messages) {
  auto& last = messages.back();
  const auto content = last.find("content");
  if (content == last.end()) return refuse("the final message has no content to continue");
  std::string* text = nullptr;
  if (content->is_string()) text = content->get_ptr<std::string*>();
  if (content->is_array())
    for (auto& part : *content)
      if (is_text_part(part)) text = part["text"].get_ptr<std::string*>();
  if (text == nullptr) return refuse("the final message has no text to continue");
  std::string given = *text;
  *text += kMark;
  return given;
}

Result<> cut_at_mark(RenderedChat& chat, std::string_view text) {
  const std::size_t at = chat.text.rfind(kTrimmedMark);
  const auto [begin, end] = jinja::strip(text, jinja::Side::both);
  if (at == std::string::npos || !std::string_view(chat.text).contains(text.substr(begin, end - begin)))
    return refuse("the model's chat template leaves out the final message or a part of it; it can't be continued");
  const bool kept = chat.text.compare(at, kMark.size(), kMark) == 0;
  chat.text.resize(at);
  if (!kept) chat.text.resize(jinja::strip(chat.text, jinja::Side::right).end);
  while (!chat.typed.empty() && chat.typed.back() >= chat.text.size()) chat.typed.pop_back();
  return {};
}

}  // namespace sluice::text
