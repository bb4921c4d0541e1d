#pragma once
// What simulated nodes are made of: a roofline (peak arithmetic, memory bandwidth, what of them is reached), a fixed
// cost per pass, KV memory, and codec speeds by profile. All of it is data: files of hardware/ by their names, or a
// user's own JSON files of the same fields. Each figure's source stands in its file.
// Failure: not_found names what there is; data_corrupt names the field.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/result.h"
#include "coordinator/policy/types.h"

namespace sluice::sim {

/// A served model, as far as time depends on it.
struct ModelShape {
  std::string name = "llama-3.1-8b";
  std::uint32_t layers = 32;
  double weights_bytes = 16.1e9;
  double parameters = 8.03e9;
  double kv_bytes_per_token = 131072;  // K and V of all layers
  double attention_width = 4096;       // query heads * head_dim: 4 * width * layers operations per token pair
};

struct CodecSpeed {
  std::string profile;
  double encode_bps = 0, decode_bps = 0;  // raw bytes per second
};

struct Hardware {
  std::string name;
  double flops = 0;            // peak of the arithmetic used
  double memory_bps = 0;       // peak
  double flops_reached = 0.5;  // share of peak in prefill
  double memory_reached = 0.7;
  double pass_s = 0;            // per pass: launches, sampling, scheduling
  double kv_bytes = 0;          // memory for KV blocks
  double host_copy_bps = 25e9;  // between them and the host's memory, each way
  std::vector<CodecSpeed> codecs;
  std::string profiles = "published";  // the set its codecs belong to, see find_profiles
};

struct ProfileSpec {
  std::string name;
  double kl = 0, ratio = 1;
};

/// Seconds of one pass of `rows` tokens whose attention reads `pairs` (query, key) pairs and `context` cached tokens.
[[nodiscard]] double pass_seconds(const Hardware& h, const ModelShape& m, double rows, double pairs, double context);

[[nodiscard]] Result<ModelShape> find_model(const std::string& name_or_file);
[[nodiscard]] Result<Hardware> find_hardware(const std::string& name_or_file);
/// "published" (what GPUs have speeds for), "sluice" (this project's own, measured), or a JSON file.
[[nodiscard]] Result<std::vector<ProfileSpec>> find_profiles(const std::string& name_or_file);
[[nodiscard]] Result<std::vector<ProfileSpec>> parse_profiles(const nlohmann::json& j);
/// Names of the hardware that is built in.
[[nodiscard]] std::vector<std::string> known_hardware();
[[nodiscard]] Result<Hardware> parse_hardware(const nlohmann::json& j);
[[nodiscard]] Result<ModelShape> parse_model(const nlohmann::json& j);

}  // namespace sluice::sim
