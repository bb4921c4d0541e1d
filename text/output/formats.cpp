#include "text/output/formats.h"

#include <algorithm>
#include <array>
#include <utility>

#include "text/output/json_call_parsers.h"
#include "text/output/pythonic_parser.h"

namespace sluice::text::output {
namespace {

template <class E>
struct Entry {
  std::string_view name;
  E format;
};
constexpr std::array<Entry<ToolFormat>, 5> kToolFormats{{{"none", ToolFormat::none},
                                                         {"hermes", ToolFormat::hermes},
                                                         {"llama3_json", ToolFormat::llama3_json},
                                                         {"mistral", ToolFormat::mistral},
                                                         {"pythonic", ToolFormat::pythonic}}};
constexpr std::array<Entry<ReasoningFormat>, 5> kReasoningFormats{{{"none", ReasoningFormat::none},
                                                                   {"deepseek_r1", ReasoningFormat::deepseek_r1},
                                                                   {"qwen3", ReasoningFormat::qwen3},
                                                                   {"granite", ReasoningFormat::granite},
                                                                   {"mistral", ReasoningFormat::mistral}}};

template <class Table, class E>
std::string_view name_in(const Table& table, E format) {
  return std::ranges::find(table, format, &Table::value_type::format)->name;
}

template <class Table>
auto find_in(const Table& table, std::string_view name, std::string_view what, std::string_view also)
    -> Result<decltype(table.front().format)> {
  if (const auto it = std::ranges::find(table, name, &Table::value_type::name); it != table.end()) return it->format;
  std::string all(also);
  for (const auto& e : table) all += (all.empty() ? "" : ", ") + std::string(e.name);
  return fail(Errc::invalid_argument, "'{}' is no {}; there are {}", name.substr(0, 64), what, all);
}

/// Newer templates of Mistral name the call before its arguments.
ToolFormat mistral_of(std::string_view chat_template) {
  return chat_template.contains("[ARGS]") ? ToolFormat::mistral_args : ToolFormat::mistral;
}

ToolFormat told_by(std::string_view chat_template) {
  if (chat_template.contains("[TOOL_CALLS]")) return mistral_of(chat_template);
  if (chat_template.contains("<tool_call>"))  // some write XML in it
    return chat_template.contains("<function=") || chat_template.contains("<arg_key>") ? ToolFormat::none
                                                                                       : ToolFormat::hermes;
  if (chat_template.contains("[func_name1(") || chat_template.contains("<|python_start|>")) return ToolFormat::pythonic;
  if (chat_template.contains("<|python_tag|>")) return ToolFormat::llama3_json;
  return ToolFormat::none;
}

std::unique_ptr<OutputParser> call_parser(ToolFormat format, bool eager) {
  switch (format) {
    case ToolFormat::none:
      return nullptr;
    case ToolFormat::hermes:
      return std::make_unique<HermesParser>(eager);
    case ToolFormat::llama3_json:
      return std::make_unique<Llama3JsonParser>(eager);
    case ToolFormat::mistral:
    case ToolFormat::mistral_args:
      return std::make_unique<MistralParser>(eager);
    case ToolFormat::pythonic:
      return std::make_unique<PythonicParser>(eager);
  }
  return nullptr;
}

}  // namespace

std::string_view name(ToolFormat format) noexcept {
  return name_in(kToolFormats, format == ToolFormat::mistral_args ? ToolFormat::mistral : format);
}
std::string_view name(ReasoningFormat format) noexcept { return name_in(kReasoningFormats, format); }

Result<ToolFormat> tool_format(std::string_view name, std::string_view chat_template) {
  if (name == "auto") return told_by(chat_template);
  SLUICE_ASSIGN(const ToolFormat format, find_in(kToolFormats, name, "tool call parser", "auto"));
  return format == ToolFormat::mistral ? mistral_of(chat_template) : format;
}

Result<ReasoningFormat> reasoning_format(std::string_view name) {
  return find_in(kReasoningFormats, name, "reasoning parser", "");
}

const ReasoningTags& tags_of(ReasoningFormat format) {
  static const ReasoningTags kNone;
  static const ReasoningTags kThink{{"<think>"}, {"</think>"}};
  static const ReasoningTags kGranite{{"Here is my thought process:", "Here's my thought process:"},
                                      {"Here is my response:", "Here's my response:"}};
  static const ReasoningTags kMistral{{"[THINK]"}, {"[/THINK]"}};
  switch (format) {
    case ReasoningFormat::none:
      return kNone;
    case ReasoningFormat::granite:
      return kGranite;
    case ReasoningFormat::mistral:
      return kMistral;
    default:
      return kThink;
  }
}

bool begins_inside(ReasoningFormat format, std::string_view prompt) {
  if (format == ReasoningFormat::none) return false;
  const auto& tags = tags_of(format);
  const std::string_view rest = prompt.substr(0, prompt.find_last_not_of(" \t\r\n") + 1);
  const auto ends_with = [rest](const std::vector<std::string_view>& with) {
    return std::ranges::any_of(with, [rest](std::string_view tag) { return rest.ends_with(tag); });
  };
  if (ends_with(tags.open)) return true;
  if (ends_with(tags.close)) return false;  // the template switched it off
  return format == ReasoningFormat::deepseek_r1;
}

std::unique_ptr<OutputParser> make_parser(const OutputFormats& formats, const ParserOptions& options) {
  auto calls = options.calls ? call_parser(formats.tools, options.eager) : nullptr;
  if (formats.reasoning == ReasoningFormat::none) return calls;
  return std::make_unique<ReasoningParser>(tags_of(formats.reasoning), options.inside, std::move(calls));
}

}  // namespace sluice::text::output
