#include "coordinator/api/chat_draft.h"

#include <utility>

namespace sluice::coordinator {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Replaces `from` where it stands as a word of its own.
void replace_word(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    const std::size_t end = at + from.size();
    const bool begins = at == 0 || !is_word_character(text[at - 1]) || !is_word_character(from.front());
    const bool ends = end == text.size() || !is_word_character(text[end]) || !is_word_character(from.back());
    const bool own = begins && ends;
    if (own) text.replace(at, from.size(), to);
    at += own ? to.size() : from.size();
  }
}

}  // namespace

ApiError in_words(ApiError e, std::span<const ChatWord> words) {
  if (e.param.empty()) return e;
  for (const auto& w : words) {
    const std::string before = e.param;
    replace_word(e.param, w.chat, w.own);
    if (e.param != before) replace_word(e.message, w.chat, w.own);
  }
  return e;
}

void add_line(std::string& text, std::string_view line) {
  if (!text.empty()) text += '\n';
  text += line;
}

void ChatDraft::take_ours(JsonObject& body) {
  static constexpr FieldName kOurs[] = {"seed",
                                        "min_p",
                                        "repetition_penalty",
                                        "presence_penalty",
                                        "frequency_penalty",
                                        "min_tokens",
                                        "ignore_eos",
                                        "logit_bias",
                                        "stop_token_ids",
                                        "skip_special_tokens",
                                        "include_stop_str_in_output",
                                        "priority",
                                        "cache_salt",
                                        "sluice"};
  for (const FieldName name : kOurs) take(name.text(), body.want(name));
}

void ChatDraft::take_variables(JsonObject& body, ordered_json& ordered) {
  const JsonValue given = body.want("chat_template_kwargs");
  if (!given.object().present()) return;
  for (auto& [name, value] : ordered["chat_template_kwargs"].items()) variables[name] = std::move(value);
}

ApiResult<GenerateRequest> ChatDraft::read(const HttpHeaders& headers, const ModelInfo& model,
                                           std::span<const ChatWord> words) && {
  ordered_json ordered = ordered_json::object();
  ordered["messages"] = std::move(messages);
  if (!tools.empty()) ordered["tools"] = std::move(tools);
  if (!variables.empty()) ordered["chat_template_kwargs"] = std::move(variables);
  if (!format.is_null()) ordered["response_format"] = std::move(format);
  json sorted(ordered);
  sorted.update(fields_);
  auto read = read_chat(sorted, std::move(ordered), headers, model);
  if (!read) return std::unexpected(in_words(std::move(read).error(), words));
  return read;
}

}  // namespace sluice::coordinator
