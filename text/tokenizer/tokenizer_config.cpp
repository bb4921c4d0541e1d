#include "text/tokenizer/tokenizer_config.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::text {
namespace {

/// Classes that build their post-processor from add_bos_token and add_eos_token, and what they take where the
/// configuration says nothing.
struct OwnTemplate {
  std::string_view name;
  std::string_view bos;
  std::string_view eos;
  bool add_bos;
  bool keeps_space;  // add_prefix_space of tokenizer.json holds unless the configuration has its own
};
constexpr std::array<OwnTemplate, 5> kOwnTemplates{
    {{"LlamaTokenizer", "<s>", "</s>", true, true},
     {"CodeLlamaTokenizer", "<s>", "</s>", true, false},
     {"GemmaTokenizer", "<bos>", "<eos>", true, false},
     {"CohereTokenizer", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", true, false},
     {"GPTNeoXTokenizer", "<|endoftext|>", "<|endoftext|>", false, false}}};

const OwnTemplate* own_template(const JsonItem& config) {
  const auto item = config.find("tokenizer_class");
  if (!item) return nullptr;
  std::string_view name = item->text();
  if (name.ends_with("Fast")) name.remove_suffix(4);
  const auto* it = std::ranges::find(kOwnTemplates, name, &OwnTemplate::name);
  return it == kOwnTemplates.end() ? nullptr : it;
}

std::optional<nlohmann::json> id_of(const nlohmann::json& spec, const std::string& token) {
  if (const auto added = spec.find("added_tokens"); added != spec.end() && added->is_array())
    for (const auto& t : *added)
      if (t.is_object() && t.value("content", nlohmann::json()) == token && t.contains("id")) return t["id"];
  const auto model = spec.find("model");
  if (model == spec.end() || !model->is_object()) return std::nullopt;
  const auto vocab = model->find("vocab");
  if (vocab == model->end() || !vocab->is_object() || !vocab->contains(token)) return std::nullopt;
  return (*vocab)[token];
}

/// The token to put on one side; adds it to what the template may use.
std::string special_token(const JsonItem& config, const nlohmann::json& spec, std::string_view key,
                          std::string_view otherwise, nlohmann::json& known) {
  std::string token(otherwise);
  if (config.json().contains(key)) {
    const auto item = config.find(key);
    if (!item) config.refuse(Errc::invalid_argument, "add_{} is on, but {} is null", key, key);
    token = (item->json().is_object() ? item->at("content") : *item).text();
  }
  const auto id = id_of(spec, token);
  if (!id)
    config.refuse(Errc::invalid_argument, "add_{} is on, but \"{}\" is not a token of tokenizer.json", key, token);
  known[token] = {{"id", token}, {"ids", nlohmann::json::array({*id})}, {"tokens", nlohmann::json::array({token})}};
  return token;
}

nlohmann::json post_processor(const OwnTemplate& own, const JsonItem& config, const nlohmann::json& spec) {
  nlohmann::json single = nlohmann::json::array();
  auto known = nlohmann::json::object();
  const auto put = [&](std::string_view key, std::string_view otherwise) {
    const auto token = special_token(config, spec, key, otherwise, known);
    single.push_back({{"SpecialToken", {{"id", token}, {"type_id", 0}}}});
  };
  if (config.boolean("add_bos_token", own.add_bos)) put("bos_token", own.bos);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (config.boolean("add_eos_token", false)) put("eos_token", own.eos);
  return {{"type", "TemplateProcessing"}, {"single", std::move(single)}, {"special_tokens", std::move(known)}};
}

}  // namespace

void apply_tokenizer_config(const JsonItem& config, nlohmann::json& spec) {
  if (!spec.is_object()) return;  // said by who reads it
  const auto* own = own_template(config);
  const bool keeps_space = own && own->keeps_space && !config.find("add_prefix_space");
  const auto pre = spec.find("pre_tokenizer");
  if (pre != spec.end() && pre->is_object() && pre->contains("add_prefix_space") && !keeps_space)
    (*pre)["add_prefix_space"] = config.boolean("add_prefix_space", false);
  if (own) spec["post_processor"] = post_processor(*own, config, spec);
}

}  // namespace sluice::text
