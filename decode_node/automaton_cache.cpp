#include "decode_node/automaton_cache.h"

#include <algorithm>

#include "common/digest.h"

namespace sluice::decode {
namespace {

std::size_t bytes_of(const SharedText& grammar, const Compiled& compiled) {
  return grammar.value().size() + (compiled ? (*compiled)->memory_bytes() : compiled.error().message.size());
}

}  // namespace

GrammarKey key_of(const SharedText& grammar) {
  const Digest whole = sha256(grammar.value());
  GrammarKey key;
  std::copy_n(whole.begin(), key.size(), key.begin());
  return key;
}

std::optional<Compiled> AutomatonCache::find(const GrammarKey& key, const SharedText& grammar) {
  const auto it = by_key_.find(key);
  if (it == by_key_.end() || it->second->grammar != grammar) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, it->second);
  return it->second->compiled;
}

void AutomatonCache::put(const GrammarKey& key, SharedText grammar, Compiled compiled) {
  if (const auto old = by_key_.find(key); old != by_key_.end()) entries_.erase(old->second);
  entries_.push_front({key, std::move(grammar), std::move(compiled)});
  by_key_[key] = entries_.begin();
  std::size_t held = bytes();
  while (entries_.size() > 1 && (held > most_bytes_ || entries_.size() > most_entries_)) {
    const Entry& last = entries_.back();
    held -= std::min(held, bytes_of(last.grammar, last.compiled));
    by_key_.erase(last.key);
    entries_.pop_back();
  }
}

std::size_t AutomatonCache::bytes() const {
  std::size_t all = 0;
  for (const Entry& e : entries_) all += bytes_of(e.grammar, e.compiled);
  return all;
}

}  // namespace sluice::decode
