// A machine as its files tell it.
#include "node/host_facts.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "node/host_report.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::node;
using nlohmann::json;

namespace {

struct Root {
  test::TempDir dir;
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((dir / file).parent_path());
    dir.write(file, text);
  }
  [[nodiscard]] json facts() const { return host_facts(dir.path()); }
};

}  // namespace

TEST_CASE("this machine has facts of every kind") {
  const json j = host_facts();
  CHECK(j["cpu"]["cores"].get<int>() >= 1);
  CHECK(j["memory"]["free_bytes"].get<double>() > 0);
  CHECK(j["limits"]["open_files"].contains("hard"));
  CHECK(j["interfaces"].is_array());
}

TEST_CASE("a machine without files has no facts, and no failure") {
  const json j = Root().facts();
  CHECK(j["boot_id"] == "");
  CHECK(j["memory"]["total_bytes"].is_null());
  CHECK(j["cpu"]["quota"].is_null());
  CHECK(j["interfaces"].empty());
  CHECK(j["rdma"].empty());
}

TEST_CASE("processor: features, governors and quotas of the tightest group") {
  const Root r;
  r.write("proc/cpuinfo", "processor : 0\nmodel name\t: A Processor\nflags\t\t: fpu avx2 avx512f avx512bw\n");
  r.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
  r.write("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n");
  r.write("proc/self/cgroup", "0::/a/b\n");
  r.write("sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  r.write("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  const json cpu = r.facts()["cpu"];
  CHECK(cpu["model"] == "A Processor");
  CHECK(cpu["avx2"] == true);
  CHECK(cpu["avx512"] == true);
  CHECK(cpu["bf16"] == false);
  CHECK(cpu["governors"] == json({"powersave"}));
  CHECK(cpu["quota"] == 1.5);
}

TEST_CASE("interfaces and RDMA ports") {
  const Root r;
  r.write("sys/class/net/eth9/mtu", "9000\n");
  r.write("sys/class/net/eth9/speed", "25000\n");
  r.write("sys/class/net/eth9/flags", "0x1003\n");
  r.write("sys/class/net/eth8/mtu", "1500\n");
  r.write("sys/class/net/eth8/speed", "-1\n");
  r.write("sys/class/net/eth8/flags", "0x1003\n");
  r.write("sys/class/net/eth8/carrier", "0\n");
  r.write("sys/class/net/bonding_masters", "bond0\n");
  r.write("sys/class/infiniband/mlx5_0/ports/1/state", "4: ACTIVE\n");
  r.write("sys/class/infiniband/mlx5_0/ports/1/rate", "400 Gb/sec (4X NDR)\n");
  const json j = r.facts();
  REQUIRE(j["interfaces"].size() == 2);
  CHECK(j["interfaces"][0]["name"] == "eth8");
  CHECK(j["interfaces"][0]["up"] == false);
  CHECK(j["interfaces"][0]["speed_mbps"].is_null());
  CHECK(j["interfaces"][1]["up"] == true);
  CHECK(j["interfaces"][1]["speed_mbps"] == 25000);
  CHECK(j["interfaces"][1]["mtu"] == 9000);
  REQUIRE(j["rdma"].size() == 1);
  CHECK(j["rdma"][0]["device"] == "mlx5_0:1");
  CHECK(j["rdma"][0]["active"] == true);
}

TEST_CASE("model directories: whole, without configuration, without weights, not fetched") {
  const Root r;
  CHECK_THAT(model_facts(r.dir.path())["why"].get<std::string>(), Catch::Contains("config.json"));
  r.write("config.json", "{}");
  CHECK_THAT(model_facts(r.dir.path())["why"].get<std::string>(), Catch::Contains("no *.safetensors"));
  r.write("model.safetensors", std::string(100, 'w'));
  CHECK(model_facts(r.dir.path())["readable"] == true);
  CHECK(model_facts(r.dir.path())["weight_bytes"] == 100);
  r.write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
  CHECK_THAT(model_facts(r.dir.path())["why"].get<std::string>(), Catch::Contains("git lfs pull"));
}

TEST_CASE("a report tells what the node uses, and no secret") {
  NodeOptions o;
  o.name = "d0";
  o.cluster.token = "hidden-token";
  o.ucx_net_devices = "lo";
  HostReport report(o, "decode");
  const json j = report.now({{"127.0.0.1:9", "tcp/lo", false}});
  CHECK(j["node"] == "d0");
  CHECK(j["role"] == "decode");
  CHECK(j["ucx"]["tls"] == "tcp,self");
  CHECK(j["ucx"]["net_devices"] == "lo");
  CHECK(j["paths"] == json::parse(R"([{"peer": "127.0.0.1:9", "lane": "tcp/lo", "inbound": false}])"));
  CHECK(j["wall_time_ns"].get<std::int64_t>() > 1'600'000'000'000'000'000);
  CHECK(j.dump().find("hidden-token") == std::string::npos);
}
