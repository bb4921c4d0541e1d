#include "coordinator/sim/hardware.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "coordinator/sim/cluster_sim.h"
#include "coordinator/sim/experiment.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::sim;
using nlohmann::json;

TEST_CASE("every built-in hardware has a speed for each profile of its set") {
  const auto names = known_hardware();
  REQUIRE(names == std::vector<std::string>{"a100", "cpu", "h100", "h200", "rtx5090"});
  for (const auto& name : names) {
    CAPTURE(name);
    const auto h = find_hardware(name);
    REQUIRE(h);
    CHECK(h->name == name);
    CHECK(h->flops > 1e11);
    const auto profiles = find_profiles(h->profiles);
    REQUIRE(profiles);
    CHECK(profiles->front().name == "raw");
    for (const auto& f : *profiles) {
      CAPTURE(f.name);
      CHECK(f.ratio >= 1);
      CHECK(std::ranges::find(h->codecs, f.name, &CodecSpeed::profile) != h->codecs.end());
    }
  }
}

TEST_CASE("what is not there is said, with what is") {
  const auto h = find_hardware("tpu");
  REQUIRE_FALSE(h);
  CHECK(h.error().message.find("h100") != std::string::npos);
  CHECK(h.error().message.find("profiles") == std::string::npos);
  const auto p = find_profiles("best");
  REQUIRE_FALSE(p);
  CHECK(p.error().message.find("sluice") != std::string::npos);
  CHECK_FALSE(find_hardware("/nowhere/x.json"));
  CHECK_FALSE(find_hardware("profiles_sluice"));
}

TEST_CASE("a user's file of hardware is read, and a wrong field is named") {
  const test::TempDir dir;
  const std::string file = (dir.path() / "mine.json").string();
  json j{{"name", "mine"},       {"flops", 1e14},
         {"memory_bps", 1e12},   {"kv_bytes", 1e10},
         {"profiles", "sluice"}, {"codecs", {{"raw", {{"encode_bps", 1e10}, {"decode_bps", 2e10}}}}}};
  std::ofstream(file) << j;
  const auto h = find_hardware(file);
  REQUIRE(h);
  CHECK(h->name == "mine");
  CHECK(h->codecs.at(0).decode_bps == 2e10);
  for (const auto& [field, wrong] :
       {std::pair{"flops", json(-1)}, {"memory_bps", json("fast")}, {"kv_bytes", json(0)}}) {
    json bad = j;
    bad[field] = wrong;
    const auto r = parse_hardware(bad);
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find(field) != std::string::npos);
  }
  CHECK_FALSE(parse_profiles({{"profiles", {{{"name", "x"}, {"ratio", 2}}}}}));
  const auto flat = parse_model({{"layers", 0.5},
                                 {"weights_bytes", 1e9},
                                 {"parameters", 1e9},
                                 {"kv_bytes_per_token", 1e3},
                                 {"attention_width", 1e3}});
  REQUIRE_FALSE(flat);
  CHECK(flat.error().message.find("layers") != std::string::npos);
  CHECK_FALSE(parse_profiles({{"profiles", json::array()}}));
}

TEST_CASE("nodes of CPUs are simulated with this project's own profiles") {
  const json cpus{{"prefill_hardware", "cpu"}, {"decode_hardware", "cpu"}, {"requests", 3}, {"rate", 0.01},
                  {"prompt_mean", 200},        {"output_mean", 4}};
  const auto s = make_scenario(json::object(), cpus, 1);
  REQUIRE(s);
  CHECK(std::ranges::find(s->cluster.profiles, "mix8r", &ProfileSpec::name) != s->cluster.profiles.end());
  auto p = make_policy("static:mix8r", {});
  const auto r = simulate(s->cluster, make_load(s->load), **p);
  REQUIRE(r);
  CHECK(r->requests[0].raw_bytes / r->requests[0].wire_bytes == Approx(6.77));
  CHECK_FALSE(make_scenario(json::object(), {{"prefill_hardware", "cpu"}}, 1));  // GPU and CPU codecs differ
}
