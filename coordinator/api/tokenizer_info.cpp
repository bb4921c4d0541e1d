#include "coordinator/api/tokenizer_info.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "common/json/parse.h"
#include "common/lfs_pointer.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxConfigBytes = 16U << 20;

/// {"content": "<s>", "lstrip": ...} is an added token.
void flatten(json& value) {
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    value = json(value["content"]);
    return;
  }
  if (value.is_structured())
    for (json& inside : value) flatten(inside);
}

/// Some models name several templates.
json plain_template(const json& templates) {
  if (!templates.is_array()) return templates;
  const auto plain = std::ranges::find_if(
      templates, [](const json& t) { return t.is_object() && t.value("name", json()) == "default"; });
  return plain == templates.end() ? json() : plain->value("template", json());
}

}  // namespace

Result<std::string> load_tokenizer_info(const std::filesystem::path& model_dir) {
  const auto file = model_dir / "tokenizer_config.json";
  if (!std::filesystem::exists(file)) return std::string();
  SLUICE_ASSIGN(const std::string text, read_file(file, kMaxConfigBytes));
  SLUICE_TRY(refuse_lfs_pointer(text, file));
  SLUICE_ASSIGN(json info, parse_json_object(text, {.what = file.string(), .max_bytes = kMaxConfigBytes}));
  for (const char* local : {"vocab_file", "merges_file"}) info.erase(local);
  json chat_template = plain_template(info.value("chat_template", json()));
  info.erase("chat_template");
  flatten(info);
  if (const auto own = model_dir / "chat_template.jinja"; std::filesystem::exists(own)) {
    SLUICE_ASSIGN(chat_template, read_file(own, kMaxConfigBytes));
  }
  if (chat_template.is_string()) info["chat_template"] = std::move(chat_template);
  return dump(info);
}

}  // namespace sluice::coordinator
