#pragma once
// The shapes of what the API answers: OpenAI's objects and chunks, vLLM's extras (stop_reason), and the `sluice`
// explain object of docs' contract. Pure functions, thread-safe.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/api/backend.h"

namespace sluice::coordinator {

struct Usage {
  std::size_t prompt_tokens = 0;
  std::size_t completion_tokens = 0;
  std::size_t cached_tokens = 0;
};
[[nodiscard]] nlohmann::json usage_json(const Usage& usage);

/// What every object and chunk of one answer carries.
struct AnswerHead {
  std::string id;
  std::int64_t created = 0;
  std::string model;
  bool chat = false;
  std::string fingerprint{};  // empty: not known yet
};

/// {"id", "object", "created", "model", "system_fingerprint" once it is known, "choices": []}
[[nodiscard]] nlohmann::json answer_object(const AnswerHead& head);
[[nodiscard]] nlohmann::json chunk_object(const AnswerHead& head);

/// A choice of a whole answer. logprobs: null or one of the shapes below.
[[nodiscard]] nlohmann::json choice_json(bool chat, std::size_t index, std::string text, nlohmann::json logprobs,
                                         std::string_view finish_reason, const nlohmann::json& stop_reason);
/// A choice of a chunk. finish_reason empty = null.
[[nodiscard]] nlohmann::json chunk_choice_json(bool chat, std::size_t index, std::string text, nlohmann::json logprobs,
                                               std::string_view finish_reason, const nlohmann::json& stop_reason);
/// The chunk choice that opens a chat choice: {"delta": {"role": "assistant", "content": ""}}.
[[nodiscard]] nlohmann::json role_choice_json(std::size_t index);

/// A prompt, and what the model said of its tokens.
struct RatedPrompt {
  std::shared_ptr<const std::vector<TokenId>> ids;
  std::vector<RatedToken> tokens;  // of position 1 and following: the first token has no probability
};

/// vLLM's prompt_logprobs: null for the first token, then an object by token id with the prompt's token and the `top`
/// likeliest ones, each {"logprob", "rank", "decoded_token"}.
[[nodiscard]] nlohmann::json prompt_logprobs_json(const ModelText& text, const RatedPrompt& prompt, int top);

/// Collects log-probabilities of one choice in the API's shape. The legacy shape counts text offsets in characters,
/// so one writer lives as long as its choice; take() gives what came since the last take().
class LogprobsWriter {
 public:
  /// as_ids: tokens are named "token_id:N", so that those that are no text of their own can be told.
  LogprobsWriter(const ModelText& text, bool chat, int top, bool as_ids = false)
      : text_(text), chat_(chat), top_(top), as_ids_(as_ids) {}
  void add(const TokenEvent& token);
  /// Legacy shape: the text opens with the prompt, whose tokens the first take() gives before all others.
  void echo(std::shared_ptr<const RatedPrompt> prompt) { prompt_ = std::move(prompt); }
  [[nodiscard]] nlohmann::json take();
  /// Log-probabilities that take() would give: of tokens, and of their alternatives.
  [[nodiscard]] std::size_t entries() const noexcept {
    const std::size_t echoed = prompt_ ? 1 + prompt_->tokens.size() : 0;
    return (echoed + tokens_.size()) * static_cast<std::size_t>(top_ + 1);
  }

 private:
  using Top = std::span<const TokenLogprob>;
  [[nodiscard]] Top head(const std::vector<TokenLogprob>& top) const {
    return std::span(top).first(std::min(top.size(), static_cast<std::size_t>(top_)));
  }
  [[nodiscard]] nlohmann::json take_chat();
  void put(nlohmann::json& to, TokenId id, std::optional<float> logprob, const std::vector<TokenLogprob>& top);

  /// What a token is called.
  [[nodiscard]] std::string word(TokenId id, std::string_view bytes) const;

  const ModelText& text_;
  bool chat_;
  int top_;
  bool as_ids_;
  std::size_t offset_ = 0;  // characters before the next token
  std::shared_ptr<const RatedPrompt> prompt_;
  std::vector<TokenEvent> tokens_;
};

/// {prefill_node, decode_node, profile, kv_raw_bytes, ..., quality: {kl}}
[[nodiscard]] nlohmann::json explain_json(const LegStats& stats);

/// Tokens of prompt and output that are served now. largest_context: as Backend says.
[[nodiscard]] std::size_t max_model_len(const ModelInfo& model, std::size_t largest_context);
[[nodiscard]] nlohmann::json models_json(const ModelInfo& model, std::size_t largest_context);
/// One entry of the list, under the name asked for.
[[nodiscard]] nlohmann::json model_json(const ModelInfo& model, std::string_view name, std::size_t largest_context);

/// "data: ...\n\n"
[[nodiscard]] std::string sse(const nlohmann::json& event);
inline constexpr std::string_view kSseDone = "data: [DONE]\n\n";

}  // namespace sluice::coordinator
