#pragma once
// A chat request put together from the words of another API: Responses and Messages are chats in other words. Their
// readers check what is theirs and put it here under the chat's names; the chat's own reader does the rest, so that
// sampling, tools, structured output, objectives and `sluice` mean the same on every route.
//
// Threading: a local of one function. Failure: an ApiError in the words of the API that was spoken.
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "common/json/reader.h"
#include "coordinator/api/requests.h"

namespace sluice::coordinator {

inline constexpr std::size_t kMaxNameBytes = 256;  // ids of calls and responses, names of tools
inline constexpr std::size_t kMaxWordShown = 64;   // bytes of a client's word in an error

/// What a chat calls `chat` is called `own` where the client spoke.
struct ChatWord {
  std::string_view chat, own;
};

/// The error with its parameter, and where its message names that, in other words.
[[nodiscard]] ApiError in_words(ApiError error, std::span<const ChatWord> words);

/// Joins texts a line each, as parts of a chat's content are.
void add_line(std::string& text, std::string_view line);

class ChatDraft {
 public:
  /// Fields whose keys keep their order, since templates and grammars read it.
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json tools = nlohmann::ordered_json::array();
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();  // of the template
  nlohmann::ordered_json format = nullptr;                              // response_format

  void set(std::string_view name, nlohmann::json value) { fields_[std::string(name)] = std::move(value); }
  /// The client's field as it is, under the chat's name.
  void take(std::string_view name, const JsonValue& value) {
    if (value.present()) set(name, value.raw());
  }
  /// Fields of ours that every API takes under one name: sampling beyond the API's own, priority, `sluice`.
  void take_ours(JsonObject& body);
  /// chat_template_kwargs: the client's, over what was set so far.
  void take_variables(JsonObject& body, nlohmann::ordered_json& ordered);

  [[nodiscard]] ApiResult<GenerateRequest> read(const HttpHeaders& headers, const ModelInfo& model,
                                                std::span<const ChatWord> words) &&;

 private:
  nlohmann::json fields_ = nlohmann::json::object();
};

}  // namespace sluice::coordinator
