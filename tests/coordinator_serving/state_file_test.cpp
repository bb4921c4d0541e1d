#include "coordinator/serving/state_file.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

using namespace sluice;
using namespace sluice::coordinator;

namespace {

struct TempDir {
  std::filesystem::path path;
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-state-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~TempDir() { std::filesystem::remove_all(path); }
};

}  // namespace

TEST_CASE("a state comes back as it was saved; none is an empty one") {
  TempDir dir;
  const StateFile file(dir.path / "state.json");
  REQUIRE(file.load());
  CHECK(file.load()->empty());
  REQUIRE(file.save({{"a", 1}}));
  REQUIRE(file.save({{"a", 2}}));
  CHECK(*file.load() == nlohmann::json{{"a", 2}});
  CHECK_FALSE(std::filesystem::exists(dir.path / "state.json.partial"));
}

TEST_CASE("a damaged state is refused by name, not overwritten in silence") {
  TempDir dir;
  const StateFile file(dir.path / "state.json");
  std::ofstream(file.path()) << "{\"a\":";
  const auto r = file.load();
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::data_corrupt);
  CHECK(r.error().message.find("state.json") != std::string::npos);
}

TEST_CASE("a directory that is not there is an error, and an old state stays") {
  const StateFile file("/nonexistent-directory/state.json");
  CHECK_FALSE(file.save({}));
  // The coordinator started all the same, and what it learned was lost at its end.
  const auto r = file.check_writable();
  REQUIRE_FALSE(r);
  CHECK(r.error().message.find("/nonexistent-directory/state.json") != std::string::npos);
}

TEST_CASE("asking whether a state can be written leaves nothing behind and changes nothing") {
  TempDir dir;
  const StateFile file(dir.path / "state.json");
  CHECK(file.check_writable());
  CHECK(std::filesystem::is_empty(dir.path));
  REQUIRE(file.save({{"a", 1}}));
  CHECK(file.check_writable());
  CHECK(*file.load() == nlohmann::json{{"a", 1}});
}

TEST_CASE("a state with bytes that are no text is saved, not thrown over") {
  TempDir dir;
  const StateFile file(dir.path / "state.json");
  REQUIRE(file.save({{"a", "p\xff"}}));
  CHECK(file.load()->at("a") == "p\xEF\xBF\xBD");
}
