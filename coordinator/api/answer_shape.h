#pragma once
// How an answer is written: one shape per API (completions, chats, Responses, Messages). Generation gathers what its
// legs send and hands it over; a shape turns it into JSON objects and server-sent events, and knows nothing of legs.
//
// One shape per request, made where the request is read. A request is either streamed (open, delta, end for each
// choice, then close) or answered whole. Threading: the io_context thread, but for whole(), which may run on a
// PromptExecutor's thread and owns all it needs. Failure: none; errors come in as ApiError.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/api/openai_json.h"
#include "coordinator/api/token_stream.h"
#include "coordinator/api/whole_answer.h"
#include "coordinator/http/types.h"
#include "text/output/output_parser.h"

namespace sluice::coordinator {

/// New output of one choice, and the tokens that it came with where log-probabilities were asked for.
struct ChoiceDelta {
  text::output::OutputDelta output{};
  std::vector<TokenEvent> tokens{};
  std::vector<TokenId> ids{};  // of all tokens drawn, where asked for
};

/// What of the whole request is told with a chunk.
struct AnswerState {
  std::string_view fingerprint;  // of the choice, once known; where the stream closes: of all
  Usage usage{};
  std::optional<nlohmann::json> explain{};       // where asked for, once the last choice has ended
  const std::vector<TokenId>* prompt = nullptr;  // the choice's; to open it with
};

class AnswerShape {
 public:
  virtual ~AnswerShape() = default;

  // Streams: what is written, ready to send ("data: ..." and the like); perhaps nothing.

  /// The choices' first words, each once, before anything else. echo: what the choice opens with. With now.prompt.
  [[nodiscard]] virtual std::string open(std::size_t choice, const std::string& echo, const AnswerState& now) = 0;
  [[nodiscard]] virtual std::string delta(std::size_t choice, ChoiceDelta delta, const AnswerState& now) = 0;
  /// A choice has ended, with this rest of its output. last: no other runs.
  [[nodiscard]] virtual std::string end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                                        const AnswerState& now) = 0;
  /// After the last choice's end: what closes the stream.
  [[nodiscard]] virtual std::string close(const AnswerState& now) = 0;
  /// The stream breaks off; nothing follows.
  [[nodiscard]] virtual std::string failed(const ApiError& error) = 0;

  /// What a stream that is silent says now and then; its readers skip it.
  [[nodiscard]] virtual std::string keep_alive() const { return ": keep-alive\n\n"; }

  /// An error before the stream began, or where there is none.
  [[nodiscard]] virtual HttpResponse refused(const ApiError& error) const = 0;
  /// The whole answer; nothing follows.
  [[nodiscard]] virtual HttpResponse whole(WholeAnswer answer) = 0;
};

}  // namespace sluice::coordinator
