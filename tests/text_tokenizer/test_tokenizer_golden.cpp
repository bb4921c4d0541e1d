// Ids and texts must equal those of Hugging Face's `tokenizers`, string by string: a model fed other ids than it was
// trained on gets worse without anything failing.
#include <catch2/catch.hpp>
#include <thread>

#include "tests/text_tokenizer/tokenizer_fixture.h"

using namespace sluice;
using namespace sluice::text;
using namespace sluice::text::test;

TEST_CASE("encode equals the reference on the corpus") {
  const auto family = GENERATE(from_range(kFamilies));
  const auto t = load_or_throw(golden_dir(family));
  std::size_t strings = 0;
  for (const auto& c : golden_cases(family)) {
    if (c.decode_only) continue;
    ++strings;
    INFO(family << ": " << nlohmann::json(c.text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
    const auto ids = t.encode(c.text, false, true);
    const auto plain = t.encode(c.text, false, false);
    REQUIRE(ids);
    REQUIRE(plain);
    CHECK(*ids == c.ids);
    CHECK(*plain == c.plain_ids);
  }
  CHECK(strings >= (family == "mistral" ? 700U : 2000U));
}

TEST_CASE("decode equals the reference on the corpus") {
  const auto family = GENERATE(from_range(kFamilies));
  const auto t = load_or_throw(golden_dir(family));
  for (const auto& c : golden_cases(family)) {
    INFO(family << ": " << nlohmann::json(c.ids).dump());
    CHECK(t.decode(c.ids, true) == c.decoded);
    CHECK(t.decode(c.ids, false) == c.decoded_with_special);
  }
}

TEST_CASE("special tokens marked as typed are text, and only they") {
  const auto family = GENERATE(from_range(kFamilies));
  const auto t = load_or_throw(golden_dir(family));
  std::size_t marked = 0;
  for (const auto& c : golden_cases(family)) {
    if (c.decode_only) continue;
    const auto typed = t.special_starts(c.text);
    CHECK(t.encode(c.text, false, true, typed).value() == c.plain_ids);
    if (c.plain_ids != c.ids) ++marked;
    if (typed.empty()) CHECK(c.plain_ids == c.ids);
  }
  CHECK(marked > 0);
  TokenId special = 0;
  while (!t.is_special(special) || t.id_to_piece(special).size() < 2) ++special;
  const std::string piece(t.id_to_piece(special));
  const auto ids = t.encode(piece + "x" + piece, false, true, std::vector<std::size_t>{1}).value();
  CHECK(std::ranges::count(ids, special) == 1);
  CHECK(ids.back() == special);
}

TEST_CASE("what may begin a special token at a string's end is found, also before white space") {
  const auto t = load_or_throw(golden_dir("llama3"));
  const std::string bos = "<|bos|>";
  CHECK(t.special_starts("a " + bos) == std::vector<std::size_t>{3});
  CHECK(t.special_starts("a " + bos.substr(0, 4)) == std::vector<std::size_t>{3});
  CHECK(t.special_starts("a " + bos.substr(0, 4) + " \n") == std::vector<std::size_t>{3});
  CHECK(t.special_starts("a " + bos.substr(0, 4) + " b").empty());
  CHECK(t.special_starts("").empty());
  CHECK(t.special_starts("a < b").empty());
}

TEST_CASE("the post-processor's tokens go around the text") {
  const auto llama3 = load_or_throw(golden_dir("llama3"));
  const auto llama2 = load_or_throw(golden_dir("llama2"));
  const auto qwen2 = load_or_throw(golden_dir("qwen2"));
  CHECK(llama3.encode("").value() == std::vector<TokenId>{*llama3.piece_to_id("<|bos|>")});
  CHECK(llama2.encode("").value() == std::vector<TokenId>{1, 2});
  CHECK(qwen2.encode("").value().empty());
}

TEST_CASE("one tokenizer serves many threads") {
  const auto family = GENERATE(from_range(kFamilies));
  const auto t = load_or_throw(golden_dir(family));
  const auto cases = golden_cases(family);
  std::vector<std::size_t> wrong(4);
  {
    std::vector<std::jthread> threads;
    for (auto& count : wrong) {
      threads.emplace_back([&] {
        for (const auto& c : cases)
          if (!c.decode_only && (t.encode(c.text, false).value() != c.ids || t.decode(c.ids) != c.decoded)) ++count;
      });
    }
  }
  CHECK(wrong == std::vector<std::size_t>(4));
}
