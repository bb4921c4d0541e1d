#include "coordinator/ctl/up_flags.h"

#include <string>
#include <vector>

namespace sluice::ctl {
namespace {

/// A pass-through option: it reaches the daemons as it was given, and is checked by them.
void pass_on(flags::App& c, std::vector<std::string>& args, const std::string& flag, const std::string& help) {
  c.add_option_function(flag, [&args, flag](const std::string& v) { args.insert(args.end(), {flag, v}); }, help);
}

}  // namespace

void add_up_flags(flags::App& s, UpOptions& o) {
  s.add_option("--model", o.model, "Hugging Face model directory")->required();
  s.add_option("--coordinators", o.coordinators, "Coordinators; several need --registry")
      ->capture_default_str()
      ->check(flags::range(1, 16));
  s.add_option_function(
      "--registry",
      [&o](const std::string& v) {
        o.registry = v;
        o.every_flag.insert(o.every_flag.end(), {"--registry", v});
      },
      "What coordinators share, and where nodes find them: etcd://host:2379[,host:2379...]");
  pass_on(s, o.every_flag, "--cluster-name", "Of the cluster within the registry");
  s.add_option("--prefill", o.prefill, "Prefill nodes")->capture_default_str()->check(flags::range(1, 64));
  s.add_option("--decode", o.decode, "Decode nodes")->capture_default_str()->check(flags::range(1, 64));
  s.add_option("--host", o.host, "HTTP address")->capture_default_str();
  s.add_option("--port", o.port,
               "HTTP port, of the first coordinator; the others have the next ones; 0 takes free ones")
      ->capture_default_str()
      ->check(flags::range(0, 65535));
  s.add_flag("--detach", o.detach, "Return once ready; `sluicectl down` ends it");
  s.add_option("--transport", o.transport, "What carries KV")
      ->capture_default_str()
      ->check(flags::one_of({"tcp", "shm"}));
  s.add_option("--threads", o.threads, "Compute threads of one node; 0 shares the cores out")
      ->check(flags::non_negative());
  s.add_option("--kv-memory-mib", o.kv_memory_mib, "KV memory of one node; 0 shares the machine's memory out")
      ->check(flags::non_negative());
  s.add_option("--ready-timeout-s", o.ready_timeout_s, "Give up after this long")
      ->capture_default_str()
      ->check(flags::positive());
  pass_on(s, o.every_flag, "--model-name", "Name clients ask for");
  pass_on(s, o.every_flag, "--log-format", "text or json");
  pass_on(s, o.every_flag, "--log-level", "debug, info, warn or error");
  pass_on(s, o.every_flag, "--otlp-endpoint", "Send spans of requests to this OTLP/HTTP receiver");
  pass_on(s, o.node_flag, "--kv-profiles", "Library of KV profiles for all nodes, as `sluicectl profile` writes it");
  pass_on(s, o.node_flag, "--link-limit-mbps",
          "For tests and demonstrations: KV leaves each node as slowly as over a link of so many Mb/s");
  s.add_option("--state-file", o.state_file,
               "Keeps what was learned and set, over restarts; FILE.1, FILE.2, ... of further coordinators");
  for (const char* flag :
       {"--slo-ttft-ms", "--slo-tpot-ms", "--quality-kl", "--probe-share", "--quality-probe-share", "--tie-share",
        "--max-model-len", "--max-wait-s", "--max-tpot-ms", "--max-waiting", "--request-timeout-s", "--drain-timeout-s",
        "--lease-ms", "--trace-share", "--local-prefill"})
    pass_on(s, o.coordinator_flag, flag, "As for sluice-coordinator");
  s.add_option("--coordinator-arg", o.coordinator_arg, "Further argument for the coordinator, as it is (--x=y)");
  s.add_option("--prefill-arg", o.prefill_arg, "Further argument for every prefill node");
  s.add_option("--decode-arg", o.decode_arg, "Further argument for every decode node");
}

}  // namespace sluice::ctl
