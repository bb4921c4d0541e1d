#include "coordinator/api/messages/shape.h"

#include <fmt/format.h>

#include <utility>

#include "coordinator/api/call_id.h"
#include "coordinator/api/messages/errors.h"
#include "coordinator/api/messages/request.h"
#include "coordinator/api/requests.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr std::string_view kWhite = " \t\r\n";

/// What was there already counts apart.
json usage_of(const Usage& u) {
  return {{"input_tokens", u.prompt_tokens - u.cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", u.cached_tokens},
          {"output_tokens", u.completion_tokens}};
}

std::string_view reason_of(const ChoiceEnd& end) {
  if (end.reason == FinishReason::length) return "max_tokens";
  if (end.calls > 0) return "tool_use";
  return end.stop_reason.is_string() ? "stop_sequence" : "end_turn";
}

json sequence_of(const ChoiceEnd& end) { return reason_of(end) == "stop_sequence" ? end.stop_reason : json(nullptr); }

/// A call's input is an object; what a cut-off answer left of one is told as text.
json input_of(std::string arguments) {
  if (arguments.find_first_not_of(kWhite) == std::string::npos) return json::object();
  auto parsed = parse_body(arguments);
  return parsed ? std::move(*parsed) : json{{"partial_json", std::move(arguments)}};
}

std::string event_text(std::string_view type, const json& event) {
  return fmt::format("event: {}\ndata: {}\n\n", type, dump(event));
}

}  // namespace

void MessagesShape::tell(std::string_view type, json event) {
  event["type"] = type;
  events_ += event_text(type, event);
}

json MessagesShape::message() const {
  return {{"id", id_},
          {"type", "message"},
          {"role", "assistant"},
          {"model", model_},
          {"content", json::array()},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr}};
}

std::string MessagesShape::call_id(std::size_t index) const {
  return call_id_of(format_, "toolu", std::string_view(id_).substr(id_.find('_') + 1), index);
}

// ---- Blocks of a stream ----

void MessagesShape::start(Block block, json content) {
  stop();
  block_ = block;
  tell("content_block_start", {{"index", next_}, {"content_block", std::move(content)}});
}

void MessagesShape::stop() {
  if (std::exchange(block_, Block::none) == Block::none) return;
  tell("content_block_stop", {{"index", next_++}});
}

void MessagesShape::tell_delta(json delta) {
  tell("content_block_delta", {{"index", next_}, {"delta", std::move(delta)}});
}

void MessagesShape::write(const text::output::OutputDelta& delta) {
  if (!delta.reasoning.empty()) {
    if (block_ != Block::thinking) start(Block::thinking, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
    tell_delta({{"type", "thinking_delta"}, {"thinking", delta.reasoning}});
  }
  if (!delta.content.empty()) write_text(delta.content);
  for (const auto& piece : delta.calls) write_call(piece);
}

void MessagesShape::write_text(std::string text) {
  text.insert(0, std::exchange(blank_, {}));
  if (block_ != Block::text) {
    if (text.find_first_not_of(kWhite) == std::string::npos) {
      blank_ = std::move(text);
      return;
    }
    start(Block::text, {{"type", "text"}, {"text", ""}});
  }
  tell_delta({{"type", "text_delta"}, {"text", std::move(text)}});
}

void MessagesShape::write_call(const text::output::ToolCallDelta& piece) {
  blank_.clear();
  if (block_ != Block::tool_use || call_ != piece.index) {
    call_ = piece.index;
    start(Block::tool_use, {{"type", "tool_use"},
                            {"id", call_id(piece.index)},
                            {"name", piece.name.value_or("")},
                            {"input", json::object()}});
  }
  if (!piece.arguments.empty()) tell_delta({{"type", "input_json_delta"}, {"partial_json", piece.arguments}});
}

// ---- A stream ----

std::string MessagesShape::open(std::size_t /*choice*/, const std::string& /*echo*/, const AnswerState& now) {
  json m = message();
  m["usage"] = usage_of(now.usage);
  tell("message_start", {{"message", std::move(m)}});
  return std::exchange(events_, {});
}

std::string MessagesShape::delta(std::size_t /*choice*/, ChoiceDelta delta, const AnswerState& /*now*/) {
  write(delta.output);
  return std::exchange(events_, {});
}

std::string MessagesShape::end(std::size_t /*choice*/, ChoiceDelta rest, const ChoiceEnd& end, bool /*last*/,
                               const AnswerState& /*now*/) {
  write(rest.output);
  end_ = end;
  // An answer always has something to read, be it an empty text.
  if (end_.calls == 0 && block_ != Block::text && (!blank_.empty() || block_ != Block::tool_use)) {
    start(Block::text, {{"type", "text"}, {"text", ""}});
    if (!blank_.empty()) tell_delta({{"type", "text_delta"}, {"text", std::exchange(blank_, {})}});
  }
  stop();
  return std::exchange(events_, {});
}

std::string MessagesShape::close(const AnswerState& now) {
  json event = {{"delta", {{"stop_reason", reason_of(end_)}, {"stop_sequence", sequence_of(end_)}}},
                {"usage", usage_of(now.usage)}};
  if (!now.fingerprint.empty()) event["system_fingerprint"] = now.fingerprint;
  if (now.explain) event["sluice"] = *now.explain;
  tell("message_delta", std::move(event));
  tell("message_stop", json::object());
  return std::exchange(events_, {});
}

std::string MessagesShape::failed(const ApiError& error) {
  tell("error", messages_error(in_words_of_messages(error), request_id_));
  return std::exchange(events_, {});
}

std::string MessagesShape::keep_alive() const { return event_text("ping", {{"type", "ping"}}); }

// ---- Without one ----

HttpResponse MessagesShape::refused(const ApiError& error) const {
  return error_response(in_words_of_messages(error));  // in its shape by the route (RouteOptions::errors)
}

HttpResponse MessagesShape::whole(WholeAnswer answer) {
  auto& choice = answer.choices.front();
  json m = message();
  json& content = m["content"];
  if (!choice.output.reasoning.empty())
    content.push_back({{"type", "thinking"}, {"thinking", std::move(choice.output.reasoning)}, {"signature", ""}});
  const bool says = choice.output.content.find_first_not_of(kWhite) != std::string::npos;
  if (says || choice.output.calls.empty())
    content.push_back({{"type", "text"}, {"text", std::move(choice.output.content)}});
  for (std::size_t i = 0; i < choice.output.calls.size(); ++i) {
    auto& call = choice.output.calls[i];
    content.push_back({{"type", "tool_use"},
                       {"id", call_id(i)},
                       {"name", std::move(call.name)},
                       {"input", input_of(std::move(call.arguments))}});
  }
  m["stop_reason"] = reason_of(choice.end);
  m["stop_sequence"] = sequence_of(choice.end);
  m["usage"] = usage_of(answer.usage);
  if (!answer.fingerprint.empty()) m["system_fingerprint"] = answer.fingerprint;
  if (answer.explain) m["sluice"] = std::move(*answer.explain);
  return json_response(m);
}

}  // namespace sluice::coordinator
