#include "coordinator/api/chat_shape.h"

#include <utility>

namespace sluice::coordinator {

using nlohmann::json;

std::string ChatShape::open(std::size_t choice, const std::string& /*echo*/, const AnswerState& now) {
  return chunk(role_choice_json(choice), now);
}

std::string ChatShape::delta(std::size_t choice, ChoiceDelta delta, const AnswerState& now) {
  if (delta.output.content.empty() && (!logprobs() || delta.tokens.empty())) return {};
  json logprobs = streamed_logprobs(choice, delta.tokens);
  return chunk(chunk_choice_json(true, choice, std::move(delta.output.content), std::move(logprobs), {}, nullptr), now);
}

std::string ChatShape::end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                           const AnswerState& now) {
  return chunk(
      chunk_choice_json(true, choice, std::move(rest.output.content), nullptr, name(end.reason), end.stop_reason), now,
      last);
}

HttpResponse ChatShape::whole(WholeAnswer answer) {
  json body = object(answer);
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    auto& c = answer.choices[i];
    body["choices"].push_back(choice_json(true, i, std::move(c.output.content), whole_logprobs(c.tokens),
                                          name(c.end.reason), c.end.stop_reason));
  }
  if (const auto& rated = answer.choices.front().rated; prompt_logprobs() && rated)
    body["prompt_logprobs"] = prompt_logprobs_json(text(), *rated, *prompt_logprobs());
  return json_response(body);
}

}  // namespace sluice::coordinator
