#include "text/grammar/vocabulary.h"

#include <algorithm>
#include <utility>

#include "text/grammar/automaton/token_trie.h"
#include "text/tokenizer/tokenizer.h"

namespace sluice::text::grammar {

Vocabulary::~Vocabulary() = default;

std::shared_ptr<const Vocabulary> Vocabulary::create(std::vector<std::string> bytes, std::size_t logits,
                                                     std::vector<TokenId> eos) {
  auto v = std::shared_ptr<Vocabulary>(new Vocabulary());
  std::erase_if(eos, [&](TokenId id) { return id < 0 || static_cast<std::size_t>(id) >= logits; });
  for (const auto id : eos)
    if (static_cast<std::size_t>(id) < bytes.size()) bytes[static_cast<std::size_t>(id)].clear();
  if (bytes.size() > logits) bytes.resize(logits);
  v->bytes_ = std::move(bytes);
  v->width_ = logits;
  v->eos_ = std::move(eos);
  v->trie_ = std::make_unique<const TokenTrie>(v->bytes_);
  return v;
}

std::shared_ptr<const Vocabulary> Vocabulary::of(const Tokenizer& tokenizer, std::size_t logits) {
  std::vector<std::string> bytes(tokenizer.vocab_size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (!tokenizer.is_special(id) || tokenizer.is_markup(id)) bytes[i] = tokenizer.token_bytes(id);
  }
  return create(std::move(bytes), logits, tokenizer.eos_ids());
}

std::string_view Vocabulary::bytes(TokenId id) const noexcept {
  if (id < 0 || static_cast<std::size_t>(id) >= bytes_.size()) return {};
  return bytes_[static_cast<std::size_t>(id)];
}

bool Vocabulary::ends(TokenId id) const noexcept { return std::ranges::find(eos_, id) != eos_.end(); }

}  // namespace sluice::text::grammar
