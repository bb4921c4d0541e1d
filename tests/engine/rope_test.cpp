#include <catch2/catch.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/model/model_config.h"

using namespace sluice::engine;

namespace {

RopeConfig parse(const std::string& rope_fields) {
  const auto c =
      parse_model_config(R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 100, "max_position_embeddings": 256)" +
                             rope_fields + "}",
                         {});
  REQUIRE(c);
  return c->rope;
}

}  // namespace

TEST_CASE("both spellings of rope settings mean the same") {
  const RopeConfig old_style = parse(R"(, "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})");
  const RopeConfig new_style =
      parse(R"(, "rope_parameters": {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0,
    "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192})");
  CHECK(old_style == new_style);
  CHECK(old_style.type == RopeType::llama3);
  CHECK(parse(R"(, "rope_scaling": {"type": "linear", "factor": 4})").type == RopeType::linear);
  CHECK(parse(R"(, "rope_scaling": null, "rope_parameters": {"rope_theta": 7})").theta == 7.0);
  CHECK(parse("").theta == 10000.0);
}

TEST_CASE("inverse frequencies: plain and linear") {
  const auto plain = rope_inv_freq({.theta = 10000.0}, 8);
  REQUIRE(plain.size() == 4);
  CHECK(plain[0] == 1.0F);
  CHECK(plain[2] == Approx(0.01));
  const auto linear = rope_inv_freq({.type = RopeType::linear, .theta = 10000.0, .factor = 4.0}, 8);
  for (int i = 0; i < 4; ++i) CHECK(linear[i] == Approx(plain[i] / 4));
}

TEST_CASE("inverse frequencies: llama3 keeps short wavelengths, stretches long ones and blends between") {
  // Llama 3.1 8B. Expected from transformers' _compute_llama3_parameters.
  const RopeConfig rope{RopeType::llama3, 500000.0, 8.0, 1.0, 4.0, 8192};
  const auto plain = rope_inv_freq({.theta = 500000.0}, 128);
  const auto scaled = rope_inv_freq(rope, 128);
  CHECK(scaled[0] == 1.0F);
  CHECK(scaled[20] == plain[20]);
  CHECK(scaled[63] == Approx(plain[63] / 8));
  int blended = 0;
  for (int i = 0; i < 64; ++i) blended += scaled[i] < plain[i] && scaled[i] > plain[i] / 8 * 1.0001F;
  CHECK(blended > 0);
  for (int i = 1; i < 64; ++i) CHECK(scaled[i] < scaled[i - 1]);
}
