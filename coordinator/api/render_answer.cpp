#include "coordinator/api/render_answer.h"

#include <iterator>

namespace sluice::coordinator {

using nlohmann::json;

namespace {

json or_null(const auto& value) { return value ? json(*value) : json(nullptr); }

/// What binds the answer. A list of prompts repeats it, so a long one is only told of.
json form_json(const SharedText& grammar) {
  constexpr std::size_t kShown = std::size_t{32} << 10U;
  if (grammar.empty()) return nullptr;
  if (grammar.value().size() > kShown) return {{"grammar_bytes", grammar.value().size()}};
  return {{"grammar", grammar.value()}};
}

json sampling_json(const GenerateRequest& q, int max_tokens) {
  const auto& s = q.sampling;
  json bias = json::object();
  for (const auto& [id, by] : s.logit_bias) bias[std::to_string(id)] = by;
  return {{"n", q.n},
          {"max_tokens", max_tokens},
          {"min_tokens", s.min_tokens},
          {"temperature", s.temperature},
          {"top_p", s.top_p},
          {"top_k", s.top_k},
          {"min_p", s.min_p},
          {"repetition_penalty", s.repetition_penalty},
          {"presence_penalty", s.presence_penalty},
          {"frequency_penalty", s.frequency_penalty},
          {"logit_bias", std::move(bias)},
          {"seed", or_null(q.seed)},
          {"stop", q.stop},
          {"stop_token_ids", s.stop_token_ids},
          {"ignore_eos", s.ignore_eos},
          {"include_stop_str_in_output", q.include_stop_str},
          {"skip_special_tokens", q.skip_special_tokens},
          {"structured_outputs", form_json(s.grammar)},
          {"logprobs", or_null(s.logprobs)},
          {"prompt_logprobs", or_null(q.prompt_logprobs)}};
}

/// `more`: the fields that all prompts share. Ids are written straight to text: as JSON they take ten times as much.
void write_prompt(std::string& out, json more, const PreparedGeneration::Prompt& prompt, const GenerateRequest& q) {
  more["prompt_text"] = prompt.echo;
  more["sampling_params"] = sampling_json(q, prompt.max_tokens);
  out += dump(more);
  out.back() = ',';  // the object goes on
  out += R"("token_ids":[)";
  const auto& ids = *prompt.ids;
  for (std::size_t i = 0; i < ids.size(); ++i) fmt::format_to(std::back_inserter(out), "{}{}", i ? "," : "", ids[i]);
  out += "]}";
}

}  // namespace

HttpResponse render_answer(const PreparedGeneration& p, const std::string& request_id, const ModelInfo& model) {
  const GenerateRequest& q = p.request;
  const bool chat = q.kind == GenerateRequest::Kind::chat;
  const json shared = {
      {"request_id", (chat ? "chatcmpl-" : "cmpl-") + (q.request_id.empty() ? request_id : q.request_id)},
      {"model", model.id},
      {"stream", q.stream},
      {"priority", q.priority},
      {"cache_salt", q.cache_salt.empty() ? json(nullptr) : json(q.cache_salt)}};
  std::string body = chat ? "" : "[";
  for (std::size_t i = 0; i < p.prompts.size(); ++i) {
    if (i > 0) body += ',';
    write_prompt(body, shared, p.prompts[i], q);
  }
  if (!chat) body += ']';
  return {200, {{"content-type", "application/json"}}, std::move(body)};
}

}  // namespace sluice::coordinator
