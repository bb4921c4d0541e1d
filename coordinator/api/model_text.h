#pragma once
// What the API room needs of the served model's text side: the tokenizer, the chat template and incremental
// detokenizing. Owned here (the caller); common/text is adapted to it in text_adapter.*, tests use a fake.
// Threading: a ModelText is const once it is made, and every call may run on several threads at once: prompts are
// rendered and tokenized on worker threads, tokens become text on the io_context's. A Detokenizer is one thread's at a
// time.
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace sluice::coordinator {

/// Turns a token sequence into text piece by piece. One per choice.
class Detokenizer {
 public:
  virtual ~Detokenizer() = default;
  /// Text that became certain with this token: valid UTF-8; bytes of an unfinished character are held back.
  [[nodiscard]] virtual std::string push(TokenId id) = 0;
  /// What is still held back at the end of the output (an unfinished character reads as U+FFFD).
  [[nodiscard]] virtual std::string finish() = 0;
};

/// What of its tools an answer may call.
struct ToolChoice {
  enum class Mode {
    automatic,  // what it likes
    required,   // one at least
    named,      // one of `allowed`, and nothing else
  };
  Mode mode = Mode::automatic;
  std::vector<std::string> allowed{};  // names; empty: all
  bool parallel = true;                // more than one call
};

/// What a chat template is rendered from. `messages` and `tools` are validated JSON arrays. Ordered JSON: templates
/// print tools with tojson, and the model was trained on the order their authors wrote.
struct ChatPrompt {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json tools = nlohmann::ordered_json::array();
  /// Messages (by index) whose content came as text parts, and those; `messages` holds them joined. Some templates read
  /// one, some the other.
  std::vector<std::pair<std::size_t, nlohmann::ordered_json>> parts{};
  nlohmann::ordered_json kwargs = nlohmann::ordered_json::object();  // extra template variables (chat_template_kwargs)
  bool add_generation_prompt = true;
  ToolChoice choice{};                  // among `tools`; no template sees it
  bool continue_final_message = false;  // the prompt ends in the last message's text
};

/// A prompt as text. Special tokens spelled in it become their ids, but for those with an offset of `typed` inside: a
/// chat's client typed them, and they stay text.
struct PromptText {
  std::string text;
  std::vector<std::size_t> typed{};
};

class ModelText {
 public:
  virtual ~ModelText() = default;
  /// add_special: let the tokenizer add its own BOS and the like; off for text a chat template rendered.
  [[nodiscard]] virtual Result<std::vector<TokenId>> encode(const PromptText& prompt, bool add_special) const = 0;
  /// encode() of it gives at least so many ids, known from its length; 0 where nothing is.
  [[nodiscard]] virtual std::size_t least_tokens(std::string_view text) const = 0;
  [[nodiscard]] virtual std::string decode(std::span<const TokenId> ids, bool skip_special) const = 0;
  /// The raw bytes of one token (possibly part of a UTF-8 character), for log-probability reports.
  [[nodiscard]] virtual std::string token_bytes(TokenId id) const = 0;
  /// `context`: the prompt that the tokens to come continue. keep_markup: special tokens that mark tool calls and
  /// reasoning are not skipped.
  [[nodiscard]] virtual std::unique_ptr<Detokenizer> detokenizer(bool skip_special, std::span<const TokenId> context,
                                                                 bool keep_markup) const = 0;
  /// The source of the chat template that shows tools; empty where there is none.
  [[nodiscard]] virtual std::string_view tool_template() const = 0;
  /// unsupported if the model has no chat template; invalid_argument if the template refuses the messages.
  [[nodiscard]] virtual Result<PromptText> render_chat(const ChatPrompt& prompt) const = 0;
};

}  // namespace sluice::coordinator
