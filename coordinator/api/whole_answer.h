#pragma once
// An answer that is not streamed, once its last choice has ended. Its JSON may hold an entry with 20 alternatives for
// each token of 128 choices, so a large one is written by a PromptExecutor's threads.
//
// Threading: a value that owns what it needs (`text` of the logprobs is const for good): gathered on the io thread,
// written on any.
#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/api/openai_json.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

struct WholeAnswer {
  struct Choice {
    std::string echo, text;
    std::unique_ptr<LogprobsWriter> logprobs;  // null if none were asked for
    std::shared_ptr<const RatedPrompt> rated;  // where log-probabilities of the prompt were
    std::string_view finish_reason;            // a literal
    nlohmann::json stop_reason;
  };
  AnswerHead head;
  std::vector<Choice> choices;
  Usage usage;
  std::optional<nlohmann::json> explain;
  const ModelText* text = nullptr;
  std::optional<int> prompt_logprobs;  // the list of this name; a completion has it in each choice, a chat once

  /// About how long its JSON is.
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] HttpResponse write() &&;
};

}  // namespace sluice::coordinator
