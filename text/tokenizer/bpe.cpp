#include "text/tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "common/utf8.h"

namespace sluice::text {

void MergeTable::reserve(std::size_t merges) { slots_.assign(std::bit_ceil(merges * 2 + 2), Slot{}); }

std::size_t MergeTable::slot_of(std::uint64_t key) const noexcept {
  auto i = (key * 0x9E3779B97F4A7C15ULL >> 20U) & (slots_.size() - 1);
  while (slots_[i].key != key && slots_[i].key != kEmpty) i = (i + 1) & (slots_.size() - 1);
  return i;
}

void MergeTable::put(TokenId left, TokenId right, Merge m) {
  const auto key = key_of(left, right);
  slots_[slot_of(key)] = {key, m};
}

const MergeTable::Merge* MergeTable::find(TokenId left, TokenId right) const noexcept {
  const auto key = key_of(left, right);
  const auto& slot = slots_[slot_of(key)];
  return slot.key == key ? &slot.merge : nullptr;
}

Bpe::Bpe(const JsonItem& model) {
  if (const auto type = model.find("type"); type && type->text() != "BPE")
    type->refuse(Errc::unsupported, "model \"{}\" is not supported; only BPE is", type->text());
  for (const auto* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const auto item = model.find(key); item && !item->text().empty())
      item->refuse(Errc::unsupported, "\"{}\" is not supported", item->text());
  if (const auto dropout = model.find("dropout"); dropout && dropout->json() != 0.0)
    dropout->refuse(Errc::unsupported, "encoding with dropout is random");
  read_vocab(model.at("vocab"));
  read_merges(model.at("merges"));
  read_fallbacks(model);
}

void Bpe::read_vocab(const JsonItem& vocab) {
  const auto& object = vocab.json();
  if (!object.is_object()) vocab.refuse(Errc::invalid_argument, "expected an object, found {}", object.type_name());
  vocab_.reserve(object.size());
  TokenId max_id = -1;
  for (const auto& [piece, id] : object.items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxTokenId))
      vocab.refuse(Errc::invalid_argument, "\"{}\" has id {}; ids are integers from 0 to {}", piece, id.dump(),
                   kMaxTokenId);
    const auto value = id.get<TokenId>();
    vocab_.emplace(piece, value);
    max_id = std::max(max_id, value);
  }
  pieces_.resize(static_cast<std::size_t>(max_id) + 1);
  low_chars_.assign(0x200, -1);
  for (const auto& [piece, id] : vocab_) {
    auto& slot = pieces_[static_cast<std::size_t>(id)];
    if (slot.data() != nullptr) vocab.refuse(Errc::invalid_argument, "\"{}\" and \"{}\" share id {}", slot, piece, id);
    slot = piece;
    const auto step = utf8_step(piece);
    if (step.length == piece.size() && step.valid && step.code_point < low_chars_.size())
      low_chars_[step.code_point] = id;
  }
}

void Bpe::read_merges(const JsonItem& merges) {
  const auto count = merges.array_size();
  merges_.reserve(count);
  const auto id_of = [&](std::size_t i, std::string_view piece) {
    const auto id = find(piece);
    if (!id) merges.at(i).refuse(Errc::invalid_argument, "\"{}\" is not in the vocabulary", piece);
    return *id;
  };
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& m = merges.json()[i];
    std::string_view left;
    std::string_view right;
    if (m.is_string()) {
      const std::string_view line = m.get_ref<const std::string&>();
      if (line.starts_with("#version")) continue;
      const auto space = line.find(' ');
      if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
        merges.at(i).refuse(Errc::invalid_argument, "\"{}\" is not two pieces with a space between", line);
      left = line.substr(0, space);
      right = line.substr(space + 1);
    } else if (m.is_array() && m.size() == 2 && m[0].is_string() && m[1].is_string()) {
      left = m[0].get_ref<const std::string&>();
      right = m[1].get_ref<const std::string&>();
    } else {
      merges.at(i).refuse(Errc::invalid_argument, "expected \"left right\" or [left, right]");
    }
    const auto left_id = id_of(i, left);
    const auto right_id = id_of(i, right);
    merges_.put(left_id, right_id, {rank++, id_of(i, std::string(left) + std::string(right))});
  }
}

void Bpe::read_fallbacks(const JsonItem& model) {
  ignore_merges_ = model.boolean("ignore_merges", false);
  fuse_unknown_ = model.boolean("fuse_unk", false);
  if (const auto unk = model.find("unk_token")) {
    unknown_ = find(unk->text());
    if (!unknown_) unk->refuse(Errc::invalid_argument, "\"{}\" is not in the vocabulary", unk->text());
  }
  if (!model.boolean("byte_fallback", false)) return;
  for (int b = 0; b < 256; ++b) byte_ids_.push_back(find(fmt::format("<0x{:02X}>", b)).value_or(-1));
}

std::optional<TokenId> Bpe::find(std::string_view piece) const {
  const auto it = vocab_.find(piece);
  if (it == vocab_.end()) return std::nullopt;
  return it->second;
}

std::string_view Bpe::piece(TokenId id) const noexcept {
  return id >= 0 && static_cast<std::size_t>(id) < pieces_.size() ? pieces_[static_cast<std::size_t>(id)]
                                                                  : std::string_view();
}

std::size_t Bpe::longest_piece(bool in_characters) const {
  std::size_t longest = 0;
  for (const auto piece : pieces_) {
    const auto continues = [](char b) { return (static_cast<std::uint8_t>(b) & 0xC0U) == 0x80; };
    const auto inside = in_characters ? std::ranges::count_if(piece, continues) : 0;
    longest = std::max(longest, piece.size() - static_cast<std::size_t>(inside));
  }
  return longest;
}

bool Bpe::falls_back_to_bytes() const {
  return !byte_ids_.empty() && std::ranges::all_of(byte_ids_, [](TokenId id) { return id >= 0; });
}

void Bpe::fill_symbols(std::string_view word, Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  symbols.clear();
  const auto add = [&](TokenId id) {
    const auto n = static_cast<std::int32_t>(symbols.size());
    if (n > 0) symbols.back().next = n;
    symbols.push_back({id, n - 1, -1, true});
  };
  bool pending_unknown = false;
  while (!word.empty()) {
    const auto step = utf8_step(word);
    const auto c = word.substr(0, step.length);
    word.remove_prefix(step.length);
    const auto id = step.code_point < low_chars_.size() ? low_chars_[step.code_point] : find(c).value_or(-1);
    if (id >= 0) {
      if (std::exchange(pending_unknown, false)) add(*unknown_);
      add(id);
      continue;
    }
    const auto byte_id = [&](char b) { return byte_ids_[static_cast<std::uint8_t>(b)]; };
    if (!byte_ids_.empty() && std::ranges::all_of(c, [&](char b) { return byte_id(b) >= 0; })) {
      // The reference does not put a pending unknown before these; keep its order.
      for (const char b : c) add(byte_id(b));
      continue;
    }
    if (!unknown_) continue;  // the reference drops what it can't spell
    if (pending_unknown && !fuse_unknown_) add(*unknown_);
    pending_unknown = true;
  }
  if (pending_unknown) add(*unknown_);
}

void Bpe::merge_symbols(Scratch& scratch) const {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  const auto later = [](const Scratch::Candidate& a, const Scratch::Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
  };
  const auto candidate = [&](std::int32_t left, std::int32_t right) -> std::optional<Scratch::Candidate> {
    const auto* m =
        merges_.find(symbols[static_cast<std::size_t>(left)].id, symbols[static_cast<std::size_t>(right)].id);
    if (!m) return std::nullopt;
    return Scratch::Candidate{m->rank, static_cast<std::uint32_t>(left), m->merged};
  };
  const auto push = [&](std::int32_t left, std::int32_t right) {
    if (const auto c = candidate(left, right)) {
      heap.push_back(*c);
      std::ranges::push_heap(heap, later);
    }
  };
  heap.clear();
  for (std::int32_t i = 0; i + 1 < static_cast<std::int32_t>(symbols.size()); ++i)
    if (const auto c = candidate(i, i + 1)) heap.push_back(*c);
  std::ranges::make_heap(heap, later);
  while (!heap.empty()) {
    std::ranges::pop_heap(heap, later);
    const auto top = heap.back();
    heap.pop_back();
    auto& left = symbols[top.position];
    if (!left.alive || left.next < 0) continue;
    auto& right = symbols[static_cast<std::size_t>(left.next)];
    // Expired, unless what stands here now happens to merge to the same piece: then the reference merges it too.
    const auto* now = merges_.find(left.id, right.id);
    if (!now || now->merged != top.merged) continue;
    left.id = top.merged;
    left.next = right.next;
    right.alive = false;
    const auto at = static_cast<std::int32_t>(top.position);
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = at;
    if (left.previous >= 0) push(left.previous, at);
    if (left.next >= 0) push(at, left.next);
  }
}

void Bpe::encode(std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const {
  if (ignore_merges_) {
    if (const auto whole = find(word)) {
      out.push_back(*whole);
      return;
    }
  }
  fill_symbols(word, scratch);
  merge_symbols(scratch);
  for (const auto& s : scratch.symbols)
    if (s.alive) out.push_back(s.id);
}

}  // namespace sluice::text
