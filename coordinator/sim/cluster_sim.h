#pragma once
// Discrete-event simulation of a cluster that serves a load: the daemons' own placement, controller, admission and
// batch scheduler decide; computation, codecs and links take the time their descriptions say. Single-threaded and
// deterministic: the same load, cluster, policy and seed give the same result.
//
// A prompt is computed in chunks by its prefill node's scheduler. A chunk's KV goes layer by layer through encoder and
// decoder, each busy with one chunk after another, and between them over a link that requests share. The decode node's
// scheduler batches steps, gives out blocks as positions come, and parks sequences where they run out. Nodes report
// what they measure at intervals, so that the policy sees the past. Not simulated: loss, failures, the share of one
// network card between links, messages beyond a fixed time each way, and a host whose memory is too small for what is
// parked.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/json/reader.h"
#include "coordinator/policy/mover.h"
#include "coordinator/policy/role_balance.h"
#include "coordinator/sim/hardware.h"
#include "coordinator/sim/link.h"
#include "coordinator/sim/policies.h"
#include "coordinator/sim/workload.h"

namespace sluice::sim {

/// How decode memory is given out (ADR 10). reserve: when a request comes, all that it may become. The others as
/// positions come; what differs is who is admitted. sluice: whom the daemons' forecast has room for; greedy: whose
/// prompt fits now; oracle: whom a forecast has room for that knows every output's length.
enum class MemoryPolicy : std::uint8_t { sluice, reserve, greedy, oracle };
inline constexpr Named<MemoryPolicy> kMemoryPolicies[] = {{"sluice", MemoryPolicy::sluice},
                                                          {"reserve", MemoryPolicy::reserve},
                                                          {"greedy", MemoryPolicy::greedy},
                                                          {"oracle", MemoryPolicy::oracle}};

/// From `at_s` on, a prefill node takes `factor` times as long. node < 0: all.
struct Slowdown {
  double at_s = 0;
  int node = -1;
  double factor = 1;
};

/// Nodes may change their role.
struct RoleSpec {
  bool automatic = true;  // false: nobody makes them; for comparison
  double load_s = 10;     // from the end of the old program's work until the new one takes requests
  coordinator::RoleOptions balance;
};

/// A machine that changed its role; done_s < 0: it had not yet when the load ended.
struct RoleMove {
  double at_s = 0;
  std::size_t machine = 0;
  bool to_decode = false;
  double done_s = -1;
};

/// A decode node that takes nothing more from then on.
struct Drain {
  double at_s = 0;
  std::size_t decode = 0;
};

struct ClusterSpec {
  ModelShape model;
  std::vector<Hardware> prefills, decodes;
  std::vector<ProfileSpec> profiles;
  double link_bps = 1.25e9, rtt_s = 1e-4;
  Timeline links;                 // of every link
  Timeline flapping;              // of the links to decode node 0, besides
  std::vector<Slowdown> slow;     // prefill nodes
  std::string liar;               // this profile's real speed ...
  double liar_factor = 1;         // ... is this share of its table
  double telemetry_s = 0.25;      // interval of reports
  double message_s = 3e-4;        // between coordinator and node, each
  double spread = 0.03;           // sigma of the log of every duration
  double measurement_spread = 0;  // of what nodes say they measured, besides
  std::uint32_t block_size = 16, max_seqs = 256, max_batch_tokens = 2048, prefill_chunk = 512;
  double max_wait_s = 30;
  bool admission = true;  // refuses early what is not expected to start, or to be decoded, in time; as the daemons
  double max_tpot_s = 0;  // the slowest TPOT worth admitting; 0: any
  std::uint32_t max_waiting = 1024;
  // What a prefill node encodes ahead of a link: so many seconds of its speed, and at most so many bytes.
  double encode_ahead_s = 0.05, encode_ahead_bytes = 48 << 20;
  bool local_prefill = true;  // decode nodes may compute prompts, where the policy finds that better
  bool prefix_cache = true;   // prefill nodes keep what they computed; counts where the load names prefixes
  bool overlap = true;      // false: encoding, sending and decoding of a prompt follow each other after its computation
  std::uint32_t cores = 0;  // that all nodes share: beyond, a pass takes the longer the more run; 0: none are shared
  bool tell_hosts = true;   // the policy knows that they do
  std::optional<RoleSpec> roles;
  bool moves = false;  // sequences may move between decode nodes, under these rules
  coordinator::MoverOptions mover;
  MemoryPolicy memory = MemoryPolicy::reserve;  // where requests hide their lengths, a scenario's default is sluice
  std::uint32_t context_tokens = 131072;        // the most that prompt and output may be together
  std::vector<Drain> drains;
  coordinator::Slo slo;
  std::uint64_t seed = 1;
};

/// One request's outcome. Times in seconds; ttft < 0: refused.
struct Outcome {
  float at_s = 0, ttft_s = -1, tpot_s = 0, e2e_s = 0, predicted_ttft_s = 0;
  std::uint16_t profile = 0, prefill = 0, decode = 0;
  bool met = false, explored = false;
  bool local = false;         // its decode node computed the whole prompt, profile and prefill say nothing; or ...
  std::uint32_t cut_off = 0;  // ... so many of its tokens, beside the last
  bool rejected = false;      // refused early, by admission's forecast
  double raw_bytes = 0, wire_bytes = 0;
  float kl = 0;  // of its profile, or of the lossier one that it changed to
  std::uint16_t preemptions = 0;
  float stalled_s = 0;  // without its blocks, in all
  // Prompt positions that its prefill node had; and that a cache would have had that knows all at once (CacheOracle).
  std::uint32_t had = 0, oracle_had = 0, prompt = 0;
};

struct SimResult {
  std::vector<Outcome> requests;  // in order of arrival
  double end_s = 0;               // of the last request
  std::uint64_t events = 0, changes = 0;
  std::uint64_t tightened = 0;    // transfers that changed their profile on the way
  std::uint64_t moves = 0;        // of sequences between decode nodes
  std::vector<double> drained_s;  // of each drain, until nothing was left there; -1: something was at the end
  std::vector<RoleMove> roles;
  std::uint64_t swaps = 0, recomputes = 0;  // preempted sequences, by the way they came back
  double concurrency = 0;  // sequences that decode at a time; mean from a tenth of the arrivals on to the last
};

/// invalid_argument: a cluster without nodes or profiles, or hardware without a speed for a profile.
[[nodiscard]] Result<SimResult> simulate(const ClusterSpec& spec, const Load& load, Policy& policy);

}  // namespace sluice::sim
