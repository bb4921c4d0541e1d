#pragma once
// A chat's answer: a message, in a stream one that grows. It may hold what the model thought (`reasoning`, under its
// older name `reasoning_content` too), content and tool calls.
// Threading and failure: as AnswerShape.
#include <string>

#include "coordinator/api/openai_shape.h"
#include "text/output/formats.h"

namespace sluice::coordinator {

class ChatShape final : public OpenAiShape {
 public:
  /// format: of the model's tool calls.
  ChatShape(AnswerHead head, const GenerateRequest& q, const ModelText& text, text::output::ToolFormat format)
      : OpenAiShape(std::move(head), q, text), format_(format), named_(q.chat.choice.mode == ToolChoice::Mode::named) {}

  [[nodiscard]] std::string open(std::size_t choice, const std::string& echo, const AnswerState& now) override;
  [[nodiscard]] std::string delta(std::size_t choice, ChoiceDelta delta, const AnswerState& now) override;
  [[nodiscard]] std::string end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                                const AnswerState& now) override;
  [[nodiscard]] HttpResponse whole(WholeAnswer answer) override;

 private:
  /// Adds what is more than content to a chunk's choice.
  void put(nlohmann::json& choice, text::output::OutputDelta& delta) const;
  /// "tool_calls" where the model chose to call; a function that the client named is an answer like any other.
  [[nodiscard]] std::string_view finish_reason(const ChoiceEnd& end) const;

  text::output::ToolFormat format_;
  bool named_;
};

}  // namespace sluice::coordinator
