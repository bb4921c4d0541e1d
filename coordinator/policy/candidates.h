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
  std::vector<float> queue, prefill, load, encode_wait;
  // What the computation costs those who come after it there, as far as that tells candidates apart: 0 where all
  // prefill nodes compute the whole prompt.
  std::vector<float> prefill_price;
  bool some_have = false;  // some prefill nodes have a part of the prompt
  // Of its overlap: tail and tail_unit as factors of the slowest stage and of the sum of the three behind computation.
  std::vector<float> head, tail_most, tail_sum, unit;
  std::vector<float> encode, wire_bytes;
  std::vector<float> encode_var;
  // By row of a decode node.
  std::vector<float> first, tpot, fill, decode_wait;
  std::vector<float> decode, decode_var;
  // By pair, [prefill row * decodes + decode row].
  std::vector<float> byte_s, byte_var, log_bandwidth, rtt, wait, sharers, fixed, factor;
  std::vector<float> profile_factor, kl, log_wire_mb;  // by profile
  // How busy what a candidate uses is with others: requests per second by row of a prefill node, of a decode node, and
  // by pair. size_share: an average request's KV bytes over this one's.
  std::vector<float> prefill_rate, decode_rate, link_rate;
  float size_share = 1;
  // Of those, for the prices: made from the columns above.
  std::vector<float> encode_price, decode_busy, decode_inverse, decode_queue;
  // What a cost is made with: the latest TTFT by pair (negative: the pair rests), what a decode node costs whatever the
  // TTFT, and 1 / TTFT objective.
  std::vector<float> limit, base;
  float scale = 1;
  double log_kilotokens = 0;

  void set_overlap(std::size_t row, const Overlap& o);
  /// Sizes every column for the listed nodes and profiles. Overlap is none. Allocates only beyond the largest size so
  /// far.
  void shape();
  [[nodiscard]] std::size_t pairs() const noexcept { return prefills.size() * decodes.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return pairs() * stride; }
};

/// Of every candidate, [pair * stride + profile].
struct CandidateCosts {
  std::vector<float> ttft;   // seconds, residual included
  std::vector<float> cost;   // (ttft + price) * scale + base; kNever beyond its limit
  std::vector<float> least;  // cost by pair
  std::size_t in_time = 0;   // candidates within their limit
};

/// What a candidate costs those who come after it, in seconds summed over them: they wait for its bytes on the link and
/// for its turn at encoder and decoder. Work of w seconds that finds v seconds of other work delays everyone who comes
/// before the queue is empty again: rate * w * (v + w / 2) / (1 - load), the mean busy period of an M/G/1 queue; load
/// is what it would be if all requests took the candidate's profile.
void price_all(CandidateTable& t, std::vector<float>& price);

/// ttft[pair * stride + profile] of every candidate, residual included. The formula is pipeline_ttft's.
void predict_all(const CandidateTable& t, std::vector<float>& ttft);

/// Both in one pass, and the costs.
void cost_all(CandidateTable& t, CandidateCosts& out);

}  // namespace sluice::coordinator
