#include "coordinator/api/openai_json.h"

#include <algorithm>
#include <cmath>

#include "common/utf8.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

/// JSON has no -inf; vLLM's stand-in.
double finite(float logprob) {
  return std::isfinite(logprob) ? std::max(static_cast<double>(logprob), -9999.0) : -9999.0;
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::ranges::count_if(utf8, [](char c) { return (c & 0xC0) != 0x80; }));
}

json bytes_json(std::string_view bytes) {
  json a = json::array();
  for (char c : bytes) a.push_back(static_cast<unsigned char>(c));
  return a;
}

json millis_or_null(const std::optional<Duration>& d) { return d ? json(millis(*d)) : json(nullptr); }

}  // namespace

json usage_json(const Usage& u) {
  return {{"prompt_tokens", u.prompt_tokens},
          {"completion_tokens", u.completion_tokens},
          {"total_tokens", u.prompt_tokens + u.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", u.cached_tokens}}}};
}

json answer_object(const AnswerHead& h) {
  json j = {{"id", h.id},
            {"object", h.chat ? "chat.completion" : "text_completion"},
            {"created", h.created},
            {"model", h.model},
            {"choices", json::array()}};
  if (!h.fingerprint.empty()) j["system_fingerprint"] = h.fingerprint;
  return j;
}

json chunk_object(const AnswerHead& h) {
  json j = answer_object(h);
  if (h.chat) j["object"] = "chat.completion.chunk";
  return j;
}

json choice_json(bool chat, std::size_t index, std::string text, json logprobs, std::string_view finish_reason,
                 const json& stop_reason) {
  json c = {{"index", index},
            {"logprobs", std::move(logprobs)},
            {"finish_reason", finish_reason},
            {"stop_reason", stop_reason}};
  if (chat)
    c["message"] = {{"role", "assistant"}, {"content", std::move(text)}, {"refusal", nullptr}};
  else
    c["text"] = std::move(text);
  return c;
}

json chunk_choice_json(bool chat, std::size_t index, std::string text, json logprobs, std::string_view finish_reason,
                       const json& stop_reason) {
  json c = {{"index", index}, {"logprobs", std::move(logprobs)}, {"finish_reason", nullptr}};
  if (!finish_reason.empty()) {
    c["finish_reason"] = finish_reason;
    c["stop_reason"] = stop_reason;
  }
  if (chat)
    c["delta"] = text.empty() && !finish_reason.empty() ? json::object() : json{{"content", std::move(text)}};
  else
    c["text"] = std::move(text);
  return c;
}

json role_choice_json(std::size_t index) {
  return {{"index", index},
          {"delta", {{"role", "assistant"}, {"content", ""}}},
          {"logprobs", nullptr},
          {"finish_reason", nullptr}};
}

std::string LogprobsWriter::word(TokenId id, std::string_view bytes) const {
  return as_ids_ ? fmt::format("token_id:{}", id) : utf8_lossy(bytes);
}

void LogprobsWriter::add(const TokenEvent& token) { tokens_.push_back(token); }

json LogprobsWriter::take() {
  if (chat_) return take_chat();
  json j = {{"tokens", json::array()},
            {"token_logprobs", json::array()},
            {"top_logprobs", json::array()},
            {"text_offset", json::array()}};
  if (const auto prompt = std::exchange(prompt_, nullptr)) {
    put(j, prompt->ids->front(), std::nullopt, {});
    for (const auto& t : prompt->tokens) put(j, t.id, t.logprob, t.top);
  }
  for (const auto& t : std::exchange(tokens_, {})) put(j, t.id, t.logprob, t.top);
  return j;
}

void LogprobsWriter::put(json& to, TokenId id, std::optional<float> logprob, const std::vector<TokenLogprob>& top) {
  const std::string bytes = text_.token_bytes(id);
  json alternatives = nullptr;
  if (top_ > 0 && logprob) {
    // Of two tokens with one text the likelier one counts.
    alternatives = json::object();
    for (const auto& t : head(top)) alternatives.emplace(word(t.id, text_.token_bytes(t.id)), finite(t.logprob));
    alternatives.emplace(word(id, bytes), finite(*logprob));  // the token itself is always among them
  }
  to["text_offset"].push_back(offset_);
  offset_ += characters(utf8_lossy(bytes));
  to["tokens"].push_back(word(id, bytes));
  to["token_logprobs"].push_back(logprob ? json(finite(*logprob)) : json(nullptr));
  to["top_logprobs"].push_back(std::move(alternatives));
}

json LogprobsWriter::take_chat() {
  auto entry = [this](TokenId id, float logprob) {
    auto bytes = text_.token_bytes(id);
    return json{{"token", word(id, bytes)}, {"logprob", finite(logprob)}, {"bytes", bytes_json(bytes)}};
  };
  json content = json::array();
  for (const auto& t : std::exchange(tokens_, {})) {
    json e = entry(t.id, t.logprob);
    auto& top = e["top_logprobs"] = json::array();
    for (const auto& a : head(t.top)) top.push_back(entry(a.id, a.logprob));
    content.push_back(std::move(e));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

json prompt_logprobs_json(const ModelText& text, const RatedPrompt& prompt, int top) {
  auto entry = [&text](TokenId id, float logprob, int rank) {
    return json{{"logprob", finite(logprob)}, {"rank", rank}, {"decoded_token", utf8_lossy(text.token_bytes(id))}};
  };
  json list = json::array({nullptr});
  for (const auto& t : prompt.tokens) {
    json at = json::object();
    for (int i = 0; i < std::min(top, static_cast<int>(t.top.size())); ++i) {
      const auto& [id, logprob] = t.top[static_cast<std::size_t>(i)];
      at[std::to_string(id)] = entry(id, logprob, i + 1);
    }
    at[std::to_string(t.id)] = entry(t.id, t.logprob, t.rank);
    list.push_back(std::move(at));
  }
  return list;
}

json explain_json(const LegStats& s) {
  json j = {{"prefill_node", s.prefill_node.value()},
            {"decode_node", s.decode_node.value()},
            {"profile", s.profile},
            {"kv_raw_bytes", s.kv_raw_bytes},
            {"kv_wire_bytes", s.kv_wire_bytes},
            {"ttft_ms", millis_or_null(s.ttft)},
            {"tpot_ms", millis_or_null(s.tpot)},
            {"stages_ms",
             {{"queue", millis(s.stages.queue)},
              {"prefill", millis(s.stages.prefill)},
              {"encode", millis(s.stages.encode)},
              {"wire", millis(s.stages.wire)},
              {"decode", millis(s.stages.decode)}}},
            {"predicted_ttft_ms", millis_or_null(s.predicted_ttft)},
            {"quality", {{"kl", s.kl ? json(*s.kl) : json(nullptr)}}}};
  if (!s.fingerprint.empty()) j["fingerprint"] = s.fingerprint;
  if (s.extra.is_object()) j.update(s.extra);
  return j;
}

std::size_t max_model_len(const ModelInfo& m, std::size_t largest_context) {
  const auto context = static_cast<std::size_t>(m.max_model_len);
  return largest_context == 0 ? context : std::min(context, largest_context);
}

json model_json(const ModelInfo& m, std::string_view name, std::size_t largest_context) {
  return {{"id", name},
          {"object", "model"},
          {"created", m.created},
          {"owned_by", "sluice"},
          {"root", m.root},
          {"parent", name == m.id ? json(nullptr) : json(m.id)},
          {"max_model_len", max_model_len(m, largest_context)}};
}

json models_json(const ModelInfo& m, std::size_t largest_context) {
  json data = json::array({model_json(m, m.id, largest_context)});
  for (const auto& alias : m.aliases) data.push_back(model_json(m, alias, largest_context));
  return {{"object", "list"}, {"data", std::move(data)}};
}

std::string sse(const json& event) { return "data: " + dump(event) + "\n\n"; }

}  // namespace sluice::coordinator
