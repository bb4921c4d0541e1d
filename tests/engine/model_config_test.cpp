#include "engine/model/model_config.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

using namespace sluice;
using namespace sluice::engine;
using nlohmann::json;

namespace {

json llama() {
  return json::parse(R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 500000.0})");
}

json qwen(const char* architecture) {
  json j = llama();
  j["architectures"] = {architecture};
  return j;
}

Result<ModelConfig> parse(const json& j, const std::string& generation = {}) {
  return parse_model_config(j.dump(), generation);
}

json with(json j, const char* key, const json& value) {
  j[key] = value;
  return j;
}

json without(json j, const char* key) {
  j.erase(key);
  return j;
}

void refused(const json& j, Errc code, const std::string& word) {
  const auto r = parse(j);
  INFO(j.dump());
  REQUIRE_FALSE(r);
  CHECK(r.error().code == code);
  CHECK_THAT(r.error().message, Catch::Contains(word));
}

}  // namespace

TEST_CASE("a plain Llama configuration") {
  const auto c = parse(llama());
  REQUIRE(c);
  CHECK(c->family == Family::llama);
  CHECK(c->hidden_size == 64);
  CHECK(c->layers == 3);
  CHECK(c->heads == 4);
  CHECK(c->kv_heads == 2);
  CHECK(c->head_dim == 16);
  CHECK(c->ffn_size == 128);
  CHECK(c->vocab_size == 100);
  CHECK(c->max_position == 256);
  CHECK(c->rms_eps == 1e-5F);
  CHECK(c->rope.theta == 500000.0);
  CHECK(c->inv_freq.size() == 8);
  CHECK_FALSE(c->tie_embeddings);
  CHECK_FALSE(c->qkv_bias);
  CHECK_FALSE(c->qk_norm);
  CHECK(c->window == std::vector<std::uint32_t>{0, 0, 0});
  CHECK_FALSE(c->bos);
  CHECK(c->eos.empty());
}

TEST_CASE("the bundled model's configuration is read") {
  const auto c = load_model_config(std::filesystem::path(SLUICE_SOURCE_DIR) / "models/sluice-tiny");
  REQUIRE(c);
  CHECK(c->head_dim == 64);
  CHECK(c->bos == 3064);
  CHECK(c->eos == std::vector<TokenId>{3065, 3067});
}

TEST_CASE("a missing file is not found") {
  const auto c = load_model_config("/nonexistent/model");
  REQUIRE_FALSE(c);
  CHECK(c.error().code == Errc::not_found);
}

TEST_CASE("swish is silu") { CHECK(parse(with(llama(), "hidden_act", "swish"))); }

TEST_CASE("families differ in bias, norms and defaults") {
  CHECK(parse(qwen("Qwen2ForCausalLM"))->qkv_bias);
  CHECK(parse(qwen("Qwen3ForCausalLM"))->qk_norm);
  CHECK(parse(qwen("Qwen3ForCausalLM"))->head_dim == 128);  // transformers' default, not hidden / heads
  CHECK(parse(with(qwen("Qwen3ForCausalLM"), "head_dim", 32))->head_dim == 32);
  CHECK(parse(without(llama(), "num_key_value_heads"))->kv_heads == 4);
  json many = with(without(qwen("MistralForCausalLM"), "num_key_value_heads"), "num_attention_heads", 32);
  CHECK(parse(many)->kv_heads == 8);  // transformers' default
  many["architectures"] = {"Qwen2ForCausalLM"};
  CHECK(parse(many)->kv_heads == 32);
  CHECK(parse(with(llama(), "num_key_value_heads", nullptr))->kv_heads == 4);
  refused(without(qwen("Qwen2ForCausalLM"), "num_key_value_heads"), Errc::invalid_argument, "num_key_value_heads");
}

TEST_CASE("biases are where the file says, in the families that have them") {
  CHECK_FALSE(parse(llama())->out_bias);
  const auto attention = parse(with(llama(), "attention_bias", true));
  CHECK((attention->qkv_bias && attention->out_bias && !attention->mlp_bias));
  CHECK(parse(with(llama(), "mlp_bias", true))->mlp_bias);
  CHECK(parse(with(qwen("Qwen3ForCausalLM"), "attention_bias", true))->out_bias);
  CHECK_FALSE(parse(with(qwen("Qwen2ForCausalLM"), "attention_bias", true))->out_bias);
  CHECK(parse(with(llama(), "mlp_bias", true))->parameters() > parse(llama())->parameters());
}

TEST_CASE("the family comes from either name, and from both only where they agree") {
  json j = without(llama(), "architectures");
  refused(j, Errc::invalid_argument, "model_type");
  j["model_type"] = "qwen3";
  CHECK(parse(j)->architecture == "Qwen3ForCausalLM");
  j["model_type"] = "gpt2";
  refused(j, Errc::unsupported, "model_type 'gpt2'");
  j["model_type"] = "llama";
  j["architectures"] = {"LlamaModel"};
  CHECK(parse(j)->architecture == "LlamaForCausalLM");
  j["architectures"] = {"MistralForCausalLM"};
  refused(j, Errc::unsupported, "correct one of them");
  j["architectures"] = {"LlamaForCausalLM", "LlamaModel"};
  refused(j, Errc::invalid_argument, "architectures");
}

TEST_CASE("sliding windows: Mistral wherever set, Qwen only when asked, Llama never") {
  using Windows = std::vector<std::uint32_t>;
  const json mistral = qwen("MistralForCausalLM");
  CHECK(parse(with(mistral, "sliding_window", 32))->window == Windows{32, 32, 32});
  CHECK(parse(with(mistral, "sliding_window", nullptr))->window == Windows{0, 0, 0});
  CHECK(parse(mistral)->window == Windows{4096, 4096, 4096});
  CHECK(parse(with(llama(), "sliding_window", 32))->window == Windows{0, 0, 0});
  // A list of types is for families that tell layers apart; a list that says the same is no contradiction.
  const json all_slide{"sliding_attention", "sliding_attention", "sliding_attention"};
  CHECK(parse(with(with(mistral, "sliding_window", 32), "layer_types", all_slide))->window == Windows{32, 32, 32});
  refused(with(with(mistral, "sliding_window", nullptr), "layer_types", all_slide), Errc::unsupported, "layer_types");
  refused(with(llama(), "layer_types", all_slide), Errc::unsupported, "layer_types");

  json q = with(with(qwen("Qwen2ForCausalLM"), "sliding_window", 32), "max_window_layers", 1);
  CHECK(parse(q)->window == Windows{0, 0, 0});
  q["use_sliding_window"] = true;
  CHECK(parse(q)->window == Windows{0, 32, 32});
  q["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention"};
  CHECK(parse(q)->window == Windows{32, 0, 32});
  q["use_sliding_window"] = false;
  refused(q, Errc::unsupported, "use_sliding_window");
  q["use_sliding_window"] = true;
  q["layer_types"] = {"sliding_attention"};
  refused(q, Errc::invalid_argument, "layer_types");
  q["layer_types"] = {"sliding_attention", "chunked_attention", "full_attention"};
  refused(q, Errc::unsupported, "layer 1");
}

TEST_CASE("generation_config.json overrides the special tokens it names") {
  const json j = with(with(llama(), "bos_token_id", 1), "eos_token_id", 2);
  CHECK(parse(j)->eos == std::vector<TokenId>{2});
  const auto c = parse(j, R"({"eos_token_id": [5, 6]})");
  REQUIRE(c);
  CHECK(c->bos == 1);
  CHECK(c->eos == std::vector<TokenId>{5, 6});
  CHECK_FALSE(parse(j, "[]"));
  CHECK_FALSE(parse(j, R"({"eos_token_id": [5, "6"]})"));
  CHECK(parse(j, R"({"eos_token_id": null, "temperature": 0.5, "cache": {"deep": [[1]]}})")->eos ==
        std::vector<TokenId>{2});
}

TEST_CASE("special tokens past the vocabulary are never met: noted and ignored, as -1") {
  const auto c =
      parse(with(with(llama(), "bos_token_id", -1), "eos_token_id", {7, 100}), R"({"eos_token_id": [5, 4000]})");
  REQUIRE(c);
  CHECK_FALSE(c->bos);
  CHECK(c->eos == std::vector<TokenId>{5});
  REQUIRE(c->notes.size() == 3);
  CHECK_THAT(c->notes[0], Catch::StartsWith("config.json") && Catch::Contains("bos_token_id"));
  CHECK_THAT(c->notes[2], Catch::StartsWith("generation_config.json") && Catch::Contains("4000"));
  CHECK(parse(with(llama(), "eos_token_id", 100))->eos.empty());
  for (const json& bad : {json("2"), json(2.0), json(-2), json({{"id", 2}}), json::parse("[[2]]")})
    refused(with(llama(), "eos_token_id", bad), Errc::invalid_argument, "eos_token_id");
}

TEST_CASE("weight types") {
  CHECK(parse(with(llama(), "torch_dtype", "float16"))->dtype == DType::f16);
  CHECK(parse(with(llama(), "dtype", "float32"))->dtype == DType::f32);
  for (const char* name : {"bfloat16", "torch.bfloat16", "auto"})
    CHECK(parse(with(llama(), "torch_dtype", name))->dtype == DType::bf16);
  CHECK(parse(with(llama(), "torch_dtype", "torch.float16"))->dtype == DType::f16);
  CHECK(parse(with(llama(), "torch_dtype", nullptr))->dtype == DType::bf16);
  CHECK(parse(with(with(llama(), "torch_dtype", "float16"), "dtype", "float32"))->dtype == DType::f32);
  refused(with(llama(), "torch_dtype", "float8_e4m3fn"), Errc::unsupported, "float8");
  refused(with(llama(), "dtype", "torch."), Errc::unsupported, "dtype");
}

TEST_CASE("what the engine cannot compute is refused by name") {
  refused(with(llama(), "architectures", {"MixtralForCausalLM"}), Errc::unsupported, "MixtralForCausalLM");
  refused(with(llama(), "quantization_config", {{"quant_method", "gptq"}}), Errc::unsupported, "quantization_config");
  refused(with(llama(), "hidden_act", "gelu"), Errc::unsupported, "gelu");
  refused(with(qwen("Qwen3ForCausalLM"), "mlp_bias", true), Errc::unsupported, "mlp_bias");
  refused(with(qwen("MistralForCausalLM"), "attention_bias", true), Errc::unsupported, "attention_bias");
  for (const char* type : {"longrope", "mrope", "su", ""})
    refused(with(llama(), "rope_scaling", {{"rope_type", type}, {"factor", 2.0}}), Errc::unsupported, type);
  refused(with(llama(), "partial_rotary_factor", 0.5), Errc::unsupported, "partial_rotary_factor");
  refused(with(llama(), "rope_parameters", {{"full_attention", {{"rope_theta", 1e4}}}}), Errc::unsupported,
          "rope_parameters");
}

TEST_CASE("numbers that make no model are refused") {
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
                          "max_position_embeddings"}) {
    refused(without(llama(), key), Errc::invalid_argument, key);
    for (const json& bad : {json(0), json(-1), json(1.5), json("64"), json(true), json::array(), json(1e18),
                            json(UINT64_MAX), json(INT64_MIN)})
      refused(with(llama(), key, bad), Errc::invalid_argument, key);
  }
  refused(with(llama(), "num_key_value_heads", 3), Errc::invalid_argument, "evenly");
  refused(with(llama(), "num_attention_heads", 6), Errc::invalid_argument, "divisible");
  refused(with(llama(), "head_dim", 15), Errc::invalid_argument, "head_dim");
  refused(with(llama(), "head_dim", 100000), Errc::invalid_argument, "head_dim");
  refused(with(llama(), "rms_norm_eps", -1e-5), Errc::invalid_argument, "rms_norm_eps");
  refused(with(llama(), "rope_theta", 0), Errc::invalid_argument, "rope_theta");
  refused(with(llama(), "tie_word_embeddings", "yes"), Errc::invalid_argument, "tie_word_embeddings");
  refused(with(llama(), "bos_token_id", "1"), Errc::invalid_argument, "bos_token_id");
  refused(with(llama(), "eos_token_id", {1, -2}), Errc::invalid_argument, "eos_token_id");
  refused(with(llama(), "architectures", "LlamaForCausalLM"), Errc::invalid_argument, "architectures");
}

TEST_CASE("hostile JSON is an error, not a crash") {
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("null"), std::string("{\"a\": 1e999}"),
        std::string("\xff\xfe"), std::string(500'000, '['), std::string("{\"a\":\"\\ud800\"}")})
    CHECK_FALSE(parse_model_config(text, {}));
}
