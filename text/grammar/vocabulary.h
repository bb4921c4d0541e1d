#pragma once
// A model's tokens as byte strings, ordered for masks: made once at start, shared by all grammars. Const once made;
// any thread.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"

namespace sluice::text {
class Tokenizer;
}

namespace sluice::text::grammar {

class TokenTrie;

class Vocabulary {
 public:
  /// bytes[id]: what token id stands for inside a text; empty: never drawn under a grammar (special, unknown or padded
  /// ids). `logits`: the width of a mask, at least bytes.size(). `eos`: what ends an answer, whatever its bytes.
  [[nodiscard]] static std::shared_ptr<const Vocabulary> create(std::vector<std::string> bytes, std::size_t logits,
                                                                std::vector<TokenId> eos);
  [[nodiscard]] static std::shared_ptr<const Vocabulary> of(const Tokenizer& tokenizer, std::size_t logits);
  ~Vocabulary();

  [[nodiscard]] std::size_t width() const noexcept { return width_; }
  [[nodiscard]] std::size_t mask_words() const noexcept { return (width_ + 63) / 64; }
  [[nodiscard]] std::string_view bytes(TokenId id) const noexcept;
  [[nodiscard]] std::span<const TokenId> eos() const noexcept { return eos_; }
  [[nodiscard]] bool ends(TokenId id) const noexcept;
  [[nodiscard]] const TokenTrie& trie() const noexcept { return *trie_; }

 private:
  Vocabulary() = default;
  std::vector<std::string> bytes_;
  std::size_t width_ = 0;
  std::vector<TokenId> eos_;
  std::unique_ptr<const TokenTrie> trie_;
};

}  // namespace sluice::text::grammar
