// Secrets: not on the command line, not in a file that others read, not left in the environment.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "common/flags/program.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using Catch::Contains;

namespace {

constexpr const char* kVariable = "SLUICE_TEST_SECRET";

struct Program {
  flags::App app{"test", "test"};
  std::string secret, word;
  Program() {
    add_config_option(app);
    app.add_option("--secret", secret, "")->secret(kVariable, "--secret-file FILE");
    app.add_option("--word", word, "");
    app.add_subcommand("go", "")->fallthrough();
  }
};

}  // namespace

TEST_CASE("a secret on the command line is refused in words that do not repeat it") {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"--secret", "s3cret"},
                                               {"--secret=s3cret"},
                                               {"go", "--secret", "s3cret"},
                                               {"--word", "x", "--secret=s3cret"}}) {
    Program p;
    CHECK_THROWS_WITH(p.app.parse(args), Contains("--secret-file FILE") && Contains(kVariable) && !Contains("s3cret"));
  }
}

TEST_CASE("a secret comes from the environment, which then no longer has it") {
  ::setenv(kVariable, "s3cret", 1);
  const char* const was = std::getenv(kVariable);
  Program p;
  p.app.parse({"--word", "x"});
  CHECK(p.secret == "s3cret");
  CHECK(std::getenv(kVariable) == nullptr);
  CHECK(std::string(was).empty());  // nor does its memory, which /proc/PID/environ would show
}

TEST_CASE("a file that holds a secret must be private; one that holds none need not") {
  const test::TempDir dir;
  const std::string file = (dir / "a.toml").string();
  dir.write("a.toml", "secret = \"s3cret\"\n");
  ::chmod(file.c_str(), 0644);
  {
    Program p;
    CHECK_THROWS_WITH(p.app.parse({"--config", file}),
                      Contains("chmod 600") && Contains("line 1") && !Contains("s3cret"));
  }
  ::chmod(file.c_str(), 0600);
  {
    Program p;
    p.app.parse({"--config", file});
    CHECK(p.secret == "s3cret");
  }
  dir.write("a.toml", "word = \"x\"\n");
  ::chmod(file.c_str(), 0644);
  Program p;
  p.app.parse({"--config", file});
  CHECK(p.word == "x");
}
