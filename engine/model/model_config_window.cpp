#include "engine/model/model_config_window.h"

#include <algorithm>
#include <string>
#include <vector>

namespace sluice::engine {
namespace {

bool is_qwen(const ModelConfig& c) { return c.family == Family::qwen2 || c.family == Family::qwen3; }

// 'layer_types': true where a layer slides. Empty when the list is missing.
Result<std::vector<bool>> listed_types(JsonObject& f, std::uint32_t layers) {
  std::vector<std::string> types;
  f.want("layer_types").into(types, Length{layers, layers});
  SLUICE_TRY(f.done());
  std::vector<bool> sliding;
  for (const std::string& t : types) {
    if (t != "full_attention" && t != "sliding_attention")
      return fail(Errc::unsupported,
                  "config.json: 'layer_types', layer {}: only full_attention and sliding_attention are supported",
                  sliding.size());
    sliding.push_back(t == "sliding_attention");
  }
  return sliding;
}

// Qwen without a list: all from max_window_layers on.
Result<std::vector<bool>> from_layer(JsonObject& f, std::uint32_t layers) {
  std::uint64_t begin = 28;
  f.want("max_window_layers").into(begin);
  SLUICE_TRY(f.done());
  std::vector<bool> sliding(layers);
  for (std::uint32_t i = 0; i < layers; ++i) sliding[i] = i >= begin;
  return sliding;
}

// Llama never slides and Mistral always does, whatever 'layer_types' says, for transformers; other engines obey the
// list. Only a list that says the same is read the same by all.
Result<> uniform_window(const std::vector<bool>& listed, std::uint32_t window, ModelConfig& c) {
  for (std::uint32_t i = 0; i < listed.size(); ++i)
    if (listed[i] != (window > 0))
      return fail(Errc::unsupported,
                  "config.json: 'layer_types', layer {}: the layers of {} are not told apart; all of them use {}", i,
                  c.architecture, window > 0 ? "sliding_attention here" : "full_attention here");
  c.window.assign(c.layers, window);
  return {};
}

}  // namespace

// As transformers. Mistral slides wherever a window is set (4096 if the key is missing: its default); Llama never;
// Qwen only with use_sliding_window, in some layers.
Result<> parse_window(JsonObject& f, std::uint32_t max_window, ModelConfig& c) {
  SLUICE_ASSIGN(const auto listed, listed_types(f, c.layers));
  if (c.family == Family::llama) return uniform_window(listed, 0, c);
  std::uint32_t window = f.mentions("sliding_window") ? 0 : 4096;
  f.want("sliding_window").into(window, {.least = 1, .most = max_window});
  SLUICE_TRY(f.done());
  if (!is_qwen(c)) return uniform_window(listed, window, c);

  bool use = false;
  f.want("use_sliding_window").into(use);
  SLUICE_ASSIGN(const auto begun, from_layer(f, c.layers));
  const std::vector<bool>& sliding = listed.empty() ? begun : listed;
  if (!listed.empty() && std::ranges::find(listed, true) != listed.end() && (!use || window == 0))
    return fail(Errc::unsupported,
                "config.json: 'layer_types' has sliding_attention, but {}; transformers does not run such a model",
                use ? "'sliding_window' is null" : "'use_sliding_window' is not true");
  c.window.assign(c.layers, 0);
  for (std::uint32_t i = 0; use && i < c.layers; ++i)
    if (sliding[i]) c.window[i] = window;
  return {};
}

}  // namespace sluice::engine
