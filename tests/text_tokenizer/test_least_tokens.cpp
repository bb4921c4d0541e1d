// What a text's length says of its token count must never be too much: a prompt that would have fit would be refused.
#include <catch2/catch.hpp>
#include <random>

#include "tests/support/temp_dir.h"
#include "tests/text_tokenizer/tokenizer_fixture.h"

using namespace sluice;
using namespace sluice::text;
using namespace sluice::text::test;
using nlohmann::json;

namespace {

/// Texts of what tokenizers shorten: long pieces, white space, special tokens, characters that compose or have a short
/// equivalent, bytes that are no text.
class Texts {
 public:
  explicit Texts(const Tokenizer& t) : tokenizer_(t) {
    for (TokenId id = 0; id < static_cast<TokenId>(t.vocab_size()); ++id)
      if (const auto bytes = t.token_bytes(id); bytes.size() > 12 || t.is_special(id)) pieces_.emplace_back(bytes);
  }
  std::string next() {
    std::string s;
    const auto parts = pick(12);
    for (std::size_t i = 0; i < parts; ++i) add(s);
    return s;
  }

 private:
  std::size_t pick(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(rng_); }
  void add(std::string& s) {
    static const std::vector<std::string> kOdd{"\u212A",
                                               "\u2126",
                                               "\u1FEF",
                                               "\U0001D6B1\u0308\u0301",
                                               "\U0001D42E\u0308\u0304",
                                               "\u03B9\u0308\u0301",
                                               "\u1112\u1161\u11AB",
                                               "\uFF9E",
                                               "\U0001D400",
                                               "e\u0301",
                                               "\u00A8",
                                               "\uFDFA",
                                               "\u1E9E",
                                               "\u0130",
                                               "\uFE70"};
    static const std::vector<std::string> kSpaces{" ", "  ", "\n", "\t", "\u00A0", "\u3000", "\u2003", "\r\n"};
    const auto times = pick(6) == 0 ? pick(400) + 1 : pick(4) + 1;
    const auto& piece = pieces_.empty() ? kOdd[0] : pieces_[pick(pieces_.size())];
    const std::string one = [&]() -> std::string {
      switch (pick(6)) {
        case 0:
          return piece;
        case 1:
          return kOdd[pick(kOdd.size())];
        case 2:
          return kSpaces[pick(kSpaces.size())];
        case 3:
          return {1, static_cast<char>('a' + pick(26))};
        case 4:
          return {1, static_cast<char>(pick(256))};
        default:
          return " the";
      }
    }();
    for (std::size_t i = 0; i < times; ++i) s += one;
  }

  const Tokenizer& tokenizer_;
  std::vector<std::string> pieces_;
  std::mt19937 rng_{7};
};

void check_sound(const Tokenizer& t, int texts) {
  Texts made(t);
  int wrong = 0;
  for (int i = 0; i < texts; ++i) {
    const std::string s = made.next();
    for (const bool special : {true, false})
      if (t.least_tokens(s) > t.encode(s, false, special).value().size()) ++wrong;
  }
  CHECK(wrong == 0);
}

json spec_of(const std::string& family) {
  std::ifstream file(golden_dir(family) / "tokenizer.json");
  return json::parse(file);
}

Tokenizer tokenizer_of(const json& spec) {
  const sluice::test::TempDir dir;
  dir.write("tokenizer.json", spec.dump());
  return load_or_throw(dir.path());
}

}  // namespace

TEST_CASE("at least so many tokens: sound for every tokenizer here, and of use for texts that cannot fit") {
  const auto family = GENERATE(from_range(kFamilies));
  const auto t = load_or_throw(golden_dir(family));
  CAPTURE(family);
  check_sound(t, 1500);
  for (const auto& c : golden_cases(family))
    if (!c.decode_only) REQUIRE(t.least_tokens(c.text) <= c.ids.size());
  CHECK(t.least_tokens("") == 0);
  std::string fox;
  for (int i = 0; i < 50'000; ++i) fox += "the quick brown fox ";
  CHECK(t.least_tokens(fox) >= 1'000'000 / 256);
}

TEST_CASE("at least so many tokens: the bundled model refuses megabytes at a glance") {
  const auto t = load_or_throw(std::filesystem::path(SLUICE_SOURCE_DIR) / "models/sluice-tiny");
  check_sound(t, 1500);
  CHECK(t.least_tokens(std::string(1U << 20U, 'a')) > 4096);
}

TEST_CASE("at least so many tokens: sound whatever the normalizer and the pre-tokenizer") {
  auto spec = spec_of("llama3");
  spec["post_processor"] = nullptr;
  std::ifstream in(golden_dir("variants.jsonl"));
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    const auto row = json::parse(line);
    CAPTURE(row["name"].get<std::string>());
    spec["normalizer"] = row["normalizer"];
    spec["pre_tokenizer"] = row["pre_tokenizer"];
    check_sound(tokenizer_of(spec), 200);
  }
  for (const char* form : {"NFC", "NFD", "NFKC", "NFKD", "Lowercase"}) {
    CAPTURE(form);
    auto with = spec_of("llama3");
    with["normalizer"] = {{"type", form}};
    const auto t = tokenizer_of(with);
    check_sound(t, 400);
    CHECK(t.least_tokens(std::string(100'000, 'x')) > 0);
  }
}

TEST_CASE("at least so many tokens: nothing is said where text may vanish") {
  const std::string long_text(100'000, 'x');
  const std::string spaces(100'000, ' ');
  const auto normalized = [&](const json& normalizer) {
    auto spec = spec_of("llama3");
    spec["normalizer"] = normalizer;
    return tokenizer_of(spec);
  };
  const auto deleting = normalized({{"type", "Replace"}, {"pattern", {{"String", "x"}}}, {"content", ""}});
  CHECK(deleting.encode(long_text, false).value().empty());
  CHECK(deleting.least_tokens(long_text) == 0);
  CHECK(normalized({{"type", "Replace"}, {"pattern", {{"Regex", "x+"}}}, {"content", "y"}}).least_tokens(long_text) ==
        0);
  CHECK(normalized({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "_"}}).least_tokens(long_text) >
        0);

  const auto stripping = normalized({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
  CHECK(stripping.encode(spaces, false).value().empty());
  CHECK(stripping.least_tokens(spaces) == 0);
  CHECK(stripping.least_tokens(long_text) > 0);
  check_sound(stripping, 400);

  // A special token that swallows the white space beside it.
  auto spec = spec_of("llama3");
  for (auto& token : spec["added_tokens"]) token["lstrip"] = token["rstrip"] = true;
  const auto greedy = tokenizer_of(spec);
  const auto special = spec["added_tokens"][0]["content"].get<std::string>();
  CHECK(greedy.encode(spaces + special + spaces, false).value().size() == 1);
  CHECK(greedy.least_tokens(spaces + special + spaces) <= 1);
  CHECK(greedy.least_tokens(long_text) > 0);
  check_sound(greedy, 400);

  // Words that are taken out, white space or more.
  auto words = spec_of("llama3");
  words["pre_tokenizer"] = {{"type", "Sequence"},
                            {"pretokenizers", {{{"type", "WhitespaceSplit"}}, spec["pre_tokenizer"]}}};
  CHECK(tokenizer_of(words).least_tokens(spaces) == 0);
  check_sound(tokenizer_of(words), 400);
  words["pre_tokenizer"]["pretokenizers"][0] = {
      {"type", "Split"}, {"pattern", {{"String", "x"}}}, {"behavior", "Removed"}, {"invert", false}};
  CHECK(tokenizer_of(words).least_tokens(long_text) == 0);

  // Without a token for each byte, what the vocabulary lacks is dropped, or a run of it is one token.
  auto partial = spec_of("llama2");
  partial["model"]["byte_fallback"] = false;
  partial["model"]["fuse_unk"] = true;
  CHECK(tokenizer_of(partial).least_tokens(long_text) == 0);
}
