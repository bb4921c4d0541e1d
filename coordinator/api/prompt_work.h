#pragma once
// From a request's bytes to token ids, or to an answer: all that is done to a client's text, in one call per route.
//
// What cannot fit is refused before it is tokenized, as far as its length tells (ModelText::least_tokens). What a batch
// or an answer may come to is bounded here, too.
//
// Threading: pure functions of their arguments; model and text are const for good, so any thread may call them.
// They own the request and free it. Failure: a refusal is a PromptResult like any other.
#include <functional>
#include <memory>

#include "coordinator/api/answer_shape.h"
#include "coordinator/api/model_text.h"
#include "coordinator/api/prompt_executor.h"

namespace sluice::coordinator {

inline constexpr std::size_t kMaxBatchTokens = 1U << 19U;        // of all prompts times n, or n full contexts
inline constexpr std::size_t kMaxEchoBytes = 4U << 20U;          // of all choices of an answer
inline constexpr std::size_t kMaxStreamedEchoBytes = 1U << 18U;  // streams are written on the io thread
inline constexpr std::size_t kMaxPromptLogprobs = 1U << 18U;     // of all prompts times n, alternatives among them
inline constexpr std::size_t kMaxTextAnswerBytes = 16U << 20U;   // of /detokenize
inline constexpr std::size_t kMaxTokensAnswer = 2U << 20U;       // ids in an answer of /tokenize

/// What requests are read against.
struct ServedNow {
  const ModelInfo& model;
  const ModelText& text;
  std::size_t largest_context = 0;  // as Backend says when the request came
};

/// A request that was read, made ready for its legs; a refusal is written in the shape.
[[nodiscard]] PromptResult prepare_generation(GenerateRequest request, std::unique_ptr<AnswerShape> shape,
                                              const ServedNow& now);

/// What a route does with a client's text.
using PromptWork = std::function<PromptResult(HttpRequest, const ServedNow&)>;

[[nodiscard]] PromptResult prepare_completion(HttpRequest request, const ServedNow& now);
[[nodiscard]] PromptResult prepare_chat(HttpRequest request, const ServedNow& now);
/// The prompts that such a request would come to, and nothing generated.
[[nodiscard]] PromptResult render_completion(HttpRequest request, const ServedNow& now);
[[nodiscard]] PromptResult render_chat(HttpRequest request, const ServedNow& now);
/// How many tokens a chat's prompt has.
[[nodiscard]] ApiResult<std::size_t> count_chat(const GenerateRequest& request, const ServedNow& now);
[[nodiscard]] PromptResult answer_tokenize(HttpRequest request, const ServedNow& now);
[[nodiscard]] PromptResult answer_detokenize(HttpRequest request, const ServedNow& now);

}  // namespace sluice::coordinator
