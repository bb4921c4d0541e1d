#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "coordinator/ctl/run_dir.h"
#include "coordinator/ctl/up.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::ctl;
using sluice::test::TempDir;
namespace fs = std::filesystem;

namespace {

ClusterState sample() {
  return {"http://127.0.0.1:8000",
          "/models/tiny",
          {{"coordinator", "coordinator", {100, 5000}, {}},
           {"decode-0", "decode", {101, 5001}, {"/dev/shm/ucx_shm_posix_1"}}}};
}

}  // namespace

TEST_CASE("a state file reads back as it was written") {
  const auto s = parse_state(to_text(sample())).value();
  CHECK(s.url == "http://127.0.0.1:8000");
  CHECK(s.model == "/models/tiny");
  REQUIRE(s.members.size() == 2);
  CHECK(s.members[1].name == "decode-0");
  CHECK(s.members[1].role == "decode");
  CHECK(s.members[1].process == ProcessId{101, 5001});
  CHECK(s.members[1].shared_memory == std::vector<std::string>{"/dev/shm/ucx_shm_posix_1"});
}

TEST_CASE("further coordinators stand beside the first") {
  ClusterState s = sample();
  CHECK(parse_state(to_text(s))->urls() == std::vector<std::string>{"http://127.0.0.1:8000"});
  s.others = {"http://127.0.0.1:8001"};
  CHECK(parse_state(to_text(s))->urls() == std::vector<std::string>{"http://127.0.0.1:8000", "http://127.0.0.1:8001"});
  std::string line;
  std::getline(std::ifstream("/proc/self/stat"), line);
  const ProcessId me{::getpid(), parse_proc_stat(line)->start_ticks};
  CHECK_FALSE(serves({"x", "m", {{"decode-0", "decode", me, {}}}}));
  CHECK(serves(
      {"x", "m", {{"coordinator-0", "coordinator", {100, 5000}, {}}, {"coordinator-1", "coordinator", me, {}}}}));
  CHECK_FALSE(parse_state(R"({"version":1,"url":"x","other_urls":[7],"processes":[]})"));
}

TEST_CASE("every cut of a state file is refused, none is half believed") {
  const std::string text = to_text(sample());
  const auto end = text.rfind('}');
  for (std::size_t n = 0; n <= end; ++n) CHECK_FALSE(parse_state(text.substr(0, n)));
}

TEST_CASE("a state file cannot name processes that must not be signalled") {
  auto with_process = [](const std::string& p) { return R"({"version":1,"url":"x","processes":[)" + p + "]}"; };
  REQUIRE(parse_state(with_process(R"({"name":"a","role":"decode","pid":77,"start_ticks":5})")));
  for (const char* bad : {
           R"({"name":"a","role":"decode","pid":0,"start_ticks":5})",
           R"({"name":"a","role":"decode","pid":1,"start_ticks":5})",
           R"({"name":"a","role":"decode","pid":-1,"start_ticks":5})",
           R"({"name":"a","role":"decode","pid":4294967297,"start_ticks":5})",
           R"({"name":"a","role":"decode","pid":18446744073709551615,"start_ticks":5})",
           R"({"name":"a","role":"decode","pid":"77","start_ticks":5})",
           R"({"name":"a","role":"decode","pid":77.5,"start_ticks":5})",
           R"({"name":"a","role":"decode","pid":77})",
           R"({"name":"a","role":"decode","pid":77,"start_ticks":0})",
           R"({"name":5,"role":"decode","pid":77,"start_ticks":5})",
           R"({"role":"decode","pid":77,"start_ticks":5})",
           R"([1])",
           R"(null)",
       }) {
    CAPTURE(bad);
    CHECK_FALSE(parse_state(with_process(bad)));
  }
  for (const char* bad : {"", "[]", "null", "{}", R"({"version":1})", R"({"version":2,"processes":[]})",
                          R"({"version":"1","processes":[]})", R"({"version":1,"processes":{}})", "\xff\xfe"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_state(bad));
  }
}

TEST_CASE("shared-memory entries of other types are dropped") {
  const auto s = parse_state(
      R"({"version":1,"processes":[{"name":"a","role":"decode","pid":77,"start_ticks":5,"shared_memory":[1,null,"f"]}]})");
  REQUIRE(s);
  CHECK(s->members[0].shared_memory == std::vector<std::string>{"f"});
}

TEST_CASE("addresses come out of URLs") {
  CHECK(address_of_url("http://127.0.0.1:8000").value() == "127.0.0.1:8000");
  CHECK(address_of_url("http://host:80/").value() == "host:80");
  CHECK(address_of_url("http://host:80/v1").value() == "host:80");
  CHECK(address_of_url("host:65535").value() == "host:65535");
  CHECK(address_of_url("https://host:8443/v1").value() == "host:8443");
  CHECK(is_https("https://host:8443"));
  CHECK_FALSE(is_https("http://host:80"));
  for (const char* bad : {"", "host", "http://host", ":80", "host:0", "host:65536", "host:8x", "host:", "ftp://host:1",
                          "http://host:80/other", "host:80 "}) {
    CAPTURE(bad);
    CHECK_FALSE(address_of_url(bad));
  }
}

TEST_CASE("a run directory keeps one state and one lock") {
  TempDir temp;
  const RunDir dir(temp / "run");
  REQUIRE(dir.create());
  CHECK_FALSE(dir.load().value());
  REQUIRE(dir.save(sample()));
  CHECK(dir.load().value()->members.size() == 2);
  CHECK_FALSE(fs::exists(dir.path() / "cluster.json.partial"));
  {
    const auto held = dir.lock(false);
    REQUIRE(held);
    const auto second = dir.lock(false);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Errc::resource_exhausted);
  }
  CHECK(dir.lock(false));
  dir.forget();
  CHECK_FALSE(dir.load().value());
  std::ofstream(dir.path() / "cluster.json") << "{";
  CHECK_FALSE(dir.load());
}

TEST_CASE("a run directory that others can write is refused") {
  TempDir temp;
  const RunDir open(temp / "open");
  REQUIRE(open.create());
  REQUIRE(::chmod(open.path().c_str(), 0777) == 0);
  CHECK(open.create().error().code == Errc::permission_denied);
  REQUIRE(open.save(sample()));
  CHECK_FALSE(open.load());

  fs::create_directory_symlink(temp / "open", temp / "link");
  CHECK_FALSE(RunDir(temp / "link").create());
}

TEST_CASE("nodes share the cores out") {
  CHECK(threads_per_node(0, 2, 2) == 1);
  CHECK(threads_per_node(0, 2, 4) == 1);
  CHECK(threads_per_node(0, 16, 3) == 5);
  CHECK(threads_per_node(0, 0, 2) == 1);
  CHECK(threads_per_node(3, 2, 4) == 3);
}
