#include "common/file_stamp.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/support/temp_dir.h"

using namespace sluice;
namespace fs = std::filesystem;

TEST_CASE("a stamp changes with every way of replacing a file") {
  const test::TempDir dir;
  dir.write("a", "one");
  dir.write("b", "one");
  fs::create_symlink(dir / "a", dir / "link");
  const std::vector<std::string> files{(dir / "link").string(), ""};
  const auto first = stamp_of(files);
  CHECK(stamp_of(files) == first);
  dir.write("a", "longer");
  const auto written = stamp_of(files);
  CHECK(written != first);
  fs::rename(dir / "b", dir / "a");
  const auto renamed = stamp_of(files);
  CHECK(renamed != written);
  fs::remove(dir / "link");
  fs::create_symlink(dir / "nothing", dir / "link");
  CHECK(stamp_of(files) != renamed);
}
