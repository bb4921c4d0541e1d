#include "coordinator/api/chat_shape.h"

#include <utility>

#include "coordinator/api/call_id.h"

namespace sluice::coordinator {

using nlohmann::json;
using text::output::OutputDelta;

namespace {

void put_reasoning(json& message, std::string&& reasoning) {
  if (reasoning.empty()) return;
  message["reasoning_content"] = reasoning;
  message["reasoning"] = std::move(reasoning);
}

}  // namespace

std::string_view ChatShape::finish_reason(const ChoiceEnd& end) const {
  return end.reason == FinishReason::stop && end.calls > 0 && !named_ ? "tool_calls" : name(end.reason);
}

void ChatShape::put(json& choice, OutputDelta& delta) const {
  if (delta.reasoning.empty() && delta.calls.empty()) return;
  json& message = choice["delta"];
  if (message.value("content", "").empty()) message.erase("content");
  put_reasoning(message, std::move(delta.reasoning));
  for (auto& c : delta.calls) {
    json call = {{"index", c.index}, {"function", {{"arguments", std::move(c.arguments)}}}};
    if (c.name) {
      call["id"] = new_call_id(format_);
      call["type"] = "function";
      call["function"]["name"] = *std::move(c.name);
    }
    message["tool_calls"].push_back(std::move(call));
  }
}

std::string ChatShape::open(std::size_t choice, const std::string& /*echo*/, const AnswerState& now) {
  return chunk(role_choice_json(choice), now, false, with_ids() ? now.prompt : nullptr);
}

std::string ChatShape::delta(std::size_t choice, ChoiceDelta delta, const AnswerState& now) {
  auto& out = delta.output;
  if (out.empty() && (!logprobs() || delta.tokens.empty()) && delta.ids.empty()) return {};
  if (only_text() && out.reasoning.empty() && out.calls.empty()) return text_chunk(choice, out.content, now);
  json c =
      chunk_choice_json(true, choice, std::move(out.content), streamed_logprobs(choice, delta.tokens), {}, nullptr);
  put(c, out);
  if (with_ids()) c["token_ids"] = std::move(delta.ids);
  return chunk(std::move(c), now);
}

std::string ChatShape::end(std::size_t choice, ChoiceDelta rest, const ChoiceEnd& end, bool last,
                           const AnswerState& now) {
  json c =
      chunk_choice_json(true, choice, std::move(rest.output.content), nullptr, finish_reason(end), end.stop_reason);
  put(c, rest.output);
  return chunk(std::move(c), now, last);
}

HttpResponse ChatShape::whole(WholeAnswer answer) {
  json body = object(answer);
  for (std::size_t i = 0; i < answer.choices.size(); ++i) {
    auto& c = answer.choices[i];
    auto& out = c.output;
    const bool no_content = out.content.empty() && !(out.reasoning.empty() && out.calls.empty());
    json choice =
        choice_json(true, i, std::move(out.content), whole_logprobs(c.tokens), finish_reason(c.end), c.end.stop_reason);
    json& message = choice["message"];
    if (no_content) message["content"] = nullptr;
    put_reasoning(message, std::move(out.reasoning));
    for (auto& call : out.calls)
      message["tool_calls"].push_back(
          {{"id", new_call_id(format_)},
           {"type", "function"},
           {"function", {{"name", std::move(call.name)}, {"arguments", std::move(call.arguments)}}}});
    if (with_ids()) choice["token_ids"] = std::move(c.ids);
    body["choices"].push_back(std::move(choice));
  }
  if (with_ids()) body["prompt_token_ids"] = *answer.choices.front().prompt;
  if (const auto& rated = answer.choices.front().rated; prompt_logprobs() && rated)
    body["prompt_logprobs"] = prompt_logprobs_json(text(), *rated, *prompt_logprobs());
  return json_response(body);
}

}  // namespace sluice::coordinator
