#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/model/model_config.h"

using namespace sluice::engine;

namespace {

using nlohmann::json;

sluice::Result<ModelConfig> with_fields(const json& fields) {
  json j = json::parse(R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 128, "intermediate_size": 128,
    "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 100, "max_position_embeddings": 131072})");
  j.update(fields);
  return parse_model_config(j.dump(), {});
}

void refused(const json& fields, const std::string& word) {
  INFO(fields.dump());
  const auto c = with_fields(fields);
  REQUIRE_FALSE(c);
  CHECK_THAT(c.error().message, Catch::StartsWith("config.json") && Catch::Contains(word));
}

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
  const RopeConfig rope{.type = RopeType::llama3, .theta = 500000.0, .factor = 8.0, .original_max_position = 8192};
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

TEST_CASE("every kind of scaling has transformers' frequencies and attention factor", "[golden]") {
  std::ifstream in(std::string(SLUICE_SOURCE_DIR) + "/tests/engine/golden/rope.json");
  for (const json& want : json::parse(in)) {
    INFO(want["name"]);
    const auto c = with_fields(want["config"]);
    if (!c) FAIL(c.error().message);
    CHECK(c->rope.attention_factor == Approx(want["attention_factor"].get<double>()).epsilon(1e-12));
    const auto freqs = want["inv_freq"].get<std::vector<double>>();
    REQUIRE(c->inv_freq.size() == freqs.size());
    for (std::size_t i = 0; i < freqs.size(); ++i) {
      INFO("pair " << i);
      CHECK(c->inv_freq[i] == Approx(freqs[i]).epsilon(2e-6));
    }
  }
}

TEST_CASE("settings that two readers would read differently are refused") {
  const json llama3{{"rope_type", "llama3"},
                    {"factor", 8.0},
                    {"low_freq_factor", 1.0},
                    {"high_freq_factor", 4.0},
                    {"original_max_position_embeddings", 8192}};
  CHECK(with_fields({{"rope_scaling", llama3}, {"original_max_position_embeddings", 8192}}));
  refused({{"rope_scaling", llama3}, {"original_max_position_embeddings", 4096}}, "original_max_position_embeddings");
  CHECK(with_fields({{"rope_scaling", {{"type", "linear"}, {"rope_type", "linear"}, {"factor", 2.0}}}}));
  refused({{"rope_scaling", {{"type", "linear"}, {"rope_type", "yarn"}, {"factor", 2.0}}}}, "rope_type");
  CHECK(with_fields({{"rope_theta", 5000}, {"rope_parameters", {{"rope_theta", 5000.0}}}}));
  refused({{"rope_theta", 10000.0}, {"rope_parameters", {{"rope_theta", 5000.0}}}}, "rope_theta");
}

TEST_CASE("rope settings that make no frequencies are refused by name") {
  const auto yarn = [](const json& more) {
    json j{{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 4096}};
    j.update(more);
    return json{{"rope_scaling", j}};
  };
  CHECK(with_fields(yarn(json::object())));
  refused(yarn({{"factor", -1}}), "factor");
  refused(yarn({{"factor", "4"}}), "factor");
  refused(yarn({{"beta_fast", 0.5}}), "beta_fast");
  refused(yarn({{"beta_slow", -1}}), "beta_slow");
  refused(yarn({{"mscale", "1"}}), "mscale");
  refused(yarn({{"attention_factor", 0}}), "attention_factor");
  refused(yarn({{"truncate", 1}}), "truncate");
  refused(yarn({{"rope_theta", 1.0}}), "rope_theta");
  refused(yarn({{"original_max_position_embeddings", 0}}), "original_max_position_embeddings");
  refused({{"rope_scaling", {{"rope_type", "yarn"}}}}, "factor");
  refused({{"rope_scaling", {{"rope_type", "linear"}}}}, "factor");
  refused({{"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}}}, "low_freq_factor");
  refused({{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 2.0}, {"alpha", 1000.0}}}}, "alpha");
  refused({{"rope_scaling", "linear"}}, "rope_scaling");
  refused({{"rope_scaling", {{"rope_type", "linear"}, {"factor", 1e-300}}}}, "finite");
  refused({{"rope_theta", 1e-300}}, "finite");
}

TEST_CASE("dynamic scaling changes nothing within the context") {
  const auto dynamic = with_fields({{"rope_scaling", {{"type", "dynamic"}, {"factor", 8.0}}}});
  const auto plain = with_fields(json::object());
  REQUIRE(dynamic);
  CHECK(dynamic->rope == plain->rope);
  CHECK(dynamic->max_position == plain->max_position);
}
