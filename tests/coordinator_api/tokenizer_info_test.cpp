#include "coordinator/api/tokenizer_info.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::coordinator;
using namespace sluice::test;
using nlohmann::json;

TEST_CASE("a tokenizer's configuration is told with added tokens as their texts and without local files") {
  const TempDir dir;
  dir.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "vocab_file": "/home/me/tokenizer.model",
    "bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": false}, "eos_token": "</s>",
    "added_tokens_decoder": {"1": {"content": "<s>", "special": true}}, "chat_template": "{{ messages }}"})");
  CHECK(json::parse(load_tokenizer_info(dir.path()).value()) == json::parse(R"({"tokenizer_class": "LlamaTokenizer",
    "bos_token": "<s>", "eos_token": "</s>", "added_tokens_decoder": {"1": "<s>"}, "chat_template": "{{ messages }}"})"));
}

TEST_CASE("the chat template is the one that plain chats use") {
  const TempDir dir;
  dir.write("tokenizer_config.json", R"({"chat_template": [{"name": "tool_use", "template": "t"},
    {"name": "default", "template": "d"}]})");
  CHECK(json::parse(load_tokenizer_info(dir.path()).value())["chat_template"] == "d");
  dir.write("chat_template.jinja", "own");
  CHECK(json::parse(load_tokenizer_info(dir.path()).value())["chat_template"] == "own");
  dir.write("tokenizer_config.json", "{}");
  CHECK(json::parse(load_tokenizer_info(dir.path()).value())["chat_template"] == "own");
}

TEST_CASE("a model without a tokenizer's configuration tells nothing, a broken one is refused") {
  const TempDir dir;
  CHECK(load_tokenizer_info(dir.path())->empty());
  dir.write("tokenizer_config.json", "[1]");
  CHECK(load_tokenizer_info(dir.path()).error().code == Errc::invalid_argument);
}
