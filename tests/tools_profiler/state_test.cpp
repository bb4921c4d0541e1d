#include "tools/profiler/state.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"
#include "tools/profiler/progress.h"

using namespace sluice;
using namespace sluice::profiler;
using nlohmann::json;

namespace {

const json kHeader{{"model_hash", "one"}, {"prompts", "p"}, {"windows", 8}};

}  // namespace

TEST_CASE("what was measured is there again") {
  const test::TempDir dir;
  const std::string file = dir / "state";
  {
    State s = or_throw(State::open(file, kHeader));
    CHECK(s.find("quality", "a") == nullptr);
    REQUIRE(s.add("quality", "a", {{"kl", 0.1234567890123456}}));
    REQUIRE(s.add("part", "a", {{"wire", {1, 2}}}));
  }
  const State s = or_throw(State::open(file, kHeader));
  REQUIRE(s.find("quality", "a"));
  CHECK((*s.find("quality", "a"))["kl"].get<double>() == 0.1234567890123456);  // to the last bit
  CHECK(s.count("part") == 1);
}

TEST_CASE("a line that was cut short is dropped, and the next is whole") {
  const test::TempDir dir;
  const std::string file = dir / "state";
  {
    REQUIRE(or_throw(State::open(file, kHeader)).add("quality", "a", 1));
  }
  std::ofstream(file, std::ios::app) << R"({"kind":"quality","id":"b","fig)";
  {
    REQUIRE(or_throw(State::open(file, kHeader)).add("quality", "c", 3));
  }
  const State s = or_throw(State::open(file, kHeader));
  CHECK(s.find("quality", "a"));
  CHECK_FALSE(s.find("quality", "b"));
  CHECK(s.find("quality", "c"));
}

TEST_CASE("a state of another model or other prompts is refused by name, and left alone") {
  const test::TempDir dir;
  const std::string file = dir / "state";
  {
    REQUIRE(or_throw(State::open(file, kHeader)).add("quality", "a", 1));
  }
  json other = kHeader;
  other["model_hash"] = "two";
  const auto refused = State::open(file, other);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("model_hash is \"one\" there and \"two\" here") != std::string::npos);
  CHECK(or_throw(State::open(file, kHeader)).count("quality") == 1);
}

TEST_CASE("a file that is no state is refused, not emptied") {
  const test::TempDir dir;
  for (const std::string text : {"{\"profiles\": []}\n", "hello\nworld\n", "no newline"}) {
    dir.write("library.json", text);
    CHECK_FALSE(State::open(dir / "library.json", kHeader));
    std::ifstream in(dir / "library.json");
    CHECK(std::string{std::istreambuf_iterator<char>(in), {}} == text);
  }
}

TEST_CASE("progress says how far and how long") {
  CHECK(progress_text(0, 4, -1) == "........................   0% 0/4");
  CHECK(progress_text(1, 4, 65) == "######..................  25% 1/4, 1 min 05 s left");
  CHECK(progress_text(4, 4, 0) == "######################## 100% 4/4");
}

// Their types were taken for granted: the JSON library threw, and nobody caught it.
TEST_CASE("a damaged state is refused by name") {
  const test::TempDir dir;
  const std::string file = dir / "state";
  const std::string header = json{{"header", kHeader}}.dump() + "\n";
  for (const std::string& text : {std::string("{\"header\":4}\n"), header + "{\"kind\":1,\"id\":\"a\",\"figures\":1}\n",
                                  header + "{\"kind\":\"part\",\"id\":[],\"figures\":1}\n", header + "{}\n"}) {
    std::ofstream(file) << text;
    const auto refused = State::open(file, kHeader);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::data_corrupt);
    CHECK(refused.error().message.find("state") != std::string::npos);
  }
}
