// A tokenizer.json from anywhere: every broken one is refused with the file and the item at fault, none crashes.
#include <catch2/catch.hpp>
#include <functional>
#include <random>

#include "tests/support/temp_dir.h"
#include "tests/text_tokenizer/tokenizer_fixture.h"

using namespace sluice;
using namespace sluice::text;
using namespace sluice::text::test;
using nlohmann::json;

namespace {

struct ModelDir : sluice::test::TempDir {
  [[nodiscard]] Result<Tokenizer> load() const { return Tokenizer::load(path()); }
};

json good() {
  return json::parse(R"({
    "added_tokens": [{"id": 5, "content": "<s>", "special": true, "normalized": false}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": "\\p{N}"}, "behavior": "Isolated", "invert": false},
      {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "special_tokens": {"<s>": {"id": "<s>", "ids": [5], "tokens": ["<s>"]}}},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "c": 3, "abc": 4}, "merges": ["a b", ["ab", "c"]]}})");
}

struct Broken {
  std::string what;
  std::function<void(json&)> change;
  std::string says;  // part of the message
};

const std::vector<Broken> kBroken{
    {"a merge of a piece that is not there", [](json& j) { j["model"]["merges"][1] = json{"ab", "zz"}; },
     R"(model.merges[1]: "zz" is not in)"},
    {"a merge to nowhere", [](json& j) { j["model"]["merges"][0] = "b a"; }, R"(model.merges[0]: "ba" is not in)"},
    {"a merge of three", [](json& j) { j["model"]["merges"][0] = "a b c"; }, "model.merges[0]"},
    {"a merge of one", [](json& j) { j["model"]["merges"][0] = "ab"; }, "model.merges[0]"},
    {"a merge that is a number", [](json& j) { j["model"]["merges"][0] = 7; }, "model.merges[0]"},
    {"merges that are an object", [](json& j) { j["model"]["merges"] = json::object(); },
     "model.merges: expected an array"},
    {"no merges", [](json& j) { j["model"].erase("merges"); }, R"(model: "merges" is missing)"},
    {"a shared id", [](json& j) { j["model"]["vocab"]["c"] = 0; }, "share id 0"},
    {"a huge id", [](json& j) { j["model"]["vocab"]["c"] = 4'000'000'000U; }, R"("c" has id 4000000000)"},
    {"an id past 64 bits", [](json& j) { j["model"]["vocab"]["c"] = 1e30; }, R"("c" has id)"},
    {"a negative id", [](json& j) { j["model"]["vocab"]["c"] = -1; }, R"("c" has id -1)"},
    {"an id that is text", [](json& j) { j["model"]["vocab"]["c"] = "3"; }, R"("c" has id)"},
    {"a vocabulary that is a list", [](json& j) { j["model"]["vocab"] = json::array({1, 2}); },
     "model.vocab: expected an object"},
    {"another model", [](json& j) { j["model"]["type"] = "Unigram"; }, R"(model.type: model "Unigram")"},
    {"a subword prefix", [](json& j) { j["model"]["continuing_subword_prefix"] = "##"; }, "continuing_subword_prefix"},
    {"dropout", [](json& j) { j["model"]["dropout"] = 0.1; }, "model.dropout"},
    {"an unknown token that is not there", [](json& j) { j["model"]["unk_token"] = "<unk>"; }, "model.unk_token"},
    {"a flag that is a number", [](json& j) { j["model"]["byte_fallback"] = 1; },
     "model.byte_fallback: expected true or false"},
    {"a model that is a list", [](json& j) { j["model"] = json::array(); }, "model: expected an object"},
    {"no model", [](json& j) { j.erase("model"); }, R"("model" is missing)"},
    {"a document that is a list", [](json& j) { j = json::array(); }, "expected an object"},
    {"an added token over a piece", [](json& j) { j["added_tokens"][0]["id"] = 3; },
     R"(added_tokens[0]: "<s>" takes id 3 of "c")"},
    {"an added token elsewhere than its piece", [](json& j) { j["added_tokens"][0]["content"] = "ab"; },
     "added_tokens[0]"},
    {"an added token twice", [](json& j) { j["added_tokens"].push_back(j["added_tokens"][0]); }, "added_tokens[1]"},
    {"an added token of huge id", [](json& j) { j["added_tokens"][0]["id"] = 1LL << 40; }, "added_tokens[0].id"},
    {"an added token without content", [](json& j) { j["added_tokens"][0].erase("content"); }, "added_tokens[0]"},
    {"an added token of megabytes", [](json& j) { j["added_tokens"][0]["content"] = std::string(1 << 20, '<'); },
     "added_tokens[0]"},
    {"an unknown normalizer", [](json& j) { j["normalizer"]["type"] = "Precompiled"; }, R"(normalizer "Precompiled")"},
    {"an unknown pre-tokenizer", [](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["type"] = "Magic"; },
     R"(pretokenizers[0]: pre-tokenizer "Magic")"},
    {"an unknown decoder", [](json& j) { j["decoder"]["type"] = "CTC"; }, R"(decoder: decoder "CTC")"},
    {"an unknown post-processor", [](json& j) { j["post_processor"]["type"] = "BertProcessing"; }, "BertProcessing"},
    {"a template without the text", [](json& j) { j["post_processor"]["single"].erase(1); }, "post_processor.single"},
    {"a template of an unknown token", [](json& j) { j["post_processor"]["single"][0]["SpecialToken"]["id"] = "<x>"; },
     "<x>"},
    {"a template id without a token", [](json& j) { j["post_processor"]["special_tokens"]["<s>"]["ids"][0] = 99; },
     "id 99"},
    {"a broken pattern", [](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "("; },
     "pretokenizers[0].pattern.Regex"},
    {"a pattern that is a list", [](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"] = json::array(); },
     "pattern: expected an object"},
    {"an unknown behavior", [](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Shuffled"; },
     "Shuffled"},
    {"a component without a type", [](json& j) { j["normalizer"] = json::object(); },
     R"(normalizer: "type" is missing)"},
    {"a Sequence without end",
     [](json& j) {
       json n = {{"type", "NFC"}};
       for (int i = 0; i < 200; ++i) n = {{"type", "Sequence"}, {"normalizers", json::array({n})}};
       j["normalizer"] = n;
     },
     "nested more than 16 deep"},
};

}  // namespace

TEST_CASE("a Git LFS pointer in place of the tokenizer is called what it is") {
  const ModelDir dir;
  dir.write("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9085657\n");
  const auto r = dir.load();
  REQUIRE_FALSE(r);
  CHECK_THAT(r.error().message, Catch::Contains("tokenizer.json") && Catch::Contains("git lfs pull"));
}

TEST_CASE("the file these tests break is good unbroken") {
  const ModelDir dir;
  dir.write("tokenizer.json", good().dump());
  const auto t = dir.load();
  REQUIRE(t);
  CHECK(t->encode("abcab").value() == std::vector<TokenId>{5, 4, 2});
}

TEST_CASE("a broken tokenizer.json names the file and the item") {
  const ModelDir dir;
  for (const auto& b : kBroken) {
    INFO(b.what);
    auto spec = good();
    b.change(spec);
    dir.write("tokenizer.json", spec.dump());
    const auto t = dir.load();
    REQUIRE(!t);
    CHECK_THAT(t.error().message, Catch::Contains("tokenizer.json") && Catch::Contains(b.says));
  }
}

TEST_CASE("what is not JSON, or not there, is an error") {
  const ModelDir dir;
  REQUIRE(!dir.load());
  CHECK(dir.load().error().code == Errc::not_found);
  for (const std::string bytes : {"", "{", "null", "\xff\xfe", "[[[[[[", "{\"model\": {\"vocab\": {\"\xff\": 1}}}"}) {
    dir.write("tokenizer.json", bytes);
    const auto t = dir.load();
    REQUIRE(!t);
    CHECK_THAT(t.error().message, Catch::Contains("tokenizer.json"));
  }
  dir.write("tokenizer.json", std::string(1 << 20, '['));
  CHECK(!dir.load());
}

TEST_CASE("the configurations beside it are checked too") {
  const ModelDir dir;
  dir.write("tokenizer.json", good().dump());
  const auto refused = [&](const std::string& name, const std::string& bytes) {
    dir.write(name, bytes);
    const auto t = dir.load();
    REQUIRE(!t);
    CHECK_THAT(t.error().message, Catch::Contains(name));
  };
  refused("generation_config.json", R"({"eos_token_id": "5"})");
  refused("generation_config.json", R"({"eos_token_id": [5, -3]})");
  dir.write("generation_config.json", R"({"eos_token_id": [5, 4, 5], "bos_token_id": null})");
  refused("tokenizer_config.json", R"({"eos_token": "<nowhere>"})");
  refused("tokenizer_config.json", R"({"bos_token": {"text": "<s>"}})");
  dir.write("tokenizer_config.json", R"({"bos_token": {"content": "<s>"}, "eos_token": "b"})");
  const auto t = dir.load();
  REQUIRE(t);
  CHECK(t->bos_id() == 5);
  CHECK(t->eos_ids() == std::vector<TokenId>{1, 4, 5});
}

// Nodes started on such a directory, the coordinator did not: "must be an integer from 0".
TEST_CASE("a special token of -1 means that there is none") {
  const ModelDir dir;
  dir.write("tokenizer.json", good().dump());
  dir.write("config.json", R"({"bos_token_id": -1, "eos_token_id": -1})");
  auto t = dir.load();
  REQUIRE(t);
  CHECK_FALSE(t->bos_id());
  CHECK(t->eos_ids().empty());
  dir.write("generation_config.json", R"({"bos_token_id": 5, "eos_token_id": [-1, 4]})");
  t = dir.load();
  REQUIRE(t);
  CHECK(t->bos_id() == 5);
  CHECK(t->eos_ids() == std::vector<TokenId>{4});
}

TEST_CASE("any one change of a byte loads or is refused, and what loads encodes") {
  const ModelDir dir;
  const auto base = good().dump();
  std::mt19937 rng(11);
  for (int i = 0; i < 3000; ++i) {
    auto bytes = base;
    for (unsigned k = rng() % 3 + 1; k > 0; --k) {
      const auto at = rng() % bytes.size();
      switch (rng() % 4) {
        case 0:
          bytes[at] = static_cast<char>(rng());
          break;
        case 1:
          bytes.erase(at, rng() % 8 + 1);
          break;
        case 2:
          bytes.insert(at, bytes.substr(rng() % bytes.size(), rng() % 16));
          break;
        default:
          bytes[at] = "{}[]\",:0-9\\ "[rng() % 12];
          break;
      }
    }
    dir.write("tokenizer.json", bytes);
    if (const auto t = dir.load()) (void)t->decode(t->encode("<s>abc 12 \u00e9\xff").value_or(std::vector<TokenId>{}));
  }
}

TEST_CASE("long and crafted texts are bounded in time, and too long ones refused") {
  const auto t = load_or_throw(golden_dir(GENERATE(from_range(kFamilies))));
  const auto repeat = [](std::string_view unit) {
    std::string s;
    while (s.size() < (1U << 18U)) s += unit;
    return s;
  };
  const auto start = std::chrono::steady_clock::now();
  for (const auto* unit :
       {"a", "ab", " ", "\n", " \t\r\n", "\u0301\u0316", "<|start", "<mask> ", "\xf0\x9f", "1", "的", "'s"})
    CHECK(t.encode(repeat(unit)));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(100));  // quadratic work would take hours
  const auto refused = t.encode(std::string(Tokenizer::kMaxTextBytes + 1, 'a'));
  REQUIRE(!refused);
  CHECK(refused.error().code == Errc::invalid_argument);
}
