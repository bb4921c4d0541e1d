#include "common/secret_file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

using namespace sluice;

TEST_CASE("only the owner has rights to a secret, or the group of root's file") {
  constexpr uid_t kSomebody = 1000;
  for (const mode_t fine : {0600U, 0400U, 0700U}) {
    CHECK(secret_mode_problem(fine, kSomebody).empty());
    CHECK(secret_mode_problem(fine, 0).empty());
  }
  CHECK(secret_mode_problem(0440, 0).empty());  // as Kubernetes mounts secrets
  CHECK(secret_mode_problem(0640, 0).empty());
  CHECK_FALSE(secret_mode_problem(0440, kSomebody).empty());
  for (const mode_t bad : {0604U, 0644U, 0602U, 0601U, 0660U, 0620U, 0610U, 0666U, 0777U})
    CHECK_FALSE(secret_mode_problem(bad, 0).empty());
}

TEST_CASE("a secret that others can read is refused with the command that mends it") {
  const test::TempDir dir;
  dir.write("token", "s3cret\n");
  const auto file = dir / "token";
  ::chmod(file.c_str(), 0644);
  const auto refused = read_secret_line(file);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::permission_denied);
  CHECK_THAT(refused.error().message, Catch::Contains("chmod 600 " + file.string()) && Catch::Contains("644"));
  CHECK_THAT(refused.error().message, !Catch::Contains("s3cret"));
  ::chmod(file.c_str(), 0600);
  REQUIRE(read_secret_line(file));
  CHECK(*read_secret_line(file) == "s3cret");
}

TEST_CASE("a secret is one line") {
  const test::TempDir dir;
  for (const char* bad : {"", "\n", "a\nb\n"}) {
    dir.write("f", bad);
    ::chmod((dir / "f").c_str(), 0600);
    CHECK_FALSE(read_secret_line(dir / "f"));
  }
  CHECK_FALSE(read_secret_line(dir / "missing"));
  CHECK_FALSE(read_secret_file(dir.path(), 100));
  CHECK_FALSE(read_secret_file(dir / "f", 2));
}
