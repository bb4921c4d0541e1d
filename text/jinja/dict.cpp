#include "text/jinja/dict.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "text/jinja/compare.h"
#include "text/jinja/number.h"

namespace sluice::text::jinja {

namespace {

constexpr std::size_t kIndexedFrom = 9;  // below it a walk over the keys beats a hash

std::uint64_t seed() noexcept {
  static const std::uint64_t kSeed = std::random_device{}() * 0x9E3779B97F4A7C15ULL;
  return kSeed;
}

std::uint64_t hash_word(std::uint64_t w) noexcept { return XXH3_64bits_withSeed(&w, sizeof w, seed()); }

std::uint64_t hash_real(double d, Budget& budget) {
  if (!std::isfinite(d) || d != std::floor(d)) return hash_word(std::bit_cast<std::uint64_t>(d));
  return hash_of(integer_of(d, budget), budget);
}

}  // namespace

std::uint64_t hash_bytes(std::string_view s) noexcept { return XXH3_64bits_withSeed(s.data(), s.size(), seed()); }

std::uint64_t hash_of(const Value& v, Budget& budget) {
  if (const Text* s = v.str()) {
    budget.scan(s->size());
    return hash_bytes(s->bytes);
  }
  if (const auto i = v.as_int()) return hash_word(static_cast<std::uint64_t>(*i));
  if (const auto* d = v.get<double>()) return hash_real(*d, budget);
  if (const auto* big = v.get<BigRef>()) return hash_bytes(integer_digits((*big)->n, 16));
  if (v.is_tuple()) {
    std::uint64_t h = 7;
    for (const Value& e : v.list()->items) {
      budget.step();
      h = hash_word(h ^ hash_of(e, budget));
    }
    return h;
  }
  if (const auto* n = v.get<Namespace*>()) return hash_word(reinterpret_cast<std::uintptr_t>(*n));
  if (v.is_none() || v.is_undefined() || v.is<CallableRef>()) return hash_word(v.rep().index());
  fault("unhashable type: '{}'", v.type_name());
}

const Value* Dict::find(std::string_view key) const {
  if (slots_.empty()) {
    for (const auto& [k, v] : items_)
      if (k.str() != nullptr && k.str()->bytes == key) return &v;
    return nullptr;
  }
  const std::uint64_t hash = hash_bytes(key);
  for (std::size_t at = hash & (slots_.size() - 1); slots_[at] != 0; at = (at + 1) & (slots_.size() - 1)) {
    const std::size_t i = slots_[at] - 1;
    if (hashes_[i] == hash && items_[i].key.str() != nullptr && items_[i].key.str()->bytes == key)
      return &items_[i].value;
  }
  return nullptr;
}

std::optional<std::size_t> Dict::place(const Value& key, std::uint64_t hash, Budget& budget) const {
  if (slots_.empty()) {
    for (std::size_t i = 0; i < items_.size(); ++i)
      if (equals(items_[i].key, key, budget)) return i;
    return std::nullopt;
  }
  for (std::size_t at = hash & (slots_.size() - 1); slots_[at] != 0; at = (at + 1) & (slots_.size() - 1)) {
    budget.step();
    const std::size_t i = slots_[at] - 1;
    if (hashes_[i] == hash && equals(items_[i].key, key, budget)) return i;
  }
  return std::nullopt;
}

const Value* Dict::find(const Value& key, Budget& budget) const {
  if (const Text* s = key.str()) {
    budget.scan(s->size());
    return find(s->bytes);
  }
  const auto i = place(key, hash_of(key, budget), budget);
  return i ? &items_[*i].value : nullptr;
}

void Dict::index(std::size_t from, Budget& budget) {
  if (items_.size() * 2 > slots_.size()) {
    slots_.assign(std::bit_ceil(items_.size() * 4), 0);
    from = 0;
  }
  for (std::size_t i = from; i < items_.size(); ++i) {
    if (i == hashes_.size()) hashes_.push_back(hash_of(items_[i].key, budget));
    std::size_t at = hashes_[i] & (slots_.size() - 1);
    while (slots_[at] != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = static_cast<std::uint32_t>(i + 1);
  }
}

void Dict::set(Value key, Value v, Budget& budget) {
  const std::uint64_t hash = hash_of(key, budget);
  depth_ = std::max({depth_, v.depth() + 1, key.depth() + 1});
  if (const auto i = place(key, hash, budget)) {
    items_[*i].value = std::move(v);
    return;
  }
  items_.push_back({std::move(key), std::move(v)});
  if (items_.size() >= kIndexedFrom) index(items_.size() - 1, budget);
}

}  // namespace sluice::text::jinja
