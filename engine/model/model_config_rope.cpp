#include "engine/model/model_config_rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sluice::engine {
namespace {

constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;
constexpr std::uint32_t kMaxPosition = 1U << 24;

constexpr NumberRange<double> above_0_to(double most) { return {.most = most, .above = 0}; }

// A rotary embedding over part of each head would need another kernel.
Result<> refuse_partial(JsonObject& f) {
  double part = 1;
  f.want("partial_rotary_factor").into(part, above_0_to(1));
  SLUICE_TRY(f.done());
  if (part != 1.0) return fail(Errc::unsupported, "partial_rotary_factor {} is not supported; only whole heads", part);
  return {};
}

Result<> parse_llama3(JsonObject& f, std::uint32_t max_position, RopeConfig& rope) {
  rope.original_max_position = max_position;
  f.need("low_freq_factor").into(rope.low_freq_factor, above_0_to(kMaxFactor));
  f.need("high_freq_factor").into(rope.high_freq_factor, above_0_to(kMaxFactor));
  f.want("original_max_position_embeddings").into(rope.original_max_position, {.least = 1, .most = kMaxPosition});
  if (rope.high_freq_factor <= rope.low_freq_factor)
    f.refuse("high_freq_factor", "rope high_freq_factor must be above low_freq_factor");
  return f.done();
}

Result<> parse_scaling(JsonObject& f, std::uint32_t max_position, RopeConfig& rope) {
  SLUICE_TRY(refuse_partial(f));
  std::string type = "default";
  f.want("rope_theta").into(rope.theta, above_0_to(kMaxTheta));
  f.want("type").into(type);  // its name before transformers 5
  f.want("rope_type").into(type);
  SLUICE_TRY(f.done());
  if (type == "default") return {};
  if (type != "linear" && type != "llama3")
    return fail(Errc::unsupported, "rope type '{}' is not supported; supported: default, linear, llama3", type);
  rope.type = type == "linear" ? RopeType::linear : RopeType::llama3;
  f.need("factor").into(rope.factor, above_0_to(kMaxFactor));
  SLUICE_TRY(f.done());
  return rope.type == RopeType::llama3 ? parse_llama3(f, max_position, rope) : Result<>{};
}

}  // namespace

// As transformers: 'rope_scaling' wins over 'rope_parameters', and a theta inside either wins over one beside it.
Result<RopeConfig> parse_rope(JsonObject& config, std::uint32_t max_position) {
  RopeConfig rope;
  SLUICE_TRY(refuse_partial(config));
  config.want("rope_theta").into(rope.theta, above_0_to(kMaxTheta));
  for (const FieldName key : {FieldName("rope_scaling"), FieldName("rope_parameters")}) {
    const JsonValue v = config.want(key);
    if (!v.present() || v.raw().empty()) continue;
    JsonObject f = v.object();
    SLUICE_TRY(f.done());
    if (std::ranges::any_of(v.raw(), &nlohmann::json::is_object))
      return fail(Errc::unsupported, "'{}' differs between layer types; only one setting for all layers is supported",
                  key.text());
    SLUICE_TRY(parse_scaling(f, max_position, rope));
    return rope;
  }
  SLUICE_TRY(config.done());
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
