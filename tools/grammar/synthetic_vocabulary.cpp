#include "tools/grammar/synthetic_vocabulary.h"

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace sluice::text::grammar {
namespace {

constexpr std::array<std::string_view, 24> kOnsets{"",  "b", "c", "d", "f",  "g",  "h",  "l",  "m",  "n",  "p",  "r",
                                                   "s", "t", "v", "w", "st", "tr", "ch", "sh", "th", "pr", "gr", "pl"};
constexpr std::array<std::string_view, 16> kRhymes{"a",  "e",  "i",  "o",  "u",   "an",  "en",  "in",
                                                   "on", "er", "ar", "al", "ing", "ion", "est", "ate"};
constexpr std::array<std::string_view, 24> kMarks{"\"", "\",", "\":", "{\"", "}",  "},",    "[",     "]",
                                                  "],", "\"}", "\"]", ":",   ",",  "\",\"", "\":\"", "\": \"",
                                                  ", ", "\\",  "\\n", "()",  ");", ".",     "!",     "?\""};

class Maker {
 public:
  explicit Maker(std::size_t tokens) : wanted_(tokens) { tokens_.emplace_back(); }

  std::shared_ptr<const Vocabulary> make() {
    for (int b = 0; b < 256; ++b) add(std::string(1, static_cast<char>(b)));
    for (int n = 0; n < 1000; ++n) add(std::to_string(n));
    for (std::size_t n = 2; n <= 64; ++n) {
      add(std::string(n, ' '));
      if (n <= 16) add(std::string(n, '\n')), add(std::string(n, '\t'));
      add("\n" + std::string(n, ' '));
      add(std::string(n, '='));
      add(std::string(n, '-'));
    }
    for (const auto a : kMarks) {
      add(std::string(a));
      add(" " + std::string(a));
      add(std::string(a) + "\n");
      for (const auto b : kMarks) add(std::string(a) + std::string(b));
    }
    while (tokens_.size() < wanted_) add(word());
    return Vocabulary::create(std::move(tokens_), wanted_, {0});
  }

 private:
  void add(std::string token) {
    if (tokens_.size() < wanted_ && seen_.insert(token).second) tokens_.push_back(std::move(token));
  }

  std::size_t below(std::size_t n) { return random_() % n; }

  std::string word() {
    const auto kind = below(16);
    std::string w = kind >= 14 ? foreign(kind == 14 ? 0x4E00 : 0x0410, kind == 14 ? 3000 : 64) : latin();
    if (kind < 8) w.insert(0, " ");
    if (kind == 8) w += kMarks[below(kMarks.size())];
    if (kind == 9) w.insert(0, kMarks[below(kMarks.size())]);
    if (kind == 10) w.insert(0, "_");
    // Merges of bytes end inside characters, too.
    if (kind >= 14 && below(6) == 0) w.resize(w.size() - 1);
    return w;
  }

  std::string latin() {
    std::string w;
    for (auto n = 1 + below(4); n > 0; --n) {
      w += kOnsets[below(kOnsets.size())];
      w += kRhymes[below(kRhymes.size())];
      if (below(40) == 0) w += "\xC3\xA9";
    }
    if (below(4) == 0 && w[0] >= 'a') w[0] = static_cast<char>(w[0] - 'a' + 'A');
    return w;
  }

  std::string foreign(unsigned first, std::size_t count) {
    std::string w;
    for (auto n = 1 + below(4); n > 0; --n) {
      const auto c = first + static_cast<unsigned>(below(count));
      const auto tail = [](unsigned x) { return static_cast<char>(0x80U | (x & 0x3FU)); };
      if (c < 0x800)
        w += {static_cast<char>(0xC0U | (c >> 6U)), tail(c)};
      else
        w += {static_cast<char>(0xE0U | (c >> 12U)), tail(c >> 6U), tail(c)};
    }
    return w;
  }

  std::size_t wanted_;
  std::mt19937_64 random_{7};
  std::vector<std::string> tokens_;
  std::unordered_set<std::string> seen_;
};

}  // namespace

std::shared_ptr<const Vocabulary> synthetic_vocabulary(std::size_t tokens) { return Maker(tokens).make(); }

}  // namespace sluice::text::grammar
