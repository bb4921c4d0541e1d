#pragma once
// How an answer is written: one shape per API (completions, chats, Responses, Messages). Generation gathers what its
// legs send and hands it over; a shape turns it into JSON objects and server-sent events, and knows nothing of legs.
//
// One shape per request. Threading: the io_context thread, but for whole(), which may run on a PromptExecutor's thread
// and owns all it needs. Failure: none; errors come in as ApiError.
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "coordinator/api/openai_json.h"
#include "coordinator/api/whole_answer.h"
#include "coordinator/http/types.h"
#include "text/output/output_parser.h"

namespace sluice::coordinator {

/// New output of one choice. logprobs: null, or the entries of the tokens that came with it, in OpenAI's shape.
struct ChoiceDelta {
  text::output::OutputDelta output;
  nlohmann::json logprobs = nullptr;
};

/// How one choice ended. finish_reason: "stop", "length", "tool_calls", "abort".
struct ChoiceEnd {
  std::string_view finish_reason;
  nlohmann::json stop_reason = nullptr;
};

/// What of the whole request is told with a chunk.
struct AnswerState {
  Usage usage;
  std::optional<nlohmann::json> explain;  // where asked for, with the last
};

class AnswerShape {
 public:
  virtual ~AnswerShape() = default;

  /// Streams: what is written, ready to send ("data: ..." and the like). `fingerprint`: of the choice, once known.
  [[nodiscard]] virtual std::string open(std::size_t choice, const std::string& echo,
                                         const std::string& fingerprint) = 0;
  [[nodiscard]] virtual std::string delta(std::size_t choice, ChoiceDelta delta, const std::string& fingerprint,
                                          const AnswerState& now) = 0;
  /// A choice has ended; `last`: no other runs.
  [[nodiscard]] virtual std::string end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                                        const std::string& fingerprint, const AnswerState& now) = 0;
  /// After the last choice's end: usage where asked for, and what closes the stream.
  [[nodiscard]] virtual std::string close(const std::string& fingerprint, const AnswerState& now) = 0;
  /// The stream breaks off.
  [[nodiscard]] virtual std::string failed(const ApiError& error) = 0;
  /// Before the stream began, or where there is none.
  [[nodiscard]] virtual HttpResponse refused(const ApiError& error) const = 0;

  /// The whole answer.
  [[nodiscard]] virtual HttpResponse whole(WholeAnswer&& answer) = 0;
};

}  // namespace sluice::coordinator
