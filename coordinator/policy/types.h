#pragma once
// What the policies see: plain values, no sockets, no clock. Times in seconds, sizes in bytes, rates per second.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/ids.h"
#include "coordinator/policy/memory_forecast.h"

namespace sluice::coordinator {

/// What a request wants of the choice among profiles within its quality budget. quality: the least lossy one with which
/// it meets its objectives; lossier ones only where they are needed for that. latency: the fastest one.
enum class Objective : std::uint8_t { quality, latency };
[[nodiscard]] constexpr std::string_view name(Objective o) noexcept {
  return o == Objective::latency ? "latency" : "quality";
}

/// Service objectives; a request's own headers override the two latencies.
struct Slo {
  double ttft_s = 1.0;
  double tpot_s = 0.1;
  double attainment = 0.99;  // target share of requests that meet both
  double quality_kl = 0.05;  // bound on a profile's mean KL to bf16, nats per token
  Objective objective = Objective::quality;
  int priority = 0;           // smaller is sooner
  bool seeded_lossy = false;  // requests with a seed may travel under lossy profiles, too
};

/// A profile's measured behaviour at one end.
struct ProfileSpeed {
  double encode_bps = 0, decode_bps = 0;  // raw bytes per second; 0 = not measured
  double ratio = 1.0;                     // raw / wire
};

/// Names and stated quality of the cluster's profiles, in one fixed order that arms index.
struct ProfileEntry {
  std::string name;
  double kl = 0.0;  // stated, or measured when probes say that it is higher; what quality budgets are compared with
  double stated_kl = 0.0;
};

struct LinkState {
  double bandwidth_bps = 0, rtt_s = 0;
  std::uint64_t backlog_bytes = 0;  // queued and in flight
};

/// A machine that nodes compute on.
struct HostView {
  std::string name;
  double cores = 1;  // threads that compute side by side
};
inline constexpr std::uint32_t kNoHost = UINT32_MAX;

struct PrefillView {
  NodeId id;
  Incarnation incarnation;
  bool usable = false;  // up, not draining, and its engine goes on
  double tokens_per_s = 0;
  std::uint64_t queued_tokens = 0;     // assigned and not yet computed
  std::vector<ProfileSpeed> profiles;  // by profile index
  // How its KV leaves, see overlap.h; 0 = not stated: rows of a pass, rows of one prompt in a chunk, KiB of a frame.
  std::uint32_t pass_tokens = 0, chunk_tokens = 0, frame_kib = 0;
  std::uint64_t total_tokens = 0;   // that its KV memory holds; 0 = not stated
  std::uint64_t others_tokens = 0;  // as queued_tokens, of other coordinators, as the node told last
  std::uint32_t host = kNoHost;     // of the snapshot's hosts; kNoHost: the node does not say
  double threads = 1;               // that it computes on
};

struct DecodeView {
  NodeId id;
  Incarnation incarnation;
  bool usable = false;
  std::uint32_t block_size = 16, total_blocks = 0, free_blocks = 0;
  std::uint32_t max_seqs = 0, seqs = 0;  // admitted sequences
  double step_s = 0, step_batch = 1;
  std::vector<ProfileSpeed> profiles;
  std::uint32_t host = kNoHost;  // as PrefillView's
  double threads = 1;
  // Prompts that it computes itself. Speed 0: it does not say, and gets none unless one asks for it.
  double prompt_tokens_per_s = 0;
  std::uint64_t local_tokens = 0;   // assigned and not yet computed
  std::uint64_t others_tokens = 0;  // likewise, of other coordinators, as the node told last
  std::uint32_t chunk_tokens = 0;   // of one pass at most; 0 = not stated
  // Its sequences take blocks as positions come: room is what `memory` expects, and free_blocks are those of now.
  bool grows = false;
  bool closed = false;  // it takes nobody new until it says otherwise: some wait for their blocks there
  MemoryForecast memory;
};

struct ClusterSnapshot {
  std::vector<ProfileEntry> profiles;
  std::vector<PrefillView> prefills;
  std::vector<DecodeView> decodes;
  std::vector<LinkState> links;  // [prefill * decodes.size() + decode]
  std::vector<HostView> hosts;
  std::uint64_t kv_bytes_per_token = 0;
  std::uint32_t layers = 1;
  // Grows when a node or profile comes or goes, so that names need not be compared; 0 = not kept.
  std::uint64_t topology = 0;
  [[nodiscard]] const LinkState& link(std::size_t p, std::size_t d) const { return links[p * decodes.size() + d]; }
};

/// What nodes have of one prompt's KV from earlier prompts: positions [0, n), by index into the snapshot. Nodes beyond
/// the end have nothing of it.
struct PrefixHits {
  std::vector<std::uint32_t> prefill;
};

struct RequestFeatures {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_new_tokens = 0;
  std::uint32_t emitted = 0;  // of those, that it has already: one that comes again
  Staying stay;               // how long it is expected to go on; without it, until its limit
  bool whole = false;         // takes all of its blocks at once, also where sequences grow
  double ttft_slo_s = 1.0, tpot_slo_s = 0.1;
  double waited_s = 0;           // since the request was received
  double quality_budget = 0.05;  // hard bound on KL
  Objective objective = Objective::latency;
  double attainment = 0.99;            // how surely the objectives are to be met where quality comes first
  std::optional<std::string> profile;  // pinned
  bool may_explore = true;             // another profile than the best may be tried on it
  /// Where its prompt must be cut: positions before it come from a prefill node, the rest are computed where it is
  /// decoded. 0: no prefill node; split_cut(): only the last token is the decode node's. Nothing: as is best.
  std::optional<std::uint32_t> cut;
  bool cut_anywhere = false;  // its KV loses nothing: where a prefill node's chunks end does not matter to its bits
  const PrefixHits* hits = nullptr;  // outlives the decision; null: nobody has anything
  [[nodiscard]] std::uint32_t split_cut() const noexcept { return prompt_tokens > 0 ? prompt_tokens - 1 : 0; }
  /// Of the positions before `cut`, those that prefill node `p` need not compute.
  [[nodiscard]] std::uint32_t had(std::size_t p, std::uint32_t cut) const noexcept {
    return hits != nullptr && p < hits->prefill.size() ? std::min(hits->prefill[p], cut) : 0;
  }
};

/// Where the predicted time of a request goes: stage totals before overlap, in seconds.
struct StageTimes {
  double queue_s = 0;    // waiting for the prefill node
  double prefill_s = 0;  // compute
  double encode_s = 0, wire_s = 0, decode_s = 0;
  double link_wait_s = 0;                       // bytes of earlier requests on the same link
  double encode_wait_s = 0, decode_wait_s = 0;  // KV of earlier requests, of all links, at its encoder and decoder
  double fixed_s = 0;                           // per request whatever its size: messages, threads waking
  double first_s = 0;                           // first decode step, which computes the prompt's last token
  // In its stead where the decode node computes more of the prompt: waiting for its turn there, and computing it.
  double local_queue_s = 0, local_s = 0;
  double tpot_s = 0;  // of the steps after it
};

/// What of a transfer computation hides, in shares; see overlap.h. The default hides nothing.
struct Overlap {
  double head = 1;       // of the computation, after which the first KV can leave
  double tail = 1;       // of the KV, which leaves only when all is computed
  double unit = 1;       // one frame of the KV
  double tail_unit = 1;  // one frame of the tail
};

/// What a prediction rests on besides the stages; the controller learns weights over it.
inline constexpr std::size_t kFeatures = 6;
using Features = std::array<double, kFeatures>;

/// One (prefill, decode, profile, cut) with everything predicted of it. Slots are lasting; indices are of one snapshot.
struct Candidate {
  std::size_t prefill = 0, decode = 0, profile = 0;
  bool local = false;      // the decode node computes the whole prompt: prefill and profile say nothing
  std::uint32_t cut = 0;   // prompt positions that come from the prefill node
  std::uint32_t had = 0;   // of those, that the prefill node need not compute
  double here_tokens = 0;  // that the decode node computes in chunks; 0: only the prompt's last
  std::uint32_t prefill_slot = 0, decode_slot = 0, profile_slot = 0;
  double model_ttft_s = 0;      // by the latency model
  double predicted_ttft_s = 0;  // with the learned residual
  double predicted_tpot_s = 0;
  double chance = 1;  // predicted probability to meet both SLOs
  double kl = 0;
  StageTimes stages;
  Overlap overlap;
  Features features{};
  double saved_s = 0;                                // what computing the positions that it has would have taken
  double tokens = 0, raw_bytes = 0, wire_bytes = 0;  // of the KV that travels
  double link_bps = 0;                               // the speed reckoned with, wire bytes per second
  double seqs = 0, context_tokens = 0;               // on the decode node, this request included
  // Its place in the model's account of node and link; see LatencyModel::placed.
  TimePoint prefill_end{};
  double prefill_shift = 0;
  std::uint32_t transfer = 0, encoding = 0, decoding = 0;
  // Likewise on the decode node, of a prompt of which it computes chunks; see LocalPrompts::placed.
  TimePoint local_end{};
  double local_shift = 0;
  std::array<double, 2> local_met{};  // what others on the node's machine did meanwhile; see HostLoad::met
};

/// What nodes measured of one request. 0 = not measured.
struct Measured {
  double queue_s = 0, compute_s = 0;  // prefill node
  double had_tokens = 0;              // that it did not compute, but had
  double encode_s = 0, wire_s = 0, exposed_s = 0;
  double decode_s = 0, first_step_s = 0;  // decode node
  double raw_bytes = 0, wire_bytes = 0;
  double link_bytes = 0, link_busy_s = 0;  // all that went over the link meanwhile, and its time with bytes on the way
  double ttft_s = 0;                       // from the decision
  double tpot_s = 0;
  double output_tokens = 0;
  double seqs = 0;                        // on the decode node at the end, this request included
  double local_queue_s = 0, local_s = 0;  // chunks of the prompt on the decode node
  bool mixed = false;  // its profile changed in mid-transfer: of the chosen one it says only how long it took at least
};

}  // namespace sluice::coordinator
