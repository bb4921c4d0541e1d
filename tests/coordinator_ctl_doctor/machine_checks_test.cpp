// Each machine here has one thing wrong with it; the healthy one has nothing.
#include "coordinator/ctl/doctor/machine_checks.h"

#include <limits>

#include "tests/coordinator_ctl_doctor/findings.h"

using namespace sluice::ctl::doctor;

namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

Machine healthy() {
  Machine m;
  m.host = "h0";
  m.boot_id = "b0";
  m.cpu_model = "a processor";
  m.cores = 16;
  m.avx2 = m.avx512 = m.bf16 = true;
  m.governors = {"performance"};
  m.total = m.machine_free = m.free = 64 * kGiB;
  m.shm = 32 * kGiB;
  m.huge_pages = "madvise";
  m.memlock_bytes = {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  m.open_files = {1024, 1048576};
  m.interfaces = {{"lo", true, true, 65536, {}, {"127.0.0.1"}}, {"eth0", true, false, 9000, 25000, {"10.0.0.2"}}};
  m.clock_synchronized = true;
  m.ucx.version = "1.13.1";
  m.ucx.tls = "tcp,self";
  m.ucx.found = {{"self", "memory0"}, {"tcp", "lo"}, {"tcp", "eth0"}, {"posix", "memory"}, {"sysv", "memory"}};
  m.ucx.usable = {{"self", "memory0"}, {"tcp", "lo"}, {"tcp", "eth0"}};
  m.model = ModelDir{"/m", "", true, 16 * kGiB};
  return m;
}

void add_rdma(Machine& m, bool seen) {
  m.rdma = {{"mlx5_0:1", true, "400 Gb/sec"}};
  if (seen) m.ucx.found.push_back({"rc_mlx5", "mlx5_0:1"});
}

Findings fabric(const Machine& m) { return judge_fabric(m, "a", "s"); }
Findings machine(const Machine& m, const Load& load = {.nodes = 1}) { return judge_machine(m, load, "a", "s"); }

}  // namespace

TEST_CASE("a healthy machine has nothing above a note") {
  Findings all = machine(healthy());
  append(all, fabric(healthy()));
  append(all, judge_limits(healthy(), {.max_connections = 4096}, "a", "s"));
  append(all, judge_model(healthy(), "a", "s"));
  for (const auto& f : all) {
    INFO(f.id << ": " << f.found);
    CHECK(f.severity <= Severity::note);
  }
  CHECK(only(all, "ucx").found == "UCX 1.13.1 with tcp,self: self/memory0, tcp/lo, tcp/eth0");
  CHECK(only(all, "tcp-only").severity == Severity::note);
  CHECK(has(all, "isa"));
  CHECK(has(all, "threads"));
  CHECK(has(all, "open-files"));
}

TEST_CASE("a machine of which nothing is known is not blamed") {
  Findings all = machine(Machine());
  append(all, judge_limits(Machine(), {.max_connections = 4096}, "a", "s"));
  append(all, judge_model(Machine(), "a", "s"));
  CHECK(all.empty());
}

TEST_CASE("the processor: no AVX2, another kind, a governor that saves power") {
  Machine m = healthy();
  m.avx2 = m.avx512 = m.bf16 = false;
  check_told(only(machine(m), "isa"), Severity::warning, "no AVX2", "AVX2");
  m.avx2 = true;
  CHECK(only(machine(m), "isa").severity == Severity::note);
  m = healthy();
  m.governors = {"performance", "powersave"};
  check_told(only(machine(m), "governor"), Severity::note, "powersave", "performance");
}

TEST_CASE("cores: a quota, and more threads than cores") {
  Machine m = healthy();
  m.quota = 2.5;
  check_told(only(machine(m), "cpu-quota"), Severity::warning, "2.5 of 16", "--threads 2");
  m.quota = 16;
  CHECK_FALSE(has(machine(m), "cpu-quota"));
  check_told(only(machine(healthy(), {.nodes = 4}), "threads"), Severity::warning, "4 nodes with 64", "--threads 4");
  check_told(only(machine(healthy(), {.nodes = 2, .threads = 20}), "threads"), Severity::warning, "20 compute",
             "--threads 8");
  CHECK(only(machine(healthy(), {.nodes = 2, .threads = 16}), "threads").severity == Severity::ok);
}

TEST_CASE("memory: too little for weights and KV, tight, bounded by a group, small pages") {
  Machine m = healthy();
  m.kv_memory_mib = 1024.0 * 50;
  check_told(only(machine(m), "memory"), Severity::error, "64.0 GiB are free", "--kv-memory-mib");
  m.kv_memory_mib = 1024.0 * 42;
  check_told(only(machine(m), "memory"), Severity::warning, "58.0 GiB", "--memory-share");
  CHECK(only(machine(healthy(), {.nodes = 5, .threads = 5}), "memory").severity == Severity::error);
  m = healthy();
  m.free = 20 * kGiB;
  check_told(only(machine(m), "memory-limit"), Severity::note, "20.0 GiB of the 64.0 GiB", "memory limit");
  m.huge_pages = "never";
  check_told(only(machine(m), "huge-pages"), Severity::note, "off", "madvise");
}

TEST_CASE("a clock that nobody keeps") {
  Machine m = healthy();
  m.clock_synchronized = false;
  check_told(only(machine(m), "clock-unsynchronized"), Severity::note, "clock", "chrony");
}

TEST_CASE("a device that is not there, and one that is down") {
  Machine m = healthy();
  m.ucx.net_devices = "eth7";
  m.ucx.why_none = "no network device 'eth7' is here";
  check_told(only(fabric(m), "device-missing"), Severity::error, "eth7", "one of: lo, eth0");
  CHECK_FALSE(has(fabric(m), "ucx-refuses"));
  CHECK_FALSE(has(fabric(m), "ucx"));
  m.interfaces.push_back({"eth7", false, false, 1500, {}, {}});
  check_told(only(fabric(m), "device-down"), Severity::error, "eth7, which is down", "ip link set eth7 up");
  CHECK_FALSE(has(fabric(m), "device-missing"));
  m.ucx.net_devices = "^lo";
  m.ucx.why_none.clear();
  CHECK_FALSE(has(fabric(m), "device-missing"));
}

TEST_CASE("UCX refuses for another reason") {
  Machine m = healthy();
  m.ucx.why_none = "UCX option TLS=nonsense";
  check_told(only(fabric(m), "ucx-refuses"), Severity::error, "TLS=nonsense", "--ucx-tls");
}

TEST_CASE("RDMA: unused, unseen, down, named but absent") {
  Machine m = healthy();
  add_rdma(m, true);
  check_told(only(fabric(m), "rdma-unused"), Severity::warning, "mlx5_0:1", "--ucx-tls rc,tcp,self");
  m.ucx.tls = "rc,tcp,self";
  CHECK_FALSE(has(fabric(m), "rdma-unused"));
  CHECK_FALSE(has(fabric(m), "transport-missing"));
  CHECK_FALSE(has(fabric(m), "tcp-only"));
  m = healthy();
  add_rdma(m, false);
  check_told(only(fabric(m), "rdma-unseen"), Severity::warning, "does not see", "/dev/infiniband");
  m.rdma.front().active = false;
  check_told(only(fabric(m), "rdma-down"), Severity::warning, "not active", "ibstat");
  m = healthy();
  m.ucx.tls = "rc,tcp,self";
  check_told(only(fabric(m), "transport-missing"), Severity::warning, "names rc", "/dev/infiniband");
}

TEST_CASE("short names stand for several transports") {
  Machine m = healthy();
  m.ucx.tls = "sm,self,tcp";
  CHECK_FALSE(has(fabric(m), "transport-missing"));
  m.ucx.tls = "cma,tcp";
  check_told(only(fabric(m), "transport-missing"), Severity::warning, "names cma", "take it out");
  CHECK(names_rdma("ud,tcp"));
  CHECK(names_rdma("all"));
  CHECK_FALSE(names_rdma("tcp,self,posix"));
  CHECK(names_shared_memory("posix,tcp"));
  CHECK_FALSE(names_shared_memory("tcp,self"));
}

TEST_CASE("bound to the loopback TCP is what is meant") {
  Machine m = healthy();
  m.ucx.usable = {{"self", "memory0"}, {"tcp", "lo"}};
  CHECK_FALSE(has(fabric(m), "tcp-only"));
}

TEST_CASE("a small MTU counts on a fast interface that is used") {
  Machine m = healthy();
  m.interfaces[1].mtu = 1500;
  check_told(only(fabric(m), "mtu-small"), Severity::note, "25 Gb/s", "mtu 9000");
  m.interfaces[1].speed_mbps = 1000;
  CHECK_FALSE(has(fabric(m), "mtu-small"));
}

TEST_CASE("/dev/shm counts where shared memory is used") {
  Machine m = healthy();
  m.shm = 64.0 * 1024 * 1024;
  CHECK_FALSE(has(fabric(m), "shm"));
  m.ucx.tls = "posix,tcp,self";
  check_told(only(fabric(m), "shm"), Severity::warning, "64.0 MiB", "--shm-size");
}

TEST_CASE("locked memory counts where RDMA is used; open files where a coordinator runs") {
  Machine m = healthy();
  m.memlock_bytes.soft = 65536;
  m.open_files.hard = 1024;
  CHECK(judge_limits(m, {}, "a", "s").empty());
  m.ucx.tls = "rc,self";
  check_told(only(judge_limits(m, {}, "a", "s"), "memlock"), Severity::error, "64.0 KiB", "LimitMEMLOCK=infinity");
  m.memlock_bytes.soft = 512.0 * 1024 * 1024;
  CHECK(only(judge_limits(m, {}, "a", "s"), "memlock").severity == Severity::warning);
  m.memlock_bytes.soft = std::numeric_limits<double>::infinity();
  CHECK(only(judge_limits(m, {}, "a", "s"), "memlock").severity == Severity::ok);
  check_told(only(judge_limits(m, {.max_connections = 4096}, "a", "s"), "open-files"), Severity::warning, "1024",
             "LimitNOFILE=4224");
}

TEST_CASE("a model directory that cannot be served says why") {
  Machine m = healthy();
  m.model = ModelDir{"/gone", "cannot open /gone/config.json", false, 0};
  check_told(only(judge_model(m, "a", "s"), "model-dir"), Severity::error, "/gone/config.json", "--model");
}
