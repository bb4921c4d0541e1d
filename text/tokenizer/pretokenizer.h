#pragma once
// The "pre_tokenizer" of tokenizer.json: cuts a normalized text into the words that BPE may not merge across.
// Const and thread-safe.
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/regex/regex.h"
#include "text/tokenizer/tokenizer_json.h"

namespace sluice::text {

/// GPT-2's bijection between bytes and printable characters, which byte-level vocabularies are written in.
class ByteAlphabet {
 public:
  [[nodiscard]] static const ByteAlphabet& instance();
  [[nodiscard]] char32_t char_of(std::uint8_t byte) const noexcept { return chars_[byte]; }
  [[nodiscard]] std::optional<std::uint8_t> byte_of(char32_t c) const noexcept;

 private:
  ByteAlphabet();
  std::array<char32_t, 256> chars_{};
  std::array<std::int16_t, 0x144> bytes_{};  // -1: not in the alphabet
};

/// A text and its words, in order; text between words was removed by the split.
struct Words {
  struct Word {
    ByteRange range;        // in `text`; never empty
    bool at_start = false;  // begins where the whole input begins (Metaspace's "first" scheme asks)
  };
  std::string text;
  std::vector<Word> words;
};

class PreTokenizer {
 public:
  PreTokenizer() = default;
  /// Throws LoadError on a kind it does not know.
  explicit PreTokenizer(const JsonItem& spec);

  /// `text` is well-formed; `at_start`: nothing of the input precedes it.
  [[nodiscard]] Result<Words> apply(std::string text, bool at_start, MatchBudget& budget) const;

  /// What of a text may be in no word.
  enum class Drops { nothing, spaces, anything };
  [[nodiscard]] Drops drops() const noexcept { return drops_; }
  /// Words are in the byte alphabet: a character for each byte.
  [[nodiscard]] bool maps_bytes() const;

 private:
  enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
  enum class Scheme { always, first, never };
  struct Split {
    Regex pattern;
    Behavior behavior;
    bool invert;
    [[nodiscard]] Result<> apply(Words& w, MatchBudget& budget) const;
  };
  struct PrefixSpace {  // ByteLevel's add_prefix_space
    void apply(Words& w) const;
  };
  struct MapBytes {  // ByteLevel
    void apply(Words& w) const;
  };
  struct Metaspace {
    std::string mark;
    Scheme scheme;
    void apply(Words& w) const;
  };

  void add(const JsonItem& spec);
  void add_byte_level(const JsonItem& spec);
  void add_metaspace(const JsonItem& spec);
  void add_split(Regex pattern, Behavior behavior, bool invert = false);
  void add_word_split(std::string_view pattern, bool invert);
  [[nodiscard]] static Behavior read_behavior(const JsonItem& spec);

  std::vector<std::variant<Split, PrefixSpace, MapBytes, Metaspace>> steps_;
  Drops drops_ = Drops::nothing;
};

}  // namespace sluice::text
