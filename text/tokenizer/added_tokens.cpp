#include "text/tokenizer/added_tokens.h"

#include <algorithm>

#include "common/utf8.h"
#include "text/unicode/properties.h"
#include "text/unicode/unicode.h"

namespace sluice::text {
namespace {

constexpr std::size_t kMaxContentBytes = 4096;

std::size_t spaces_before(std::string_view s) {
  auto end = s.size();
  while (end > 0) {
    const auto at = utf8_last_start(s.substr(0, end));
    if (!is_white_space(utf8_step(s.substr(at)).code_point)) break;
    end = at;
  }
  return end;
}

std::size_t spaces_after(std::string_view s) {
  std::size_t n = 0;
  while (n < s.size()) {
    const auto step = utf8_step(s.substr(n));
    if (!is_white_space(step.code_point)) break;
    n += step.length;
  }
  return n;
}

bool touches_word(std::string_view before, std::string_view after) {
  return (!before.empty() &&
          word_characters().contains(utf8_step(before.substr(utf8_last_start(before))).code_point)) ||
         (!after.empty() && word_characters().contains(utf8_step(after).code_point));
}

bool inside(std::span<const std::size_t> offsets, std::size_t begin, std::size_t end) {
  const auto first = std::ranges::upper_bound(offsets, begin);
  return first != offsets.end() && *first < end;
}

}  // namespace

void AddedTokens::Trie::add(std::string_view content, std::size_t token) {
  starts_[static_cast<std::uint8_t>(content.front())] = true;
  std::uint32_t node = 0;
  for (const char b : content) {
    const auto key = static_cast<std::uint64_t>(node) << 8U | static_cast<std::uint8_t>(b);
    const auto [it, fresh] = next_.try_emplace(key, static_cast<std::uint32_t>(ends_.size()));
    if (fresh) ends_.emplace_back();
    node = it->second;
  }
  ends_[node] = token;
}

std::optional<std::pair<std::size_t, std::size_t>> AddedTokens::Trie::longest(std::string_view s) const {
  if (!starts_[static_cast<std::uint8_t>(s.front())]) return std::nullopt;
  std::optional<std::pair<std::size_t, std::size_t>> found;
  std::uint32_t node = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const auto it = next_.find(static_cast<std::uint64_t>(node) << 8U | static_cast<std::uint8_t>(s[i]));
    if (it == next_.end()) break;
    node = it->second;
    if (ends_[node]) found.emplace(*ends_[node], i + 1);
  }
  return found;
}

bool AddedTokens::Trie::begins_with(std::string_view s) const {
  std::uint32_t node = 0;
  for (const char b : s) {
    const auto it = next_.find(static_cast<std::uint64_t>(node) << 8U | static_cast<std::uint8_t>(b));
    if (it == next_.end()) return false;
    node = it->second;
  }
  for (std::uint64_t b = 0; b < 256; ++b)
    if (next_.contains(static_cast<std::uint64_t>(node) << 8U | b)) return true;
  return false;
}

AddedTokens::AddedTokens(const JsonItem& list, const Bpe& vocabulary, const Normalizer& normalizer) {
  const auto count = list.array_size();
  for (std::size_t i = 0; i < count; ++i) {
    const auto item = list.at(i);
    auto t = read(item);
    if (t.content.empty()) continue;  // as the reference does
    check_id(item, t, vocabulary);
    const auto index = tokens_.size();
    by_id_.emplace(t.id, index);
    by_content_.emplace(t.content, index);
    max_id_ = std::max(max_id_, t.id);
    t.spelling = t.content;
    if (t.normalized) {
      MatchBudget budget(t.content.size());
      auto spelling = normalizer.apply(t.content, budget);
      if (!spelling) item.refuse(spelling.error().code, "{}", spelling.error().message);
      t.spelling = *std::move(spelling);
    }
    longest_ = std::max({longest_, t.spelling.size(), t.content.size()});
    if (!t.spelling.empty()) (t.normalized ? normalized_ : raw_).add(t.spelling, index);
    tokens_.push_back(std::move(t));
  }
}

AddedToken AddedTokens::read(const JsonItem& item) {
  AddedToken t;
  t.id = static_cast<TokenId>(item.at("id").integer(0, kMaxTokenId));
  t.content = item.at("content").text();
  t.special = item.boolean("special", false);
  t.normalized = item.boolean("normalized", !t.special);
  t.single_word = item.boolean("single_word", false);
  t.lstrip = item.boolean("lstrip", false);
  t.rstrip = item.boolean("rstrip", false);
  if (t.content.size() > kMaxContentBytes)
    item.refuse(Errc::resource_exhausted, "content of {} bytes; the limit is {}", t.content.size(), kMaxContentBytes);
  return t;
}

void AddedTokens::check_id(const JsonItem& item, const AddedToken& t, const Bpe& vocabulary) const {
  if (by_content_.contains(t.content)) item.refuse(Errc::invalid_argument, "\"{}\" is added twice", t.content);
  if (const auto other = by_id_.find(t.id); other != by_id_.end())
    item.refuse(Errc::invalid_argument, "\"{}\" and \"{}\" share id {}", tokens_[other->second].content, t.content,
                t.id);
  const auto id = vocabulary.find(t.content);
  if (id && *id != t.id)
    item.refuse(Errc::invalid_argument, "\"{}\" has id {} here and {} in the vocabulary", t.content, t.id, *id);
  if (!id && vocabulary.piece(t.id).data() != nullptr)
    item.refuse(Errc::invalid_argument, "\"{}\" takes id {} of \"{}\"", t.content, t.id, vocabulary.piece(t.id));
}

const AddedToken* AddedTokens::find(TokenId id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto it = by_content_.find(std::string(content));
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

bool AddedTokens::swallows_spaces() const noexcept {
  return std::ranges::any_of(tokens_, [](const AddedToken& t) { return t.lstrip || t.rstrip; });
}

bool AddedTokens::special_at(const Trie& trie, std::string_view s) const {
  const auto match = trie.longest(s);
  return match && tokens_[match->first].special;
}

std::vector<std::size_t> AddedTokens::special_starts(std::string_view s) const {
  std::vector<std::size_t> out;
  const std::size_t end = spaces_before(s);  // templates trim
  const std::size_t tail = end - std::min(end, longest_);
  for (std::size_t i = 0; i < s.size(); ++i) {
    const auto rest = s.substr(i);
    const auto last = i >= tail && i < end ? s.substr(i, end - i) : std::string_view();
    if (special_at(raw_, rest) || special_at(normalized_, rest) ||
        (!last.empty() && (raw_.begins_with(last) || normalized_.begins_with(last))))
      out.push_back(i + 1);
  }
  return out;
}

std::vector<Stretch> AddedTokens::cut(std::string_view s, Pass pass, bool parse_special,
                                      std::span<const std::size_t> typed) const {
  const auto& trie = pass == Pass::raw ? raw_ : normalized_;
  std::vector<Stretch> out;
  std::size_t done = 0;
  for (std::size_t at = 0; !trie.empty() && at < s.size();) {
    const auto match = trie.longest(s.substr(at));
    if (!match) {
      ++at;
      continue;
    }
    const auto& t = tokens_[match->first];
    auto begin = at;
    auto end = at + match->second;
    at = end;  // a match that is turned down below still uses up its text, as in the reference
    if (t.special && !parse_special) continue;
    if (t.special && inside(typed, begin, end)) continue;
    if (t.single_word && touches_word(s.substr(0, begin), s.substr(end))) continue;
    if (t.lstrip) begin = std::max(spaces_before(s.substr(0, begin)), done);
    if (t.rstrip) end += spaces_after(s.substr(end));
    if (done < begin) out.push_back({std::nullopt, {done, begin}});
    out.push_back({t.id, {begin, end}});
    done = end;
  }
  if (done < s.size()) out.push_back({std::nullopt, {done, s.size()}});
  return out;
}

}  // namespace sluice::text
