#pragma once
// Byte-pair encoding of one word, exactly as Hugging Face's `tokenizers` does it: the lowest-ranked pair merges first,
// leftmost among equals. O(n log n) in the length of the word, whatever the word. Const and thread-safe; each caller
// brings its own Scratch.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/ids.h"
#include "text/tokenizer/tokenizer_json.h"

namespace sluice::text {

/// Above any published vocabulary (about 260,000), and low enough that a table by id is always affordable.
inline constexpr std::int64_t kMaxTokenId = (1 << 22) - 1;

/// (left id, right id) -> rank and merged id. Open addressing: the hot lookup of encoding.
class MergeTable {
 public:
  struct Merge {
    std::uint32_t rank = 0;
    TokenId merged = -1;
  };
  void reserve(std::size_t merges);
  /// A later merge of the same pair replaces the earlier.
  void put(TokenId left, TokenId right, Merge m);
  [[nodiscard]] const Merge* find(TokenId left, TokenId right) const noexcept;

 private:
  struct Slot {
    std::uint64_t key = kEmpty;
    Merge merge;
  };
  static constexpr std::uint64_t kEmpty = ~0ULL;
  [[nodiscard]] static std::uint64_t key_of(TokenId left, TokenId right) noexcept {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32U | static_cast<std::uint32_t>(right);
  }
  [[nodiscard]] std::size_t slot_of(std::uint64_t key) const noexcept;
  std::vector<Slot> slots_;
};

class Bpe {
 public:
  /// Reads tokenizer.json's "model". Throws LoadError.
  explicit Bpe(const JsonItem& model);
  Bpe(const Bpe&) = delete;  // pieces_ views into vocab_'s keys
  Bpe& operator=(const Bpe&) = delete;

  struct Scratch {
    struct Symbol {
      TokenId id;
      std::int32_t previous;
      std::int32_t next;
      bool alive;
    };
    struct Candidate {
      std::uint32_t rank;
      std::uint32_t position;
      TokenId merged;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
  };

  /// Appends the ids of `word` (well-formed UTF-8).
  void encode(std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const;

  [[nodiscard]] std::optional<TokenId> find(std::string_view piece) const;
  /// Empty for an id the vocabulary lacks.
  [[nodiscard]] std::string_view piece(TokenId id) const noexcept;
  [[nodiscard]] TokenId max_id() const noexcept { return static_cast<TokenId>(pieces_.size()) - 1; }
  /// Of the longest piece, in bytes or in characters.
  [[nodiscard]] std::size_t longest_piece(bool in_characters) const;
  /// A character that is no piece becomes a token for each of its bytes, whatever it is.
  [[nodiscard]] bool falls_back_to_bytes() const;

 private:
  void read_vocab(const JsonItem& vocab);
  void read_merges(const JsonItem& merges);
  void read_fallbacks(const JsonItem& model);
  void fill_symbols(std::string_view word, Scratch& scratch) const;
  void merge_symbols(Scratch& scratch) const;

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
  };
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> vocab_;
  std::vector<std::string_view> pieces_;  // by id
  std::vector<TokenId> low_chars_;        // id of each one-character piece below U+0200, or -1
  std::vector<TokenId> byte_ids_;         // <0x00>..<0xFF>, or -1 each; empty without byte_fallback
  std::optional<TokenId> unknown_;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
  MergeTable merges_;
};

}  // namespace sluice::text
