#pragma once
// What the policies see: plain values, no sockets, no clock. Times in seconds, sizes in bytes, rates per second.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/ids.h"

namespace sluice::coordinator {

/// Service objectives; a request's own headers override the two latencies.
struct Slo {
  double ttft_s = 1.0;
  double tpot_s = 0.1;
  double attainment = 0.99;  // target share of requests that meet both
  double quality_kl = 0.05;  // bound on a profile's mean KL to bf16, nats per token
};

/// A profile's measured behaviour at one end.
struct ProfileSpeed {
  double encode_bps = 0, decode_bps = 0;  // raw bytes per second; 0 = not measured
  double ratio = 1.0;                     // raw / wire
};

/// Names and stated quality of the cluster's profiles, in one fixed order that arms index.
struct ProfileEntry {
  std::string name;
  double kl = 0.0;  // stated, or measured when higher
};

struct LinkState {
  double bandwidth_bps = 0, rtt_s = 0;
  std::uint64_t backlog_bytes = 0;  // queued and in flight
};

struct PrefillView {
  NodeId id;
  Incarnation incarnation;
  bool usable = false;  // up and not draining
  double tokens_per_s = 0;
  std::uint64_t queued_tokens = 0;     // assigned and not yet computed
  std::vector<ProfileSpeed> profiles;  // by profile index
};

struct DecodeView {
  NodeId id;
  Incarnation incarnation;
  bool usable = false;
  std::uint32_t block_size = 16, total_blocks = 0, free_blocks = 0;
  std::uint32_t max_seqs = 0, seqs = 0;  // admitted sequences
  double step_s = 0, step_batch = 1;
  std::vector<ProfileSpeed> profiles;
};

struct ClusterSnapshot {
  std::vector<ProfileEntry> profiles;
  std::vector<PrefillView> prefills;
  std::vector<DecodeView> decodes;
  std::vector<LinkState> links;  // [prefill * decodes.size() + decode]
  std::uint64_t kv_bytes_per_token = 0;
  std::uint32_t layers = 1;
  [[nodiscard]] const LinkState& link(std::size_t p, std::size_t d) const { return links[p * decodes.size() + d]; }
};

struct RequestFeatures {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_new_tokens = 0;
  double ttft_slo_s = 1.0, tpot_slo_s = 0.1;
  double waited_s = 0;                 // since the request was received
  double quality_budget = 0.05;        // hard bound on KL
  std::optional<std::string> profile;  // pinned
};

}  // namespace sluice::coordinator
