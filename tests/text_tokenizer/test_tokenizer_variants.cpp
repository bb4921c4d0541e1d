// Ways to normalize and split that other published tokenizers have, each on the vocabulary of llama3: ids must equal
// the reference's, which keeps Unicode data of four ages (see text/unicode/properties.h).
#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"
#include "tests/text_tokenizer/tokenizer_fixture.h"

using namespace sluice;
using namespace sluice::text;
using namespace sluice::text::test;

TEST_CASE("encode equals the reference whatever the pre-tokenizer") {
  std::ifstream file(golden_dir("llama3") / "tokenizer.json");
  auto spec = nlohmann::json::parse(file);
  spec["post_processor"] = nullptr;
  std::ifstream in(golden_dir("variants.jsonl"));
  std::string line;
  std::getline(in, line);  // the reference's version
  std::size_t strings = 0;
  while (std::getline(in, line)) {
    const auto row = nlohmann::json::parse(line);
    spec["normalizer"] = row["normalizer"];
    spec["pre_tokenizer"] = row["pre_tokenizer"];
    const sluice::test::TempDir dir;
    dir.write("tokenizer.json", spec.dump());
    const auto t = load_or_throw(dir.path());
    for (const auto& [text, ids] : row["cases"].get<std::vector<std::pair<std::string, std::vector<TokenId>>>>()) {
      INFO(row["name"] << ": " << nlohmann::json(text).dump());
      CHECK(t.encode(text, false).value() == ids);
      ++strings;
    }
  }
  CHECK(strings > 2500);
}
