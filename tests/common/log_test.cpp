// Lines of the log as programs read them. A coordinator's JSON lines about a node once held "node" and "role" twice.
#include "common/log.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

using namespace sluice;

namespace {

/// All keys of a line; fails on one that comes twice.
nlohmann::json strict(const std::string& line) {
  std::set<std::string> seen;
  return nlohmann::json::parse(line, [&](int, nlohmann::json::parse_event_t e, nlohmann::json& v) {
    if (e == nlohmann::json::parse_event_t::key) CHECK(seen.insert(v.get<std::string>()).second);
    return true;
  });
}

struct Named {
  explicit Named(const char* format) { log::init("coordinator", "c0", "warn", format); }
  ~Named() { log::init("", "", "warn", "text"); }
};

}  // namespace

TEST_CASE("a JSON log line has each key once, and the writer's own name under its own keys") {
  const Named named("json");
  const log::Field fields[] = {{"node", "decode-0"}, {"role", "decode"}, {"n", 3}, {"n", 4}, {"event_node", "x"}};
  const auto j = strict(log::line(log::Level::info, "node joined", fields));
  CHECK(j["role"] == "coordinator");
  CHECK(j["node"] == "c0");
  CHECK(j["event_node"] == "decode-0");
  CHECK(j["event_role"] == "decode");
  CHECK(j["n"] == 3);
  CHECK(j["event_n"] == 4);
  CHECK(j["event_event_node"] == "x");
}

TEST_CASE("a JSON log line stays one line of JSON whatever a field holds") {
  const Named named("json");
  const log::Field fields[] = {{"why", "a\"b\n\xff"}};
  const std::string line = log::line(log::Level::warn, "x\ny", fields);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(strict(line)["why"] == "a\"b\n\xEF\xBF\xBD");
}

TEST_CASE("a text log line names fields as they are") {
  const Named named("text");
  const log::Field fields[] = {{"node", "decode-0"}};
  CHECK_THAT(log::line(log::Level::info, "node joined", fields),
             Catch::EndsWith("coordinator/c0 node joined node=\"decode-0\""));
}
