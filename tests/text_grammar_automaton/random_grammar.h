#pragma once
// Grammars and vocabularies drawn at random, small and nasty: multi-byte characters, nullable and nested repetitions,
// large bounds, recursion of all kinds.
#include <memory>
#include <random>

#include "text/grammar/grammar.h"
#include "text/grammar/vocabulary.h"

namespace sluice::text::grammar::test {

using Random = std::mt19937_64;

/// May be one that check() refuses.
[[nodiscard]] Grammar random_grammar(Random& random);
/// All single bytes that the grammars' texts have, and longer tokens cut from such texts anywhere.
[[nodiscard]] std::shared_ptr<const Vocabulary> random_vocabulary(Random& random);

}  // namespace sluice::text::grammar::test
