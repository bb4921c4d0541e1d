#include "coordinator/ctl/targets.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "coordinator/ctl/run_dir.h"
#include "tests/support/temp_dir.h"

using namespace sluice::ctl;
using nlohmann::json;

TEST_CASE("before nodes are known the list has the coordinator alone") {
  CHECK(json::parse(to_targets({{"coordinator", "127.0.0.1:8000"}}, "", nullptr)) ==
        json::parse(R"([{"targets": ["127.0.0.1:8000"], "labels": {"role": "coordinator", "node": "coordinator"}}])"));
}

TEST_CASE("nodes are listed by their admin addresses; one without is left out") {
  const json nodes = json::parse(R"({"nodes": [
    {"node": "p0", "role": "prefill", "admin_address": "127.0.0.1:41"},
    {"node": "d0", "role": "decode", "admin_address": "[::1]:42", "admin_scheme": "https"},
    {"node": "d1", "role": "decode", "admin_address": ""}, {"node": "d2", "role": "decode"}, 7]})");
  const json all = json::parse(to_targets({{"coordinator", "[::1]:8000"}}, "tiny", nodes));
  REQUIRE(all.size() == 3);
  CHECK(all[0]["labels"] == json({{"role", "coordinator"}, {"node", "coordinator"}, {"model", "tiny"}}));
  CHECK(all[1]["targets"] == json({"127.0.0.1:41"}));
  CHECK(all[2]["targets"] == json({"[::1]:42"}));
  CHECK(all[2]["labels"] == json({{"role", "decode"}, {"node", "d0"}, {"model", "tiny"}, {"__scheme__", "https"}}));
}

TEST_CASE("several coordinators are listed by their names") {
  const json all = json::parse(
      to_targets({{"coordinator-0", "127.0.0.1:8000"}, {"coordinator-1", "127.0.0.1:8001"}}, "tiny", nullptr));
  REQUIRE(all.size() == 2);
  CHECK(all[1]["targets"] == json({"127.0.0.1:8001"}));
  CHECK(all[1]["labels"] == json({{"role", "coordinator"}, {"node", "coordinator-1"}, {"model", "tiny"}}));
}

TEST_CASE("the list stands in the run directory until the cluster is forgotten") {
  const sluice::test::TempDir temp;
  const RunDir dir(temp / "run");
  REQUIRE(dir.create());
  REQUIRE(dir.save_targets("[1]"));
  REQUIRE(dir.save_targets("[2]"));
  std::string text;
  std::getline(std::ifstream(dir.targets_file()), text);
  CHECK(text == "[2]");
  dir.forget();
  CHECK_FALSE(std::filesystem::exists(dir.targets_file()));
}
