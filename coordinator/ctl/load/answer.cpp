#include "coordinator/ctl/load/answer.h"

#include "common/json/parse.h"
#include "coordinator/ctl/load/server.h"

namespace sluice::ctl::load {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxKept = std::size_t{4} << 20;  // bytes of an answer that goes into the next prompt

const json* field(const json& j, const char* key) {
  if (!j.is_object()) return nullptr;
  const auto it = j.find(key);
  return it == j.end() || it->is_null() ? nullptr : &*it;
}

std::optional<double> number_at(const json& j, const char* key) {
  const json* v = field(j, key);
  return v != nullptr && v->is_number() ? std::optional(v->get<double>()) : std::nullopt;
}

std::uint64_t count_at(const json& j, const char* key) {
  const json* v = field(j, key);
  return v != nullptr && v->is_number_unsigned() ? v->get<std::uint64_t>() : 0;
}

/// The text of a chunk's choice: of a completion, or of a chat with its thinking.
std::string text_of(const json& c) {
  std::string out;
  const json* delta = field(c, "delta");
  for (const auto* v :
       {field(c, "text"), delta != nullptr ? field(*delta, "reasoning_content") : nullptr,
        delta != nullptr ? field(*delta, "reasoning") : nullptr, delta != nullptr ? field(*delta, "content") : nullptr})
    if (v != nullptr && v->is_string()) out += v->get_ref<const std::string&>();
  return out;
}

/// The chunk that only opens a chat: a role, and nothing said yet.
bool opens(const json& c, const std::string& text) {
  const json* delta = field(c, "delta");
  return delta != nullptr && field(*delta, "role") != nullptr && text.empty() && field(c, "finish_reason") == nullptr &&
         field(*delta, "tool_calls") == nullptr;
}

json messages_of(const Turn& turn, const std::vector<Said>& before) {
  if (!turn.prompt.messages.is_null()) return turn.prompt.messages;
  json messages = json::array();
  for (const Said& s : before) {
    messages.push_back({{"role", "user"}, {"content", s.question}});
    messages.push_back({{"role", "assistant"}, {"content", s.answer}});
  }
  messages.push_back({{"role", "user"}, {"content", turn.prompt.text}});
  return messages;
}

json prompt_of(const Turn& turn, const std::vector<Said>& before) {
  if (!turn.prompt.tokens.empty()) return turn.prompt.tokens;
  std::string text;
  for (const Said& s : before) text += s.question + "\n" + s.answer + "\n";
  return text + turn.prompt.text;
}

}  // namespace

std::string body_of(const BodyRules& rules, const Turn& turn, const std::vector<Said>& before) {
  json b{{"model", rules.model}, {"max_tokens", turn.output_tokens}, {"temperature", 0}, {"stream", true}};
  if (rules.chat)
    b["messages"] = messages_of(turn, before);
  else
    b["prompt"] = prompt_of(turn, before);
  if (rules.usage) b["stream_options"] = {{"include_usage", true}};
  if (rules.ignore_eos) b["ignore_eos"] = true;
  if (rules.explain) b["sluice"]["explain"] = true;
  if (!rules.profile.empty()) b["sluice"]["profile"] = rules.profile;
  if (!rules.mode.empty()) b["sluice"]["mode"] = rules.mode;
  if (rules.extra.is_object()) b.merge_patch(rules.extra);
  return b.dump(-1, ' ', false, json::error_handler_t::replace);
}

void AnswerReader::event(std::string_view data, double at_ms) {
  if (done_ || broken()) return;
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  const json event = json::parse(data, nullptr, false);  // bounded by the stream's reader
  if (event.is_discarded()) return failed("bad answer", "an event of the stream is not JSON");
  if (field(event, "error") != nullptr) return failed("error in the stream", error_words(200, data));
  if (const json* usage = field(event, "usage"); usage != nullptr && usage->is_object()) {
    result_.output_tokens = count_at(*usage, "completion_tokens");
    if (const auto n = count_at(*usage, "prompt_tokens"); n > 0) result_.input_tokens = n;
    result_.usage = true;
  }
  if (const json* said = field(event, "sluice")) explained(*said);
  const json* choices = field(event, "choices");
  if (choices == nullptr || !choices->is_array() || choices->empty()) return;
  choice(choices->front(), at_ms);
}

void AnswerReader::choice(const json& c, double at_ms) {
  const std::string text = text_of(c);
  if (opens(c, text)) return;
  if (first_)
    result_.ttft_ms = at_ms;
  else
    result_.itl_ms.push_back(static_cast<float>(at_ms - last_ms_));
  first_ = false;
  last_ms_ = at_ms;
  if (text.empty()) return;
  ++with_text_;
  if (keep_text_ && text_.size() + text.size() <= kMaxKept) text_ += text;
}

void AnswerReader::explained(const json& said) {
  Explained e;
  if (const json* p = field(said, "profile"); p != nullptr && p->is_string()) e.profile = p->get<std::string>();
  e.kv_raw_bytes = count_at(said, "kv_raw_bytes");
  e.kv_wire_bytes = count_at(said, "kv_wire_bytes");
  e.ttft_ms = number_at(said, "ttft_ms");
  e.predicted_ttft_ms = number_at(said, "predicted_ttft_ms");
  result_.explained = std::move(e);
}

void AnswerReader::end() {
  if (broken()) return;
  result_.e2el_ms = last_ms_;
  if (!result_.usage) result_.output_tokens = with_text_;
  if (!done_)
    failed("cut short", "the stream ended early");
  else if (first_)
    failed("empty", "the answer holds no token");
}

void AnswerReader::failed(std::string kind, std::string message) {
  if (broken()) return;
  result_.error = std::move(message);
  result_.error_kind = std::move(kind);
}

}  // namespace sluice::ctl::load
