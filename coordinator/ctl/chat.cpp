#include "coordinator/ctl/chat.h"

#include <cstdio>

#include "coordinator/ctl/table.h"
#include "coordinator/ctl/views.h"

namespace sluice::ctl {
namespace {

using nlohmann::json;

constexpr auto kAnswerPatience = std::chrono::minutes(10);

json chat_body(const ChatOptions& o) {
  json messages = json::array();
  if (!o.system.empty()) messages.push_back({{"role", "system"}, {"content", o.system}});
  messages.push_back({{"role", "user"}, {"content", o.text}});
  json sluice{{"explain", true}};
  if (!o.profile.empty()) sluice["profile"] = o.profile;
  if (!o.mode.empty()) sluice["mode"] = o.mode;
  json body{{"messages", std::move(messages)},
            {"stream", true},
            {"stream_options", {{"include_usage", true}}},
            {"sluice", std::move(sluice)}};
  if (o.max_tokens) body["max_tokens"] = *o.max_tokens;
  if (o.temperature) body["temperature"] = *o.temperature;
  return body;
}

std::string piece_of(const json& event) {
  const auto choices = event.find("choices");
  if (choices == event.end() || !choices->is_array() || choices->empty()) return {};
  const json& choice = choices->front();
  const auto delta = choice.find("delta");
  if (delta == choice.end() || !delta->is_object()) return {};
  const auto content = delta->find("content");
  return content != delta->end() && content->is_string() ? content->get<std::string>() : std::string();
}

}  // namespace

std::string explain_text(const json& s) {
  const double raw = number(s, "kv_raw_bytes");
  const double wire = number(s, "kv_wire_bytes");
  const bool alone = s.contains("prefill_node") && s["prefill_node"].is_null();
  std::string out = fmt::format("pair     {}{}  ({})\n", alone ? std::string() : word(s, "prefill_node") + " -> ",
                                word(s, "decode_node"), word(s, "mode"));
  out += fmt::format("profile  {}  ({}), KL {}\n", word(s, "profile"), word(s, "choice"),
                     word(object_at(s, "quality"), "kl"));
  out += fmt::format("KV       {} raw, {} on the wire{}\n", bytes_text(raw), bytes_text(wire),
                     wire > 0 ? fmt::format(" ({:.2f}x smaller)", raw / wire) : std::string());
  out += fmt::format("TTFT     {} (predicted {})\n", millis_at(s, "ttft_ms"), millis_at(s, "predicted_ttft_ms"));
  out += fmt::format("TPOT     {}\n", millis_at(s, "tpot_ms"));
  out += "stages  ";
  const json stages = object_at(s, "stages_ms");
  for (const char* stage : {"queue", "prefill", "encode", "wire", "decode"})
    out += fmt::format(" {} {}", stage, millis_at(stages, stage));
  if (number(s, "local_tokens") > 0)
    out += fmt::format("; {} prompt tokens where they are decoded: queue {} local {}", word(s, "local_tokens"),
                       millis_at(s, "local_queue_ms"), millis_at(s, "local_compute_ms"));
  return out + '\n';
}

Result<int> chat(const Endpoint& e, const ChatOptions& o) {
  std::string text;
  json sluice, usage;
  SLUICE_TRY(post_stream(e, "/v1/chat/completions", chat_body(o), kAnswerPatience, [&](const json& event) {
    const std::string piece = piece_of(event);
    text += piece;
    if (!o.json && !piece.empty()) {
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
    }
    if (event.contains("sluice")) sluice = event["sluice"];
    if (event.contains("usage") && !event["usage"].is_null()) usage = event["usage"];
    return true;
  }));
  if (o.json) {
    const json j{{"text", text}, {"usage", usage}, {"sluice", sluice}};
    fmt::print("{}\n", j.dump(2, ' ', false, json::error_handler_t::replace));
    return 0;
  }
  std::fputc('\n', stdout);
  if (o.explain && sluice.is_object()) fmt::print("\n{}", explain_text(sluice));
  return 0;
}

}  // namespace sluice::ctl
