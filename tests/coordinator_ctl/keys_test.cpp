#include "coordinator/ctl/keys.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::ctl;
using Catch::Contains;

TEST_CASE("a key that the coordinator would not take is not made") {
  CHECK_THAT(new_key({.tenant = "two words"}).error().message, Contains("tenant"));
  CHECK_THAT(new_key({.tenant = "acme", .expires = "soon"}).error().message, Contains("2027-01-31"));
  CHECK_THAT(new_key({.tenant = "acme", .id = "a/b"}).error().message, Contains("id"));
  CHECK(new_key({.tenant = "acme", .expires = "2030-01-31"}));
}

TEST_CASE("a file is checked as the coordinator reads it") {
  const test::TempDir dir;
  const std::string file = (dir / "keys").string();
  CHECK_FALSE(check_keys(file, false));
  dir.write("keys", R"({"id":"k","tenant":"acme","hash":"sha256:)" + std::string(64, '0') + "\"}\n");
  ::chmod(file.c_str(), 0644);
  CHECK_THAT(check_keys(file, false).error().message, Contains("chmod 600"));
  ::chmod(file.c_str(), 0600);
  CHECK(check_keys(file, false));
  dir.write("keys", "{\"id\":\"k\",\"quota\":1}\n");
  CHECK_THAT(check_keys(file, true).error().message, Contains("line 1"));
}
