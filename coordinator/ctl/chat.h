#pragma once
// `chat`: one question, its answer as it comes, and what Sluice decided for it.
#include <optional>
#include <string>

#include "coordinator/ctl/api.h"

namespace sluice::ctl {

struct ChatOptions {
  std::string text;
  std::string system;
  std::string profile;  // empty: the controller chooses
  std::string mode;     // empty: automatic
  std::optional<int> max_tokens;
  std::optional<double> temperature;
  bool explain = false;
  bool json = false;
};

[[nodiscard]] Result<int> chat(const Endpoint& e, const ChatOptions& o);

/// The `sluice` object of an answer in words.
[[nodiscard]] std::string explain_text(const nlohmann::json& sluice);

}  // namespace sluice::ctl
