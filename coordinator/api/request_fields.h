#pragma once
// Internal to the API's requests: readers of groups of fields. They keep the first mistake in the document's JsonReader
// and leave the rest at its defaults; whoever made the reader checks it once.
#include <cstddef>
#include <string_view>
#include <vector>

#include "common/json/parse.h"
#include "common/json/reader.h"
#include "common/utf8.h"
#include "coordinator/api/key_order.h"
#include "coordinator/api/requests.h"

namespace sluice::coordinator {

/// What completions and chats both may say: sampling, lengths, streaming, objectives, "sluice".
void read_common(JsonObject& body, const HttpHeaders& headers, const ModelInfo& model, GenerateRequest& q);

/// What holds of a request that wants log-probabilities of its prompt. Once all its fields are read.
void check_rated_prompt(const JsonObject& body, const GenerateRequest& q);

/// prompt: a text, a list of token ids, or a list of either.
void read_prompts(JsonObject& body, const ModelInfo& model, GenerateRequest& q);

/// truncate_prompt_tokens, truncation_side.
[[nodiscard]] PromptCut read_cut(JsonObject& body);

/// messages, tools and what may be called of them, chat_template_kwargs, reasoning_effort, and where the prompt ends.
/// `text` is what `body` was parsed from to become `sorted`; it is read once more for the order of its keys.
[[nodiscard]] ChatPrompt read_chat_prompt(std::string_view text, const nlohmann::json& sorted, JsonObject& body);
/// The same where `body` in the order of its keys is there already.
[[nodiscard]] ChatPrompt read_chat_prompt(nlohmann::ordered_json ordered, KeyOrder& order, JsonObject& body);

/// tools, tool_choice, parallel_tool_calls. False: none is to be called, nor shown to the model.
[[nodiscard]] bool read_tools(JsonObject& body, ToolChoice& choice);

/// A list of token ids of the vocabulary; a wrong one is the list's mistake.
[[nodiscard]] std::vector<TokenId> read_ids(const JsonValue& list, std::size_t most, int vocab_size);

}  // namespace sluice::coordinator
