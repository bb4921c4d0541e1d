#pragma once
// An answer that is not streamed, once its last choice has ended: what an AnswerShape writes. Its JSON may hold an
// entry with 20 alternatives for each token of 128 choices, so a large one is written by a PromptExecutor's threads.
//
// Threading: a value that owns what it needs: gathered on the io thread, written on any.
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/api/openai_json.h"
#include "coordinator/api/token_stream.h"
#include "text/output/output_parser.h"

namespace sluice::coordinator {

/// How one choice ended.
struct ChoiceEnd {
  FinishReason reason = FinishReason::stop;
  std::size_t calls = 0;  // tool calls in its output
  /// The stop string (as a string) or stop token (as a number) that was met; else null.
  nlohmann::json stop_reason = nullptr;
};

struct WholeAnswer {
  struct Choice {
    std::string echo;  // the prompt's text, where the answer opens with it
    text::output::Output output;
    std::vector<TokenEvent> tokens;            // where log-probabilities were asked for
    std::shared_ptr<const RatedPrompt> rated;  // where log-probabilities of the prompt were
    ChoiceEnd end;
    std::vector<TokenId> ids;  // of all tokens drawn, where asked for
    std::shared_ptr<const std::vector<TokenId>> prompt;
  };
  std::string fingerprint;  // of all choices
  std::vector<Choice> choices;
  Usage usage;
  std::optional<nlohmann::json> explain;  // where asked for

  /// About how long its JSON is.
  [[nodiscard]] std::size_t bytes() const;
};

}  // namespace sluice::coordinator
