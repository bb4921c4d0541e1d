#include "coordinator/api/completion_shape.h"

#include <utility>

namespace sluice::coordinator {

using nlohmann::json;

std::string CompletionShape::open(std::size_t choice, const std::string& echo, const AnswerState& now) {
  if (echo.empty() && !with_ids()) return {};
  json c = chunk_choice_json(false, choice, echo, nullptr, {}, nullptr);
  if (with_ids()) c["prompt_token_ids"] = *now.prompt;
  return chunk(std::move(c), now);
}

std::string CompletionShape::delta(std::size_t choice, ChoiceDelta delta, const AnswerState& now) {
  if (delta.output.content.empty() && (!logprobs() || delta.tokens.empty()) && delta.ids.empty()) return {};
  if (only_text()) return text_chunk(choice, delta.output.content, now);
  json logprobs = streamed_logprobs(choice, delta.tokens);
  json c = chunk_choice_json(false, choice, std::move(delta.output.content), std::move(logprobs), {}, nullptr);
  if (with_ids()) c["token_ids"] = std::move(delta.ids);
  return chunk(std::move(c), now);
}

std::string CompletionShape::end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                                 const AnswerState& now) {
  return chunk(
      chunk_choice_json(false, choice, std::move(rest.output.content), nullptr, name(end.reason), end.stop_reason), now,
      last);
}

HttpResponse CompletionShape::whole(WholeAnswer answer) {
  json body = object(answer);
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    auto& c = answer.choices[i];
    json logprobs = whole_logprobs(c.tokens, echo_ ? c.rated : nullptr);
    json choice = choice_json(false, i, std::move(c.echo) + c.output.content, std::move(logprobs), name(c.end.reason),
                              c.end.stop_reason);
    if (prompt_logprobs() && c.rated)
      choice["prompt_logprobs"] = prompt_logprobs_json(text(), *c.rated, *prompt_logprobs());
    if (with_ids()) {
      choice["token_ids"] = std::move(c.ids);
      choice["prompt_token_ids"] = *c.prompt;
    }
    body["choices"].push_back(std::move(choice));
  }
  return json_response(body);
}

}  // namespace sluice::coordinator
