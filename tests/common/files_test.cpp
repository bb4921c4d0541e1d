#include "common/files.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/temp_dir.h"

using namespace sluice;

TEST_CASE("a file is read whole, or refused by name when it is missing or too large") {
  const test::TempDir dir;
  const auto path = dir.path() / "x";
  const std::string text((1U << 20) + 7, 'a');
  std::ofstream(path) << text;
  CHECK(read_file(path, text.size()).value() == text);
  const auto large = read_file(path, text.size() - 1);
  REQUIRE_FALSE(large);
  CHECK(large.error().code == Errc::invalid_argument);
  CHECK(large.error().message.find(path.string()) != std::string::npos);
  std::ofstream(path, std::ios::trunc).close();
  CHECK(read_file(path, 10).value().empty());
  CHECK(read_file(dir.path() / "none", 10).error().code == Errc::not_found);
  CHECK_FALSE(read_file(dir.path(), 10));  // a directory opens, but cannot be read
}
