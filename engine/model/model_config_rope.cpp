#include "engine/model/model_config_rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sluice::engine {
namespace {

constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;
constexpr std::uint32_t kMaxPosition = 1U << 24;
constexpr FieldName kOriginal("original_max_position_embeddings");

constexpr NumberRange<double> above_0_to(double most) { return {.most = most, .above = 0}; }

// A rotary embedding over part of each head would need another kernel.
Result<> refuse_partial(JsonObject& f) {
  double part = 1;
  f.want("partial_rotary_factor").into(part, above_0_to(1));
  SLUICE_TRY(f.done());
  if (part != 1.0)
    return fail(Errc::unsupported, "config.json: partial_rotary_factor {} is not supported; only whole heads", part);
  return {};
}

// Old files say 'type', newer ones 'rope_type'. Of two that differ, transformers 4 obeys the one, 5 the other.
Result<std::string> type_name(JsonObject& f) {
  std::string old_name = "default";
  f.want("type").into(old_name);
  std::string type = old_name;
  f.want("rope_type").into(type);
  if (f.has("type") && type != old_name)
    f.refuse("rope_type", "rope 'type' {} and 'rope_type' {} differ; keep one", old_name.substr(0, 100),
             type.substr(0, 100));
  SLUICE_TRY(f.done());
  return type;
}

// A theta inside the object and one beside it: transformers 4 obeys the latter, 5 the former.
Result<double> theta_of(JsonObject& config, JsonObject& rope) {
  double beside = RopeConfig{}.theta;
  const bool stated = config.want("rope_theta").into(beside, above_0_to(kMaxTheta));
  double inside = beside;
  rope.want("rope_theta").into(inside, above_0_to(kMaxTheta));
  if (stated && inside != beside)
    rope.refuse("rope_theta", "'rope_theta' is {} within the rope settings and {} beside them; keep one", inside,
                beside);
  SLUICE_TRY(rope.done());
  return inside;
}

// Length of the context before scaling: inside the object or (transformers 5) beside it, else the model's own.
Result<std::uint32_t> original_of(JsonObject& config, JsonObject& rope, std::uint32_t max_position) {
  const NumberRange<std::uint32_t> range{.least = 1, .most = kMaxPosition};
  std::uint32_t beside = max_position;
  const bool stated = config.want(kOriginal).into(beside, range);
  std::uint32_t inside = beside;
  rope.want(kOriginal).into(inside, range);
  if (stated && inside != beside)
    rope.refuse(kOriginal, "'{}' is {} within the rope settings and {} beside them; keep one", kOriginal.text(), inside,
                beside);
  SLUICE_TRY(rope.done());
  return inside;
}

Result<> parse_llama3(JsonObject& f, RopeConfig& rope) {
  f.need("factor").into(rope.factor, above_0_to(kMaxFactor));
  f.need("low_freq_factor").into(rope.low_freq_factor, above_0_to(kMaxFactor));
  f.need("high_freq_factor").into(rope.high_freq_factor, above_0_to(kMaxFactor));
  if (rope.high_freq_factor <= rope.low_freq_factor)
    f.refuse("high_freq_factor", "rope high_freq_factor must be above low_freq_factor");
  return f.done();
}

// A number of YaRN's, for which 0 means that it is not set.
double set_or(JsonObject& f, FieldName key, double absent) {
  double v = 0;
  f.want(key).into(v, {.least = 0, .most = kMaxFactor});
  return v == 0.0 ? absent : v;
}

// YaRN's temperature (arXiv 2309.00071, section 3.4), as transformers' get_mscale.
double yarn_mscale(double factor, double mscale) { return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

Result<> parse_yarn(JsonObject& f, std::uint32_t max_position, RopeConfig& rope) {
  // Without a factor it is what the context has grown by.
  rope.factor = static_cast<double>(max_position) / rope.original_max_position;
  (rope.factor > 1.0 ? f.want("factor") : f.need("factor")).into(rope.factor, above_0_to(kMaxFactor));
  rope.beta_fast = set_or(f, "beta_fast", rope.beta_fast);
  rope.beta_slow = set_or(f, "beta_slow", rope.beta_slow);
  f.want("truncate").into(rope.truncate);
  const double mscale = set_or(f, "mscale", 0.0), all_dim = set_or(f, "mscale_all_dim", 0.0);
  SLUICE_TRY(f.done());
  if (rope.theta <= 1.0) f.refuse("rope_theta", "'rope_theta' must be above 1 with yarn");
  if (rope.beta_fast < rope.beta_slow)
    f.refuse("beta_fast", "rope beta_fast {} must not be below beta_slow {}", rope.beta_fast, rope.beta_slow);
  rope.attention_factor = yarn_mscale(rope.factor, 1.0);
  if (mscale > 0.0 && all_dim > 0.0)
    rope.attention_factor = yarn_mscale(rope.factor, mscale) / yarn_mscale(rope.factor, all_dim);
  f.want("attention_factor").into(rope.attention_factor, above_0_to(kMaxFactor));
  return f.done();
}

// The settings that one field of config.json holds.
Result<RopeConfig> parse_settings(JsonObject& config, JsonObject& f, std::uint32_t max_position) {
  RopeConfig rope;
  SLUICE_TRY(refuse_partial(f));
  SLUICE_ASSIGN(rope.theta, theta_of(config, f));
  SLUICE_ASSIGN(const std::string type, type_name(f));
  if (type == "default") return rope;
  if (type == "dynamic") {
    // It stretches only what lies beyond max_position_embeddings, which is as far as a sequence goes here.
    if (f.has("alpha")) return fail(Errc::unsupported, "config.json: rope type dynamic with 'alpha' is not supported");
    return rope;
  }
  if (type == "linear") {
    rope.type = RopeType::linear;
    f.need("factor").into(rope.factor, above_0_to(kMaxFactor));
    SLUICE_TRY(f.done());
    return rope;
  }
  if (type != "llama3" && type != "yarn")
    return fail(Errc::unsupported,
                "config.json: rope type '{}' is not supported; supported: default, linear, dynamic, llama3, yarn",
                type.substr(0, 100));
  rope.type = type == "yarn" ? RopeType::yarn : RopeType::llama3;
  SLUICE_ASSIGN(rope.original_max_position, original_of(config, f, max_position));
  SLUICE_TRY(type == "yarn" ? parse_yarn(f, max_position, rope) : parse_llama3(f, rope));
  return rope;
}

// Llama 3.1's scaling (transformers, modeling_rope_utils._compute_llama3_parameters): wavelengths longer than
// original / low are stretched by factor, shorter than original / high are kept, between them a linear blend.
double llama3_freq(const RopeConfig& rope, double freq) {
  const double turns = rope.original_max_position * freq / (2.0 * std::numbers::pi);
  if (turns < rope.low_freq_factor) return freq / rope.factor;
  if (turns > rope.high_freq_factor) return freq;
  const double blend = (turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor);
  return (1.0 - blend) * freq / rope.factor + blend * freq;
}

// YaRN's ramp over the pairs of a head: frequencies below `low` are kept, those above `high` stretched by factor.
struct YarnRamp {
  double low = 0, high = 0;

  YarnRamp() = default;
  YarnRamp(const RopeConfig& rope, std::uint32_t head_dim)
      : low(pair_with(rope, head_dim, rope.beta_fast)), high(pair_with(rope, head_dim, rope.beta_slow)) {
    if (rope.truncate) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, head_dim - 1.0);
    if (low == high) high += 0.001;
  }
  [[nodiscard]] double stretched(std::uint32_t pair) const { return std::clamp((pair - low) / (high - low), 0.0, 1.0); }

 private:
  // The pair, as a fraction, that turns so often over the original context.
  static double pair_with(const RopeConfig& rope, std::uint32_t head_dim, double turns) {
    return head_dim * std::log(rope.original_max_position / (turns * 2.0 * std::numbers::pi)) /
           (2.0 * std::log(rope.theta));
  }
};

}  // namespace

// As transformers 5: 'rope_scaling' wins over 'rope_parameters'.
Result<RopeConfig> parse_rope(JsonObject& config, std::uint32_t max_position) {
  SLUICE_TRY(refuse_partial(config));
  for (const FieldName key : {FieldName("rope_scaling"), FieldName("rope_parameters")}) {
    const JsonValue v = config.want(key);
    if (!v.present() || v.raw().empty()) continue;
    JsonObject f = v.object();
    SLUICE_TRY(f.done());
    if (std::ranges::any_of(v.raw(), &nlohmann::json::is_object))
      return fail(Errc::unsupported,
                  "config.json: '{}' differs between layer types; only one setting for all layers is supported",
                  key.text());
    return parse_settings(config, f, max_position);
  }
  RopeConfig rope;
  config.want("rope_theta").into(rope.theta, above_0_to(kMaxTheta));
  SLUICE_TRY(config.done());
  return rope;
}

std::vector<float> rope_inv_freq(const RopeConfig& rope, std::uint32_t head_dim) {
  std::vector<float> out(head_dim / 2);
  const YarnRamp ramp = rope.type == RopeType::yarn ? YarnRamp(rope, head_dim) : YarnRamp();
  for (std::uint32_t i = 0; i < out.size(); ++i) {
    double freq = std::pow(rope.theta, -2.0 * i / head_dim);
    switch (rope.type) {
      case RopeType::plain:
        break;
      case RopeType::linear:
        freq /= rope.factor;
        break;
      case RopeType::llama3:
        freq = llama3_freq(rope, freq);
        break;
      case RopeType::yarn:
        freq *= (1.0 - ramp.stretched(i)) + ramp.stretched(i) / rope.factor;
        break;
    }
    out[i] = static_cast<float>(freq);
  }
  return out;
}

}  // namespace sluice::engine
