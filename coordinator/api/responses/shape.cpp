#include "coordinator/api/responses/shape.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace sluice::coordinator {

using nlohmann::json;

namespace {

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

json response_usage(const Usage& u) {
  return {{"input_tokens", u.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", u.cached_tokens}, {"cache_write_tokens", 0}}},
          {"output_tokens", u.completion_tokens},
          {"output_tokens_details", {{"reasoning_tokens", 0}}},
          {"total_tokens", u.prompt_tokens + u.completion_tokens}};
}

/// Fields without their braces.
std::string inside_of(std::string object) {
  object.pop_back();
  return object.erase(0, 1);
}

/// What follows the prefix of an id.
std::string tail_of(const std::string& id) { return id.substr(id.find('_') + 1); }

}  // namespace

ResponsesShape::ResponsesShape(Head head, ResponsesRequest& q, const ModelText& text, ResponseMemory& memory)
    : head_(std::move(head)),
      said_(inside_of(dump(std::exchange(q.said, {})))),
      input_(std::move(q.input)),
      previous_(std::move(q.previous)),
      store_(q.store),
      memory_(memory),
      output_(tail_of(head_.id), q.chat.stream ? &events_ : nullptr, head_.tools) {
  if (q.chat.sampling.logprobs) logprobs_.emplace(text, true, *q.chat.sampling.logprobs);
}

std::string ResponsesShape::object(json fields) const {
  json o = {{"id", head_.id},       {"object", "response"},          {"created_at", head_.created},
            {"model", head_.model}, {"output", output_.items()},     {"error", nullptr},
            {"usage", nullptr},     {"incomplete_details", nullptr}, {"completed_at", nullptr},
            {"store", store_}};
  o.update(fields);
  std::string text = dump(o);
  text.back() = ',';
  return text.append(said_) += '}';
}

std::string ResponsesShape::ended(const AnswerState& now) {
  json o = {{"status", status()}, {"usage", response_usage(now.usage)}};
  if (reason_ == FinishReason::length) o["incomplete_details"] = {{"reason", "max_output_tokens"}};
  if (reason_ == FinishReason::stop) o["completed_at"] = unix_now();
  if (!now.fingerprint.empty()) o["system_fingerprint"] = now.fingerprint;
  // What is larger than all that may be kept is not.
  if (store_) store_ = memory_.keep(head_.owner, {head_.id, previous_, object(o), std::move(input_)});
  if (now.explain) o["sluice"] = *now.explain;
  return object(std::move(o));
}

void ResponsesShape::write(ChoiceDelta delta) {
  json logprobs = nullptr;
  if (logprobs_) {
    for (const auto& t : delta.tokens) logprobs_->add(t);
    logprobs = logprobs_->take()["content"];
  }
  output_.add(delta.output, std::move(logprobs));
}

std::string ResponsesShape::open(std::size_t /*choice*/, const std::string& /*echo*/, const AnswerState& /*now*/) {
  const std::string o = object({{"status", "in_progress"}});
  events_.add_response("response.created", o);
  events_.add_response("response.in_progress", o);
  return events_.take();
}

std::string ResponsesShape::delta(std::size_t /*choice*/, ChoiceDelta delta, const AnswerState& /*now*/) {
  write(std::move(delta));
  return events_.take();
}

std::string ResponsesShape::end(std::size_t /*choice*/, ChoiceDelta rest, const ChoiceEnd& end, bool /*last*/,
                                const AnswerState& /*now*/) {
  write(std::move(rest));
  reason_ = end.reason;
  output_.finish(reason_ != FinishReason::stop);
  return events_.take();
}

std::string ResponsesShape::close(const AnswerState& now) {
  events_.add_response(fmt::format("response.{}", status()), ended(now));
  return events_.take();
}

std::string ResponsesShape::failed(const ApiError& error) {
  const json e = {{"code", error.status == 429 ? "rate_limit_exceeded" : "server_error"}, {"message", error.message}};
  events_.add_response("response.failed", object({{"status", "failed"}, {"error", e}, {"store", false}}));
  return events_.take();
}

HttpResponse ResponsesShape::refused(const ApiError& error) const {
  return error_response(in_words_of_responses(error));
}

HttpResponse ResponsesShape::whole(WholeAnswer answer) {
  auto& choice = answer.choices.front();
  ChoiceDelta all;
  all.output.reasoning = std::move(choice.output.reasoning);
  all.output.content = std::move(choice.output.content);
  for (std::size_t i = 0; i < choice.output.calls.size(); ++i) {
    auto& call = choice.output.calls[i];
    all.output.calls.push_back({i, std::move(call.name), std::move(call.arguments)});
  }
  all.tokens = std::move(choice.tokens);
  write(std::move(all));
  reason_ = choice.end.reason;
  output_.finish(reason_ != FinishReason::stop);
  return {200,
          {{"content-type", "application/json"}},
          ended({std::move(answer.fingerprint), answer.usage, std::move(answer.explain)})};
}

}  // namespace sluice::coordinator
