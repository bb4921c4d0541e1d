#include "text/chat_template.h"

#include <array>
#include <ctime>
#include <fstream>
#include <iterator>
#include <optional>

#include "common/lfs_pointer.h"
#include "text/jinja/parser.h"
#include "text/unicode/unicode.h"

namespace sluice::text {

namespace {

using jinja::Budget;
using jinja::Dict;
using jinja::Value;

std::string local_time(const std::string& format) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  if (localtime_r(&now, &parts) == nullptr) return {};
  std::array<char, 1024> buffer{};
  // NOLINTNEXTLINE: the format is the template's to choose, and the buffer bounds what it may ask for
  return {buffer.data(), std::strftime(buffer.data(), buffer.size(), format.c_str(), &parts)};
}

std::optional<std::string> read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// A special token is a string, or an object with its text in "content".
void collect_specials(const nlohmann::json& from, nlohmann::json& into) {
  for (const auto& [key, value] : from.items()) {
    if (!key.ends_with("_token") || into.contains(key)) continue;
    if (value.is_string())
      into[key] = value;
    else if (value.is_object() && value.contains("content") && value["content"].is_string())
      into[key] = value["content"];
  }
}

/// A message as templates expect it: no null fields (OpenAI clients send "content": null), and the reasoning under
/// each of the names that templates read it by.
template <class Json>
Value message_value(const Json& message, Budget& budget, const FindTyped& find) {
  if (!message.is_object()) jinja::fault("chat messages must be objects, got {}", message.type_name());
  const Json* reasoning = nullptr;
  for (const char* key : {"reasoning", "thinking", "reasoning_content"})
    if (const auto it = message.find(key); it != message.end() && !it->is_null()) reasoning = &*it;
  Dict out;
  if (reasoning != nullptr) out.set("thinking", from_json(*reasoning, budget, find));
  for (const auto& [key, value] : message.items())
    if (!value.is_null()) out.set(find ? mark_typed(key, find) : key, from_json(value, budget, find));
  if (reasoning != nullptr) out.set("reasoning_content", from_json(*reasoning, budget, find));
  return make_dict(std::move(out), budget);
}

}  // namespace

ChatTemplate::ChatTemplate(const nlohmann::json& specials, jinja::Limits limits)
    : limits_(limits), specials_(specials), format_now_(local_time) {}

Result<> ChatTemplate::add(const std::string& name, std::string_view source) {
  if (utf8_valid_prefix(source) != source.size())
    return fail(Errc::invalid_argument, "the chat template '{}' is not valid UTF-8", name);
  try {
    templates_[name] = std::make_shared<const jinja::Body>(jinja::parse_template(source, limits_));
  } catch (const jinja::Fault& f) {
    return fail(Errc::invalid_argument, "chat template '{}': {}", name, f.error.message);
  }
  return {};
}

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, const nlohmann::json& specials,
                                         jinja::Limits limits) {
  ChatTemplate out(specials.is_object() ? specials : nlohmann::json::object(), limits);
  SLUICE_TRY(out.add("default", source));
  return out;
}

Result<ChatTemplate> ChatTemplate::load(const std::filesystem::path& model_dir, jinja::Limits limits) {
  nlohmann::json config = nlohmann::json::object();
  if (const auto text = read_file(model_dir / "tokenizer_config.json")) {
    SLUICE_TRY(refuse_lfs_pointer(*text, model_dir / "tokenizer_config.json"));
    config = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!config.is_object())
      return fail(Errc::invalid_argument, "{} is not a JSON object", (model_dir / "tokenizer_config.json").string());
  }
  nlohmann::json specials = nlohmann::json::object();
  collect_specials(config, specials);
  if (const auto text = read_file(model_dir / "special_tokens_map.json")) {
    const auto map = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (map.is_object()) collect_specials(map, specials);
  }
  ChatTemplate out(specials, limits);
  if (const auto source = read_file(model_dir / "chat_template.jinja")) {
    SLUICE_TRY(refuse_lfs_pointer(*source, model_dir / "chat_template.jinja"));
    SLUICE_TRY(out.add("default", *source));
  } else {
    SLUICE_TRY(out.add_from_config(config));
  }
  return out;
}

Result<> ChatTemplate::add_from_config(const nlohmann::json& config) {
  const auto it = config.find("chat_template");
  if (it == config.end() || it->is_null())
    return fail(Errc::unsupported, "the model has no chat template; use the completions API");
  if (it->is_string()) return add("default", it->get_ref<const std::string&>());
  if (!it->is_array()) return fail(Errc::invalid_argument, "chat_template is neither a string nor a list");
  for (const auto& entry : *it) {
    if (!entry.is_object() || !entry.value("name", nlohmann::json()).is_string() ||
        !entry.value("template", nlohmann::json()).is_string())
      return fail(Errc::invalid_argument, "an entry of chat_template has no name or no template");
    SLUICE_TRY(add(entry["name"], entry["template"].get_ref<const std::string&>()));
  }
  if (!templates_.contains("default"))
    return fail(Errc::unsupported, "the model names {} chat templates but none is 'default'", templates_.size());
  return {};
}

const jinja::Body& ChatTemplate::pick(bool with_tools) const {
  if (with_tools)
    if (const auto it = templates_.find("tool_use"); it != templates_.end()) return *it->second;
  return *templates_.at("default");
}

template <class Json>
Result<std::string> ChatTemplate::render_any(const Json& messages, const Json& tools, bool add_generation_prompt,
                                             const Json& extra, const FindTyped& find) const {
  if (!messages.is_array() || messages.empty()) return fail_param("messages", "messages must be a non-empty array");
  if (!tools.is_null() && !tools.is_array()) return fail_param("tools", "tools must be an array");
  try {
    Budget budget(limits_);
    jinja::Variables variables;
    std::vector<Value> chat;
    for (const auto& m : messages) chat.push_back(message_value(m, budget, find));
    for (const auto& [name, value] : specials_.items()) variables.emplace_back(name, from_json(value, budget));
    if (extra.is_object())
      for (const auto& [name, value] : extra.items()) variables.emplace_back(name, from_json(value, budget, find));
    variables.emplace_back("messages", Value::list(std::move(chat), budget));
    variables.emplace_back("tools", from_json(tools, budget, find));
    if (!extra.is_object() || !extra.contains("documents")) variables.emplace_back("documents", Value::none());
    variables.emplace_back("add_generation_prompt", Value::boolean(add_generation_prompt));
    return jinja::render(pick(!tools.is_null()), variables, format_now_, budget);
  } catch (const jinja::Fault& f) {
    Error e = f.error;  // may quote a message
    std::erase(e.message, kTypedMark);
    return std::unexpected(std::move(e));
  }
}

Result<std::string> ChatTemplate::render(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                                         bool add_generation_prompt, const nlohmann::ordered_json& extra) const {
  return render_any(messages, tools, add_generation_prompt, extra);
}

Result<std::string> ChatTemplate::render(const nlohmann::json& messages, const nlohmann::json& tools,
                                         bool add_generation_prompt, const nlohmann::json& extra) const {
  return render_any(messages, tools, add_generation_prompt, extra);
}

Result<RenderedChat> ChatTemplate::render_for(const nlohmann::ordered_json& messages,
                                              const nlohmann::ordered_json& tools, bool add_generation_prompt,
                                              const nlohmann::ordered_json& extra, const FindTyped& find) const {
  SLUICE_ASSIGN(std::string marked, render_any(messages, tools, add_generation_prompt, extra, find));
  return take_marks(std::move(marked));
}

}  // namespace sluice::text
