#include "text/tokenizer/detokenizer.h"

#include <array>
#include <charconv>
#include <utility>

#include "common/utf8.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/overload.h"
#include "text/tokenizer/pretokenizer.h"

namespace sluice::text {
namespace {

/// Byte-level pieces are bytes in disguise; a piece with a character outside the alphabet (an added token) is itself.
std::string unmask_bytes(const std::string& piece) {
  std::string out;
  std::string_view rest = piece;
  while (!rest.empty()) {
    const auto step = utf8_step(rest);
    const auto b = ByteAlphabet::instance().byte_of(step.code_point);
    if (!b) return piece;
    out.push_back(static_cast<char>(*b));
    rest.remove_prefix(step.length);
  }
  return out;
}

/// "<0xE2>" -> byte E2; anything else is itself.
std::string unmask_fallback(const std::string& piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece.back() != '>') return piece;
  unsigned value = 0;
  const auto* digits = piece.data() + 3;
  const auto [end, ec] = std::from_chars(digits, digits + 2, value, 16);
  if (ec != std::errc() || end != digits + 2) return piece;
  return std::string(1, static_cast<char>(value));
}

std::string strip(std::string_view s, std::string_view content, std::size_t start, std::size_t stop) {
  for (; start > 0 && s.starts_with(content); --start) s.remove_prefix(content.size());
  for (; stop > 0 && s.ends_with(content); --stop) s.remove_suffix(content.size());
  return std::string(s);
}

std::string unmark(std::string_view s, std::string_view mark, std::string_view by) {
  std::string out;
  while (true) {
    const auto at = s.find(mark);
    out.append(s.substr(0, at));
    if (at == std::string_view::npos) return out;
    out.append(by);
    s.remove_prefix(at + mark.size());
  }
}

/// What the WordPiece decoder takes for traces of tokenizing (on one piece at a time, as the reference does).
std::string clean_up(std::string s) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kRewrites{{{" .", "."},
                                                                                            {" ?", "?"},
                                                                                            {" !", "!"},
                                                                                            {" ,", ","},
                                                                                            {" ' ", "'"},
                                                                                            {" n't", "n't"},
                                                                                            {" 'm", "'m"},
                                                                                            {" do not", " don't"},
                                                                                            {" 's", "'s"},
                                                                                            {" 've", "'ve"},
                                                                                            {" 're", "'re"}}};
  for (const auto& [from, to] : kRewrites) s = unmark(s, from, to);
  return s;
}

std::string join_word_piece(std::string_view s, std::string_view prefix, bool cleanup, bool first) {
  std::string out;
  if (!first && s.starts_with(prefix))
    s.remove_prefix(prefix.size());
  else if (!first)
    out = " ";
  out.append(s);
  return cleanup ? clean_up(std::move(out)) : out;
}

std::string utf8_of(char32_t c) {
  std::string s;
  append_utf8(s, c);
  return s;
}

}  // namespace

PieceDecoder::PieceDecoder(const JsonItem& spec) {
  spec.for_each_component("decoders", [this](const JsonItem& d) { fused_ ? add_after_fuse(d) : add(d); });
}

void PieceDecoder::add(const JsonItem& spec) {
  const auto& type = spec.type();
  if (type == "ByteLevel") {
    steps_.emplace_back(ByteLevel{});
    fused_ = true;  // it makes one text of all tokens
  } else if (type == "ByteFallback") {
    steps_.emplace_back(ByteFallback{});
  } else if (type == "Replace") {
    steps_.emplace_back(Replace{read_pattern(spec.at("pattern")), spec.at("content").text()});
  } else if (type == "Strip") {
    const auto count = [&](std::string_view key) { return static_cast<std::size_t>(spec.at(key).integer(0, 1 << 20)); };
    steps_.emplace_back(Strip{utf8_of(spec.at("content").character()), count("start"), count("stop")});
  } else if (type == "Metaspace") {
    const auto scheme = spec.find("prepend_scheme");
    const bool drops = (!scheme || scheme->text() != "never") && spec.boolean("add_prefix_space", true);
    first_differs_ = first_differs_ || drops;
    steps_.emplace_back(Metaspace{utf8_of(spec.at("replacement").character()), drops});
  } else if (type == "WordPiece") {
    steps_.emplace_back(WordPiece{spec.at("prefix").text(), spec.boolean("cleanup", true)});
    first_differs_ = true;
  } else if (type == "Fuse") {
    fused_ = true;
  } else {
    spec.refuse(Errc::unsupported, "decoder \"{}\" is not supported", type);
  }
}

void PieceDecoder::add_after_fuse(const JsonItem& spec) {
  if (spec.type() == "Fuse") return;
  if (spec.type() != "Strip" || lead_.count > 0)
    spec.refuse(Errc::unsupported, "\"{}\" after Fuse is not supported", spec.type());
  if (spec.at("stop").integer(0, 1 << 20) != 0)
    spec.refuse(Errc::unsupported, "stripping the end of the text is not supported: a stream can't know its end");
  lead_ = {utf8_of(spec.at("content").character()), static_cast<std::size_t>(spec.at("start").integer(0, 1 << 20))};
}

std::string PieceDecoder::decode(std::string_view piece, bool first) const {
  std::string s(piece);
  for (const auto& step : steps_) {
    s = std::visit(Overload{
                       [&](ByteLevel) { return unmask_bytes(s); },
                       [&](ByteFallback) { return unmask_fallback(s); },
                       [&](const Replace& r) {
                         MatchBudget budget(s.size());
                         auto replaced = replace_all(s, r.pattern, r.by, budget);
                         if (!replaced) throw LoadError(replaced.error());
                         return *std::move(replaced);
                       },
                       [&](const Strip& t) { return strip(s, t.content, t.start, t.stop); },
                       [&](const WordPiece& w) { return join_word_piece(s, w.prefix, w.cleanup, first); },
                       [&](JoinBySpaces) { return first ? s : std::string(" ").append(s); },
                       [&](const Metaspace& m) { return unmark(s, m.mark, first && m.drops_first ? "" : " "); },
                   },
                   step);
  }
  return s;
}

void TokenTable::add(TokenId id, Entry entry, std::string first_bytes) {
  const auto at = static_cast<std::size_t>(id);
  if (at >= index_.size()) index_.resize(at + 1, kNone);
  index_[at] = static_cast<std::uint32_t>(entries_.size());
  if (first_bytes != entry.bytes) first_bytes_.emplace(id, std::move(first_bytes));
  entries_.push_back(std::move(entry));
}

const TokenTable::Entry* TokenTable::find(TokenId id) const noexcept {
  if (id < 0 || static_cast<std::size_t>(id) >= index_.size()) return nullptr;
  const auto i = index_[static_cast<std::size_t>(id)];
  return i == kNone ? nullptr : &entries_[i];
}

std::string_view TokenTable::bytes(TokenId id, const Entry& entry, bool first) const {
  if (first && !first_bytes_.empty())
    if (const auto it = first_bytes_.find(id); it != first_bytes_.end()) return it->second;
  return entry.bytes;
}

StreamDetokenizer::StreamDetokenizer(std::shared_ptr<const TokenTable> table, bool skip_special,
                                     std::span<const TokenId> context, bool keep_markup)
    : table_(std::move(table)),
      skip_special_(skip_special),
      keep_markup_(keep_markup),
      lead_left_(table_->lead().count) {
  // What opens the text is decided by its first tokens, and what is held back by its last.
  constexpr std::size_t kLast = 4;
  std::string passed;
  std::size_t at = 0;
  for (; at < context.size() && (first_ || lead_left_ > 0); ++at) push(context[at], passed);
  at = std::max(at, context.size() - std::min(kLast, context.size()));
  for (; at < context.size(); ++at) push(context[at], passed);
}

std::string StreamDetokenizer::push(TokenId id) {
  std::string out;
  push(id, out);
  return out;
}

void StreamDetokenizer::push(TokenId id, std::string& out) {
  const auto* entry = table_->find(id);
  if (!entry || (skip_special_ && entry->special && !(keep_markup_ && entry->markup))) return;
  held_.append(table_->bytes(id, *entry, std::exchange(first_, false)));
  std::string_view rest = held_;
  while (!rest.empty()) {
    const auto good = utf8_valid_prefix(rest);
    emit(rest.substr(0, good), out);
    rest.remove_prefix(good);
    const auto step = utf8_step(rest);
    if (rest.empty() || step.truncated) break;
    emit(kReplacementChar, out);
    rest.remove_prefix(step.length);
  }
  held_.erase(0, held_.size() - rest.size());
}

std::string StreamDetokenizer::finish() {
  std::string out;
  if (!held_.empty()) emit(kReplacementChar, out);
  held_.clear();
  return out;
}

void StreamDetokenizer::emit(std::string_view s, std::string& out) {
  for (const auto& content = table_->lead().content; lead_left_ > 0 && !s.empty(); --lead_left_) {
    if (!s.starts_with(content)) {
      lead_left_ = 0;
      break;
    }
    s.remove_prefix(content.size());
  }
  out.append(s);
}

}  // namespace sluice::text
