#pragma once
// Messages of Anthropic's API, whose content comes in blocks, made messages of a chat.
// Threading: a local of one function. Failure: the first mistake is kept in the messages' JsonReader.
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "common/json/reader.h"

namespace sluice::coordinator {

class BlockReader {
 public:
  /// Goes on at the end of `messages`.
  explicit BlockReader(nlohmann::ordered_json& messages) : messages_(messages) {}

  /// A string, or text blocks, ahead of the messages.
  void read_system(const JsonValue& system);
  /// `ordered`: the message with its keys in their order.
  void read_message(const JsonValue& message, nlohmann::ordered_json& ordered);

 private:
  void read_user(const JsonValue& blocks);
  void read_assistant(const JsonValue& blocks, nlohmann::ordered_json& ordered);
  void read_tool_result(JsonObject& block);

  nlohmann::ordered_json& messages_;
  std::set<std::string, std::less<>> calls_;
};

}  // namespace sluice::coordinator
