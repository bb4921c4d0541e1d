#pragma once
// Items of a conversation as the Responses API has them, made messages of a chat: messages, function calls and their
// outputs, reasoning. One reader per request takes the items of all turns, oldest first.
//
// Threading: a local of one function. Failure: the first mistake is kept in the items' JsonReader.
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/json/reader.h"

namespace sluice::coordinator {

class ItemReader {
 public:
  /// Goes on at the end of `messages`.
  explicit ItemReader(nlohmann::ordered_json& messages) : messages_(messages) {}

  void read(const JsonValue& item);

 private:
  void read_message(const JsonValue& item, JsonObject& f);
  void read_call(JsonObject& f);
  void read_call_output(JsonObject& f);
  void read_reasoning(JsonObject& f);
  /// The assistant's message that the next call or text belongs to.
  nlohmann::ordered_json& assistant();

  nlohmann::ordered_json& messages_;
  std::string reasoning_;  // that belongs to the assistant's next message
  std::set<std::string, std::less<>> calls_;
};

}  // namespace sluice::coordinator
