#include "text/chat_template.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <iterator>
#include <optional>

#include "common/lfs_pointer.h"
#include "common/utf8.h"
#include "text/jinja/dict.h"
#include "text/jinja/from_json.h"
#include "text/jinja/parser.h"

namespace sluice::text {

namespace {

using jinja::Budget;
using jinja::Dict;
using jinja::Value;
using jinja::Writer;

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

/// Templates put a role into special tokens of their own (<|user|>), so its known names are not the client's words.
template <class Json>
Writer writer_of(const std::string& key, const Json& value) {
  constexpr std::array<std::string_view, 6> kRoles = {"system", "developer", "user", "assistant", "tool", "function"};
  const bool role = key == "role" && value.is_string() &&
                    std::ranges::find(kRoles, value.template get_ref<const std::string&>()) != kRoles.end();
  return role ? Writer::template_ : Writer::client;
}

/// A message as templates expect it: no null fields (OpenAI clients send "content": null), and the reasoning under each
/// of the names that templates read it by.
template <class Json>
Value message_value(const Json& message, Budget& budget) {
  const Json* reasoning = nullptr;
  for (const char* key : {"reasoning", "thinking", "reasoning_content"})
    if (const auto it = message.find(key); it != message.end() && !it->is_null()) reasoning = &*it;
  Dict out;
  if (reasoning != nullptr) out.set("thinking", from_json(*reasoning, Writer::client, budget), budget);
  for (const auto& [key, value] : message.items()) {
    if (value.is_null()) continue;
    out.set(from_json(Json(key), Writer::client, budget), from_json(value, writer_of(key, value), budget), budget);
  }
  if (reasoning != nullptr) out.set("reasoning_content", from_json(*reasoning, Writer::client, budget), budget);
  return Value::dict(std::move(out), budget);
}

/// Escapes in a template can make half of a surrogate pair, and a text that holds one cannot be written down.
bool holds_surrogate(std::string_view s) {
  for (std::size_t at = s.find('\xED'); at != std::string_view::npos; at = s.find('\xED', at + 1))
    if (at + 1 < s.size() && static_cast<unsigned char>(s[at + 1]) >= 0xA0) return true;
  return false;
}

}  // namespace

ChatTemplate::ChatTemplate(const nlohmann::json& specials, jinja::Limits limits)
    : limits_(limits), specials_(specials), format_now_(local_time) {}

Result<> ChatTemplate::add(const std::string& name, std::string_view source) {
  if (utf8_valid_prefix(source) != source.size())
    return fail(Errc::invalid_argument, "the chat template '{}' is not valid UTF-8", name);
  try {
    Named named{std::make_shared<const jinja::Template>(jinja::parse_template(source, limits_)), std::string(source),
                source.contains("tools")};
    named.content = probe(named);
    templates_[name] = std::move(named);
  } catch (const jinja::Fault& f) {
    return fail(Errc::invalid_argument, "chat template '{}': {}", name, f.error.message);
  }
  return {};
}

ContentFormat ChatTemplate::probe(const Named& named) const {
  jinja::Limits limits = limits_;
  limits.max_steps = std::min<std::uint64_t>(limits.max_steps, 100'000);
  const nlohmann::ordered_json none;
  return ContentFormat::of([&](const nlohmann::ordered_json& messages) -> std::optional<std::string> {
    Budget budget(limits);
    auto text = render_with(named, messages, none, true, none, budget);
    return text ? std::optional(std::move(text->bytes)) : std::nullopt;
  });
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
  SLUICE_TRY(out.add_from_files(model_dir));
  if (out.templates_.empty()) SLUICE_TRY(out.add_from_config(config));
  if (!out.templates_.contains("default"))
    return fail(Errc::unsupported, "the model names {} chat templates but none is 'default'", out.templates_.size());
  return out;
}

Result<> ChatTemplate::add_from_files(const std::filesystem::path& model_dir) {
  const auto add_file = [this](const std::string& name, const std::filesystem::path& path) -> Result<> {
    const auto source = read_file(path);
    if (!source) return {};
    SLUICE_TRY(refuse_lfs_pointer(*source, path));
    return add(name, *source);
  };
  SLUICE_TRY(add_file("default", model_dir / "chat_template.jinja"));
  std::error_code none;
  std::vector<std::filesystem::path> named;
  for (const auto& entry : std::filesystem::directory_iterator(model_dir / "additional_chat_templates", none))
    if (entry.path().extension() == ".jinja") named.push_back(entry.path());
  std::ranges::sort(named);  // so that of several broken ones the same is told each time
  for (const auto& path : named) SLUICE_TRY(add_file(path.stem().string(), path));
  return {};
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
  return {};
}

const ChatTemplate::Named& ChatTemplate::pick(bool with_tools) const {
  if (with_tools)
    if (const auto it = templates_.find("tool_use"); it != templates_.end()) return it->second;
  return templates_.at("default");
}

template <class Json>
Result<jinja::Text> ChatTemplate::render_any(const Json& messages, const Json& tools, bool add_generation_prompt,
                                             const Json& extra) const {
  if (!messages.is_array() || messages.empty()) return fail_param("messages", "messages must be a non-empty array");
  if (!tools.is_null() && !tools.is_array()) return fail_param("tools", "tools must be an array");
  Budget budget(limits_);
  return render_with(pick(!tools.is_null()), messages, tools, add_generation_prompt, extra, budget);
}

template <class Json>
Result<jinja::Text> ChatTemplate::render_with(const Named& named, const Json& messages, const Json& tools,
                                              bool add_generation_prompt, const Json& extra, Budget& budget) const {
  try {
    budget.grow(jinja::input_size(messages) + jinja::input_size(tools) + jinja::input_size(extra));
    jinja::Variables variables;
    for (const auto& m : messages)
      if (!m.is_object()) jinja::fault("chat messages must be objects, got {}", m.type_name());
    // What the template does not name it cannot see, and costs nothing.
    const auto names = [&](const std::string& name) { return named.parsed->symbols.find(name) != nullptr; };
    for (const auto& [name, value] : specials_.items())
      if (names(name)) variables.emplace_back(name, from_json(value, Writer::template_, budget));
    variables.emplace_back("documents", Value::none());
    if (extra.is_object())
      for (const auto& [name, value] : extra.items())
        if (names(name)) variables.emplace_back(name, from_json(value, Writer::client, budget));
    if (names("messages")) {
      std::vector<Value> chat;
      for (const auto& m : messages) chat.push_back(message_value(m, budget));
      variables.emplace_back("messages", Value::list(std::move(chat), budget));
    }
    if (names("tools")) variables.emplace_back("tools", from_json(tools, Writer::client, budget));
    variables.emplace_back("add_generation_prompt", Value::boolean(add_generation_prompt));
    jinja::Text text = jinja::render(*named.parsed, variables, format_now_, budget);
    if (holds_surrogate(text.bytes))
      jinja::fault("the chat template renders half of a surrogate pair, which is no text");
    return text;
  } catch (const jinja::Fault& f) {
    return std::unexpected(f.error);
  }
}

Result<std::string> ChatTemplate::render(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                                         bool add_generation_prompt, const nlohmann::ordered_json& extra) const {
  SLUICE_ASSIGN(jinja::Text text, render_any(messages, tools, add_generation_prompt, extra));
  return std::move(text.bytes);
}

Result<std::string> ChatTemplate::render(const nlohmann::json& messages, const nlohmann::json& tools,
                                         bool add_generation_prompt, const nlohmann::json& extra) const {
  SLUICE_ASSIGN(jinja::Text text, render_any(messages, tools, add_generation_prompt, extra));
  return std::move(text.bytes);
}

std::optional<nlohmann::ordered_json> ChatTemplate::adapt(
    const nlohmann::ordered_json& messages, const std::vector<std::pair<std::size_t, nlohmann::ordered_json>>& parts,
    bool with_tools) const {
  const ContentFormat& format = pick(with_tools).content;
  std::optional<nlohmann::ordered_json> out;
  std::size_t given = 0;  // of `parts`
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const bool in_parts = given < parts.size() && parts[given].first == i;
    const std::size_t from = in_parts ? given++ : given;
    const auto role = messages[i].find("role");
    const auto content = messages[i].find("content");
    if (role == messages[i].end() || !role->is_string() || content == messages[i].end()) continue;
    const Content expected = format.of_role(role->get_ref<const std::string&>());
    auto adapted =
        in_parts && expected != Content::text ? std::optional(parts[from].second) : adapt_content(*content, expected);
    if (!adapted) continue;
    if (!out) out = messages;
    (*out)[i]["content"] = std::move(*adapted);
  }
  return out;
}

Result<RenderedChat> ChatTemplate::render_for(const nlohmann::ordered_json& messages,
                                              const nlohmann::ordered_json& tools, bool add_generation_prompt,
                                              const nlohmann::ordered_json& extra, const FindTyped& find) const {
  SLUICE_ASSIGN(jinja::Text text, render_any(messages, tools, add_generation_prompt, extra));
  return tell_typed(std::move(text), find);
}

}  // namespace sluice::text
