#pragma once
// Text to token ids and back, from a Hugging Face model directory (tokenizer.json).
//
// Ids equal those of the reference (the `tokenizers` library) for byte-level BPE (Llama-3, Qwen2/3, GPT-2 style) and
// for SentencePiece-style BPE with byte fallback (Llama-2, Mistral); tests/text_tokenizer proves it on a corpus. What a
// file asks for that is not known here is refused at load, by name.
//
// Threading: every const method may be called from any thread at once. A Tokenizer is a handle: copies are cheap and
// share the tables. Failure: load() and encode() return an Error; nothing here throws or aborts on input.
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "text/tokenizer/detokenizer.h"

namespace sluice::text {

class Tokenizer {
 public:
  /// Longer texts are refused before any work is done on them.
  static constexpr std::size_t kMaxTextBytes = 16U << 20U;

  /// Reads tokenizer.json, and if there: generation_config.json, config.json and tokenizer_config.json for the
  /// beginning and end tokens, and what else transformers takes from tokenizer_config.json. "truncation" and "padding"
  /// of tokenizer.json are ignored: a server does neither.
  [[nodiscard]] static Result<Tokenizer> load(const std::filesystem::path& model_dir);

  /// `text` need not be UTF-8: each maximal ill-formed part reads as one U+FFFD (Rust's String::from_utf8_lossy).
  /// `add_special_tokens`: put what the post-processor asks for around the ids (Llama's <|begin_of_text|>).
  /// `parse_special`: special tokens spelled out in `text` become their ids; without it they are ordinary text, as
  /// text from an end user must be. `typed`: ascending offsets; a special token with one of them inside is the end
  /// user's and stays text among others that do not. Time is O(n log n) in the length of the text.
  [[nodiscard]] Result<std::vector<TokenId>> encode(std::string_view text, bool add_special_tokens = true,
                                                    bool parse_special = true,
                                                    std::span<const std::size_t> typed = {}) const;
  /// Where an end user's string spells a special token, or may begin one that what follows completes: offsets behind
  /// the first byte. See text/jinja/typed_specials.h.
  [[nodiscard]] std::vector<std::size_t> special_starts(std::string_view text) const;

  /// At least so many ids come of `text`, told from its length and the longest token: what cannot fit a model need
  /// not be encoded. 0 where nothing can be said: a tokenizer may delete text, or have one token for any length of it.
  [[nodiscard]] std::size_t least_tokens(std::string_view text) const noexcept;

  /// Equals what stream() would emit over all of `ids`. Ids without a token are passed over.
  [[nodiscard]] std::string decode(std::span<const TokenId> ids, bool skip_special = true) const;
  /// `context`: what the tokens to come continue (a prompt). A text's first word has no space before it in some
  /// vocabularies; a continuation's has.
  /// keep_markup: as StreamDetokenizer has it.
  [[nodiscard]] StreamDetokenizer stream(bool skip_special = true, std::span<const TokenId> context = {},
                                         bool keep_markup = false) const;

  /// The piece as the vocabulary spells it ("Ġthe"); empty for an id without a token.
  [[nodiscard]] std::string_view id_to_piece(TokenId id) const noexcept;
  [[nodiscard]] std::optional<TokenId> piece_to_id(std::string_view piece) const;
  /// The bytes the token stands for inside a text (" the"); perhaps not UTF-8 alone.
  [[nodiscard]] std::string_view token_bytes(TokenId id) const noexcept;
  /// One past the largest id: a model's logits may be wider, never narrower.
  [[nodiscard]] std::size_t vocab_size() const noexcept;
  [[nodiscard]] bool is_special(TokenId id) const noexcept;
  /// Special, and part of what a model writes (markup.h).
  [[nodiscard]] bool is_markup(TokenId id) const noexcept;

  [[nodiscard]] std::optional<TokenId> bos_id() const noexcept;
  /// Every id that ends generation: those of generation_config.json (else config.json) and tokenizer_config.json's
  /// eos_token. Sorted.
  [[nodiscard]] const std::vector<TokenId>& eos_ids() const noexcept;
  [[nodiscard]] bool is_eos(TokenId id) const noexcept;

 private:
  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

}  // namespace sluice::text
