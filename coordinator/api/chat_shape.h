#pragma once
// A chat's answer: a message, in a stream one that grows.
// Threading and failure: as AnswerShape.
#include <string>

#include "coordinator/api/openai_shape.h"

namespace sluice::coordinator {

class ChatShape final : public OpenAiShape {
 public:
  using OpenAiShape::OpenAiShape;

  [[nodiscard]] std::string open(std::size_t choice, const std::string& echo, const AnswerState& now) override;
  [[nodiscard]] std::string delta(std::size_t choice, ChoiceDelta delta, const AnswerState& now) override;
  [[nodiscard]] std::string end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                                const AnswerState& now) override;
  [[nodiscard]] HttpResponse whole(WholeAnswer answer) override;
};

}  // namespace sluice::coordinator
