// `sluicectl profile` on the bundled model, with a budget of seconds.
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kvtransfer/codec/codec.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using nlohmann::json;

namespace {

const std::string kModel = SLUICE_SOURCE_DIR "/models/sluice-tiny";

struct Ran {
  int code = -1;
  std::string out, err;
};

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

Ran run(const test::TempDir& dir, const std::string& args) {
  const std::string command = std::string(SLUICE_BIN_DIR) + "/sluicectl profile --threads 1 --window 80 --prompt 64 " +
                              "--windows 2 --kv-memory-mib 64 --model " + kModel + " " + args + " >" +
                              (dir / "out").string() + " 2>" + (dir / "err").string();
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(dir / "out"), text_of(dir / "err")};
}

}  // namespace

TEST_CASE("a search leaves a library that nodes load, and a second run measures nothing again") {
  const test::TempDir dir;
  const std::string library = (dir / "lib.json").string();
  const std::string args = "--prompts " + kModel + "/eval/heldout.txt --budget 8 --keep 5 --json --out " + library;
  const Ran first = run(dir, args);
  INFO(first.err);
  REQUIRE(first.code == 0);
  CHECK(first.err.find("quality: ") != std::string::npos);
  const json result = json::parse(first.out);
  CHECK(result["search"]["evaluations"] == 8);
  CHECK(result["measured_now"] == 8);
  CHECK(result["search"]["candidates"] >= 2000);

  const auto registry = kv::load_registry(kModel, library);
  REQUIRE(registry);
  CHECK((*registry)->profiles().size() >= 3);  // raw, ll and at least one found
  CHECK((*registry)->profiles().size() <= 7);
  const json j = json::parse(text_of(library));
  CHECK(j["version"] == 1);
  CHECK(j["model_hash"].get<std::string>().size() == 32);
  for (const json& p : j["profiles"]) {
    if (!p.contains("measured")) continue;
    CHECK(p["measured"]["kl_mean"] <= 0.1);
    CHECK(p["measured"]["speeds"].size() >= 1);
  }
  CHECK(text_of(dir / "lib.svg").find("<circle") != std::string::npos);

  const Ran again = run(dir, args);
  REQUIRE(again.code == 0);
  CHECK(json::parse(again.out)["measured_now"] == 0);
  CHECK(json::parse(text_of(library)) == j);

  // Other prompts are other figures.
  dir.write("other.txt", text_of(kModel + "/eval/heldout.txt").substr(2000));
  const Ran other = run(dir, "--prompts " + (dir / "other.txt").string() + " --budget 8 --out " + library);
  CHECK(other.code == 1);
  CHECK(other.err.find("prompts is") != std::string::npos);
}

TEST_CASE("prompts with answers give recall") {
  const test::TempDir dir;
  const Ran r = run(
      dir, "--prompts " + kModel + "/eval/recall_256.jsonl --budget 3 --keep 2 --out " + (dir / "lib.json").string());
  INFO(r.err);
  REQUIRE(r.code == 0);
  bool found = false;
  const json library = json::parse(text_of(dir / "lib.json"));
  for (const json& p : library["profiles"])
    if (p.contains("measured")) {
      CHECK(p["measured"]["recall_unchanged"] == 1.0);
      found |= p["measured"].contains("recall");
    }
  CHECK(found);
}

TEST_CASE("Ctrl-C keeps what was measured, and the same command goes on") {
  const test::TempDir dir;
  const std::string library = (dir / "lib.json").string();
  const std::string args = "--threads 1 --window 80 --prompt 64 --windows 2 --kv-memory-mib 64 --model " + kModel +
                           " --prompts " + kModel + "/eval/heldout.txt --out " + library;
  // Far more evaluations than are made before the signal; it is sent once some have been written down.
  dir.write("script", std::string(SLUICE_BIN_DIR) + "/sluicectl profile --budget 5000 " + args + " 2>" +
                          (dir / "err").string() + " &\np=$!\nwhile kill -0 $p && ! grep -q '\"quality\"' " + library +
                          ".state; do sleep 0.05; done 2>/dev/null\nkill -INT $p\nwait $p\n");
  const int status = std::system(("bash " + (dir / "script").string() + " >/dev/null").c_str());
  INFO(text_of(dir / "err"));
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 130);
  CHECK_FALSE(std::filesystem::exists(library));
  const Ran on = run(dir, "--prompts " + kModel + "/eval/heldout.txt --budget 8 --json --out " + library);
  REQUIRE(on.code == 0);
  CHECK(json::parse(on.out)["measured_now"] < 8);
}

TEST_CASE("what is wrong is said, with the exit code of the search") {
  const test::TempDir dir;
  CHECK(run(dir, "--prompts /nowhere").code != 0);
  dir.write("short.txt", "too short");
  const Ran r = run(dir, "--prompts " + (dir / "short.txt").string() + " --out " + (dir / "lib.json").string());
  CHECK(r.code == 1);
  CHECK(r.err.find("fewer than 80 tokens") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(dir / "lib.json"));
}
