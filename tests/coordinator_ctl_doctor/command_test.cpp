// What the command line asks for, and what the state of a local cluster adds.
#include "coordinator/ctl/doctor/command.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::ctl;
using namespace sluice::ctl::doctor;

namespace {

CommandLine parsed(const std::vector<std::string>& arguments) {
  CommandLine line;
  flags::App app("test");
  add_flags(app, line);
  app.parse(arguments);
  return line;
}

const RunDir kNowhere("/nonexistent/sluice");

ClusterState local() {
  ClusterState s;
  s.url = "http://127.0.0.1:8000";
  s.members = {{"coordinator", "coordinator", {2, 1}, {}}, {"decode-0", "decode", {2, 1}, {}}};  // no such processes
  return s;
}

}  // namespace

TEST_CASE("flags become options") {
  const auto line = parsed({"--nodes", "2", "--threads", "8", "--listen", "a:1", "--listen", "b:2", "--no-canary",
                            "--pd", "--pd-prompts", "10,20", "--expect", "p0", "--secret", "f"});
  const Options o = with_cluster(line, Endpoint{"127.0.0.1:8000", "k"}, std::nullopt, kNowhere);
  CHECK(o.host.nodes == 2);
  CHECK(o.host.listen == std::vector<std::string>{"a:1", "b:2"});
  CHECK_FALSE(o.canary);
  CHECK(o.perftest);
  CHECK(o.pd);
  CHECK(o.pd_options.prompts == std::vector<std::uint64_t>{10, 20});
  REQUIRE(o.expected.size() == 1);
  CHECK(o.expected[0].name == "p0");
  CHECK(o.cluster->address == "127.0.0.1:8000");
  CHECK_THROWS(parsed({"--pd-rounds", "0"}));
}

TEST_CASE("this host alone asks no cluster") {
  CHECK_FALSE(with_cluster(parsed({"--host-only"}), Endpoint{"127.0.0.1:8000", ""}, local(), kNowhere).cluster);
}

TEST_CASE("the nodes of the local cluster are expected, of another one only those that are named") {
  const Options ours = with_cluster(parsed({}), Endpoint{"127.0.0.1:8000", ""}, local(), kNowhere);
  REQUIRE(ours.expected.size() == 1);
  CHECK(ours.expected[0].name == "decode-0");
  CHECK(ours.expected[0].ended);
  CHECK(with_cluster(parsed({}), Endpoint{"10.0.0.1:8000", ""}, local(), kNowhere).expected.empty());
}
