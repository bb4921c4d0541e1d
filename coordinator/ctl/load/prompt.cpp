#include "coordinator/ctl/load/prompt.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string_view>

namespace sluice::ctl::load {
namespace {

constexpr std::string_view kWords[] = {
    "the",   "of",    "and",   "to",    "in",    "a",     "is",    "that", "for",   "it",    "as",   "was",
    "with",  "be",    "by",    "on",    "not",   "he",    "this",  "are",  "or",    "his",   "from", "at",
    "which", "but",   "have",  "an",    "had",   "they",  "you",   "were", "their", "one",   "all",  "we",
    "can",   "her",   "has",   "there", "been",  "if",    "more",  "when", "will",  "would", "who",  "so",
    "no",    "house", "king",  "river", "stone", "water", "light", "hand", "day",   "night", "road", "city",
    "word",  "name",  "world", "year",  "sea",   "land",  "tree",  "fire", "time",  "way"};

}  // namespace

std::uint64_t stream_of(std::uint64_t seed, std::uint64_t which, std::uint64_t what) {
  // `what` 0 is the stream of a request's prompt.
  return seed * 0x9e3779b97f4a7c15ULL + which + what * 0xd1342543de82ef95ULL;
}

Material Material::of_tokens(std::vector<std::uint32_t> ids) {
  Material m;
  m.ids_ = std::move(ids);
  return m;
}

Material Material::of_words(double tokens_per_word) {
  Material m;
  m.tokens_per_word_ = std::clamp(tokens_per_word, 0.2, 20.0);
  return m;
}

void Material::append(Prompt& to, std::uint64_t tokens, std::uint64_t stream) const {
  std::mt19937_64 random(stream);
  if (exact()) {
    to.tokens.reserve(to.tokens.size() + tokens);
    for (std::uint64_t k = 0; k < tokens; ++k) to.tokens.push_back(ids_[random() % ids_.size()]);
    return;
  }
  const auto words =
      static_cast<std::uint64_t>(std::max(1.0, std::round(static_cast<double>(tokens) / tokens_per_word_)));
  for (std::uint64_t k = 0; k < words; ++k) {
    if (!to.text.empty()) to.text += ' ';
    to.text += kWords[random() % std::size(kWords)];
  }
}

std::size_t Material::word_count() { return std::size(kWords); }

std::string Material::all_words() {
  std::string text;
  for (const auto& w : kWords) text.append(text.empty() ? "" : " ").append(w);
  return text;
}

}  // namespace sluice::ctl::load
