#include "random_grammar.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::text::grammar::test {
namespace {

constexpr std::array<std::string_view, 8> kLetters{
    "a", "b", "c", "\"", "\xC3\xA9", "\xC3\xBF", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
constexpr std::array<char32_t, 8> kCodes{'a', 'b', 'c', '"', 0xE9, 0xFF, 0x20AC, 0x1F600};

std::size_t below(Random& random, std::size_t n) { return random() % n; }

class Maker {
 public:
  explicit Maker(Random& random) : random_(random) {}

  Grammar make() {
    const auto rules = below(random_, 4);
    for (std::size_t i = 0; i < rules; ++i) rules_.push_back(g_.declare("r" + std::to_string(i)));
    for (const auto r : rules_) g_.define(r, node(3));
    g_.set_root(node(4));
    return std::move(g_);
  }

 private:
  NodeIndex node(int depth) {
    const auto kind = below(random_, depth == 0 ? 4 : 12);
    if (kind < 2) return g_.literal(text(below(random_, 4)));
    if (kind == 2) return g_.chars(set());
    if (kind == 3) return rules_.empty() ? g_.literal(text(1)) : g_.rule(rules_[below(random_, rules_.size())]);
    if (kind < 7) return g_.sequence(children(depth));
    if (kind < 9) return g_.choice(children(depth));
    const auto child = node(depth - 1);
    switch (below(random_, 6)) {
      case 0:
        return g_.repeat(child, 0);
      case 1:
        return g_.repeat(child, 1);
      case 2:
        return g_.optional(child);
      case 3: {
        const auto least = static_cast<std::uint32_t>(below(random_, 4));
        return g_.repeat(child, least, least + static_cast<std::uint32_t>(below(random_, 4)));
      }
      case 4:  // counts
        return g_.repeat(child, static_cast<std::uint32_t>(below(random_, 6)), 100);
      default:
        return g_.repeat(child, static_cast<std::uint32_t>(70 + below(random_, 4)));
    }
  }

  std::vector<NodeIndex> children(int depth) {
    std::vector<NodeIndex> out(below(random_, 10) == 0 ? 0 : 1 + below(random_, 3));
    for (auto& c : out) c = node(depth - 1);
    return out;
  }

  std::string text(std::size_t letters) {
    std::string out;
    for (std::size_t i = 0; i < letters; ++i) out += kLetters[below(random_, kLetters.size())];
    return out;
  }

  CodePointSet set() {
    CodePointSet out;
    for (auto i = 1 + below(random_, 3); i > 0; --i) {
      const auto c = kCodes[below(random_, kCodes.size())];
      out.add(c, c + static_cast<char32_t>(below(random_, 3) * 10));
    }
    return below(random_, 6) == 0 ? out.complement() : out;
  }

  Random& random_;
  Grammar g_;
  std::vector<RuleIndex> rules_;
};

}  // namespace

Grammar random_grammar(Random& random) { return Maker(random).make(); }

std::shared_ptr<const Vocabulary> random_vocabulary(Random& random) {
  std::string all;
  for (const auto l : kLetters) all += l;
  std::vector<std::string> bytes{""};  // the end
  for (const char c : all) bytes.emplace_back(1, c);
  for (int i = 0; i < 90; ++i) {
    std::string text;
    for (auto n = 1 + below(random, 5); n > 0; --n) text += kLetters[below(random, kLetters.size())];
    const auto from = below(random, 3) == 0 ? below(random, text.size()) : 0;
    const auto size = below(random, 3) == 0 ? 1 + below(random, text.size() - from) : text.size() - from;
    bytes.push_back(text.substr(from, size));
  }
  bytes.emplace_back(20, 'a');
  const auto width = bytes.size() + below(random, 80);
  return Vocabulary::create(std::move(bytes), width, {0});
}

}  // namespace sluice::text::grammar::test
