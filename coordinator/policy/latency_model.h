#pragma once
// Predicted TTFT and TPOT of a candidate (prefill node, decode node, profile). Pure functions.
//
// A split request is a pipeline: chunked prefill computes layer by layer while finished layers are encoded, sent and
// decoded. With u equal units per stage and stage totals t_i, a pipeline takes max(t) + (sum(t) - max(t)) / u: the
// bottleneck stage in full, plus one unit of every other stage to fill and drain.
#include <cstdint>

#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct StageTimes {
  double queue_s = 0;    // waiting for the prefill node
  double prefill_s = 0;  // compute
  double encode_s = 0, wire_s = 0, decode_s = 0;
  double step_s = 0;  // first decode step, which computes the prompt's last token
};

/// Stage totals of a request over one pair and profile, before overlap.
[[nodiscard]] StageTimes stage_times(const ClusterSnapshot& c, std::size_t p, std::size_t d, std::size_t profile,
                                     const RequestFeatures& r);

/// TTFT with overlap; `layers` units per stage.
[[nodiscard]] double pipeline_ttft(const StageTimes& t, std::uint32_t layers);

/// TPOT on a decode node with one more sequence: the measured step scaled by how its batch grows. A step is mostly
/// weight reads, shared by the batch, so growth is charged at kBatchSlope of proportional.
[[nodiscard]] double predict_tpot(const DecodeView& d);
inline constexpr double kBatchSlope = 0.25;

/// Assumed until a node has measured itself; only ordering before the first request depends on them.
inline constexpr double kDefaultTokensPerS = 2000, kDefaultLinkBps = 1e9, kDefaultCodecBps = 1e9, kDefaultStepS = 0.01;

}  // namespace sluice::coordinator
