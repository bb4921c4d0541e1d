#pragma once
// Which parsers tell tool calls and reasoning from a model's text, as the operator chose them by name.
// Threading: start-up only. Failure: invalid_argument that lists the names there are; its param is the flag.
#include <string>

#include "coordinator/api/backend.h"

namespace sluice::coordinator {

struct OutputChoice {
  std::string tool_call_parser = "auto";  // auto: from the chat template
  std::string reasoning_parser = "none";

  [[nodiscard]] Result<> check() const;
  [[nodiscard]] Result<text::output::OutputFormats> of(const ModelText& text) const;
};

}  // namespace sluice::coordinator
