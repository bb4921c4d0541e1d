#pragma once
// What suite "grammar" measures: grammars, and documents that each of them allows, as token ids.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "text/grammar/grammar.h"
#include "text/grammar/vocabulary.h"

namespace sluice::bench {

struct GrammarCase {
  std::string name;
  text::grammar::Grammar grammar;
  double source_ms = 0;  // from schema, EBNF or expression to grammar
  std::vector<std::vector<TokenId>> documents;
};

/// [{"name", "schema" | "ebnf" | "regex", "documents": [text]}]. A document becomes the longest token that fits, again
/// and again: not what a tokenizer makes of it, but the same for all who are compared.
[[nodiscard]] Result<std::vector<GrammarCase>> load_cases(const std::filesystem::path& file,
                                                          const text::grammar::Vocabulary& vocabulary);
/// A line for a token: its bytes in hexadecimal, perhaps none. Token `eos` ends an answer.
[[nodiscard]] Result<std::shared_ptr<const text::grammar::Vocabulary>> load_vocabulary(
    const std::filesystem::path& file, TokenId eos);

}  // namespace sluice::bench
