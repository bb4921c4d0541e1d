// tokenizer_config.json has a say in what is put around a text. R1-Distill-Qwen's says add_bos_token, its
// tokenizer.json has no BOS: without the former the model answered prompts it was never trained on. Values are
// transformers 4.57's.
#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"
#include "tests/text_tokenizer/tokenizer_fixture.h"

using namespace sluice;
using namespace sluice::text;
using namespace sluice::text::test;
using nlohmann::json;

namespace {

constexpr TokenId kAb = 2, kC = 3, kSpace = 4, kS = 5, kEndS = 6, kBos = 7, kEnd = 8;

/// A byte-level vocabulary whose post-processor puts <s> before the text.
json spec() {
  return json::parse(R"({
    "added_tokens": [{"id": 5, "content": "<s>", "special": true}, {"id": 6, "content": "</s>", "special": true},
                     {"id": 7, "content": "<bos>", "special": true}, {"id": 8, "content": "<|endoftext|>", "special": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "use_regex": true},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [5], "tokens": ["<s>"]}}},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3, "Ġ": 4}, "merges": ["a b"]}})");
}

Result<Tokenizer> load(const json& config, const json& tokenizer = spec()) {
  const sluice::test::TempDir dir;
  dir.write("tokenizer.json", tokenizer.dump());
  dir.write("tokenizer_config.json", config.dump());
  return Tokenizer::load(dir.path());
}

}  // namespace

TEST_CASE("the class that tokenizer_config.json names decides what is put around a text") {
  const auto [config, ids] = GENERATE(table<std::string, std::vector<TokenId>>(
      {{R"({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "add_bos_token": false})", {kS, kAb, kC}},
       {R"({"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": true})", {kS, kSpace, kAb, kC}},
       {R"({"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<s>", "add_bos_token": false})", {kSpace, kAb, kC}},
       {R"({"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": true, "add_eos_token": true})",
        {kS, kSpace, kAb, kC, kEndS}},
       {R"({"tokenizer_class": "LlamaTokenizer", "bos_token": "<bos>"})", {kBos, kSpace, kAb, kC}},
       {R"({"tokenizer_class": "LlamaTokenizer"})", {kS, kSpace, kAb, kC}},
       {R"({"tokenizer_class": "GPTNeoXTokenizerFast", "bos_token": "<s>"})", {kAb, kC}},
       {R"({"tokenizer_class": "GPTNeoXTokenizer", "add_bos_token": true})", {kEnd, kAb, kC}},
       {R"({"tokenizer_class": "GemmaTokenizer", "eos_token": "</s>"})", {kBos, kAb, kC}},
       {R"({"tokenizer_class": "CohereTokenizerFast", "bos_token": {"content": "<bos>"}})", {kBos, kAb, kC}},
       {R"({"tokenizer_class": "GPT2Tokenizer", "bos_token": "<s>", "add_bos_token": false})", {kS, kAb, kC}}}));
  INFO(config);
  CHECK(load(json::parse(config)).value().encode("abc").value() == ids);
}

TEST_CASE("a BOS is put where tokenizer.json has no template for it") {
  auto bare = spec();
  bare["post_processor"] = {{"type", "ByteLevel"}};
  const auto ids = [&](bool add) {
    const json config = {{"tokenizer_class", "LlamaTokenizerFast"}, {"bos_token", "<s>"}, {"add_bos_token", add}};
    return load(config, bare).value().encode("c").value();
  };
  CHECK(ids(true) == std::vector<TokenId>{kS, kSpace, kC});
  CHECK(ids(false) == std::vector<TokenId>{kSpace, kC});
}

TEST_CASE("a token to put around the text that there is none of is refused") {
  const auto [config, why] = GENERATE(table<std::string, std::string>(
      {{R"({"tokenizer_class": "LlamaTokenizerFast", "bos_token": null})", "bos_token is null"},
       {R"({"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<x>"})", "\"<x>\" is not a token"},
       {R"({"tokenizer_class": "GemmaTokenizer", "add_eos_token": true})", "\"<eos>\" is not a token"},
       {R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": 1})", "true or false"},
       {R"({"tokenizer_class": 7})", "expected a string"}}));
  INFO(config);
  const auto t = load(json::parse(config));
  REQUIRE(!t);
  CHECK_THAT(t.error().message, Catch::Contains("tokenizer_config.json") && Catch::Contains(why));
}
