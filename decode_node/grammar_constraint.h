#pragma once
// A grammar as the sampler sees it: an answer's matcher, with the time that its masks take.
// Threading: one thread's at a time. Failure: follow() refuses tokens that the grammar does not allow (internal).
#include <memory>
#include <span>

#include "common/metrics.h"
#include "common/result.h"
#include "decode_node/automaton_cache.h"
#include "engine/policy/token_constraint.h"

namespace sluice::text {
class Tokenizer;
}

namespace sluice::decode {

using VocabularyPtr = std::shared_ptr<const text::grammar::Vocabulary>;

/// `logits`: the width of a mask; `eos`: the ids that end an answer here, which may differ from the tokenizer's own.
[[nodiscard]] VocabularyPtr vocabulary_of(const text::Tokenizer& tokenizer, std::size_t logits,
                                          std::vector<TokenId> eos);

/// From the text that a leg carries.
[[nodiscard]] Compiled compile_grammar(const std::string& ebnf, VocabularyPtr vocabulary);

/// For an answer of which `sent` is there already.
[[nodiscard]] Result<std::unique_ptr<engine::TokenConstraint>> follow(const AutomatonPtr& automaton,
                                                                      std::span<const TokenId> sent,
                                                                      Histogram mask_seconds);

}  // namespace sluice::decode
