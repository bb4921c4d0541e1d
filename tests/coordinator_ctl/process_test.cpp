#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "coordinator/ctl/process.h"
#include "tests/support/temp_dir.h"

using namespace sluice::ctl;
namespace fs = std::filesystem;

namespace {

std::string stat_line(const std::string& name, const std::string& start) {
  std::string line = "4711 (" + name + ") S";
  for (int field = 4; field < 22; ++field) line += " " + std::to_string(field);
  return line + " " + start + " 1000 2000\n";
}

}  // namespace

TEST_CASE("the start time is found whatever a process calls itself") {
  for (const std::string name : {"sluice-decode", "a) R 1 2 (b", "tab\there", ""}) {
    CAPTURE(name);
    const auto s = parse_proc_stat(stat_line(name, "987654321"));
    REQUIRE(s);
    CHECK(s->state == 'S');
    CHECK(s->start_ticks == 987654321);
  }
  for (const std::string& bad : {std::string(), std::string("1 (x"), std::string("1 (x)"), std::string("1 (x) S 1 2 3"),
                                 stat_line("x", "-5"), stat_line("x", "12z")}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_proc_stat(bad));
  }
}

TEST_CASE("a process is known by its pid and its start time") {
  const sluice::test::TempDir dir;
  const fs::path log = dir / "log";
  auto p = spawn({.program = "/bin/sleep", .args = {"60"}, .env = {}, .log = log});
  REQUIRE(p);
  CHECK(alive(*p));
  ProcessId recycled = *p;
  ++recycled.start_ticks;
  CHECK_FALSE(alive(recycled));
  CHECK_FALSE(signal(recycled, SIGKILL));
  CHECK(alive(*p));
  CHECK(signal(*p, SIGKILL));
  siginfo_t info;
  REQUIRE(waitid(P_PID, static_cast<id_t>(p->pid), &info, WEXITED | WNOWAIT) == 0);
  CHECK_FALSE(alive(*p));  // a zombie does not run
  reap();
  CHECK_FALSE(alive(*p));
  CHECK_FALSE(signal(*p, 0));
}

TEST_CASE("pids with a meaning of their own are never signalled") {
  CHECK_FALSE(signal({0, 0}, 0));
  CHECK_FALSE(signal({-1, 0}, 0));
}

TEST_CASE("a child gets its arguments and environment, and its log gets what it says") {
  const sluice::test::TempDir dir;
  const fs::path log = dir / "log";
  auto p = spawn({.program = "/bin/sh",
                  .args = {"-c", "echo one; echo \"$SLUICE_CTL_TEST $0\" >&2", "name"},
                  .env = {{"SLUICE_CTL_TEST", "two"}},
                  .log = log});
  REQUIRE(p);
  int status = -1;
  REQUIRE(waitpid(p->pid, &status, 0) == p->pid);
  CHECK(status == 0);
  CHECK(last_lines(log, 10) == "one\ntwo name\n");
  CHECK(last_lines(log, 1) == "two name\n");
  CHECK(last_lines("/nowhere/at/all", 5).empty());
}

TEST_CASE("a program that is not there is named") {
  const auto p = spawn({.program = "/nowhere/sluice-decode", .args = {}, .env = {}, .log = "/dev/null"});
  REQUIRE_FALSE(p);
  CHECK(p.error().message.find("/nowhere/sluice-decode") != std::string::npos);
}

TEST_CASE("shared memory is read from a process's maps") {
  const auto found = shared_memory_in_maps(
      "7f00-7f01 rw-s 00000000 00:19 12 /dev/shm/ucx_shm_posix_1a\n"
      "7f01-7f02 rw-s 00001000 00:19 12 /dev/shm/ucx_shm_posix_1a\n"
      "7f02-7f03 rw-s 00000000 00:19 13 /dev/shm/ucx_shm_posix_2b (deleted)\n"
      "7f03-7f04 r-xp 00000000 08:01 14 /usr/lib/libc.so.6\n"
      "7f04-7f05 rw-p 00000000 00:00 0\n");
  CHECK(found == std::vector<std::string>{"/dev/shm/ucx_shm_posix_1a"});
}

TEST_CASE("shared memory goes only when it is UCX's and nobody uses it") {
  const std::string mine = "/dev/shm/ucx_sluicectl_test_" + std::to_string(::getpid());
  const std::string other = "/dev/shm/sluicectl_test_" + std::to_string(::getpid());
  std::ofstream(other) << "x";
  const int fd = ::open(mine.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  REQUIRE(::ftruncate(fd, 4096) == 0);
  void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  REQUIRE(memory != MAP_FAILED);
  ::close(fd);

  const std::vector<std::string> listed{mine, other, "/dev/shm/ucx_never_was", "/dev/shm/ucx_/../" + other.substr(9)};
  CHECK(shared_memory_of(::getpid()) == std::vector{mine});
  CHECK(remove_unused_shared_memory(listed).empty());  // mapped here
  ::munmap(memory, 4096);
  CHECK(remove_unused_shared_memory(listed) == std::vector{mine});
  CHECK_FALSE(fs::exists(mine));
  CHECK(fs::exists(other));
  fs::remove(other);
}
