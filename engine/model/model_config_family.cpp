#include "engine/model/model_config_family.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace sluice::engine {
namespace {

struct FamilyInfo {
  std::string_view model_type;
  std::string_view architecture;  // with a language model head
  std::string_view base;          // the class without the head, in checkpoints saved from it
  Family family;
};
constexpr std::array kFamilies{
    FamilyInfo{"llama", "LlamaForCausalLM", "LlamaModel", Family::llama},
    FamilyInfo{"mistral", "MistralForCausalLM", "MistralModel", Family::mistral},
    FamilyInfo{"qwen2", "Qwen2ForCausalLM", "Qwen2Model", Family::qwen2},
    FamilyInfo{"qwen3", "Qwen3ForCausalLM", "Qwen3Model", Family::qwen3},
};

const FamilyInfo* by_architecture(std::string_view name) {
  const auto* it =
      std::ranges::find_if(kFamilies, [&](const FamilyInfo& i) { return name == i.architecture || name == i.base; });
  return it == kFamilies.end() ? nullptr : it;
}

const FamilyInfo* by_model_type(std::string_view name) {
  const auto* it = std::ranges::find(kFamilies, name, &FamilyInfo::model_type);
  return it == kFamilies.end() ? nullptr : it;
}

std::string supported() {
  std::string out;
  for (const FamilyInfo& i : kFamilies) out += fmt::format("{}{}", out.empty() ? "" : ", ", i.architecture);
  return out;
}

// The one name in 'architectures'; empty when the list is missing.
std::string architecture_name(JsonObject& f) {
  std::vector<std::string> names;
  f.want("architectures").into(names, Length{1, 1});
  return names.empty() ? std::string{} : names.front();
}

}  // namespace

// transformers goes by model_type, other engines by architectures: where both speak they must agree.
Result<> parse_family(JsonObject& f, ModelConfig& c) {
  const std::string architecture = architecture_name(f);
  std::string model_type;
  f.want("model_type").into(model_type);
  SLUICE_TRY(f.done());
  if (architecture.empty() && model_type.empty())
    return fail_param("architectures", "config.json has neither 'architectures' nor 'model_type'");

  const FamilyInfo* info = architecture.empty() ? by_model_type(model_type) : by_architecture(architecture);
  if (!info)
    return fail(Errc::unsupported, "config.json: {} '{}' is not supported; supported: {}",
                architecture.empty() ? "model_type" : "architecture",
                (architecture.empty() ? model_type : architecture).substr(0, 100), supported());
  if (!model_type.empty() && model_type != info->model_type)
    return fail(Errc::unsupported, "config.json: 'architectures' says {} but 'model_type' says {}; correct one of them",
                architecture, model_type.substr(0, 100));
  c.family = info->family;
  c.architecture = info->architecture;
  return {};
}

}  // namespace sluice::engine
