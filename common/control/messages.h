#pragma once
// What coordinator and nodes say to each other: plain structs with a CBOR-able JSON form.
//
// Each message is one list of fields in a .cpp here, which writes and reads it. Reading treats its input as hostile:
// wrong types, missing fields and absurd sizes give an Error that names the field. Unknown fields are ignored and
// missing optional fields keep their defaults, which is what makes version N readable by N-1. Threading: values.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/control/leg_space.h"
#include "common/control/sampling.h"
#include "common/ids.h"
#include "common/result.h"
#include "common/transfer/profile_change.h"

namespace sluice::control {

inline constexpr int kProtocolMin = 1;
inline constexpr int kProtocolMax = 1;

/// Message type names on the wire.
namespace type {
inline constexpr const char* kRegister = "register";         // node -> coordinator, call
inline constexpr const char* kHeartbeat = "heartbeat";       // node -> coordinator, notify
inline constexpr const char* kReserve = "reserve";           // coordinator -> decode, call
inline constexpr const char* kPrefill = "prefill";           // coordinator -> prefill, call (accepted or refused)
inline constexpr const char* kPrefillDone = "prefill_done";  // prefill -> coordinator, notify
inline constexpr const char* kPromptLogprobs =
    "prompt_logprobs";                                       // prefill -> coordinator, notify, before prefill_done
inline constexpr const char* kKvReady = "kv_ready";          // decode -> coordinator, notify
inline constexpr const char* kTokens = "tokens";             // decode -> coordinator, notify
inline constexpr const char* kFinished = "finished";         // decode -> coordinator, notify
inline constexpr const char* kCancel = "cancel";             // coordinator -> node, call
inline constexpr const char* kDrain = "drain";               // coordinator -> node, call
inline constexpr const char* kProbePath = "probe_path";      // coordinator -> prefill, call
inline constexpr const char* kProbeResult = "probe_result";  // decode -> coordinator, notify
}  // namespace type

enum class Role : std::uint8_t { prefill, decode };
[[nodiscard]] std::string_view name(Role r) noexcept;

/// What must agree between nodes before KV or requests move between them.
struct ModelIdentity {
  std::string name;  // as served in /v1/models
  std::string hash;  // digest of config and weights
  std::uint32_t layers = 0, kv_heads = 0, head_dim = 0;
  std::string kv_dtype = "bf16";
  std::uint32_t vocab_size = 0;
  std::uint32_t max_context = 0;  // tokens, prompt + output
  std::uint64_t codec_hash = 0;   // CodecRegistry::format_hash
  std::string backend;            // arithmetic backend; differs -> tokens may differ
  std::string precision;          // of matrix products; empty: a node that does not say yet
  std::string version;            // of the program, which another one may compute otherwise; empty: likewise
};

/// A profile as one node offers it. Speeds are measured by the node at start and updated by heartbeats.
struct ProfileInfo {
  std::string name;
  double stated_kl = 0.0;
  double ratio = 1.0;       // raw bytes / wire bytes
  double encode_bps = 0.0;  // raw bytes per second
  double decode_bps = 0.0;
};

struct RegisterRequest {
  int protocol_min = kProtocolMin, protocol_max = kProtocolMax;
  Role role = Role::prefill;
  NodeId node;
  Incarnation incarnation;
  ModelIdentity model;
  std::string data_address;   // decode: where KV is received, host:port
  std::string admin_address;  // host:port of /metrics and /health
  bool admin_tls = false;     // they are HTTPS
  std::uint32_t block_size = 0, total_blocks = 0, max_seqs = 0;
  // Prefill: where prompts are cut. Scales of lossy KV span the tokens of a cut. 0: a node that does not say yet.
  std::uint32_t prefill_chunk = 0, max_batch_tokens = 0, frame_kib = 0;
  std::vector<ProfileInfo> profiles;
  std::string cluster_token;  // shared secret, when the coordinator demands one
  std::string data_key;       // that who connects to data_address must prove to know; empty: none is asked for
  bool grammars = false;      // decode: keeps an answer to a grammar (SamplingSpec::grammar)
  bool grows = false;         // decode: takes blocks as positions come
  bool moves = false;         // decode: its sequences can go to another node, and others' come to it
  bool changes_role = false;  // it can go on as a node of the other role
  std::string host;           // which machine it computes on; empty: a node that does not say
  std::uint32_t cores = 1;    // of that machine, as far as it may use them
  std::uint32_t threads = 1;  // that it computes on
};

struct RegisterReply {
  int protocol = kProtocolMax;
  std::uint32_t heartbeat_ms = 250;
  std::uint32_t lease_ms = 2000;
  bool echoes = false;  // answers each heartbeat with one: who hears nothing for a lease is cut off
  LegSpace leg_space;   // that the ids of its legs are of
};

/// Bytes of the name of a node's machine.
inline constexpr std::size_t kMaxHost = 128;

/// A measured path to one decode node's data address.
struct LinkReport {
  std::string address;
  double bandwidth_bps = 0.0;  // bytes per second
  double rtt_s = 0.0;
  std::uint64_t bytes_in_flight = 0, queue_bytes = 0;
};

/// Names in one report of prefixes, at most.
inline constexpr std::size_t kMaxPrefixNames = 8192;

/// What a node keeps of prompts' KV, as changes to what it told before on this connection. Names are those of
/// common/prefix, in hex, one behind the other.
struct PrefixReport {
  bool anew = false;  // forget what it told before
  std::string stored, removed;
  friend bool operator==(const PrefixReport&, const PrefixReport&) = default;
};

struct Heartbeat {
  std::uint32_t waiting = 0, running = 0;
  std::uint32_t free_blocks = 0, total_blocks = 0;
  std::uint64_t queued_tokens = 0;    // of prompts, not yet computed
  double prefill_tokens_per_s = 0.0;  // EWMA, 0 = not measured yet; decode: of prompts in chunks, beside its steps
  double step_s = 0.0;                // EWMA of one decode step
  double step_batch = 0.0;            // EWMA of its batch size
  bool draining = false;
  // Of the above, what other coordinators' legs hold; this one keeps its own account of its own.
  std::uint32_t others_blocks = 0, others_seqs = 0;  // decode
  std::uint64_t others_tokens = 0;                   // of prompts: not yet computed
  std::vector<LinkReport> links;
  std::vector<ProfileInfo> profiles;
  bool stalled = false;  // its engine has work and does not go on: nothing more for it until that is over
  // Decode: sequences that gave up their blocks for a while, the blocks that those need when they return, and how often
  // that happened since the node started.
  std::uint32_t parked = 0, parked_blocks = 0;
  std::uint64_t preemptions = 0;
  std::optional<PrefixReport> prefixes;  // nothing: no news
};

/// A profile that a request's KV may be sent under, as the coordinator knows it of the pair of nodes. 0 = not known.
struct KvWay {
  std::string profile;
  double ratio = 0;                       // raw bytes / wire bytes
  double encode_bps = 0, decode_bps = 0;  // raw bytes per second
};

/// That a transfer went on under another profile, and from where.
struct ProfileChange {
  std::string to;
  std::vector<ChangeStep> from;
  friend bool operator==(const ProfileChange&, const ProfileChange&) = default;
};

/// Bytes of a trace context that a request may carry.
inline constexpr std::size_t kMaxTraceparent = 128, kMaxTracestate = 512;

/// Profiles that a request may name besides its own.
inline constexpr std::size_t kMaxFallbacks = 16;

/// Coordinator to decode node: hold room for a sequence and, unless kv_tokens is 0, issue a ticket for its KV.
struct ReserveRequest {
  RequestId request;
  std::uint32_t attempt = 0;         // of the request, given back in Finished: an end of an earlier one is told apart
  std::string trace_id;              // the client's x-request-id, for logs
  std::vector<TokenId> tokens;       // prompt, then tokens already sent to the client (replay)
  std::uint32_t prompt_tokens = 0;   // how many of tokens are the prompt
  std::uint32_t kv_tokens = 0;       // positions [0, kv_tokens) arrive over the network; the rest is computed here
  std::uint32_t max_new_tokens = 0;  // counted from the prompt's end
  SamplingSpec sampling;
  std::string profile;
  std::vector<std::string> fallbacks;  // other profiles that frames may have
  NodeId prefill_node;
  Incarnation prefill_incarnation;
  std::uint32_t timeout_ms = 60000;  // for KV to arrive
  std::int32_t priority = 0;
  bool probe = false;              // compare the first step's distribution with the prefill node's reference
  std::string tenant = "default";  // whose request it is: stands in the ticket
  // W3C trace context of the leg, whose children this node's spans are. Empty: the request is not traced.
  std::string traceparent, tracestate;
  // It decodes elsewhere and moves here: kv_tokens is where it will stop there, and the tokens that are made until then
  // come with go_on (move_messages.h).
  bool continues = false;
  // Its blocks may come as its tokens do, and it may be given back: Finished::reason "preempted". A coordinator that
  // does not say so knows neither, and the sequence has all its blocks from the start.
  bool grows = false;
  // As far as its sender can tell, the decode node would have the same bits in KV of its own: nothing of what comes was
  // lost on a way before, and those who compute it compute alike.
  bool exact = false;
};

struct ReserveReply {
  nlohmann::json ticket;  // opaque to the coordinator; null when kv_tokens was 0
  std::string data_address;
  std::string data_key;  // as in RegisterRequest
};

/// That log-probabilities of the prompt's own tokens are wanted.
struct PromptRating {
  std::uint32_t top = 0;  // likeliest tokens to name at each position, at most kMaxLogprobs
  TokenId last = -1;      // the prompt's last token, which is not computed here but rated
};

struct PrefillRequest {
  RequestId request;
  std::uint32_t attempt = 0;  // as in ReserveRequest, given back in PrefillDone
  std::string trace_id;
  std::vector<TokenId> tokens;  // the positions to compute: prompt without its last token
  nlohmann::json ticket;
  std::string data_address;
  std::string profile;
  std::int32_t priority = 0;
  std::uint32_t timeout_ms = 60000;
  TokenId probe_token = -1;  // >= 0: the prompt's last token; run it over the exact KV too and send the reference
  double link_bps = 0;       // wire bytes per second that the choice of the profile rests on; 0 = not known
  std::vector<KvWay> ways;   // the profile, then those that the sender may change to; empty: nothing changes
  std::optional<ProfileChange> change;  // an order: change exactly so, as the transfer did that this one stands for
  std::optional<PromptRating> prompt_logprobs;  // PromptLogprobs must come before PrefillDone
  std::string data_key;                         // of data_address, as in RegisterRequest
  std::string traceparent, tracestate;          // as in ReserveRequest
  std::string prefix_root;  // 32 hex digits: who may share this prompt's KV; empty: none of it is looked for or kept
};

/// Hex digits of PrefillRequest::prefix_root.
inline constexpr std::size_t kPrefixRoot = 32;

/// Durations in seconds of one request's way through the prefill node. They overlap: their sum may exceed wall_s.
struct PrefillDone {
  RequestId request;
  std::uint32_t attempt = 0;  // 0: a node that does not say
  std::optional<Error> error;
  double queue_s = 0, compute_s = 0;
  double encode_s = 0;   // codec and seal, busy time
  double wire_s = 0;     // first frame handed to the transport until the decode node confirmed the last
  double wall_s = 0;     // request accepted until confirmed
  double exposed_s = 0;  // end of compute until confirmed: what the transfer cost that compute did not hide
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
  // The link meanwhile, all requests' bytes: what went over it, and the time it had bytes in flight.
  std::uint64_t link_bytes = 0;
  double link_busy_s = 0;
  std::uint32_t tokens = 0;         // positions of the prompt that were sent
  std::string changed_to;           // the profile that its link made it change to; empty: none
  std::uint32_t cached_tokens = 0;  // of these positions, those that were not computed: compute_s is of the others
};

struct KvReady {
  RequestId request;
  double decode_s = 0;  // seal check and codec, busy time
  double wall_s = 0;    // ticket issued until every block was committed
  std::uint64_t wire_bytes = 0;
  std::optional<ProfileChange> change;  // what of it came under another profile than the request's
};

struct TopToken {
  TokenId id = 0;
  float logprob = 0.0F;
};

/// What the model said of a prompt's token, given those before it.
struct RatedToken {
  TokenId id = 0;
  float logprob = 0.0F;
  std::uint32_t rank = 0;  // 1: the likeliest
  std::vector<TopToken> top;
};

/// Tokens that one message rates.
inline constexpr std::size_t kMaxRatedTokens = 512;

/// A part of a prompt's log-probabilities. Parts come in order and leave nothing out.
struct PromptLogprobs {
  RequestId request;
  std::uint32_t attempt = 0;  // as in PrefillRequest
  std::uint32_t first = 0;    // position of tokens[0]; the prompt's first token has no probability
  std::vector<RatedToken> tokens;
};

struct SampledToken {
  TokenId id = 0;
  bool stop = false;  // EOS or a stop token: ends the output and is not part of its text
  float logprob = 0.0F;
  std::vector<TopToken> top;
};

/// One decode step's tokens of many requests.
struct Tokens {
  struct Item {
    RequestId request;
    std::uint32_t index = 0;  // output index, 0 = first generated token; drops duplicates after a resume
    SampledToken token;
  };
  std::vector<Item> items;
};

struct Finished {
  RequestId request;
  std::uint32_t attempt = 0;  // 0: a node that does not say
  std::string reason;         // "stop", "length", "error", "cancelled", "preempted": no room for it, to be resumed
  std::optional<Error> error;
  double first_step_s = 0;  // KV ready (or reserved, when colocated) until the first token was sampled
  // Of that, where more than the prompt's last token was computed here: until the first of it was in a pass, and from
  // then on; and how many tokens those were.
  double local_queue_s = 0, local_s = 0;
  std::uint32_t local_tokens = 0;
  // How often it gave up its blocks here and got its KV back, by the way that came; and for how long it was without.
  std::uint32_t swapped = 0, recomputed = 0;
  double parked_s = 0;
};

struct CancelRequest {
  RequestId request;
};
struct CancelReply {
  bool found = false;
  std::uint32_t freed_blocks = 0;
};

/// What a quality probe found of one request.
struct ProbeResult {
  RequestId request;
  std::string profile;
  double kl = 0;      // nats, of the first token over exact KV to the one over received KV; a lower bound
  bool top1 = false;  // both have the same most likely token
};

struct ProbePathRequest {
  std::string data_address;
  std::uint32_t block_bytes = 0;  // of each of the few blocks sent; 0: the largest
  NodeId decode_node;             // who is there, for metrics; empty: a coordinator that does not say
  std::string data_key;           // of data_address, as in RegisterRequest
};

nlohmann::json to_json(const RegisterRequest&);
nlohmann::json to_json(const RegisterReply&);
nlohmann::json to_json(const Heartbeat&);
nlohmann::json to_json(const ReserveRequest&);
nlohmann::json to_json(const ReserveReply&);
nlohmann::json to_json(const PrefillRequest&);
nlohmann::json to_json(const PrefillDone&);
nlohmann::json to_json(const PromptLogprobs&);
nlohmann::json to_json(const KvReady&);
nlohmann::json to_json(const Tokens&);
nlohmann::json to_json(const Finished&);
nlohmann::json to_json(const CancelRequest&);
nlohmann::json to_json(const CancelReply&);
nlohmann::json to_json(const ProbePathRequest&);
nlohmann::json to_json(const ProbeResult&);
nlohmann::json to_json(const LinkReport&);
nlohmann::json to_json(const SamplingSpec&);
nlohmann::json to_json(const Error&);

/// parse<T>(json): the inverse of to_json for each type above.
template <class T>
[[nodiscard]] Result<T> parse(const nlohmann::json& j);

}  // namespace sluice::control
