#pragma once
// An answer as Anthropic's Messages API writes it: one message of content blocks, or the events of its making.
// Threading and failure: as AnswerShape.
#include <cstddef>
#include <string>
#include <string_view>

#include "coordinator/api/answer_shape.h"
#include "text/output/formats.h"

namespace sluice::coordinator {

class MessagesShape final : public AnswerShape {
 public:
  /// request_id: the HTTP request's, which errors repeat. format: the model's, of calls.
  MessagesShape(std::string id, std::string model, std::string request_id,
                text::output::ToolFormat format = text::output::ToolFormat::none)
      : id_(std::move(id)), model_(std::move(model)), request_id_(std::move(request_id)), format_(format) {}

  [[nodiscard]] std::string open(std::size_t choice, const std::string& echo, const AnswerState& now) override;
  [[nodiscard]] std::string delta(std::size_t choice, ChoiceDelta delta, const AnswerState& now) override;
  [[nodiscard]] std::string end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                                const AnswerState& now) override;
  [[nodiscard]] std::string close(const AnswerState& now) override;
  [[nodiscard]] std::string failed(const ApiError& error) override;
  [[nodiscard]] std::string keep_alive() const override;
  [[nodiscard]] HttpResponse refused(const ApiError& error) const override;
  [[nodiscard]] HttpResponse whole(WholeAnswer answer) override;

 private:
  enum class Block { none, thinking, text, tool_use };

  [[nodiscard]] nlohmann::json message() const;
  void write(const text::output::OutputDelta& delta);
  void write_text(std::string text);
  void write_call(const text::output::ToolCallDelta& piece);
  void start(Block block, nlohmann::json content);
  void stop();
  void tell_delta(nlohmann::json delta);
  void tell(std::string_view type, nlohmann::json event);
  [[nodiscard]] std::string call_id(std::size_t index) const;

  std::string id_, model_, request_id_;
  text::output::ToolFormat format_;
  std::string events_;  // not taken yet
  Block block_ = Block::none;
  std::size_t next_ = 0;  // index of the next block
  std::size_t call_ = 0;  // of the open call
  std::string blank_;     // white space that nothing has followed yet
  ChoiceEnd end_;
};

}  // namespace sluice::coordinator
