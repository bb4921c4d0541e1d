#include "coordinator/api/model_info.h"

#include <chrono>
#include <fstream>
#include <sstream>

namespace sluice::coordinator {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxConfigBytes = 1U << 20;

Result<json> read_json(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(Errc::not_found, "cannot read {}", file.string());
  std::string text(kMaxConfigBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxConfigBytes)
    return fail(Errc::invalid_argument, "{} is larger than {} bytes", file.string(), kMaxConfigBytes);
  json j = json::parse(text, nullptr, false);
  if (j.is_discarded() || !j.is_object()) return fail(Errc::invalid_argument, "{} is not a JSON object", file.string());
  return j;
}

Result<int> positive(const json& j, const char* key, const std::filesystem::path& file) {
  if (!j.contains(key) || !j.at(key).is_number_integer())
    return fail(Errc::invalid_argument, "{}: '{}' must be an integer", file.string(), key);
  const auto v = j.at(key).get<std::int64_t>();
  if (v < 1 || v > (1 << 30))
    return fail(Errc::invalid_argument, "{}: '{}' = {} is out of range", file.string(), key, v);
  return static_cast<int>(v);
}

/// Defaults a model's authors recommend; values no sampler can use are left at ours.
control::SamplingSpec sampling_defaults(const json& g) {
  control::SamplingSpec s;
  auto number = [&](const char* key, double& out) {
    if (g.contains(key) && g.at(key).is_number()) out = g.at(key).get<double>();
  };
  number("temperature", s.temperature);
  number("top_p", s.top_p);
  number("min_p", s.min_p);
  number("repetition_penalty", s.repetition_penalty);
  if (g.contains("top_k") && g.at("top_k").is_number_integer()) s.top_k = std::max(g.at("top_k").get<int>(), 0);
  return control::check(s) ? s : control::SamplingSpec{};
}

}  // namespace

Result<ModelInfo> load_model_info(const std::filesystem::path& dir, const std::string& name, int max_model_len) {
  const auto file = dir / "config.json";
  SLUICE_ASSIGN(const json config, read_json(file));
  ModelInfo m;
  m.root = dir.string();
  const auto clean = std::filesystem::weakly_canonical(dir).lexically_normal();
  m.id = name.empty() ? clean.filename().string() : name;
  m.created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  SLUICE_ASSIGN(m.vocab_size, positive(config, "vocab_size", file));
  SLUICE_ASSIGN(const int context, positive(config, "max_position_embeddings", file));
  if (max_model_len > context)
    return fail(Errc::invalid_argument, "--max-model-len {} is above the model's context of {}", max_model_len,
                context);
  m.max_model_len = max_model_len > 0 ? max_model_len : context;
  if (std::filesystem::exists(dir / "generation_config.json")) {
    SLUICE_ASSIGN(const json generation, read_json(dir / "generation_config.json"));
    m.defaults = sampling_defaults(generation);
  }
  return m;
}

}  // namespace sluice::coordinator
