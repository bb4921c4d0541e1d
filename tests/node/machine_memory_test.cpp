#include "node/machine_memory.h"

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::node;

namespace {

/// A machine as its files tell it, with 20,000 KiB free.
struct Machine {
  test::TempDir dir;
  Machine() { write("proc/meminfo", "MemTotal: 24000 kB\nMemAvailable: 20000 kB\n"); }
  void write(const std::string& file, const std::string& text) const {
    std::filesystem::create_directories((dir / file).parent_path());
    dir.write(file, text);
  }
  void group(const std::string& path, const std::string& most, const std::string& used) const {
    write(path + "/memory.max", most);
    write(path + "/memory.current", used);
  }
  [[nodiscard]] std::uint64_t free() const { return free_memory(dir.path()); }
};

constexpr std::uint64_t kMachine = 20000 * 1024;

}  // namespace

TEST_CASE("this machine has memory") { CHECK(free_memory() > 1U << 20); }

TEST_CASE("without control groups the machine's memory counts") {
  const Machine m;
  CHECK(m.free() == kMachine);
  m.write("proc/self/cgroup", "0::/\n");
  CHECK(m.free() == kMachine);
  CHECK(free_memory(m.dir / "nowhere") == 0);
}

TEST_CASE("the nearest limit counts, its own or one above") {
  const Machine m;
  m.write("proc/self/cgroup", "0::/system.slice/sluice.service\n");
  m.group("sys/fs/cgroup/system.slice/sluice.service", "max", "0");
  m.group("sys/fs/cgroup/system.slice", "5000", "2000");
  CHECK(m.free() == 3000);
  m.group("sys/fs/cgroup/system.slice/sluice.service", "1000", "200");
  CHECK(m.free() == 800);
}

TEST_CASE("in a container the top of what it sees is its own group") {
  const Machine m;
  m.write("proc/self/cgroup", "0::/kubepods/pod7/box\n");
  m.group("sys/fs/cgroup", "9000\n", "4000\n");
  m.write("sys/fs/cgroup/memory.stat", "anon 1000\ninactive_file 2500\n");
  CHECK(m.free() == 7500);
}

TEST_CASE("control groups of the first version") {
  const Machine m;
  m.write("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a\n1:name=systemd:/a\n");
  m.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "7000\n");
  m.write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1000\n");
  m.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  m.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n");
  CHECK(m.free() == 6000);
}
