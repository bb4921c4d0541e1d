#include "common/flags/program.h"
#include "common/log.h"
#include "coordinator/app.h"

int main(int argc, char** argv) {
  using namespace sluice;
  coordinator::AppOptions o;
  LogOptions log_options;
  flags::App app("Sluice coordinator: OpenAI-compatible HTTP front, placement, and KV profile control",
                 "sluice-coordinator");
  add_common_options(app, log_options);
  const flags::Check seconds = flags::range(0.001, 1e6);  // as milliseconds they fit a message's 32 bits
  auto& s = o.serving;
  double slo_ttft_ms = s.slo.ttft_s * 1e3;
  std::string objective{name(s.slo.objective)};
  double slo_tpot_ms = s.slo.tpot_s * 1e3;
  double max_tpot_ms = 0;
  double sse_keepalive_s = sluice::seconds(o.http.stream_keepalive);
  bool no_profile_changes = false;
  std::string local_prefill = "on";
  bool no_rebalance = false;
  app.add_option("--model", o.model_dir, "Hugging Face model directory (tokenizer and configuration)")->required();
  app.add_option("--model-name", o.model_name, "Name clients ask for; default: the directory's name");
  app.add_option("--max-model-len", o.max_model_len, "Context limit in tokens; default: the model's")
      ->check(flags::non_negative());
  app.add_option("--tool-call-parser", o.output.tool_call_parser,
                 "Tells tool calls from text: hermes, llama3_json, mistral, pythonic, none; auto: by the chat template")
      ->capture_default_str();
  app.add_option("--reasoning-parser", o.output.reasoning_parser,
                 "Tells reasoning from answers: deepseek_r1, qwen3, granite, mistral, none")
      ->capture_default_str();
  app.add_option("--host", o.http.host, "HTTP address to listen on")->capture_default_str();
  app.add_option("--port", o.http.port, "HTTP port; 0 takes a free one")->capture_default_str();
  add_access_options(app, o.access);
  app.add_option("--cors-origin", o.http.cors_origins, "Browser origins allowed to call");
  app.add_option("--max-body-bytes", o.http.max_body_bytes, "Largest request body")->capture_default_str();
  app.add_option("--max-connections", o.http.max_connections,
                 "Open HTTP connections at most; beyond, those that wait or trickle make room")
      ->capture_default_str()
      ->check(flags::range(1, 1'000'000));
  app.add_option("--sse-keepalive-s", sse_keepalive_s,
                 "A stream silent for this long gets a comment, against proxies that give up on it; 0: never")
      ->capture_default_str()
      ->check(flags::range(0.0, 1e6));
  app.add_option(
         "--front-threads", o.front_threads,
         "Threads that HTTP connections and their streams run on; 1: the one that decides, 2 and more: beside it")
      ->capture_default_str()
      ->check(flags::range(1, 64));
  app.add_option(
         "--prompt-threads", o.prompts.threads,
         "Threads that read requests: parse, render, tokenize; half of them take short ones only. Default: half "
         "the cores, 2 to 4")
      ->check(flags::range(1, 64));
  app.add_option("--responses-memory-mib", o.responses_memory_mib,
                 "Memory for answers of /v1/responses that are kept for previous_response_id; 0: none are kept")
      ->capture_default_str()
      ->check(flags::range(0, 1 << 20));
  app.add_option("--control-listen", s.registry.listen, "Address for nodes, host:port")->capture_default_str();
  app.add_option("--name", o.name, "Of this coordinator among others; default: the state file's, else random");
  app.add_option(
      "--advertise", o.advertise,
      "Name or IP by which nodes and clients on other machines reach this coordinator, of all its addresses; "
      "needed with --registry where it listens at every address");
  etcd::add_registry_options(app, o.registry);
  app.add_option("--heartbeat-ms", s.registry.heartbeat_ms, "Interval of node heartbeats")
      ->capture_default_str()
      ->check(flags::range(10, 3'600'000));
  app.add_option("--lease-ms", s.registry.lease_ms, "A node silent for this long is lost")
      ->capture_default_str()
      ->check(flags::range(20, 3'600'000));
  app.add_option("--slo-ttft-ms", slo_ttft_ms, "Default TTFT objective")
      ->capture_default_str()
      ->check(flags::positive());
  app.add_option("--slo-tpot-ms", slo_tpot_ms, "Default TPOT objective")
      ->capture_default_str()
      ->check(flags::positive());
  app.add_option("--quality-kl", s.slo.quality_kl, "Default quality budget: mean KL to bf16 KV, nats per token")
      ->capture_default_str()
      ->check(flags::non_negative());
  app.add_option(
         "--objective", objective,
         "Of the profiles within the budget: quality, the least lossy one that meets the objectives; latency, the "
         "fastest one")
      ->capture_default_str()
      ->check(flags::one_of({"quality", "latency"}));
  app.add_option("--max-wait-s", s.max_wait_s, "Refuse (429) what cannot start within this")
      ->capture_default_str()
      ->check(seconds);
  app.add_option("--max-tpot-ms", max_tpot_ms,
                 "Refuse (429) what is expected to be decoded slower than this once its prompt is computed; 0: nothing")
      ->capture_default_str()
      ->check(flags::non_negative());
  app.add_option("--max-waiting", s.max_waiting, "Requests that may wait for room")->capture_default_str();
  app.add_option("--request-timeout-s", s.request_timeout_s, "Longest life of a request")
      ->capture_default_str()
      ->check(seconds);
  app.add_option("--link-probe-s", s.link_probe_s,
                 "Measure a link anew that nothing went over for this long, with a few ms of its speed; 0: never")
      ->capture_default_str()
      ->check(flags::range(0.0, 1e6));
  app.add_option("--explore-share,--probe-share", s.controller.explore_share,
                 "Share of decisions that may try another safe candidate")
      ->capture_default_str()
      ->check(flags::range(0.0, 1.0));
  app.add_option("--quality-probe-share", s.quality.share,
                 "Share of requests under a lossy profile whose first token is compared with exact KV (0: none, 1: "
                 "every request)")
      ->capture_default_str()
      ->check(flags::range(0.0, 1.0));
  app.add_option("--tie-share", s.controller.tie_share,
                 "Candidates whose predicted cost differs by less than this share are equal: the better quality wins")
      ->capture_default_str()
      ->check(flags::range(0.0, 1.0));
  app.add_flag("--auto-roles", s.auto_roles,
               "Change a node's role when the split of prefill and decode nodes is wrong for the load for long enough");
  app.add_flag("--no-profile-changes", no_profile_changes,
               "Keep a request's KV profile even when its link gives way while KV is sent");
  app.add_option("--local-prefill", local_prefill,
                 "Whether decode nodes may compute prompts where that is better: on, or off (only who asks for it)")
      ->capture_default_str()
      ->check(flags::one_of({"on", "off"}));
  app.add_flag("--no-rebalance", no_rebalance, "Move running requests only off nodes that drain, or when told to");
  app.add_option("--cooldown-s", s.controller.cooldown_s, "Rest of a pair of nodes after a failure, s")
      ->capture_default_str()
      ->check(flags::range(0.0, 1e6));
  app.add_option("--seed", s.controller.seed, "Seed of exploration")->capture_default_str();
  app.add_option("--drain-timeout-s", o.drain_timeout_s, "Time for running requests after SIGTERM")
      ->capture_default_str()
      ->check(flags::range(0.0, 1e6));
  app.add_option("--wedge-s", o.wedge_s,
                 "Not ready once threads have had requests to read and ended none for this long")
      ->capture_default_str()
      ->check(flags::range(0.1, 1e6));
  app.add_option("--state-file", o.state_file, "Keep what was learned and set here, over restarts");
  app.add_option("--ready-file", o.ready_file, "Write the bound addresses here as JSON once ready");
  app.add_option("--notify-socket", o.notify_socket, "Socket of the service manager, which is told of start and end")
      ->envname("NOTIFY_SOCKET");
  trace::add_trace_options(app, o.trace, trace::Begins::yes);
  return run_main(app, argc, argv, [&] {
    if (o.registry.shared())
      if (auto r = o.registry.options(); !r) throw UsageError(r.error().param, r.error().message);
    if (auto r = o.output.check(); !r) throw UsageError(r.error().param, r.error().message);
    if (s.registry.lease_ms <= s.registry.heartbeat_ms)
      throw UsageError("--lease-ms", "must be more than --heartbeat-ms, or every node is lost at once");
    log::init("coordinator", "", log_options.level, log_options.format);
    coordinator::settle_access(o.access, s.registry);
    coordinator::check_binds(o.access, o.http.host, s.registry);
    o.http.stream_keepalive = from_seconds(sse_keepalive_s);
    s.slo.ttft_s = slo_ttft_ms * 1e-3;
    s.slo.objective = objective == "latency" ? coordinator::Objective::latency : coordinator::Objective::quality;
    s.slo.tpot_s = slo_tpot_ms * 1e-3;
    s.max_tpot_s = max_tpot_ms * 1e-3;
    s.profile_changes = !no_profile_changes;
    s.local_prefill = local_prefill == "on";
    s.mover.rebalance = !no_rebalance;
    s.quality.seed = s.controller.seed;
    return coordinator::run_app(o);
  });
}
