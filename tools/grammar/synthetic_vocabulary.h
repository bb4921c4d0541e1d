#pragma once
// A vocabulary made up to look like a byte-level BPE of a published model: words with and without a space before them
// in several scripts, numbers, code, runs of white space, punctuation as JSON has it, parts of characters, all bytes.
// The same for the same size. For tests and benches.
#include <cstddef>
#include <memory>

#include "text/grammar/vocabulary.h"

namespace sluice::text::grammar {

/// `tokens` in all, [0] of them is the end; masks are as wide.
[[nodiscard]] std::shared_ptr<const Vocabulary> synthetic_vocabulary(std::size_t tokens = 131'072);

}  // namespace sluice::text::grammar
