#pragma once
// What completions and chats share of how they are written: the frame of OpenAI's objects and chunks, usage, the
// `sluice` object, errors. A shape of its own says what is in a choice.
//
// Threading and failure: as AnswerShape.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/api/answer_shape.h"
#include "coordinator/api/chunk_template.h"
#include "coordinator/api/model_text.h"
#include "coordinator/api/requests.h"

namespace sluice::coordinator {

class OpenAiShape : public AnswerShape {
 public:
  /// `text` outlives this. `q` is only read here.
  OpenAiShape(AnswerHead head, const GenerateRequest& q, const ModelText& text);

  [[nodiscard]] std::string close(const AnswerState& now) override;
  [[nodiscard]] std::string failed(const ApiError& error) override;
  [[nodiscard]] HttpResponse refused(const ApiError& error) const override;

 protected:
  [[nodiscard]] const ModelText& text() const { return text_; }
  [[nodiscard]] const std::optional<int>& logprobs() const { return logprobs_; }
  [[nodiscard]] const std::optional<int>& prompt_logprobs() const { return prompt_logprobs_; }

  /// Token ids are wanted beside the text.
  [[nodiscard]] bool with_ids() const { return with_ids_; }

  /// A chunk with this choice. last: of all choices. prompt: its ids go along, unless null.
  [[nodiscard]] std::string chunk(nlohmann::json choice, const AnswerState& now, bool last = false,
                                  const std::vector<TokenId>* prompt = nullptr);
  /// Chunks of this stream differ in their choice's text alone, unless something else than text comes.
  [[nodiscard]] bool only_text() const { return !logprobs_ && !with_ids_ && !(include_usage_ && continuous_usage_); }
  /// A chunk with nothing but new text, of a stream of which only_text() holds.
  [[nodiscard]] std::string text_chunk(std::size_t choice, std::string_view text, const AnswerState& now);
  /// The whole answer's object, with no choice yet.
  [[nodiscard]] nlohmann::json object(WholeAnswer& answer) const;
  /// The tokens' log-probabilities in a stream; null where none were asked for.
  [[nodiscard]] nlohmann::json streamed_logprobs(std::size_t choice, const std::vector<TokenEvent>& tokens);
  /// ... and in a whole answer. echoed: the prompt whose text opens the answer, or null.
  [[nodiscard]] nlohmann::json whole_logprobs(const std::vector<TokenEvent>& tokens,
                                              std::shared_ptr<const RatedPrompt> echoed = nullptr) const;

 private:
  /// A choice's chunk of text, and the fingerprint that it was rendered with.
  struct TextChunk {
    std::string fingerprint;
    ChunkTemplate chunk;
  };
  /// A chunk but for its choice, which stands between the two.
  struct Frame {
    std::string fingerprint, before, after;
  };
  [[nodiscard]] AnswerHead head(std::string_view fingerprint) const;
  [[nodiscard]] const Frame& frame(std::string_view fingerprint);

  AnswerHead head_;
  const ModelText& text_;
  std::optional<int> logprobs_, prompt_logprobs_;
  bool tokens_as_ids_, with_ids_;
  bool include_usage_, continuous_usage_;
  std::optional<Frame> frame_;                         // with the fingerprint of the last chunk
  std::vector<LogprobsWriter> writers_;                // of a stream's choices
  std::vector<std::optional<TextChunk>> text_chunks_;  // likewise
};

}  // namespace sluice::coordinator
