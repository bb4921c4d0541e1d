// corpus.jsonl: every document that is said to satisfy its schema is accepted, in several styles of white space; none
// of the others.
#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "recogniser.h"
#include "text/grammar/sources.h"

using namespace sluice::text::grammar;

TEST_CASE("the corpus: every grammar goes through its text unchanged") {
  std::ifstream file(SLUICE_SOURCE_DIR "/tests/text_grammar/corpus.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::ordered_json::parse(line);
    const auto grammar = from_json_schema(row["schema"]);
    INFO(line);
    REQUIRE(grammar);
    const auto text = to_ebnf(*grammar);
    const auto again = from_ebnf(text, wire_limits());
    REQUIRE(again);
    CHECK(to_ebnf(*again) == text);
    test::Recogniser recogniser(*again);
    for (const auto& document : row["valid"]) CHECK(recogniser.accepts(document.get<std::string>()));
    for (const auto& document : row["invalid"]) CHECK_FALSE(recogniser.accepts(document.get<std::string>()));
  }
}

TEST_CASE("the corpus: valid valid documents are accepted, others are not") {
  using Json = nlohmann::ordered_json;
  std::ifstream file(SLUICE_SOURCE_DIR "/tests/text_grammar/corpus.jsonl");
  std::size_t schemas = 0, valid = 0, invalid = 0;
  for (std::string line; std::getline(file, line); ++schemas) {
    const auto row = Json::parse(line);
    const auto grammar = from_json_schema(row["schema"]);
    INFO(line);
    if (!grammar) FAIL_CHECK(grammar.error().message);
    if (!grammar) continue;
    test::Recogniser recogniser(*grammar);
    for (const auto& document : row["valid"]) {
      INFO(document);
      CHECK(recogniser.accepts(document.get<std::string>()));
      ++valid;
    }
    for (const auto& document : row["invalid"]) {
      INFO(document);
      CHECK_FALSE(recogniser.accepts(document.get<std::string>()));
      ++invalid;
    }
  }
  CHECK(schemas >= 300);
  CHECK(valid >= 1000);
  CHECK(invalid >= 500);
}
