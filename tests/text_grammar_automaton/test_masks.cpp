// The masks of the automaton against a recogniser that only knows what a grammar means.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "random_grammar.h"
#include "slow_recogniser.h"
#include "text/grammar/matcher.h"

using namespace sluice;
using namespace sluice::text::grammar;
using namespace sluice::text::grammar::test;

namespace {

std::vector<std::uint64_t> mask_of(const Matcher& m, const Vocabulary& v) {
  std::vector<std::uint64_t> bits(v.mask_words(), ~0ULL);
  m.fill(bits);
  return bits;
}

bool has(const std::vector<std::uint64_t>& bits, std::size_t id) { return (bits[id / 64] >> (id % 64) & 1U) != 0; }

/// Goes on at random for some tokens and compares every mask on the way. How many.
std::size_t walk(const std::shared_ptr<const Automaton>& automaton, const Vocabulary& v, SlowRecogniser& slow,
                 Random& random, std::size_t tokens) {
  Matcher m(automaton);
  std::string text;
  std::vector<TokenId> taken;
  for (std::size_t step = 0; step < tokens; ++step) {
    const auto here = slow.judge(text);
    REQUIRE(m.may_end() == here.whole);
    REQUIRE(m.must_end() == (here.whole && !here.longer));
    const auto bits = mask_of(m, v);
    std::vector<TokenId> may;
    for (std::size_t id = 0; id < bits.size() * 64; ++id) {
      const auto bytes = v.bytes(static_cast<TokenId>(id));
      const bool expected = id == 0 ? here.whole : !bytes.empty() && slow.judge(text + std::string(bytes)).prefix;
      CAPTURE(text, id, bytes);
      REQUIRE(has(bits, id) == expected);
      if (expected && id != 0) may.push_back(static_cast<TokenId>(id));
    }
    const auto forced = m.forced(8);
    if (!forced.empty()) REQUIRE(slow.judge(text + forced).prefix);
    if (may.empty()) return step;
    const auto next = may[random() % may.size()];
    REQUIRE(m.accept(next));
    taken.push_back(next);
    text += v.bytes(next);
  }
  Matcher again(automaton);
  for (const auto t : taken) REQUIRE(again.accept(t));
  REQUIRE(mask_of(again, v) == mask_of(m, v));
  return tokens;
}

}  // namespace

TEST_CASE("a mask does not depend on what was asked before") {
  for (std::uint64_t seed = 1000, grammars = 0; grammars < 80; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const auto g = random_grammar(random);
    if (!g.check()) continue;
    ++grammars;
    const auto v = random_vocabulary(random);
    const auto shared = or_throw(Automaton::compile(g, v));
    for (int i = 0; i < 6; ++i) {
      Matcher m(shared);
      std::vector<TokenId> taken;
      for (int step = 0; step < 8; ++step) {
        const auto bits = mask_of(m, *v);
        Matcher fresh(or_throw(Automaton::compile(g, v)));
        for (const auto t : taken) REQUIRE(fresh.accept(t));
        REQUIRE(mask_of(fresh, *v) == bits);
        std::vector<TokenId> may;
        for (std::size_t id = 1; id < bits.size() * 64; ++id)
          if (has(bits, id)) may.push_back(static_cast<TokenId>(id));
        if (may.empty()) break;
        taken.push_back(may[random() % may.size()]);
        REQUIRE(m.accept(taken.back()));
      }
    }
  }
}

TEST_CASE("masks equal those of a slow recogniser over random grammars") {
  std::size_t grammars = 0, masks = 0;
  for (std::uint64_t seed = 1; grammars < 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const auto g = random_grammar(random);
    if (!g.check()) continue;
    ++grammars;
    const auto v = random_vocabulary(random);
    const auto automaton = Automaton::compile(g, v);
    if (!automaton) FAIL(automaton.error().message);
    SlowRecogniser slow(g);
    for (int i = 0; i < 2; ++i) masks += walk(*automaton, *v, slow, random, 6);
  }
  CHECK(masks > 1000);
}
