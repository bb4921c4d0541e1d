#include "coordinator/api/model_info.h"

#include <algorithm>
#include <chrono>

#include "common/files.h"
#include "common/json/parse.h"
#include "common/json/reader.h"
#include "common/lfs_pointer.h"
#include "coordinator/api/tokenizer_info.h"

namespace sluice::coordinator {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxConfigBytes = 1U << 20;

Result<json> read_json(const std::filesystem::path& file) {
  SLUICE_ASSIGN(const std::string text, read_file(file, kMaxConfigBytes));
  SLUICE_TRY(refuse_lfs_pointer(text, file));
  return parse_json_object(text, {.what = file.string()});
}

/// Defaults a model's authors recommend; values no sampler can use are left at ours.
control::SamplingSpec sampling_defaults(const json& generation) {
  JsonReader in(generation, {.what = "generation_config.json"});
  JsonObject f = in.object();
  control::SamplingSpec s;
  f.want("temperature").into(s.temperature);
  f.want("top_p").into(s.top_p);
  f.want("min_p").into(s.min_p);
  f.want("repetition_penalty").into(s.repetition_penalty);
  f.want("top_k").into(s.top_k);
  s.top_k = std::max(s.top_k, 0);
  return in.ok() && control::check(s) ? s : control::SamplingSpec{};
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
  constexpr NumberRange<int> kSize{.least = 1, .most = 1 << 30};
  JsonReader in(config, {.what = file.string()});
  JsonObject f = in.object();
  int context = 0;
  f.need("vocab_size").into(m.vocab_size, kSize);
  f.need("max_position_embeddings").into(context, kSize);
  SLUICE_TRY(in.done());
  if (max_model_len > context)
    return fail(Errc::invalid_argument, "--max-model-len {} is above the model's context of {}", max_model_len,
                context);
  m.max_model_len = max_model_len > 0 ? max_model_len : context;
  if (std::filesystem::exists(dir / "generation_config.json")) {
    SLUICE_ASSIGN(const json generation, read_json(dir / "generation_config.json"));
    m.defaults = sampling_defaults(generation);
  }
  SLUICE_ASSIGN(m.tokenizer_info, load_tokenizer_info(dir));
  return m;
}

}  // namespace sluice::coordinator
