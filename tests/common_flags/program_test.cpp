// How programs end: what scripts and service managers may rely on.
#include "common/flags/program.h"

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

using namespace sluice;

namespace {

int run(std::vector<std::string> args, const std::function<int()>& body = [] { return 0; }) {
  flags::App app("test", "test");
  LogOptions log;
  int port = 0;
  add_common_options(app, log);
  app.add_option("--port", port, "")->check(flags::range(1, 9));
  args.insert(args.begin(), "test");
  std::vector<char*> argv;
  for (std::string& a : args) argv.push_back(a.data());
  return run_main(app, static_cast<int>(argv.size()), argv.data(), body);
}

}  // namespace

TEST_CASE("a program that did what it was asked ends with 0") {
  CHECK(run({}) == kExitOk);
  CHECK(run({"--help"}) == kExitOk);
  CHECK(run({"--version"}) == kExitOk);
}

TEST_CASE("a program that failed ends with 1, or as it says") {
  CHECK(run({}, []() -> int { throw std::runtime_error("port in use"); }) == kExitFailure);
  CHECK(run({}, [] { return 130; }) == 130);
}

TEST_CASE("one that was told nonsense ends with 2, by flag or by file, seen at once or later") {
  CHECK(run({"--prot=5"}) == kExitUsage);
  CHECK(run({"--port=50"}) == kExitUsage);
  CHECK(run({"--port"}) == kExitUsage);
  CHECK(run({"--config=/nowhere/a.toml"}) == kExitUsage);
  test::TempDir dir;
  dir.write("a.toml", "prot = 5\n");
  CHECK(run({"--config", (dir.path() / "a.toml").string()}) == kExitUsage);
  CHECK(run({}, []() -> int { throw UsageError("--a", "must be more than --b"); }) == kExitUsage);
}
