#pragma once
// From token ids back to text: the "decoder" of tokenizer.json, whole or one token at a time.
//
// Every decoder this file accepts comes down to "each token is some bytes; the concatenation is text", where bytes
// that are not well-formed UTF-8 read as U+FFFD, one for each maximal ill-formed part (as Rust's from_utf8_lossy).
// That is what makes streaming exact: the concatenated pieces of a stream equal the decoding of all its ids.
// The one place where this differs from Hugging Face's `tokenizers`: a run of <0xXX> byte tokens that is ill-formed
// somewhere reads there as one U+FFFD per token of the whole run, which no stream could know in time; here the
// well-formed part of such a run stays readable.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "common/ids.h"
#include "text/regex/regex.h"
#include "text/tokenizer/tokenizer_json.h"

namespace sluice::text {

/// Bytes of a piece. Const and thread-safe.
class PieceDecoder {
 public:
  /// Without a decoder pieces are joined by spaces.
  PieceDecoder() : steps_{JoinBySpaces{}}, first_differs_(true) {}
  /// Throws LoadError on a kind it does not know.
  explicit PieceDecoder(const JsonItem& spec);

  /// `first`: the piece opens the text (Metaspace drops its marks there). Throws LoadError if a pattern runs away.
  [[nodiscard]] std::string decode(std::string_view piece, bool first) const;
  /// Does decode() depend on `first`?
  [[nodiscard]] bool first_differs() const noexcept { return first_differs_; }

  /// Characters to take off the front of the whole text (Llama's Strip after Fuse).
  struct Lead {
    std::string content;
    std::size_t count = 0;
  };
  [[nodiscard]] const Lead& lead() const noexcept { return lead_; }

 private:
  struct ByteLevel {};
  struct ByteFallback {};
  struct Replace {
    Regex pattern;
    std::string by;
  };
  struct Strip {
    std::string content;
    std::size_t start;
    std::size_t stop;
  };
  struct Metaspace {
    std::string mark;
    bool drops_first;
  };
  struct WordPiece {
    std::string prefix;  // of a piece that goes on with a word
    bool cleanup;
  };
  struct JoinBySpaces {};
  void add(const JsonItem& spec);
  void add_after_fuse(const JsonItem& spec);

  std::vector<std::variant<ByteLevel, ByteFallback, Replace, Strip, Metaspace, WordPiece, JoinBySpaces>> steps_;
  Lead lead_;
  bool fused_ = false;
  bool first_differs_ = false;
};

/// What each id stands for. Built while loading; const, shared and thread-safe afterwards.
class TokenTable {
 public:
  /// `bytes`: what decoding yields; `first_bytes`: what it yields at the start of a text.
  struct Entry {
    std::string piece;
    std::string bytes;
    bool special = false;
    bool markup = false;  // special, and part of what a model writes (markup.h)
  };
  void add(TokenId id, Entry entry, std::string first_bytes);
  void set_lead(PieceDecoder::Lead lead) { lead_ = std::move(lead); }

  /// Null for an id without a token.
  [[nodiscard]] const Entry* find(TokenId id) const noexcept;
  [[nodiscard]] std::string_view bytes(TokenId id, const Entry& entry, bool first) const;
  [[nodiscard]] const PieceDecoder::Lead& lead() const noexcept { return lead_; }
  /// One past the largest id.
  [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }

 private:
  static constexpr std::uint32_t kNone = ~0U;
  std::vector<std::uint32_t> index_;  // by id, into entries_
  std::vector<Entry> entries_;
  std::unordered_map<TokenId, std::string> first_bytes_;  // only where they differ from Entry::bytes
  PieceDecoder::Lead lead_;
};

/// One stream of tokens becoming text. Emits only complete characters: bytes of a character whose rest has not come
/// are held back (at most three). A stream that continues a context emits what the whole would have behind the context,
/// as vLLM's incremental detokenizer does; a character that the context left incomplete belongs to the stream. Cheap to
/// make and to copy; not thread-safe; keeps the table alive.
class StreamDetokenizer {
 public:
  /// keep_markup: of special tokens that are skipped, markup is not.
  explicit StreamDetokenizer(std::shared_ptr<const TokenTable> table, bool skip_special = true,
                             std::span<const TokenId> context = {}, bool keep_markup = false);

  /// The text that became certain with this token, perhaps none. An id without a token adds nothing.
  [[nodiscard]] std::string push(TokenId id);
  void push(TokenId id, std::string& out);  // appends
  /// What was held back: an incomplete character reads as U+FFFD. Push nothing after it.
  [[nodiscard]] std::string finish();

 private:
  void emit(std::string_view s, std::string& out);

  std::shared_ptr<const TokenTable> table_;
  bool skip_special_, keep_markup_;
  bool first_ = true;
  std::size_t lead_left_;  // how many more leading characters may be taken off
  std::string held_;       // bytes of an incomplete character
};

}  // namespace sluice::text
