#include "coordinator/api/responses/output.h"

#include <fmt/format.h>

#include "coordinator/api/call_id.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

using nlohmann::json;

void ResponseEvents::add(std::string_view type, json event) {
  event["type"] = type;
  event["sequence_number"] = sequence_++;
  text_ += fmt::format("event: {}\ndata: {}\n\n", type, dump(event));
}

void ResponseEvents::add_response(std::string_view type, std::string_view response) {
  text_ += fmt::format("event: {0}\ndata: {{\"type\":\"{0}\",\"sequence_number\":{1},\"response\":{2}}}\n\n", type,
                       sequence_++, response);
}

void ResponseOutput::tell(std::string_view type, json fields) {
  if (events_ == nullptr) return;
  fields["output_index"] = items_.size();
  events_->add(type, std::move(fields));
}

json ResponseOutput::part() const {
  if (kind_ == Kind::reasoning) return {{"type", "reasoning_text"}, {"text", text_}};
  return {{"type", "output_text"}, {"text", text_}, {"annotations", json::array()}, {"logprobs", logprobs_}};
}

json ResponseOutput::item(std::string_view status, bool with_content) const {
  json i = {{"id", id_}, {"status", status}};
  if (kind_ == Kind::call) {
    i.update({{"type", "function_call"}, {"call_id", call_id_}, {"name", name_}, {"arguments", text_}});
    return i;
  }
  i["content"] = json::array();
  if (with_content) i["content"].push_back(part());
  if (kind_ == Kind::reasoning)
    i.update({{"type", "reasoning"}, {"summary", json::array()}});
  else
    i.update({{"type", "message"}, {"role", "assistant"}});
  return i;
}

void ResponseOutput::open(Kind kind) {
  kind_ = kind;
  said_ = said_ || kind != Kind::reasoning;
  text_.clear();
  logprobs_ = json::array();
  const std::string_view prefix = kind == Kind::reasoning ? "rs" : kind == Kind::message ? "msg" : "fc";
  id_ = fmt::format("{}_{}_{}", prefix, tail_, items_.size());
  tell("response.output_item.added", {{"item", item("in_progress", false)}});
  if (kind != Kind::call)
    tell("response.content_part.added", {{"item_id", id_}, {"content_index", 0}, {"part", part()}});
}

void ResponseOutput::close(std::string_view status) {
  if (kind_ == Kind::none) return;
  if (kind_ == Kind::call) {
    tell("response.function_call_arguments.done", {{"item_id", id_}, {"name", name_}, {"arguments", text_}});
  } else {
    json done = {{"item_id", id_}, {"content_index", 0}, {"text", text_}};
    if (kind_ == Kind::message) done["logprobs"] = logprobs_;
    tell(kind_ == Kind::message ? "response.output_text.done" : "response.reasoning_text.done", std::move(done));
    tell("response.content_part.done", {{"item_id", id_}, {"content_index", 0}, {"part", part()}});
  }
  json whole = item(status, true);
  tell("response.output_item.done", {{"item", whole}});
  items_.push_back(std::move(whole));
  kind_ = Kind::none;
}

void ResponseOutput::add(const text::output::OutputDelta& delta, json logprobs) {
  if (!delta.reasoning.empty()) add_reasoning(delta.reasoning);
  if (!delta.content.empty()) add_content(delta.content, std::move(logprobs));
  for (const auto& piece : delta.calls) add_call(piece);
}

void ResponseOutput::add_reasoning(const std::string& text) {
  if (kind_ != Kind::reasoning) {
    close("completed");
    open(Kind::reasoning);
  }
  text_ += text;
  tell("response.reasoning_text.delta", {{"item_id", id_}, {"content_index", 0}, {"delta", text}});
}

void ResponseOutput::add_content(const std::string& text, json logprobs) {
  std::string delta = std::exchange(blank_, {}) + text;
  if (kind_ != Kind::message) {
    if (delta.find_first_not_of(" \t\r\n") == std::string::npos) {
      blank_ = std::move(delta);
      return;
    }
    close("completed");
    open(Kind::message);
  }
  text_ += delta;
  if (logprobs.is_null()) logprobs = json::array();
  for (const json& entry : logprobs) logprobs_.push_back(entry);
  tell("response.output_text.delta",
       {{"item_id", id_}, {"content_index", 0}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}});
}

void ResponseOutput::add_call(const text::output::ToolCallDelta& piece) {
  blank_.clear();
  if (kind_ != Kind::call || call_ != piece.index) {
    close("completed");
    call_ = piece.index;
    call_id_ = call_id_of(format_, "call", tail_, piece.index);
    name_ = piece.name.value_or("");
    open(Kind::call);
  }
  if (piece.arguments.empty()) return;
  text_ += piece.arguments;
  tell("response.function_call_arguments.delta", {{"item_id", id_}, {"delta", piece.arguments}});
}

void ResponseOutput::finish(bool incomplete) {
  // An answer has something to read, be it an empty text; but where it was cut off in its reasoning.
  const bool silent = !said_ && !(incomplete && kind_ == Kind::reasoning);
  if (silent) {
    close("completed");
    open(Kind::message);
    text_ = std::exchange(blank_, {});
    if (!text_.empty())
      tell("response.output_text.delta",
           {{"item_id", id_}, {"content_index", 0}, {"delta", text_}, {"logprobs", json::array()}});
  }
  close(incomplete ? "incomplete" : "completed");
}

}  // namespace sluice::coordinator
