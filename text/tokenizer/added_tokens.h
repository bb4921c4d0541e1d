#pragma once
// The "added_tokens" of tokenizer.json: whole strings (most of them special, like <|eot|>) that become one id
// before the text is split. Const and thread-safe after load.
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/ids.h"
#include "text/tokenizer/bpe.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/tokenizer_json.h"

namespace sluice::text {

struct AddedToken {
  TokenId id = -1;
  std::string content;
  std::string spelling;      // content as the text holds it: normalized if `normalized`; decoding yields this
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // swallows white space before it
  bool rstrip = false;       // swallows white space after it
  bool normalized = false;   // looked for in the normalized text, not in the raw
  bool special = false;
};

/// A stretch of text: either one added token or text still to encode.
struct Stretch {
  std::optional<TokenId> token;
  ByteRange range;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  /// Throws LoadError on a token that clashes with the vocabulary or another token.
  AddedTokens(const JsonItem& list, const Bpe& vocabulary, const Normalizer& normalizer);

  [[nodiscard]] const AddedToken* find(TokenId id) const;
  [[nodiscard]] const AddedToken* find(std::string_view content) const;
  [[nodiscard]] TokenId max_id() const noexcept { return max_id_; }
  /// The most bytes that one of them stands for, in the text or normalized, beside white space that it swallows.
  [[nodiscard]] std::size_t longest() const noexcept { return longest_; }
  [[nodiscard]] bool swallows_spaces() const noexcept;

  enum class Pass { raw, normalized };
  /// Cuts `s` at the tokens looked for in this pass; without `parse_special`, special tokens stay text, and with it
  /// those stay text that have an offset of `typed` (ascending) inside.
  [[nodiscard]] std::vector<Stretch> cut(std::string_view s, Pass pass, bool parse_special,
                                         std::span<const std::size_t> typed = {}) const;
  /// Offsets into `s`, each behind the first byte of a special token or of what may begin one at the end of `s`.
  [[nodiscard]] std::vector<std::size_t> special_starts(std::string_view s) const;

 private:
  /// Longest match of any token at a position, byte by byte.
  class Trie {
   public:
    void add(std::string_view content, std::size_t token);
    [[nodiscard]] bool empty() const noexcept { return next_.empty(); }
    /// Index of the longest token that `s` begins with, and its length in bytes.
    [[nodiscard]] std::optional<std::pair<std::size_t, std::size_t>> longest(std::string_view s) const;
    /// Whether some token, longer than `s`, begins with it.
    [[nodiscard]] bool begins_with(std::string_view s) const;

   private:
    std::array<bool, 256> starts_{};
    std::unordered_map<std::uint64_t, std::uint32_t> next_;  // (node << 8 | byte) -> node
    std::vector<std::optional<std::size_t>> ends_ =
        std::vector<std::optional<std::size_t>>(1);  // by node: the token that ends there
  };

  [[nodiscard]] static AddedToken read(const JsonItem& item);
  [[nodiscard]] bool special_at(const Trie& trie, std::string_view s) const;
  void check_id(const JsonItem& item, const AddedToken& t, const Bpe& vocabulary) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<TokenId, std::size_t> by_id_;
  std::unordered_map<std::string, std::size_t> by_content_;
  Trie raw_;
  Trie normalized_;
  TokenId max_id_ = -1;
  std::size_t longest_ = 0;  // bytes of the longest token, as given or normalized
};

}  // namespace sluice::text
