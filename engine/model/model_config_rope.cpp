#include "engine/model/model_config_rope.h"

#include <cmath>
#include <numbers>

namespace sluice::engine {
namespace {

constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;
constexpr std::uint32_t kMaxPosition = 1U << 24;

// A rotary embedding over part of each head would need another kernel.
Result<> refuse_partial(const ConfigFields& f) {
  SLUICE_ASSIGN(const double part, f.positive_or("partial_rotary_factor", 1.0, 1.0));
  if (part != 1.0) return fail(Errc::unsupported, "partial_rotary_factor {} is not supported; only whole heads", part);
  return {};
}

// Before transformers 5 the type was named 'type' and later 'rope_type'.
Result<std::string> type_name(const ConfigFields& f) {
  SLUICE_ASSIGN(std::string old_name, f.text_or("type", "default"));
  return f.text_or("rope_type", old_name.c_str());
}

Result<> parse_llama3(const ConfigFields& f, std::uint32_t max_position, RopeConfig& rope) {
  SLUICE_ASSIGN(rope.low_freq_factor, f.positive("low_freq_factor", kMaxFactor));
  SLUICE_ASSIGN(rope.high_freq_factor, f.positive("high_freq_factor", kMaxFactor));
  SLUICE_ASSIGN(rope.original_max_position, f.count_or("original_max_position_embeddings", kMaxPosition, max_position));
  if (rope.high_freq_factor <= rope.low_freq_factor)
    return fail_param("high_freq_factor", "config.json: rope high_freq_factor must be above low_freq_factor");
  return {};
}

}  // namespace

// As transformers: 'rope_scaling' wins over 'rope_parameters', and a theta inside either wins over one beside it.
Result<RopeConfig> parse_rope(const ConfigFields& config, std::uint32_t max_position) {
  RopeConfig rope;
  SLUICE_TRY(refuse_partial(config));
  SLUICE_ASSIGN(rope.theta, config.positive_or("rope_theta", kMaxTheta, rope.theta));

  const char* key = "rope_scaling";
  const nlohmann::json* object = config.find(key);
  if (!object || object->empty()) object = config.find(key = "rope_parameters");
  if (!object || object->empty()) return rope;
  if (!object->is_object()) return fail_param(key, "config.json: '{}' must be an object", key);
  for (const auto& value : *object)
    if (value.is_object())
      return fail(Errc::unsupported, "'{}' differs between layer types; only one setting for all layers is supported",
                  key);

  const ConfigFields f(*object);
  SLUICE_TRY(refuse_partial(f));
  SLUICE_ASSIGN(rope.theta, f.positive_or("rope_theta", kMaxTheta, rope.theta));
  SLUICE_ASSIGN(const std::string type, type_name(f));
  if (type == "default") return rope;
  if (type != "linear" && type != "llama3")
    return fail(Errc::unsupported, "rope type '{}' is not supported; supported: default, linear, llama3", type);
  SLUICE_ASSIGN(rope.factor, f.positive("factor", kMaxFactor));
  rope.type = type == "linear" ? RopeType::linear : RopeType::llama3;
  if (rope.type == RopeType::llama3) SLUICE_TRY(parse_llama3(f, max_position, rope));
  return rope;
}

// Llama 3.1's scaling (transformers, modeling_rope_utils._compute_llama3_parameters): wavelengths longer than
// original / low are stretched by factor, shorter than original / high are kept, between them a linear blend.
std::vector<float> rope_inv_freq(const RopeConfig& rope, std::uint32_t head_dim) {
  std::vector<float> out(head_dim / 2);
  for (std::uint32_t i = 0; i < out.size(); ++i) {
    double freq = std::pow(rope.theta, -2.0 * i / head_dim);
    if (rope.type == RopeType::linear) freq /= rope.factor;
    if (rope.type == RopeType::llama3) {
      const double turns = rope.original_max_position * freq / (2.0 * std::numbers::pi);
      const double blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
      if (turns < rope.low_freq_factor)
        freq /= rope.factor;
      else if (turns <= rope.high_freq_factor)
        freq = (1.0 - blend) * freq / rope.factor + blend * freq;
    }
    out[i] = static_cast<float>(freq);
  }
  return out;
}

}  // namespace sluice::engine
