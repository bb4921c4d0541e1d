#include "coordinator/api/openai_shape.h"

#include <utility>

namespace sluice::coordinator {

using nlohmann::json;

OpenAiShape::OpenAiShape(AnswerHead head, const GenerateRequest& q, const ModelText& text)
    : head_(std::move(head)),
      text_(text),
      logprobs_(q.sampling.logprobs),
      prompt_logprobs_(q.prompt_logprobs),
      tokens_as_ids_(q.tokens_as_ids),
      with_ids_(q.return_token_ids),
      include_usage_(q.include_usage),
      continuous_usage_(q.continuous_usage) {}

AnswerHead OpenAiShape::head(std::string_view fingerprint) const {
  AnswerHead h = head_;
  h.fingerprint = fingerprint;
  return h;
}

const OpenAiShape::Frame& OpenAiShape::frame(std::string_view fingerprint) {
  if (frame_ && frame_->fingerprint == fingerprint) return *frame_;
  json chunk = chunk_object(head(fingerprint));
  if (include_usage_) chunk["usage"] = nullptr;
  // Keys are sorted: the list of choices is the first.
  constexpr std::string_view kBefore = "data: {\"choices\":[";
  return frame_.emplace(std::string(fingerprint), std::string(kBefore), sse(chunk).substr(kBefore.size()));
}

std::string OpenAiShape::chunk(json choice, const AnswerState& now, bool last, const std::vector<TokenId>* prompt) {
  const bool explained = last && !include_usage_ && now.explain;
  const bool usage = include_usage_ && continuous_usage_;
  if (prompt == nullptr && !explained && !usage) {
    const Frame& f = frame(now.fingerprint);
    return f.before + dump(choice) + f.after;
  }
  json chunk = chunk_object(head(now.fingerprint));
  chunk["choices"].push_back(std::move(choice));
  if (prompt != nullptr) chunk["prompt_token_ids"] = *prompt;
  if (include_usage_) chunk["usage"] = usage ? usage_json(now.usage) : json(nullptr);
  if (explained) chunk["sluice"] = *now.explain;
  return sse(chunk);
}

std::string OpenAiShape::text_chunk(std::size_t choice, std::string_view text, const AnswerState& now) {
  if (text_chunks_.size() <= choice) text_chunks_.resize(choice + 1);
  auto& kept = text_chunks_[choice];
  if (!kept || kept->fingerprint != now.fingerprint)
    kept.emplace(std::string(now.fingerprint), ChunkTemplate([&](std::string_view mark) {
                   return chunk(chunk_choice_json(head_.chat, choice, std::string(mark), nullptr, {}, nullptr), now);
                 }));
  return kept->chunk.with(text);
}

std::string OpenAiShape::close(const AnswerState& now) {
  std::string out;
  if (include_usage_) {
    json chunk = chunk_object(head(now.fingerprint));
    chunk["usage"] = usage_json(now.usage);
    if (now.explain) chunk["sluice"] = *now.explain;
    out = sse(chunk);
  }
  return out.append(kSseDone);
}

std::string OpenAiShape::failed(const ApiError& error) { return sse(error_json(error)).append(kSseDone); }

HttpResponse OpenAiShape::refused(const ApiError& error) const { return error_response(error); }

json OpenAiShape::object(WholeAnswer& answer) const {
  json body = answer_object(head(answer.fingerprint));
  body["usage"] = usage_json(answer.usage);
  if (answer.explain) body["sluice"] = *std::move(answer.explain);
  return body;
}

json OpenAiShape::streamed_logprobs(std::size_t choice, const std::vector<TokenEvent>& tokens) {
  if (!logprobs_) return nullptr;
  while (writers_.size() <= choice) writers_.emplace_back(text_, head_.chat, *logprobs_, tokens_as_ids_);
  for (const auto& t : tokens) writers_[choice].add(t);
  return writers_[choice].take();
}

json OpenAiShape::whole_logprobs(const std::vector<TokenEvent>& tokens,
                                 std::shared_ptr<const RatedPrompt> echoed) const {
  if (!logprobs_) return nullptr;
  LogprobsWriter writer(text_, head_.chat, *logprobs_, tokens_as_ids_);
  if (echoed) writer.echo(std::move(echoed));
  for (const auto& t : tokens) writer.add(t);
  return writer.take();
}

}  // namespace sluice::coordinator
