#include "common/trace/otlp_json.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace sluice::trace {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxText = 1024;  // of an attribute: error messages may quote what came from outside
constexpr int kStatusError = 2;

/// Cut where a character begins.
std::string bounded(const std::string& text) {
  if (text.size() <= kMaxText) return text;
  std::size_t end = kMaxText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end);
}

/// JSON has no such numbers; protobuf's mapping writes them as words.
json number(double v) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "Infinity" : "-Infinity";
  return v;
}

struct ToJson {
  json operator()(bool v) const { return {{"boolValue", v}}; }
  json operator()(std::int64_t v) const { return {{"intValue", std::to_string(v)}}; }
  json operator()(double v) const { return {{"doubleValue", number(v)}}; }
  json operator()(const std::string& v) const { return {{"stringValue", bounded(v)}}; }
  json operator()(const std::vector<std::string>& v) const {
    json values = json::array();
    for (const auto& item : v) values.push_back((*this)(item));
    return {{"arrayValue", {{"values", std::move(values)}}}};
  }
};

json to_json(const Attributes& attributes) {
  json out = json::array();
  for (const auto& a : attributes.list()) out.push_back({{"key", a.key}, {"value", std::visit(ToJson{}, a.value)}});
  return out;
}

std::string time_of(TimePoint t) { return std::to_string(unix_nanos(t)); }

json to_json(const Span& s) {
  json out = {{"traceId", s.context.trace.hex()},
              {"spanId", s.context.span.hex()},
              {"name", bounded(s.name)},
              {"kind", static_cast<int>(s.kind)},
              {"flags", s.context.sampled ? 1 : 0},
              {"startTimeUnixNano", time_of(s.begin)},
              {"endTimeUnixNano", time_of(std::max(s.begin, s.end))},
              {"attributes", to_json(s.attributes)}};
  if (s.parent) out["parentSpanId"] = s.parent.hex();
  if (!s.context.state.empty()) out["traceState"] = s.context.state;
  for (const auto& e : s.events)
    out["events"].push_back({{"timeUnixNano", time_of(e.at)}, {"name", e.name}, {"attributes", to_json(e.attributes)}});
  if (s.error) out["status"] = {{"code", kStatusError}, {"message", bounded(*s.error)}};
  return out;
}

}  // namespace

std::string to_otlp(std::span<const Span> spans, const Resource& resource) {
  Attributes who;
  who.set("service.name", resource.service);
  who.set("service.instance.id", resource.instance);
  who.set("service.version", SLUICE_VERSION);
  json list = json::array();
  for (const Span& s : spans) list.push_back(to_json(s));
  const json scope = {{"scope", {{"name", "sluice"}, {"version", SLUICE_VERSION}}}, {"spans", std::move(list)}};
  const json body = {
      {"resourceSpans", json::array({{{"resource", {{"attributes", to_json(who)}}}, {"scopeSpans", {scope}}}})}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::uint64_t rejected_spans(std::string_view answer) {
  const json j = json::parse(answer, nullptr, false);
  if (!j.is_object() || !j.contains("partialSuccess")) return 0;
  const json& partial = j["partialSuccess"];
  if (!partial.is_object() || !partial.contains("rejectedSpans")) return 0;
  const json& n = partial["rejectedSpans"];
  if (n.is_number_unsigned()) return n.get<std::uint64_t>();
  if (!n.is_string()) return 0;
  const std::string text = n.get<std::string>();  // as 64-bit integers are written
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos) return 0;
  return std::stoull(text);
}

}  // namespace sluice::trace
