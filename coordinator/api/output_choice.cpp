#include "coordinator/api/output_choice.h"

namespace sluice::coordinator {

namespace {

Result<text::output::OutputFormats> formats(const OutputChoice& choice, std::string_view chat_template) {
  auto tools = text::output::tool_format(choice.tool_call_parser, chat_template);
  if (!tools) return fail_param("--tool-call-parser", "{}", tools.error().message);
  auto reasoning = text::output::reasoning_format(choice.reasoning_parser);
  if (!reasoning) return fail_param("--reasoning-parser", "{}", reasoning.error().message);
  return text::output::OutputFormats{*tools, *reasoning};
}

}  // namespace

Result<> OutputChoice::check() const {
  SLUICE_TRY(formats(*this, {}));
  return {};
}

Result<text::output::OutputFormats> OutputChoice::of(const ModelText& text) const {
  return formats(*this, text.tool_template());
}

}  // namespace sluice::coordinator
