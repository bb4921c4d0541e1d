#pragma once
// A model's chat template: messages in, prompt text out, byte for byte what transformers' apply_chat_template gives.
//
// Threading: render() is const and may run on several threads at once. Cost is bounded by jinja::Limits.
// Failure: `unsupported` if the model has no template, invalid_argument if the template is broken, refuses the
// messages (its own words are the error's message) or exceeds the limits.
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/result.h"
#include "text/content_format.h"
#include "text/jinja/eval.h"
#include "text/jinja/typed_specials.h"

namespace sluice::text {

class ChatTemplate {
 public:
  /// Reads chat_template.jinja and additional_chat_templates/NAME.jinja, else `chat_template` of tokenizer_config.json:
  /// one template, or a list of named ones, of which "tool_use" serves requests with tools and "default" the others.
  /// A template that needs what the engine lacks is refused here, with the line and the name of what it needs.
  [[nodiscard]] static Result<ChatTemplate> load(const std::filesystem::path& model_dir, jinja::Limits limits = {});

  /// `specials`: an object such as {"bos_token": "<s>"}; its entries are variables of the template.
  [[nodiscard]] static Result<ChatTemplate> parse(std::string_view source, const nlohmann::json& specials,
                                                  jinja::Limits limits = {});

  /// `messages`: a non-empty array of objects. `tools`: an array, or null for none. `extra`: an object of further
  /// variables, which win over the special tokens. Ordered JSON keeps the order of keys that tojson prints.
  [[nodiscard]] Result<std::string> render(const nlohmann::ordered_json& messages, const nlohmann::ordered_json& tools,
                                           bool add_generation_prompt, const nlohmann::ordered_json& extra) const;
  [[nodiscard]] Result<std::string> render(const nlohmann::json& messages, const nlohmann::json& tools,
                                           bool add_generation_prompt, const nlohmann::json& extra) const;

  /// The same text, and where the client's strings (messages, tools, extra) spell special tokens in it. `find` is
  /// Tokenizer::special_starts of the model's tokenizer.
  [[nodiscard]] Result<RenderedChat> render_for(const nlohmann::ordered_json& messages,
                                                const nlohmann::ordered_json& tools, bool add_generation_prompt,
                                                const nlohmann::ordered_json& extra, const FindTyped& find) const;

  /// What strftime_now() answers with; the local time unless set.
  void set_clock(jinja::FormatNow format_now) { format_now_ = std::move(format_now); }

  /// Whether tools would reach the prompt: a template that never speaks of them drops them.
  [[nodiscard]] bool takes_tools() const { return pick(true).tools; }

  /// The text of the template that renders chats with tools, or without.
  [[nodiscard]] const std::string& source(bool with_tools) const { return pick(with_tools).source; }

  /// The messages with each content in the form that the template reads, a string or a list of parts
  /// (content_format.h); null if they all are already. `messages`: an array of objects. `parts`: of some, by index, the
  /// parts that their content is joined from.
  [[nodiscard]] std::optional<nlohmann::ordered_json> adapt(
      const nlohmann::ordered_json& messages, const std::vector<std::pair<std::size_t, nlohmann::ordered_json>>& parts,
      bool with_tools) const;

 private:
  struct Named {
    std::shared_ptr<const jinja::Template> parsed;
    std::string source;
    bool tools = false;  // its source speaks of them
    ContentFormat content{};
  };
  ChatTemplate(const nlohmann::json& specials, jinja::Limits limits);

  [[nodiscard]] Result<> add(const std::string& name, std::string_view source);
  [[nodiscard]] Result<> add_from_files(const std::filesystem::path& model_dir);
  [[nodiscard]] Result<> add_from_config(const nlohmann::json& config);
  [[nodiscard]] ContentFormat probe(const Named& named) const;
  [[nodiscard]] const Named& pick(bool with_tools) const;
  template <class Json>
  [[nodiscard]] Result<jinja::Text> render_any(const Json& messages, const Json& tools, bool add_generation_prompt,
                                               const Json& extra) const;
  template <class Json>
  [[nodiscard]] Result<jinja::Text> render_with(const Named& named, const Json& messages, const Json& tools,
                                                bool add_generation_prompt, const Json& extra,
                                                jinja::Budget& budget) const;

  jinja::Limits limits_;
  nlohmann::json specials_;
  jinja::FormatNow format_now_;
  std::map<std::string, Named> templates_;  // "default", "tool_use", ...
};

}  // namespace sluice::text
