#include "coordinator/api/whole_answer.h"

#include <utility>

namespace sluice::coordinator {

using nlohmann::json;

std::size_t WholeAnswer::bytes() const {
  constexpr std::size_t kEntry = 100;  // of a token or an alternative, with its name and bytes
  std::size_t n = 0;
  for (const auto& c : choices) {
    n += c.echo.size() + c.text.size();
    if (c.logprobs) n += c.logprobs->entries() * kEntry;
    if (prompt_logprobs && c.rated) n += c.rated->ids->size() * static_cast<std::size_t>(*prompt_logprobs + 1) * kEntry;
  }
  return n;
}

HttpResponse WholeAnswer::write() && {
  json body = answer_object(head);
  for (std::size_t i = 0; i < choices.size(); ++i) {
    auto& c = choices[i];
    json logprobs = c.logprobs ? c.logprobs->take() : json(nullptr);
    body["choices"].push_back(
        choice_json(head.chat, i, std::move(c.echo) + c.text, std::move(logprobs), c.finish_reason, c.stop_reason));
    if (!prompt_logprobs || !c.rated) continue;
    json& owner = head.chat ? body : body["choices"].back();
    if (!owner.contains("prompt_logprobs"))
      owner["prompt_logprobs"] = prompt_logprobs_json(*text, *c.rated, *prompt_logprobs);
  }
  body["usage"] = usage_json(usage);
  if (explain) body["sluice"] = std::move(*explain);
  return json_response(body);
}

}  // namespace sluice::coordinator
