#include "kvtransfer/codec/library.h"

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

using namespace sluice;

TEST_CASE("a library of another model is refused with what to do, one that names no model is not") {
  const test::TempDir dir;
  const auto load = [&](const std::string& head) {
    dir.write("lib.json", "{" + head + R"("profiles": [{"name": "raw", "codec": "raw", "nominal_ratio": 1.0}]})");
    return kv::load_library(dir.path().string(), (dir / "lib.json").string(), "0123abcd");
  };
  CHECK(load(""));
  CHECK(load(R"("model_hash": "", )"));
  CHECK(load(R"("model_hash": "0123abcd", )"));
  const auto other = load(R"("model_hash": "feed", )");
  REQUIRE_FALSE(other);
  for (const char* said : {"feed", "0123abcd", "sluicectl profile", "lib.json"})
    CHECK(other.error().message.find(said) != std::string::npos);
  CHECK(kv::load_library(dir.path().string(), "", "0123abcd"));
  const auto missing = kv::load_library(dir.path().string(), (dir / "none.json").string(), "0123abcd");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == Errc::not_found);
}
