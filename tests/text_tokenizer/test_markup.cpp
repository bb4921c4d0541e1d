// Special tokens that mark tool calls: skipped like others, unless whoever reads calls asks for them.
#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"
#include "tests/text_tokenizer/tokenizer_fixture.h"

namespace sluice::text::test {

TEST_CASE("markup survives where it is kept, other special tokens do not") {
  const auto token = [](int id, const char* content, bool special) {
    return nlohmann::json{{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
                          {"rstrip", false}, {"normalized", false}, {"special", special}};
  };
  const nlohmann::json spec = {
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}}}, {"merges", nlohmann::json::array()}}},
      {"added_tokens", {token(1, "[TOOL_CALLS]", true), token(2, "<|im_end|>", true), token(3, "<think>", false)}},
      {"decoder", {{"type", "ByteLevel"}}}};
  const sluice::test::TempDir dir;
  dir.write("tokenizer.json", spec.dump());
  const auto t = load_or_throw(dir.path());
  CHECK(t.is_markup(1));
  CHECK(t.is_special(1));
  for (const TokenId id : {0, 2, 3, -1}) CHECK_FALSE(t.is_markup(id));
  const auto read = [&](bool skip, bool keep_markup) {
    auto s = t.stream(skip, {}, keep_markup);
    std::string out;
    for (const TokenId id : {1, 0, 2, 3}) s.push(id, out);
    return out + s.finish();
  };
  CHECK(read(true, true) == "[TOOL_CALLS]a<think>");
  CHECK(read(true, false) == "a<think>");
  CHECK(read(false, false) == "[TOOL_CALLS]a<|im_end|><think>");
}

}  // namespace sluice::text::test
