#include "text/tokenizer/pretokenizer.h"

#include <algorithm>
#include <utility>

#include "common/utf8.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/overload.h"
#include "text/unicode/properties.h"

namespace sluice::text {
namespace {

struct Piece {
  ByteRange range;
  bool match;
};

/// Joins a match to the piece before it, as Hugging Face's MergedWithPrevious does: a match after a match stays apart.
void merge_with_previous(std::vector<Piece>& pieces) {
  std::vector<Piece> out;
  bool previous = false;
  for (const auto& p : pieces) {
    if (p.match && !previous && !out.empty())
      out.back().range.end = p.range.end;
    else
      out.push_back(p);
    previous = p.match;
  }
  pieces = std::move(out);
}

void merge_with_next(std::vector<Piece>& pieces) {
  std::vector<Piece> out;
  bool previous = false;
  for (auto it = pieces.rbegin(); it != pieces.rend(); ++it) {
    if (it->match && !previous && !out.empty())
      out.back().range.begin = it->range.begin;
    else
      out.push_back(*it);
    previous = it->match;
  }
  std::ranges::reverse(out);
  pieces = std::move(out);
}

void merge_alike(std::vector<Piece>& pieces) {
  std::vector<Piece> out;
  bool previous = false;
  for (const auto& p : pieces) {
    if (p.match == previous && !out.empty())
      out.back().range.end = p.range.end;
    else
      out.push_back(p);
    previous = p.match;
  }
  pieces = std::move(out);
}

/// Rewrites every word through `f(word, out)`, which appends the new text of the word.
template <class F>
void rewrite(Words& w, F&& f) {
  std::string text;
  text.reserve(w.text.size() + w.words.size());
  for (auto& word : w.words) {
    const auto begin = text.size();
    f(word, word.range.of(w.text), text);
    word.range = {begin, text.size()};
  }
  w.text = std::move(text);
}

Regex fixed(std::string_view pattern) {
  auto r = Regex::compile(pattern);
  if (!r) throw LoadError(r.error());
  return *std::move(r);
}

Regex one_of(const CodePointSet& set) {
  auto r = Regex::one_of(set);
  if (!r) throw LoadError(r.error());
  return *std::move(r);
}

}  // namespace

ByteAlphabet::ByteAlphabet() {
  bytes_.fill(-1);
  char32_t next = 0x100;
  for (unsigned b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    chars_[b] = printable ? b : next++;
    bytes_[chars_[b]] = static_cast<std::int16_t>(b);
  }
}

const ByteAlphabet& ByteAlphabet::instance() {
  static const ByteAlphabet alphabet;
  return alphabet;
}

std::optional<std::uint8_t> ByteAlphabet::byte_of(char32_t c) const noexcept {
  if (c >= bytes_.size() || bytes_[c] < 0) return std::nullopt;
  return static_cast<std::uint8_t>(bytes_[c]);
}

PreTokenizer::PreTokenizer(const JsonItem& spec) {
  spec.for_each_component("pretokenizers", [this](const JsonItem& p) { add(p); });
}

void PreTokenizer::add(const JsonItem& spec) {
  const auto& type = spec.type();
  if (type == "ByteLevel") {
    add_byte_level(spec);
  } else if (type == "Metaspace") {
    add_metaspace(spec);
  } else if (type == "Split") {
    add_split(read_pattern(spec.at("pattern")), read_behavior(spec.at("behavior")), spec.boolean("invert", false));
  } else if (type == "Digits") {
    add_split(one_of(digits()), spec.boolean("individual_digits", false) ? Behavior::isolated : Behavior::contiguous);
  } else if (type == "Punctuation") {
    const auto behavior = spec.find("behavior");
    add_split(one_of(punctuation()), behavior ? read_behavior(*behavior) : Behavior::isolated);
  } else if (type == "WhitespaceSplit") {
    add_word_split(R"(\s+)", false);
  } else if (type == "Whitespace") {  // words as Rust's regex crate has them, with the joiners
    add_word_split(R"([[:word:]\x{200c}\x{200d}]+|[^[:word:]\x{200c}\x{200d}\s]+)", true);
  } else {
    spec.refuse(Errc::unsupported, "pre-tokenizer \"{}\" is not supported", type);
  }
}

void PreTokenizer::add_byte_level(const JsonItem& spec) {
  if (spec.boolean("add_prefix_space", true)) steps_.emplace_back(PrefixSpace{});
  if (spec.boolean("use_regex", true))  // GPT-2's pattern
    add_split(fixed(R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"),
              Behavior::isolated);
  steps_.emplace_back(MapBytes{});
}

void PreTokenizer::add_metaspace(const JsonItem& spec) {
  std::string mark;
  append_utf8(mark, spec.at("replacement").character());
  auto scheme = Scheme::always;
  if (const auto s = spec.find("prepend_scheme")) {
    if (s->text() == "first") {
      scheme = Scheme::first;
    } else if (s->text() == "never") {
      scheme = Scheme::never;
    } else if (s->text() != "always") {
      s->refuse(Errc::unsupported, "\"{}\" is not supported", s->text());
    }
  }
  if (!spec.boolean("add_prefix_space", true)) scheme = Scheme::never;
  steps_.emplace_back(Metaspace{mark, scheme});
  if (!spec.boolean("split", true)) return;
  auto pattern = Regex::literal(mark);
  if (!pattern) throw LoadError(pattern.error());
  add_split(*std::move(pattern), Behavior::merged_with_next);
}

void PreTokenizer::add_split(Regex pattern, Behavior behavior, bool invert) {
  if (behavior == Behavior::removed) drops_ = Drops::anything;
  steps_.emplace_back(Split{std::move(pattern), behavior, invert});
}

/// A split that takes out white space and nothing else.
void PreTokenizer::add_word_split(std::string_view pattern, bool invert) {
  steps_.emplace_back(Split{fixed(pattern), Behavior::removed, invert});
  if (drops_ == Drops::nothing) drops_ = Drops::spaces;
}

bool PreTokenizer::maps_bytes() const {
  return std::ranges::any_of(steps_, [](const auto& step) { return std::holds_alternative<MapBytes>(step); });
}

PreTokenizer::Behavior PreTokenizer::read_behavior(const JsonItem& spec) {
  static constexpr std::array<std::pair<std::string_view, Behavior>, 5> kNames{
      {{"Removed", Behavior::removed},
       {"Isolated", Behavior::isolated},
       {"MergedWithPrevious", Behavior::merged_with_previous},
       {"MergedWithNext", Behavior::merged_with_next},
       {"Contiguous", Behavior::contiguous}}};
  for (const auto& [name, behavior] : kNames)
    if (spec.text() == name) return behavior;
  spec.refuse(Errc::unsupported, "split behavior \"{}\" is not supported", spec.text());
}

Result<> PreTokenizer::Split::apply(Words& w, MatchBudget& budget) const {
  std::vector<Words::Word> words;
  std::vector<ByteRange> matches;
  std::vector<Piece> pieces;
  for (const auto& word : w.words) {
    const auto s = word.range.of(w.text);
    matches.clear();
    pieces.clear();
    SLUICE_TRY(pattern.find_all(s, matches, budget));
    std::size_t at = 0;
    const auto put = [&](std::size_t begin, std::size_t end, bool match) {
      pieces.push_back({{begin, end}, match != invert});
    };
    for (const auto m : matches) {
      if (m.begin != at) put(at, m.begin, false);
      put(m.begin, m.end, true);
      at = m.end;
    }
    if (at != s.size()) put(at, s.size(), false);
    switch (behavior) {
      case Behavior::removed:
        std::erase_if(pieces, [](const Piece& p) { return p.match; });
        break;
      case Behavior::isolated:
        break;
      case Behavior::merged_with_previous:
        merge_with_previous(pieces);
        break;
      case Behavior::merged_with_next:
        merge_with_next(pieces);
        break;
      case Behavior::contiguous:
        merge_alike(pieces);
        break;
    }
    for (const auto& p : pieces) {
      if (p.range.begin == p.range.end) continue;
      words.push_back(
          {{word.range.begin + p.range.begin, word.range.begin + p.range.end}, word.at_start && p.range.begin == 0});
    }
  }
  w.words = std::move(words);
  return {};
}

void PreTokenizer::PrefixSpace::apply(Words& w) const {
  rewrite(w, [](const Words::Word&, std::string_view s, std::string& out) {
    if (!s.starts_with(' ')) out.push_back(' ');
    out.append(s);
  });
}

void PreTokenizer::MapBytes::apply(Words& w) const {
  const auto& alphabet = ByteAlphabet::instance();
  rewrite(w, [&](const Words::Word&, std::string_view s, std::string& out) {
    for (const char b : s) append_utf8(out, alphabet.char_of(static_cast<std::uint8_t>(b)));
  });
}

void PreTokenizer::Metaspace::apply(Words& w) const {
  rewrite(w, [this](const Words::Word& word, std::string_view s, std::string& out) {
    const bool marked = s.starts_with(' ') || s.starts_with(mark);
    if (!marked && (scheme == Scheme::always || (scheme == Scheme::first && word.at_start))) out.append(mark);
    for (const char b : s) {
      if (b == ' ')
        out.append(mark);
      else
        out.push_back(b);
    }
  });
}

Result<Words> PreTokenizer::apply(std::string text, bool at_start, MatchBudget& budget) const {
  Words w{std::move(text), {}};
  if (w.text.empty()) return w;
  w.words.push_back({{0, w.text.size()}, at_start});
  for (const auto& step : steps_) {
    SLUICE_TRY(std::visit(Overload{[&](const Split& split) { return split.apply(w, budget); },
                                   [&](const auto& other) -> Result<> {
                                     other.apply(w);
                                     return {};
                                   }},
                          step));
  }
  return w;
}

}  // namespace sluice::text
