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

TEST_CASE("families differ in bias, norms and defaults") {
  CHECK(parse(qwen("Qwen2ForCausalLM"))->qkv_bias);
  CHECK(parse(qwen("Qwen3ForCausalLM"))->qk_norm);
  CHECK(parse(qwen("Qwen3ForCausalLM"))->head_dim == 128);  // transformers' default, not hidden / heads
  CHECK(parse(with(qwen("Qwen3ForCausalLM"), "head_dim", 32))->head_dim == 32);
  CHECK(parse(without(llama(), "num_key_value_heads"))->kv_heads == 4);
  CHECK(parse(with(llama(), "num_key_value_heads", nullptr))->kv_heads == 4);
  refused(without(qwen("Qwen2ForCausalLM"), "num_key_value_heads"), Errc::invalid_argument, "num_key_value_heads");
}

TEST_CASE("sliding windows: Mistral wherever set, Qwen only when asked, Llama never") {
  using Windows = std::vector<std::uint32_t>;
  const json mistral = qwen("MistralForCausalLM");
  CHECK(parse(with(mistral, "sliding_window", 32))->window == Windows{32, 32, 32});
  CHECK(parse(with(mistral, "sliding_window", nullptr))->window == Windows{0, 0, 0});
  CHECK(parse(mistral)->window == Windows{4096, 4096, 4096});
  CHECK(parse(with(llama(), "sliding_window", 32))->window == Windows{0, 0, 0});

  json q = with(with(qwen("Qwen2ForCausalLM"), "sliding_window", 32), "max_window_layers", 1);
  CHECK(parse(q)->window == Windows{0, 0, 0});
  q["use_sliding_window"] = true;
  CHECK(parse(q)->window == Windows{0, 32, 32});
  q["layer_types"] = {"sliding_attention", "full_attention", "sliding_attention"};
  CHECK(parse(q)->window == Windows{32, 0, 32});
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
  CHECK_FALSE(parse(j, R"({"eos_token_id": [5, 100]})"));
}

TEST_CASE("weight types") {
  CHECK(parse(with(llama(), "torch_dtype", "float16"))->dtype == DType::f16);
  CHECK(parse(with(llama(), "dtype", "float32"))->dtype == DType::f32);
  refused(with(llama(), "torch_dtype", "float8_e4m3fn"), Errc::unsupported, "float8");
}

TEST_CASE("what the engine cannot compute is refused by name") {
  refused(with(llama(), "architectures", {"MixtralForCausalLM"}), Errc::unsupported, "MixtralForCausalLM");
  refused(with(llama(), "quantization_config", {{"quant_method", "gptq"}}), Errc::unsupported, "quantization_config");
  refused(with(llama(), "hidden_act", "gelu"), Errc::unsupported, "gelu");
  refused(with(llama(), "mlp_bias", true), Errc::unsupported, "mlp_bias");
  refused(with(llama(), "attention_bias", true), Errc::unsupported, "attention_bias");
  refused(with(qwen("Qwen3ForCausalLM"), "attention_bias", true), Errc::unsupported, "attention_bias");
  for (const char* type : {"yarn", "dynamic", "longrope", "mrope", ""})
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
  refused(with(llama(), "bos_token_id", 100), Errc::invalid_argument, "bos_token_id");
  refused(with(llama(), "eos_token_id", {1, -2}), Errc::invalid_argument, "eos_token_id");
  refused(with(llama(), "architectures", "LlamaForCausalLM"), Errc::invalid_argument, "architectures");
}

TEST_CASE("hostile JSON is an error, not a crash") {
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("null"), std::string("{\"a\": 1e999}"),
        std::string("\xff\xfe"), std::string(500'000, '['), std::string("{\"a\":\"\\ud800\"}")})
    CHECK_FALSE(parse_model_config(text, {}));
}
