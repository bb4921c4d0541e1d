#pragma once
// From the bytes of an API request to a typed, checked one. Pure functions of (body, headers, model): no I/O, no
// state; thread-safe. Failure: an ApiError that names the parameter at fault. Types are strict (no "5" for 5, no 1.0
// for 1); null means absent; unknown fields are ignored; known ones we cannot honour are refused by name rather than
// silently dropped.
#include <algorithm>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "coordinator/api/backend.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

template <class T = void>
using ApiResult = std::expected<T, ApiError>;

inline constexpr int kMaxN = 8;
inline constexpr std::size_t kMaxPrompts = 64;   // of one completions batch
inline constexpr std::size_t kMaxChoices = 128;  // prompts x n
inline constexpr std::size_t kMaxMessages = 4096;
inline constexpr std::size_t kMaxTemplateNames = 256;  // of chat_template_kwargs, at all depths
inline constexpr std::size_t kMaxStops = 16;
inline constexpr std::size_t kMaxStopBytes = 1024;   // each
inline constexpr std::size_t kMaxLabelBytes = 1024;  // user, cache_salt, profile
inline constexpr int kMaxJsonDepth = 64;
inline constexpr int kDefaultCompletionTokens = 16;  // the legacy API's

/// What every request that names a prompt may say about it.
using PromptInput = std::variant<std::string, std::vector<TokenId>>;

/// What to keep of a prompt that is too long.
struct PromptCut {
  std::optional<int> tokens;  // at most so many; -1: what leaves room for the answer; nothing: a long prompt is refused
  bool keep_first = false;    // of its own tokens; else its last ones
};

struct GenerateRequest {
  enum class Kind { completion, chat };
  Kind kind = Kind::completion;

  std::vector<PromptInput> prompts;  // completion: 1..kMaxPrompts
  ChatPrompt chat;                   // chat
  bool add_special_tokens = true;    // let the tokenizer add BOS; a chat template has its own
  PromptCut cut;

  int n = 1;
  bool echo = false;
  bool stream = false;
  bool include_usage = false;     // a last chunk with the usage
  bool continuous_usage = false;  // usage so far in every chunk

  std::optional<int> max_tokens;  // what the client asked for, 0: the prompt alone; fit() settles sampling.max_tokens
  std::optional<std::uint64_t> seed;
  control::SamplingSpec sampling;  // all but max_tokens and seed
  std::vector<std::string> stop;
  bool include_stop_str = false;
  bool skip_special_tokens = true;

  bool return_token_ids = false;  // beside the text, of prompt and answer
  bool tokens_as_ids = false;     // log-probabilities name tokens "token_id:N"

  std::optional<int> prompt_logprobs;  // a list of this name in the answer, with so many of the likeliest
  /// Log-probabilities of the prompt's own tokens are wanted for the answer, with so many of the likeliest: for that
  /// list, or because the prompt is echoed with logprobs.
  [[nodiscard]] std::optional<int> rates_prompt() const {
    const auto echoed = echo ? sampling.logprobs : std::nullopt;
    return std::max(prompt_logprobs, echoed);  // none is the least
  }

  bool explain = false;
  std::optional<std::string> profile;
  std::optional<double> quality_budget;
  LegMode mode = LegMode::automatic;
  std::optional<std::uint32_t> local_from;  // LegSpec::cut
  std::string slo_class;
  std::optional<Duration> slo_ttft;
  std::optional<Duration> slo_tpot;
  int priority = 0;
  std::string cache_salt;
  std::string user;
  std::string request_id;  // body field, sanitised; empty if not given
};

/// A JSON object, at most kMaxJsonDepth deep, of well-formed UTF-8.
[[nodiscard]] ApiResult<nlohmann::json> parse_body(std::string_view body);

[[nodiscard]] ApiResult<GenerateRequest> parse_completion(std::string_view body, const HttpHeaders& headers,
                                                          const ModelInfo& model);
[[nodiscard]] ApiResult<GenerateRequest> parse_chat(std::string_view body, const HttpHeaders& headers,
                                                    const ModelInfo& model);

/// A chat request that was put together here (chat_draft.h), its keys sorted and in their order.
[[nodiscard]] ApiResult<GenerateRequest> read_chat(const nlohmann::json& sorted, nlohmann::ordered_json ordered,
                                                   const HttpHeaders& headers, const ModelInfo& model);

/// The leg's max_tokens for a prompt of that length, or 400 context_length_exceeded. largest_context: what the nodes'
/// KV memory holds (Backend::largest_context); 0: not known. Who set no max_tokens gets what is left.
[[nodiscard]] ApiResult<int> fit(const GenerateRequest& request, std::size_t prompt_tokens, const ModelInfo& model,
                                 std::size_t largest_context = 0);

struct TokenizeRequest {
  std::optional<std::string> text;  // else the chat is rendered
  ChatPrompt chat;
  bool add_special_tokens = true;
  PromptCut cut;
  bool return_token_strs = false;
};
[[nodiscard]] ApiResult<TokenizeRequest> parse_tokenize(std::string_view body, const ModelInfo& model);
[[nodiscard]] ApiResult<std::vector<TokenId>> parse_detokenize(std::string_view body, const ModelInfo& model);

[[nodiscard]] ApiError model_not_found(std::string_view asked);
[[nodiscard]] bool serves(const ModelInfo& model, std::string_view name);

}  // namespace sluice::coordinator
