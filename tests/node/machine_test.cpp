#include "node/machine.h"

#include <sched.h>

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::node;

TEST_CASE("a machine's name is that of its boot and of the cores that may be used") {
  test::TempDir dir;
  std::filesystem::create_directories(dir / "proc/sys/kernel/random");
  const auto named = [&](const std::string& boot) {
    dir.write("proc/sys/kernel/random/boot_id", boot);
    return this_machine(dir.path());
  };
  const Machine a = named("one\n");
  CHECK(a.name.size() == 16);
  CHECK(a.cores >= 1);
  CHECK(named("one\n").name == a.name);
  CHECK(named("two\n").name != a.name);
  CHECK(a.name.find("one") == std::string::npos);

  cpu_set_t all;
  REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
  if (CPU_COUNT(&all) > 1) {
    cpu_set_t one;
    CPU_ZERO(&one);
    int first = 0;
    while (!CPU_ISSET(first, &all)) ++first;
    CPU_SET(first, &one);
    REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
    const Machine part = named("one\n");
    REQUIRE(::sched_setaffinity(0, sizeof all, &all) == 0);
    CHECK(part.cores == 1);
    CHECK(part.name != a.name);
  }
}

TEST_CASE("a machine that does not say who it is has no name") {
  const test::TempDir dir;
  CHECK(this_machine(dir.path()).name.empty());
}
