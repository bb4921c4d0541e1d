// Answers for tests in Python, a line of JSON for a line of JSON:
//   {"schema": s, "closed": bool, "walks": n, "seed": n, "texts": [...]}  ->  {"walks": [...], "accepts": [...]}
// or {"error": words}. The source may also be "regex" or "ebnf".
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "recogniser.h"
#include "text/grammar/sources.h"

using namespace sluice;
using namespace sluice::text::grammar;

namespace {

Result<Grammar> grammar_of(const nlohmann::ordered_json& q) {
  if (q.contains("regex")) return from_regex(q["regex"].get<std::string>());
  if (q.contains("ebnf")) return from_ebnf(q["ebnf"].get<std::string>());
  return from_json_schema(q["schema"],
                          {.any_whitespace = q.value("whitespace", true), .closed = q.value("closed", true)});
}

nlohmann::json answer(const nlohmann::ordered_json& q) {
  const auto grammar = grammar_of(q);
  if (!grammar) return {{"error", grammar.error().message}, {"code", std::string(name(grammar.error().code))}};
  auto walks = nlohmann::json::array();
  test::Walker walker(*grammar, q.value("seed", 1U));
  for (int i = 0; i < q.value("walks", 0); ++i) walks.push_back(walker.walk(q.value("size", 400U)));
  auto accepts = nlohmann::json::array();
  test::Recogniser recogniser(*grammar);
  if (q.contains("texts"))
    for (const auto& t : q["texts"]) accepts.push_back(recogniser.accepts(t.get<std::string>()));
  nlohmann::json out{{"walks", walks}, {"accepts", accepts}, {"nodes", grammar->nodes().size()}};
  if (q.value("ebnf_text", false)) out["ebnf"] = to_ebnf(*grammar);
  return out;
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(nlohmann::ordered_json::parse(line)).dump() << std::endl;
}
