#pragma once
// The output items of a response while they come: reasoning, messages, function calls, one open at a time. Each step is
// an event of the stream; a whole answer takes the items alone.
//
// Pure logic; one thread at a time. Failure: none.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "text/output/formats.h"
#include "text/output/output_parser.h"

namespace sluice::coordinator {

/// The events of one stream, numbered, as server-sent events.
class ResponseEvents {
 public:
  void add(std::string_view type, nlohmann::json event);
  /// The event of this response object, which is JSON text.
  void add_response(std::string_view type, std::string_view response);
  /// What was added since the last take().
  [[nodiscard]] std::string take() { return std::exchange(text_, {}); }

 private:
  std::string text_;
  std::size_t sequence_ = 0;
};

class ResponseOutput {
 public:
  /// `tail` makes ids of items unique. events: null where nobody streams; outlives this. format: the model's, of calls.
  ResponseOutput(std::string tail, ResponseEvents* events,
                 text::output::ToolFormat format = text::output::ToolFormat::none)
      : tail_(std::move(tail)), events_(events), format_(format) {}

  /// logprobs: of the content's tokens, a list as a chat has them; null where none were asked for.
  void add(const text::output::OutputDelta& delta, nlohmann::json logprobs = nullptr);
  /// The answer has ended; incomplete: it was cut off.
  void finish(bool incomplete);

  [[nodiscard]] const nlohmann::json& items() const { return items_; }

 private:
  enum class Kind { none, reasoning, message, call };

  void open(Kind kind);
  void close(std::string_view status);
  void add_reasoning(const std::string& text);
  void add_content(const std::string& text, nlohmann::json logprobs);
  void add_call(const text::output::ToolCallDelta& piece);
  void tell(std::string_view type, nlohmann::json fields);
  [[nodiscard]] nlohmann::json part() const;
  [[nodiscard]] nlohmann::json item(std::string_view status, bool with_content) const;

  std::string tail_;
  ResponseEvents* events_;
  text::output::ToolFormat format_;
  nlohmann::json items_ = nlohmann::json::array();
  Kind kind_ = Kind::none;
  // Of the open item.
  std::string id_, call_id_, name_;
  std::string text_;  // its text, or the call's arguments
  nlohmann::json logprobs_;
  std::size_t call_ = 0;  // its index among the calls
  std::string blank_;     // white space that nothing has followed yet: a message does not begin with it
  bool said_ = false;     // more than reasoning
};

}  // namespace sluice::coordinator
