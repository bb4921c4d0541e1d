// Vocabularies as large, and as real, as those that are served.
#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "text/grammar/matcher.h"
#include "text/grammar/sources.h"
#include "text/tokenizer/tokenizer.h"
#include "tools/grammar/synthetic_vocabulary.h"

using namespace sluice;
using namespace sluice::text;
using namespace sluice::text::grammar;

namespace {

constexpr std::string_view kText = R"({"name": "Zoë \"Z\" Müller", "tags": ["a", "b c", ""], "size": -12.5e3})";

Grammar schema() {
  return or_throw(from_json_schema(nlohmann::ordered_json::parse(R"({"type": "object", "properties": {
    "name": {"type": "string", "maxLength": 40}, "tags": {"type": "array", "items": {"type": "string"}},
    "size": {"type": "number"}}, "required": ["name", "tags", "size"], "additionalProperties": false})")));
}

std::vector<std::uint64_t> mask_of(const Matcher& m, const Vocabulary& v) {
  std::vector<std::uint64_t> bits(v.mask_words(), ~0ULL);
  m.fill(bits);
  return bits;
}

/// After each byte of the text the mask says of some tokens what reading them says.
void compare(const std::shared_ptr<const Vocabulary>& v, std::size_t samples) {
  const auto automaton = or_throw(Automaton::compile(schema(), v));
  std::mt19937_64 random(3);
  std::size_t allowed = 0;
  for (std::size_t size = 0; size <= kText.size(); size += 3) {
    Matcher m(automaton);
    REQUIRE(m.accept_text(kText.substr(0, size)));
    const auto bits = mask_of(m, *v);
    for (std::size_t i = 0; i < samples; ++i) {
      const auto id = random() % v->width();
      if (v->ends(static_cast<TokenId>(id))) continue;
      Matcher other(automaton);
      REQUIRE(other.accept_text(kText.substr(0, size)));
      const bool may = other.accept(static_cast<TokenId>(id));
      CAPTURE(size, id, v->bytes(static_cast<TokenId>(id)));
      REQUIRE((bits[id / 64] >> (id % 64) & 1U) == (may ? 1U : 0U));
      allowed += may ? 1 : 0;
    }
    for (std::size_t id = v->width(); id < bits.size() * 64; ++id) REQUIRE((bits[id / 64] >> (id % 64) & 1U) == 0);
  }
  CHECK(allowed > samples);
}

}  // namespace

TEST_CASE("masks at 128k tokens say what reading the tokens says") { compare(synthetic_vocabulary(), 400); }

TEST_CASE("masks of a model's own tokens say what reading them says") {
  const auto tokenizer = or_throw(Tokenizer::load(std::filesystem::path(SLUICE_SOURCE_DIR) / "models/sluice-tiny"));
  const auto v = Vocabulary::of(tokenizer, tokenizer.vocab_size() + 70);
  CHECK_FALSE(v->eos().empty());
  compare(v, 400);
}

TEST_CASE("masks are those of the stack: what is remembered serves only stacks that look the same") {
  const auto v = synthetic_vocabulary(20'000);
  const auto g = or_throw(from_json_schema(nlohmann::ordered_json::parse(R"({"type": "object"})")));
  const auto shared = or_throw(Automaton::compile(g, v));
  for (const std::string_view open : {R"({"a": ["x)", R"({"a": {"b": "x)", R"({"a": [{"b": "x)", R"({"a": {"b": ["x)",
                                      R"({"a": [[[{"b": "x)", R"({"a": [[["x)", R"({"a": [{"b": [{"b": "x)"}) {
    CAPTURE(open);
    Matcher m(shared), fresh(or_throw(Automaton::compile(g, v)));
    for (const auto text : {open, std::string_view("yz"), std::string_view("\"")}) {
      REQUIRE(m.accept_text(text));
      REQUIRE(fresh.accept_text(text));
      REQUIRE(mask_of(m, *v) == mask_of(fresh, *v));
    }
  }
}

TEST_CASE("however ambiguous a grammar is, what is offered can be read") {
  const auto v = synthetic_vocabulary(20'000);
  Grammar g;
  auto any = g.chars(CodePointSet(0, 0x10FFFF));
  for (int i = 0; i < 12; ++i) any = g.repeat(any, 0, 1000);
  g.set_root(any);
  Matcher m(or_throw(Automaton::compile(g, v)));
  std::mt19937_64 random(5);
  for (int step = 0; step < 30; ++step) {
    const auto bits = mask_of(m, *v);
    std::vector<TokenId> may;
    for (std::size_t id = 0; id < v->width(); ++id)
      if ((bits[id / 64] >> (id % 64) & 1U) != 0 && !v->ends(static_cast<TokenId>(id)))
        may.push_back(static_cast<TokenId>(id));
    REQUIRE_FALSE(may.empty());
    REQUIRE(m.accept(may[random() % may.size()]));
  }
}

TEST_CASE("threads that share an automaton see the same masks") {
  const auto v = synthetic_vocabulary(20'000);
  const auto automaton = or_throw(Automaton::compile(schema(), v));
  const auto all = [&] {
    std::vector<std::vector<std::uint64_t>> masks;
    Matcher m(automaton);
    for (const char c : kText) {
      masks.push_back(mask_of(m, *v));
      if (!m.accept_text({&c, 1})) break;
    }
    return masks;
  };
  std::vector<std::vector<std::vector<std::uint64_t>>> seen(4);
  std::vector<std::thread> threads;
  for (auto& s : seen) threads.emplace_back([&] { s = all(); });
  for (auto& t : threads) t.join();
  for (const auto& s : seen) CHECK(s == seen[0]);
  CHECK(seen[0].size() == kText.size());
}
