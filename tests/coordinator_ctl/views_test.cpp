#include <catch2/catch.hpp>

#include "coordinator/ctl/api.h"
#include "coordinator/ctl/chat.h"
#include "coordinator/ctl/table.h"
#include "coordinator/ctl/views.h"

using namespace sluice::ctl;
using nlohmann::json;

TEST_CASE("a table lines its columns up by characters") {
  Table t({"NAME", ">N", "NOTE"});
  t.row({"größe", "5", "x"});
  t.row({"a", "12345"});
  CHECK(t.text() ==
        "NAME       N  NOTE\n"
        "größe      5  x\n"
        "a      12345\n");
}

TEST_CASE("what a server says cannot steer the terminal") {
  CHECK(printable("a\x1b[2Jb\n\x7f") == "a?[2Jb??");
  Table t({"X"});
  t.row({"\x1b]0;pwned\a"});
  CHECK(t.text().find('\x1b') == std::string::npos);
}

TEST_CASE("figures are short") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(512.0 * 1024) == "512 KiB");
  CHECK(bytes_text(3.0 * 1024 * 1024 * 1024) == "3.0 GiB");
  CHECK(millis_text(0.173) == "0.17 ms");
  CHECK(millis_text(12.34) == "12.3 ms");
  CHECK(millis_text(12345) == "12.3 s");
}

TEST_CASE("views of a server of another version show what they can") {
  for (const char* text : {"{}", "[]", "null", "5", R"({"decisions":5,"nodes":{},"profiles":"x"})",
                           R"({"decisions":[1,null,{}],"nodes":[1,null,{}],"profiles":[[],{}]})"}) {
    CAPTURE(text);
    const json j = json::parse(text);
    CHECK_NOTHROW(nodes_text(j));
    CHECK_NOTHROW(profiles_text(j));
    CHECK_NOTHROW(decisions_text(j));
    CHECK_NOTHROW(slo_text(j));
    CHECK_NOTHROW(status_text(j, "h:1"));
    CHECK_NOTHROW(explain_text(j));
  }
  CHECK_NOTHROW(status_text({{"ready", "yes"}, {"nodes", 5}, {"slo", "x"}}, "h:1"));
  CHECK_NOTHROW(explain_text({{"stages_ms", 5}, {"quality", 5}}));
}

TEST_CASE("profiles show KL as stated, as probed and as it counts, and a change of it stands among decisions") {
  const json j{{"profiles",
                {{{"name", "h4"},
                  {"kl", 1.5},
                  {"stated_kl", 0.02},
                  {"probed_kl", 0.98765},
                  {"probed_top1", 0.25},
                  {"probes", 17},
                  {"drift", true},
                  {"allowed", false}},
                 {{"name", "raw"}, {"kl", 0}, {"stated_kl", 0}, {"probed_kl", nullptr}, {"probes", 0}}}}};
  const std::string text = profiles_text(j);
  for (const char* part : {"STATED KL", "h4", "1.5", "0.02", "0.988", "0.25", "17"}) {
    CAPTURE(text, part);
    CHECK(text.find(part) != std::string::npos);
  }
  const json d{{"decisions",
                {{{"seq", 9},
                  {"event", "quality_left"},
                  {"profile", "h4"},
                  {"stated_kl", 0.02},
                  {"effective_kl", 1.5},
                  {"probed_kl", 0.98765}}}}};
  const std::string line = decisions_text(d);
  CAPTURE(line);
  CHECK(line.find("quality_left") != std::string::npos);
  CHECK(line.find("KL stated 0.02, probed 0.988, taken for 1.5") != std::string::npos);
}

TEST_CASE("a move is shown leg by leg, and in the pair of its decision") {
  const json moved{{"node", "d1"},
                   {"legs",
                    {{{"leg", 7}, {"from", "d0"}, {"moved", true}, {"stall_ms", 2.5}},
                     {{"leg", 8}, {"from", "d2"}, {"moved", false}, {"why", "no room"}}}}};
  const std::string text = migrate_text(moved);
  CHECK(text.find("leg 7: d0 -> d1, stalled for 2.50 ms\n") != std::string::npos);
  CHECK(text.find("leg 8: stays on d2: no room\n") != std::string::npos);
  const json d{
      {"decisions",
       {{{"seq", 1}, {"prefill_node", "p0"}, {"decode_node", "d1"}, {"moves", {{{"from", "d0"}, {"to", "d1"}}}}}}}};
  CHECK(decisions_text(d).find("p0 -> d0 > d1") != std::string::npos);
}

TEST_CASE("decisions show the pair, the profile, and prediction beside measurement") {
  const json j{{"decisions",
                {{{"seq", 4},
                  {"request_id", "req-1"},
                  {"prefill_node", "prefill-0"},
                  {"decode_node", "decode-1"},
                  {"profile", "ll"},
                  {"reason", "explore"},
                  {"predicted_ttft_ms", 20.25},
                  {"ttft_ms", 31.0},
                  {"predicted_tpot_ms", nullptr},
                  {"tpot_ms", 0.5},
                  {"kv_raw_bytes", 524288},
                  {"kv_wire_bytes", 1024},
                  {"outcome", "stop"},
                  {"error", nullptr}},
                 {{"seq", 5},
                  {"prefill_node", nullptr},
                  {"reason", "refused"},
                  {"outcome", "resource_exhausted"},
                  {"error", {{"code", "resource_exhausted"}, {"message", "every decode node is full"}}}}}}};
  const std::string text = decisions_text(j);
  for (const char* part : {"prefill-0 -> decode-1", "ll", "explore", "20.2 ms / 31.0 ms", "- / 0.50 ms", "512 KiB",
                           "1.0 KiB", "- -> -", "refused", "every decode node is full"}) {
    CAPTURE(part, text);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("an answer is explained with its stages") {
  const std::string text = explain_text({{"prefill_node", "p"},
                                         {"decode_node", "d"},
                                         {"profile", "q8"},
                                         {"kv_raw_bytes", 2048},
                                         {"kv_wire_bytes", 1024},
                                         {"stages_ms", {{"queue", 1.5}, {"prefill", 20.0}}}});
  for (const char* part : {"p -> d", "q8", "2.00x smaller", "queue 1.50 ms", "prefill 20.0 ms", "wire -"}) {
    CAPTURE(part, text);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("errors are told in the server's words") {
  CHECK(error_words(404, R"({"error":{"message":"no such node","code":"not_found"}})") == "no such node");
  CHECK(error_words(502, "<html>") == "HTTP 502 <html>");
  CHECK(error_words(500, R"({"error":"x"})") == R"(HTTP 500 {"error":"x"})");
  CHECK(error_words(500, R"({"error":{"message":5}})") == R"(HTTP 500 {"error":{"message":5}})");
}
