#pragma once
// An answer as the Responses API writes it: one response object, or the events of its making.
// Threading and failure: as AnswerShape. A response that is to be kept goes to the memory when it is complete.
#include <memory>
#include <optional>
#include <string>

#include "coordinator/api/answer_shape.h"
#include "coordinator/api/model_text.h"
#include "coordinator/api/responses/memory.h"
#include "coordinator/api/responses/output.h"
#include "coordinator/api/responses/request.h"

namespace sluice::coordinator {

class ResponsesShape final : public AnswerShape {
 public:
  struct Head {
    std::string id;  // "resp_..."
    std::int64_t created = 0;
    std::string model;
    std::string owner;  // whose memory it goes to
    text::output::ToolFormat tools = text::output::ToolFormat::none;
  };
  /// `text` and `memory` outlive this. Of `q` the chat is only read.
  ResponsesShape(Head head, ResponsesRequest& q, const ModelText& text, ResponseMemory& memory);

  [[nodiscard]] std::string open(std::size_t choice, const std::string& echo, const AnswerState& now) override;
  [[nodiscard]] std::string delta(std::size_t choice, ChoiceDelta delta, const AnswerState& now) override;
  [[nodiscard]] std::string end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                                const AnswerState& now) override;
  [[nodiscard]] std::string close(const AnswerState& now) override;
  [[nodiscard]] std::string failed(const ApiError& error) override;
  [[nodiscard]] HttpResponse refused(const ApiError& error) const override;
  [[nodiscard]] HttpResponse whole(WholeAnswer answer) override;

 private:
  void write(ChoiceDelta delta);
  /// The response object with these fields, as text. What repeats the request was made text where that was read: it
  /// may be long, and streams are written on the io thread.
  [[nodiscard]] std::string object(nlohmann::json fields) const;
  [[nodiscard]] std::string_view status() const { return reason_ == FinishReason::stop ? "completed" : "incomplete"; }
  /// The object of an answer that has ended; kept where it is to be.
  [[nodiscard]] std::string ended(const AnswerState& now);

  Head head_;
  std::string said_;   // fields of the object, without braces
  std::string input_;  // items
  std::string previous_;
  bool store_;
  ResponseMemory& memory_;
  ResponseEvents events_;
  ResponseOutput output_;
  std::optional<LogprobsWriter> logprobs_;
  FinishReason reason_ = FinishReason::stop;
};

}  // namespace sluice::coordinator
