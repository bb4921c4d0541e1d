// A report may come from anybody who listens at a node's address.
#include "coordinator/ctl/doctor/machine.h"

#include <catch2/catch.hpp>
#include <cmath>

using namespace sluice::ctl::doctor;
using nlohmann::json;

TEST_CASE("a report is read") {
  const auto m =
      parse_machine(json::parse(R"({"format": 1, "version": "0.1.0", "role": "decode", "node": "d0", "wall_time_ns": 5,
    "host": "h", "boot_id": "b", "cpu": {"model": "x", "cores": 8, "quota": 1.5, "avx2": true, "governors": ["powersave"]},
    "memory": {"free_bytes": 7, "machine_free_bytes": 9, "huge_pages": "never"}, "shm": {"bytes": 3},
    "limits": {"memlock_bytes": {"soft": "unlimited", "hard": 4}, "open_files": {"soft": 1, "hard": 2}},
    "interfaces": [{"name": "eth0", "up": true, "loopback": false, "mtu": 1500, "speed_mbps": 100, "addresses": ["10.0.0.1"]}],
    "rdma": [{"device": "mlx5_0:1", "active": true}], "clock": {"synchronized": false},
    "ucx": {"version": "1.13.1", "tls": "tcp", "usable": [{"transport": "tcp", "device": "lo"}]},
    "paths": [{"peer": "10.0.0.2:9", "lane": "tcp/eth0", "inbound": false}], "model": {"dir": "/m", "readable": true}})"));
  REQUIRE(m);
  CHECK(m->node == "d0");
  CHECK(m->cores == 8);
  CHECK(m->quota == 1.5);
  CHECK(std::isinf(*m->memlock_bytes.soft));
  CHECK(m->open_files.hard == 2.0);
  CHECK(m->interfaces.at(0).speed_mbps == 100.0);
  CHECK(m->rdma.at(0).active);
  CHECK(m->clock_synchronized == false);
  CHECK(m->ucx.usable.at(0).device == "lo");
  CHECK(m->paths.at(0).lane == "tcp/eth0");
  CHECK(m->model->readable);
}

TEST_CASE("what is no report is refused, what is odd in one is unknown") {
  for (const char* text : {"null", "[]", "7", "{}", R"({"format": 1})", R"({"ucx": {}})"})
    CHECK_FALSE(parse_machine(json::parse(text)));
  const auto m = parse_machine(json::parse(R"({"format": 1, "ucx": 7, "cpu": [], "memory": {"free_bytes": "lots"},
    "limits": {"open_files": {"hard": -3, "soft": null}}, "interfaces": [7, {"name": 9, "mtu": -1}, {"addresses": [1, {}]}],
    "rdma": {"device": "x"}, "paths": "tcp", "wall_time_ns": -5, "clock": null, "shm": null})"));
  REQUIRE(m);
  CHECK_FALSE(m->free);
  CHECK_FALSE(m->open_files.hard);
  CHECK_FALSE(m->wall_time_ns);
  CHECK_FALSE(m->clock_synchronized);
  CHECK(m->interfaces.size() == 2);
  CHECK(m->rdma.empty());
  CHECK(m->paths.empty());
}

TEST_CASE("lists and words are bounded") {
  json j{{"format", 1}, {"ucx", {{"version", std::string(100000, 'v')}}}, {"paths", json::array()}};
  for (int i = 0; i < 100000; ++i) j["paths"].push_back({{"peer", "p"}});
  const auto m = parse_machine(j);
  REQUIRE(m);
  CHECK(m->paths.size() <= 256);
  CHECK(m->ucx.version.size() <= 512);
}
