#pragma once
// The candidates of one decision as columns, and the arithmetic over all of them at once. A short list of nodes on each
// side, every allowed profile; lanes of kLanes profiles so that the compiler vectorises. Pure; buffers are reused.
#include <cstdint>
#include <vector>

#include "coordinator/policy/types.h"

namespace sluice::coordinator {

struct CandidateTable {
  static constexpr std::size_t kNodes = 16;  // of each side at most
  static constexpr std::size_t kLanes = 8;
  static constexpr float kNever = 1e9F;  // seconds; what padding and resting candidates take

  std::vector<std::size_t> prefills, decodes, profiles;  // snapshot indices
  std::size_t stride = 0;                                // profiles, rounded up to lanes

  // By row of a prefill node, [row * stride + profile] for the columns with profiles. Seconds and bytes.
  std::vector<float> queue, prefill, load;
  std::vector<float> encode, wire_bytes;
  std::vector<float> encode_var;
  // By row of a decode node.
  std::vector<float> first, tpot, fill;
  std::vector<float> decode, decode_var;
  // By pair, [prefill row * decodes + decode row].
  std::vector<float> byte_s, byte_var, log_bandwidth, rtt, wait, fixed, factor;
  std::vector<float> profile_factor, kl, log_wire_mb;  // by profile
  double log_kilotokens = 0;
  float inverse_units = 1;

  /// Sizes every column for the listed nodes and profiles. Allocates only beyond the largest size so far.
  void shape();
  [[nodiscard]] std::size_t pairs() const noexcept { return prefills.size() * decodes.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return pairs() * stride; }
};

/// ttft[pair * stride + profile] of every candidate, residual included. The formula is pipeline_ttft's.
void predict_all(const CandidateTable& t, std::vector<float>& ttft);

}  // namespace sluice::coordinator
