#pragma once
// system_fingerprint, OpenAI's name for what decides an answer's bits: equal fingerprints, and equal requests with
// equal seeds, mean equal answers. Pure functions, thread-safe.
#include <span>
#include <string>
#include <string_view>

namespace sluice::coordinator {

/// "fp_" and 16 hex digits. `what` names everything that decides the bits, in one fixed form.
[[nodiscard]] std::string fingerprint_of(std::string_view what);
/// Of an answer of several choices: theirs where they agree, else one over all of them in their order. Empty while none
/// of them is known.
[[nodiscard]] std::string fingerprint_of(std::span<const std::string> choices);

}  // namespace sluice::coordinator
