#include "common/trace/otlp_json.h"

#include <catch2/catch.hpp>
#include <limits>
#include <nlohmann/json.hpp>

using namespace sluice;
using namespace sluice::trace;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

json value_of(const json& attributes, const std::string& key) {
  for (const auto& a : attributes)
    if (a["key"] == key) return a["value"];
  return nullptr;
}

json only_span(const Span& s) {
  return json::parse(to_otlp({&s, 1}, {"svc", "i0"}))["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
}

}  // namespace

TEST_CASE("a span in OTLP's JSON form") {
  const Joined j = join_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1", 0);
  Span s;
  s.context = j.context;
  s.parent = j.parent;
  s.name = "chat m";
  s.kind = Kind::server;
  s.begin = std::chrono::steady_clock::now();
  s.end = s.begin + 1500us;
  s.attributes.set("n", 12345678901234);
  s.attributes.set("f", 0.25);
  s.attributes.set("b", true);
  s.attributes.set("list", std::vector<std::string>{"stop"});
  s.events.push_back({.name = "first token", .at = s.begin + 1us, .attributes = {}});
  s.error = "it broke";
  const json body = json::parse(to_otlp({&s, 1}, {"svc", "i0"}));
  CHECK(value_of(body["resourceSpans"][0]["resource"]["attributes"], "service.name")["stringValue"] == "svc");
  CHECK(value_of(body["resourceSpans"][0]["resource"]["attributes"], "service.instance.id")["stringValue"] == "i0");
  const json out = only_span(s);
  CHECK(out["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736");
  CHECK(out["parentSpanId"] == "00f067aa0ba902b7");
  CHECK(out["spanId"].get<std::string>().size() == 16);
  CHECK(out["traceState"] == "a=1");
  CHECK(out["kind"] == 2);
  CHECK(out["flags"] == 1);
  CHECK(std::stoll(out["endTimeUnixNano"].get<std::string>()) -
            std::stoll(out["startTimeUnixNano"].get<std::string>()) ==
        1'500'000);
  CHECK(value_of(out["attributes"], "n") == json{{"intValue", "12345678901234"}});
  CHECK(value_of(out["attributes"], "f") == json{{"doubleValue", 0.25}});
  CHECK(value_of(out["attributes"], "b") == json{{"boolValue", true}});
  CHECK(value_of(out["attributes"], "list")["arrayValue"]["values"][0] == json{{"stringValue", "stop"}});
  CHECK(out["events"][0]["name"] == "first token");
  CHECK(out["status"] == json{{"code", 2}, {"message", "it broke"}});
}

TEST_CASE("what JSON cannot hold is written as protobuf's mapping has it, or mended") {
  Span s;
  s.context = join_trace({}, {}, 1).context;
  s.begin = std::chrono::steady_clock::now();
  s.end = s.begin - 1s;  // never before it began
  s.attributes.set("nan", std::numeric_limits<double>::quiet_NaN());
  s.attributes.set("inf", -std::numeric_limits<double>::infinity());
  s.attributes.set("bytes", std::string("\xff\xfe"));
  s.attributes.set("long", std::string(1023, 'x') + "\xc3\xa4" + "rest");
  const json out = only_span(s);
  CHECK(out["endTimeUnixNano"] == out["startTimeUnixNano"]);
  CHECK_FALSE(out.contains("parentSpanId"));
  CHECK_FALSE(out.contains("status"));
  CHECK(value_of(out["attributes"], "nan")["doubleValue"] == "NaN");
  CHECK(value_of(out["attributes"], "inf")["doubleValue"] == "-Infinity");
  CHECK(value_of(out["attributes"], "bytes")["stringValue"].is_string());
  CHECK(value_of(out["attributes"], "long")["stringValue"] == std::string(1023, 'x'));  // no half character
}

TEST_CASE("a receiver that took a part says how much it left") {
  CHECK(rejected_spans(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}})") == 3);
  CHECK(rejected_spans(R"({"partialSuccess":{"rejectedSpans":4}})") == 4);
  for (const char* none :
       {"", "{}", "[]", "null", R"({"partialSuccess":{}})", R"({"partialSuccess":[]})", "\xff",
        R"({"partialSuccess":{"rejectedSpans":"-3"}})", R"({"partialSuccess":{"rejectedSpans":1.5}})",
        R"({"partialSuccess":{"rejectedSpans":"99999999999999999999999"}})"})
    CHECK(rejected_spans(none) == 0);
}
