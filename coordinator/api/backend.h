#pragma once
// The wall between the API room and the serving room. ApiRouter does HTTP, JSON, text and SSE; a Backend does
// sessions, placement, profiles and node RPC. One client request of n choices (times a batch of prompts) is that
// many legs; each leg is started, streams tokens back and ends in exactly one terminal event.
//
// Threading: a backend and its sinks are one io_context thread's; no locks. The real one is the deciding thread's; a
// front thread has one of its own, which speaks for it (remote_backend.h).
// Re-entrancy: a Backend never calls a sink from inside start() or cancel(): it posts. A sink may call start() and
// cancel() from inside an event.
#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/control/sampling.h"
#include "common/ids.h"
#include "common/result.h"
#include "common/trace/span.h"
#include "coordinator/api/model_text.h"
#include "text/output/formats.h"

namespace sluice::coordinator {

struct ModelInfo {
  std::string id;                    // the name clients ask for
  std::vector<std::string> aliases;  // further accepted names
  std::string root;                  // where it came from (a directory), shown in /v1/models
  std::int64_t created = 0;          // Unix seconds
  int max_model_len = 0;             // prompt + output tokens; the nodes' KV memory may hold fewer
  int vocab_size = 0;
  control::SamplingSpec defaults;      // what a request that says nothing gets (generation_config.json)
  text::output::OutputFormats output;  // how it writes tool calls and reasoning
  std::string tokenizer_info;          // JSON text, see tokenizer_info.h; empty: the model has none
};

/// Whether prefill and decode may, must or must not run on one node.
enum class LegMode { automatic, colocated, split };
[[nodiscard]] constexpr std::string_view name(LegMode m) noexcept {
  return m == LegMode::colocated ? "colocated" : m == LegMode::split ? "split" : "auto";
}

struct LegSpec {
  std::string request_id;                              // the client's x-request-id (or ours), sanitised; for logs
  std::string tenant = "default";                      // whose request it is; KV of one is never another's
  std::string cache_salt;                              // KV is shared by requests that give the same
  int choice = 0;                                      // index among the request's choices
  std::shared_ptr<const std::vector<TokenId>> prompt;  // shared by the choices of one prompt; never empty
  control::SamplingSpec sampling;                      // checked; fits the context after the prompt
  bool open_ended = false;  // the client set no max_tokens: fewer will do where KV memory holds no more

  std::optional<std::string> profile;    // pinned KV profile; nullopt = the controller chooses
  bool seeded = false;                   // the client gave a seed: it wants the same answer again
  std::optional<double> quality_budget;  // bound on the profile's quality loss (KL, nats per token), >= 0
  LegMode mode = LegMode::automatic;
  /// Prompt positions before it come from a prefill node, the rest are computed where it is decoded.
  std::optional<std::uint32_t> cut;
  std::string slo_class;             // empty = "default"
  std::optional<Duration> slo_ttft;  // this request's own targets; nullopt = the service's
  std::optional<Duration> slo_tpot;
  int priority = 0;  // smaller is sooner (vLLM's convention)
  /// Log-probabilities of the prompt's own tokens, and how many of the likeliest to name beside each. A prefill node
  /// computes them: such a leg is always split.
  std::optional<int> prompt_logprobs;
  bool explained = true;  // its stats say all there is to say (LegStats::extra, fingerprint); else they are left out
  TimePoint received;     // when the request's headers arrived: TTFT and the deadline count from here
  trace::Parent trace;    // the request's span; without a sink: not traced
};

struct TokenLogprob {
  TokenId id = 0;
  float logprob = 0;
};

/// What the model said of one prompt token, given those before it.
struct RatedToken {
  TokenId id = 0;
  float logprob = 0;              // natural log
  int rank = 0;                   // 1: the likeliest
  std::vector<TokenLogprob> top;  // prompt_logprobs entries, best first
};

/// One sampled token. Every sampled token is reported, the one that stopped generation (EOS, a stop token) too:
/// it counts in usage, and `stop` keeps it out of the text.
struct TokenEvent {
  TokenId id = 0;
  bool stop = false;
  float logprob = 0;              // natural log; meaningful where sampling.logprobs was set
  std::vector<TokenLogprob> top;  // sampling.logprobs entries, best first
};

enum class LegEnd {
  stop,       // EOS or a stop token
  length,     // max_tokens or the context's end
  cancelled,  // cancel() was called
};

/// What a leg cost and what was decided for it: the `sluice` explain object and the usage figures.
struct LegStats {
  NodeId prefill_node;
  NodeId decode_node;
  std::string profile;
  std::uint64_t kv_raw_bytes = 0;
  std::uint64_t kv_wire_bytes = 0;
  int cached_tokens = 0;  // prompt tokens whose KV was already there
  std::optional<Duration> ttft;
  std::optional<Duration> tpot;  // set from the second token on
  std::optional<Duration> predicted_ttft;
  struct Stages {
    Duration queue{}, prefill{}, encode{}, wire{}, decode{};
  } stages;
  std::optional<double> kl;                         // measured or predicted quality loss, nats per token
  std::string fingerprint;                          // see on_begin(); empty: no token came, or not asked for
  nlohmann::json extra = nlohmann::json::object();  // further explain fields, merged in as they are
};

/// Where a leg's events go. After on_finish or on_error nothing follows, and the backend drops its reference.
class LegSink {
 public:
  virtual ~LegSink() = default;
  /// Once, before the first tokens. The fingerprint names what decides the answer's bits (api/fingerprint.h), and holds
  /// to its end: only what computes the same continues an answer.
  virtual void on_begin(const std::string& fingerprint) = 0;
  virtual void on_tokens(std::span<const TokenEvent> tokens) = 0;
  /// The prompt's tokens from position `first` on; where asked for, all but the prompt's first token before on_finish.
  /// A leg that is placed again reports anew, from position 1: what came last for a position counts.
  virtual void on_prompt_logprobs(std::size_t first, std::span<const RatedToken> tokens) = 0;
  virtual void on_finish(LegEnd end, const LegStats& stats) = 0;
  /// retry_after: when trying again can help (429 and 503 carry it as Retry-After).
  virtual void on_error(const Error& error, std::optional<Duration> retry_after) = 0;
};

enum class CancelReason {
  client_gone,    // the connection closed or its reader was too slow
  stop_string,    // the text hit a stop string: a normal end
  sibling_error,  // another leg of the same request failed
};

struct Health {
  bool ready = false;
  std::string reason;                                // why not, in words, when not ready
  nlohmann::json detail = nlohmann::json::object();  // merged into /health's body
};

class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual const ModelInfo& model() const = 0;
  [[nodiscard]] virtual const ModelText& text() const = 0;
  /// Tokens of prompt and output that the KV memory of the nodes here can hold now; 0: there are none.
  [[nodiscard]] virtual std::size_t largest_context() = 0;

  /// Refusals (no capacity: resource_exhausted; unknown profile: not_found with param "sluice.profile") arrive as
  /// on_error. The id is valid at once for cancel().
  virtual RequestId start(LegSpec spec, std::shared_ptr<LegSink> sink) = 0;
  /// Asks for an early end. The leg still ends in one terminal event, on_finish(cancelled) with the figures known
  /// by then, promptly: it does not wait for nodes. An ended or unknown id is ignored.
  virtual void cancel(RequestId id, CancelReason reason) = 0;
};

/// What the backend says of itself. Threading: the deciding thread.
class StatusBackend {
 public:
  virtual ~StatusBackend() = default;
  [[nodiscard]] virtual Health health() const = 0;
  [[nodiscard]] virtual std::string metrics_text() const = 0;      // Prometheus text format 0.0.4
  [[nodiscard]] virtual std::string openmetrics_text() const = 0;  // OpenMetrics 1.0.0, with exemplars
};

}  // namespace sluice::coordinator
