#pragma once
// A completion's answer: text, with the prompt before it where it is echoed.
// Threading and failure: as AnswerShape.
#include <string>

#include "coordinator/api/openai_shape.h"

namespace sluice::coordinator {

class CompletionShape final : public OpenAiShape {
 public:
  CompletionShape(AnswerHead head, const GenerateRequest& q, const ModelText& text)
      : OpenAiShape(std::move(head), q, text), echo_(q.echo) {}

  [[nodiscard]] std::string open(std::size_t choice, const std::string& echo, const AnswerState& now) override;
  [[nodiscard]] std::string delta(std::size_t choice, ChoiceDelta delta, const AnswerState& now) override;
  [[nodiscard]] std::string end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                                const AnswerState& now) override;
  [[nodiscard]] HttpResponse whole(WholeAnswer answer) override;

 private:
  bool echo_;
};

}  // namespace sluice::coordinator
