#pragma once
// How a prompt's KV leaves a prefill node while the prompt is computed, from the node's settings. Pure.
//
// A pass holds as many whole chunks of a prompt as it has rows for, and computes them layer by layer. A chunk's layers
// gather until they fill a frame, so that KV leaves in waves: a large model's after each layer, a small one's only when
// the pass is through.
#include "coordinator/policy/types.h"

namespace sluice::coordinator {

/// Tokens of the first pass of a prompt: all of them where the node does not state its settings.
[[nodiscard]] double first_pass_tokens(const PrefillView& p, double tokens);

/// `first_share`: the first pass's share of the computation. A node that does not state its settings is taken to send
/// each layer as soon as it is computed. `tokens`: that are computed; `had`: positions before them, whose KV can leave
/// at once.
[[nodiscard]] Overlap overlap_of(const PrefillView& p, std::uint32_t layers, std::uint64_t kv_bytes_per_token,
                                 double tokens, double first_share, double had = 0);

/// TTFT of stage totals with overlap.
[[nodiscard]] double pipeline_ttft(const StageTimes& t, const Overlap& o);

}  // namespace sluice::coordinator
