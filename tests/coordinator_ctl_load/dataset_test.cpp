#include "coordinator/ctl/load/dataset.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>

#include "coordinator/ctl/load/recorded.h"
#include "coordinator/ctl/load/synthetic.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::ctl::load;
using Catch::Contains;

namespace {

Surroundings exact(std::uint64_t context = 0) {
  return {.material = Material::of_tokens({10, 11, 12, 13, 14, 15, 16, 17}),
          .text = Material::of_words(1),
          .context = context,
          .count_tokens = {}};
}

/// A word is a token.
Result<std::uint64_t> count_words(const std::string& text) {
  return static_cast<std::uint64_t>(std::ranges::count(text, ' ') + (text.empty() ? 0 : 1));
}

std::string words(int n) {
  std::string s = "w";
  for (int i = 1; i < n; ++i) s += " w";
  return s;
}

std::string talk(int prompt, int answer) {
  return R"({"id":"x","conversations":[{"from":"human","value":")" + words(prompt) + R"("},{"from":"gpt","value":")" +
         words(answer) + R"("},{"from":"human","value":"more"}]})";
}

ShareGptRules rules(std::size_t wanted = 100) {
  return {.wanted = wanted, .seed = 1, .context = 0, .count_tokens = count_words};
}

}  // namespace

TEST_CASE("random prompts have their lengths, and are the same for the same seed") {
  const RandomDataset d({.conversations = 50, .input = {100, 0.5}, .output = {10, 0.5}, .seed = 3}, exact());
  std::set<std::uint64_t> inputs;
  for (std::size_t i = 0; i < 50; ++i) {
    const Turn t = d.turn(i, 0);
    CHECK(t.prompt.tokens.size() == t.input_tokens);
    CHECK((t.input_tokens >= 50 && t.input_tokens <= 150));
    CHECK((t.output_tokens >= 5 && t.output_tokens <= 15));
    inputs.insert(t.input_tokens);
  }
  CHECK(inputs.size() > 20);
  const RandomDataset same({.conversations = 50, .input = {100, 0.5}, .output = {10, 0.5}, .seed = 3}, exact());
  CHECK(d.turn(7, 0).prompt.tokens == same.turn(7, 0).prompt.tokens);
  CHECK_FALSE(d.turn(7, 0).prompt.tokens == d.turn(8, 0).prompt.tokens);
  CHECK(Lengths{64, 0}.draw(99) == 64);
}

TEST_CASE("requests are cut to the context, the prompt before the answer") {
  const auto cut = [](std::uint64_t in, std::uint64_t out) {
    const bool touched = fit_context(in, out, 4096);
    return std::tuple(in, out, touched);
  };
  CHECK(cut(10, 10) == std::tuple(10U, 10U, false));
  CHECK(cut(40160, 6) == std::tuple(4090U, 6U, true));
  CHECK(cut(100, 9999) == std::tuple(1U, 4095U, true));
  CHECK(cut(0, 0) == std::tuple(1U, 1U, true));
  std::uint64_t in = 1 << 20, out = 1 << 20;
  CHECK_FALSE(fit_context(in, out, 0));  // a server that does not say how much it takes
}

TEST_CASE("prompts of a group share its prefix and nothing else") {
  const PrefixDataset d({.conversations = 40, .input = {20, 0}, .output = {4, 0}, .seed = 1}, exact(), 3, 100);
  std::set<std::vector<std::uint32_t>> prefixes, rests;
  for (std::size_t i = 0; i < 40; ++i) {
    const auto t = d.turn(i, 0).prompt.tokens;
    REQUIRE(t.size() == 120);
    prefixes.emplace(t.begin(), t.begin() + 100);
    rests.emplace(t.begin() + 100, t.end());
  }
  CHECK(prefixes.size() == 3);
  CHECK(rests.size() == 40);
}

TEST_CASE("a trace's prompts that name the same blocks begin alike") {
  const TraceDataset d({{0, 1030, 6, {7, 8, 9}}, {1.5, 1100, 6, {7, 8, 10}}, {2, 5, 1, {}}}, exact(), 0);
  const auto a = d.turn(0, 0).prompt.tokens, b = d.turn(1, 0).prompt.tokens;
  CHECK(a.size() == 1030);
  CHECK(b.size() == 1100);
  CHECK(std::equal(a.begin(), a.begin() + 1024, b.begin()));
  CHECK_FALSE(std::equal(a.begin() + 1024, a.end(), b.begin() + 1024));
  CHECK(d.due_s(1) == 1.5);
  CHECK(d.turn(5, 0).input_tokens == 5);  // beyond its end it begins again, with other words
}

TEST_CASE("words make text of about so many tokens") {
  Prompt p;
  Material::of_words(2).append(p, 100, 5);
  CHECK(p.tokens.empty());
  CHECK(count_words(p.text) == 50);
  const MultiTurnDataset d({.conversations = 2, .input = {8, 0}, .output = {4, 0}, .seed = 1}, exact(), 3);
  CHECK(d.turns() == 3);
  CHECK_FALSE(d.turn(0, 0).prompt.text == d.turn(0, 1).prompt.text);
  CHECK(d.turn(1, 2).prompt.text == d.turn(1, 2).prompt.text);
}

TEST_CASE("conversations that do not fit the context are refused before anything is sent") {
  LoadOptions o;
  o.dataset = "multi-turn";
  o.turns = 4;
  o.input_len = 100;
  o.output_len = 100;
  CHECK(make_dataset(o, exact(1000)));
  const auto d = make_dataset(o, exact(700));
  REQUIRE_FALSE(d);
  CHECK_THAT(d.error().message, Contains("--turns"));
  o.dataset = "sharegpt";
  CHECK_THAT(make_dataset(o, exact()).error().message, Contains("--dataset-file"));
}

TEST_CASE("ShareGPT is filtered as vLLM does it") {
  const std::string text = "[\n" + talk(3, 10) + ",\n" + talk(10, 3) + ",\n" + talk(1025, 10) + ",\n" +
                           talk(1000, 1049) + ",\n" + talk(4, 4) + ",\n" +
                           R"({"conversations":[{"from":"human","value":"alone"}]},)" + "\n" + talk(1024, 1024) +
                           "\n]\n";
  const auto turns = read_sharegpt(text, rules());
  REQUIRE(turns);
  REQUIRE(turns->size() == 2);
  std::set<std::uint64_t> prompts;
  for (const Turn& t : *turns) prompts.insert(t.input_tokens);
  CHECK(prompts == std::set<std::uint64_t>{4, 1024});
  CHECK((*turns)[0].output_tokens == (*turns)[0].input_tokens);
  auto small = rules();
  small.context = 100;
  CHECK(read_sharegpt(text, small)->size() == 1);
  CHECK(read_sharegpt(text, rules(1))->size() == 1);
  CHECK_THAT(read_sharegpt("[" + talk(1, 1) + "]", rules()).error().message, Contains("none of the file's 1"));
}

TEST_CASE("a ShareGPT file's order is the seed's") {
  std::string text = "[";
  for (int i = 4; i < 40; ++i) text += (i > 4 ? "," : "") + talk(i, 4);
  text += "]";
  const auto lengths = [&](std::uint64_t seed) {
    auto r = rules();
    r.seed = seed;
    std::vector<std::uint64_t> all;
    const auto turns = read_sharegpt(text, r);
    REQUIRE(turns);
    for (const Turn& t : *turns) all.push_back(t.input_tokens);
    return all;
  };
  CHECK(lengths(1) == lengths(1));
  CHECK_FALSE(lengths(1) == lengths(2));
}

TEST_CASE("a broken ShareGPT file is refused with its line") {
  const std::pair<std::string, const char*> cases[] = {
      {"", "line 1"},
      {"{}", "line 1"},
      {"[", "does not end"},
      {"[]", "empty"},
      {"[\n\n3]", "line 3"},
      {"[\n" + talk(5, 5), "whole"},
      {"[\n" + talk(5, 5) + "]\nmore", "line 3"},
      {"[\n\n{\"conversations\": 5}]", "line 3"},
      {"[\n{\"conversations\": [{\"value\": 5}]}]", "line 2"},
      {"[\n{\"id\": 5}]", "line 2"},
      {"[\n{\"conversations\" []}]", "line 2"},
      {"[{\"conversations\": \"" + std::string(100, '['), "does not end"},
      {"[{\"a\": " + std::string(200000, '[') + std::string(200000, ']') + "}]", "line 1"},
      {std::string("[\"\\"), "object"},
  };
  for (const auto& [text, words] : cases) {
    CAPTURE(text.substr(0, 60));
    const auto r = read_sharegpt(text, rules());
    REQUIRE_FALSE(r);
    CHECK_THAT(r.error().message, Contains(words));
  }
}

TEST_CASE("lines of prompts are read strictly") {
  const auto turns = read_prompts(
      "{\"prompt\": \"Tell me\", \"max_tokens\": 7}\r\n\n{\"messages\": [{\"role\": \"user\", "
      "\"content\": \"hi\"}]}\n",
      {.output_len = 32, .chat = true});
  REQUIRE(turns);
  REQUIRE(turns->size() == 2);
  CHECK((*turns)[0].prompt.text == "Tell me");
  CHECK((*turns)[0].output_tokens == 7);
  CHECK((*turns)[1].output_tokens == 32);
  CHECK((*turns)[1].prompt.messages[0]["content"] == "hi");
  const std::string good = "{\"prompt\": \"a\"}\n";
  for (const char* bad :
       {"{", "[]", "{}", R"({"prompt": 5})", R"({"prompt": ""})", R"({"prompt": "a", "max_tokens": 0})",
        R"({"prompt": "a", "max_tokens": 1.5})", R"({"prompt": "a", "max_tokens": 1e300})",
        R"({"prompt": "a", "x": 1})", R"({"prompt": "a", "prompt": "b"})",
        R"({"prompt": "a", "messages": [{"role": "user"}]})", R"({"messages": []})", R"({"messages": [3]})",
        R"({"messages": [{"content": "x"}]})", "\xff\xfe"}) {
    CAPTURE(bad);
    const auto r = read_prompts(good + bad, {.output_len = 32, .chat = true});
    REQUIRE_FALSE(r);
    CHECK_THAT(r.error().message, Contains("line 2"));
  }
  CHECK_THAT(read_prompts(R"({"messages": [{"role": "user"}]})", {}).error().message, Contains("--endpoint chat"));
  CHECK_FALSE(read_prompts("", {}));
}

TEST_CASE("a file that is shorter than the test is used again, and that is said") {
  const test::TempDir dir;
  const auto file = dir.path() / "p.jsonl";
  std::ofstream(file) << "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n";
  LoadOptions o;
  o.dataset = "file";
  o.file = file.string();
  o.requests = 5;
  const auto d = make_dataset(o, exact());
  REQUIRE(d);
  CHECK((*d)->size() == 5);
  CHECK((*d)->turn(4, 0).prompt.text == "a");
  CHECK_THAT((*d)->note(), Contains("2 prompts"));
  o.file = (dir.path() / "none").string();
  CHECK_FALSE(make_dataset(o, exact()));
}
