#include "coordinator/api/text_adapter.h"

#include <optional>

#include "text/chat_template.h"
#include "text/continued_message.h"
#include "text/tokenizer/tokenizer.h"

namespace sluice::coordinator {
namespace {

class StreamAdapter final : public Detokenizer {
 public:
  explicit StreamAdapter(text::StreamDetokenizer stream) : stream_(std::move(stream)) {}
  std::string push(TokenId id) override { return stream_.push(id); }
  std::string finish() override { return stream_.finish(); }

 private:
  text::StreamDetokenizer stream_;
};

class TextAdapter final : public ModelText {
 public:
  TextAdapter(text::Tokenizer tokenizer, std::optional<text::ChatTemplate> chat, Error no_chat)
      : tokenizer_(std::move(tokenizer)), chat_(std::move(chat)), no_chat_(std::move(no_chat)) {}

  Result<std::vector<TokenId>> encode(const PromptText& p, bool add_special) const override {
    return tokenizer_.encode(p.text, add_special, true, p.typed);
  }
  std::size_t least_tokens(std::string_view s) const override { return tokenizer_.least_tokens(s); }
  std::string decode(std::span<const TokenId> ids, bool skip_special) const override {
    return tokenizer_.decode(ids, skip_special);
  }
  std::string token_bytes(TokenId id) const override { return std::string(tokenizer_.token_bytes(id)); }
  std::unique_ptr<Detokenizer> detokenizer(bool skip_special, std::span<const TokenId> context,
                                           bool keep_markup) const override {
    return std::make_unique<StreamAdapter>(tokenizer_.stream(skip_special, context, keep_markup));
  }
  std::string_view tool_template() const override { return chat_ ? chat_->source(true) : std::string_view(); }
  Result<PromptText> render_chat(const ChatPrompt& p) const override {
    if (!chat_) return std::unexpected(no_chat_);
    const nlohmann::ordered_json tools = p.tools.empty() ? nlohmann::ordered_json(nullptr) : p.tools;
    if (!tools.is_null() && !chat_->takes_tools())
      return fail_param("tools", "the model's chat template has no place for tools; leave them out");
    auto adapted = chat_->adapt(p.messages, p.parts, !tools.is_null());
    std::string continued;
    if (p.continue_final_message) {
      if (!adapted) adapted = p.messages;
      SLUICE_ASSIGN(continued, text::mark_final_message(*adapted));
    }
    SLUICE_ASSIGN(auto chat,
                  chat_->render_for(adapted ? *adapted : p.messages, tools, p.add_generation_prompt, p.kwargs,
                                    [this](std::string_view s) { return tokenizer_.special_starts(s); }));
    if (p.continue_final_message) SLUICE_TRY(text::cut_at_mark(chat, continued));
    return PromptText{std::move(chat.text), std::move(chat.typed)};
  }

 private:
  text::Tokenizer tokenizer_;
  std::optional<text::ChatTemplate> chat_;
  Error no_chat_;
};

}  // namespace

Result<std::unique_ptr<ModelText>> load_model_text(const std::filesystem::path& dir) {
  SLUICE_ASSIGN(auto tokenizer, text::Tokenizer::load(dir));
  auto chat = text::ChatTemplate::load(dir);
  if (!chat && chat.error().code != Errc::unsupported) return std::unexpected(chat.error());
  const Error no_chat = chat ? Error{} : chat.error();
  return std::make_unique<TextAdapter>(std::move(tokenizer), chat ? std::optional(std::move(*chat)) : std::nullopt,
                                       no_chat);
}

}  // namespace sluice::coordinator
