#pragma once
// What decides the bits of an answer, besides its request: the model, who computed the prompt and the output, and what
// the prompt's KV went through on its way. Answers that agree in it are equal, token for token, if their prompts,
// sampling parameters and seeds are. Pure.
#include <nlohmann/json.hpp>

#include "coordinator/serving/session.h"

namespace sluice::coordinator {

/// {"model", "kv_dtype", "prompt": {backend, precision, version}, "output": {...}, "kv": "lossless" or {"profile",
/// "codecs", "chunk_tokens", "frame_kib", and where its sender changed the profile: "changed_to", "from"}}. Known from
/// the first token on.
[[nodiscard]] nlohmann::json answer_bits(const Session& s);
/// The decode node would have the same bits in KV that it computes itself.
[[nodiscard]] bool exact_kv(const Session& s);
/// Their fingerprint; empty before the first token.
[[nodiscard]] std::string answer_fingerprint(const Session& s);

}  // namespace sluice::coordinator
