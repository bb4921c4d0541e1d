#include "coordinator/ctl/doctor/command.h"

#include <algorithm>

#include "coordinator/ctl/process.h"

namespace sluice::ctl::doctor {
namespace {

constexpr std::size_t kLogLines = 2;

/// The nodes that `up` started, and which of them have ended.
std::vector<Expected> members_of(const ClusterState& local, const RunDir& dir) {
  std::vector<Expected> out;
  for (const auto& m : local.members) {
    if (m.role == "coordinator") continue;
    const bool ended = !alive(m.process);
    std::string log = ended ? last_lines(dir.log(m.name), kLogLines) : std::string();
    while (log.ends_with('\n')) log.pop_back();
    std::ranges::replace(log, '\n', '|');
    out.push_back({m.name, ended, std::move(log)});
  }
  return out;
}

}  // namespace

void add_flags(flags::App& c, CommandLine& line) {
  Options& o = line.options;
  c.add_flag("--host-only", o.host_only, "Look at this host alone, also where a cluster runs");
  c.add_option("--model", o.host.model, "Model directory that nodes of this host are to serve");
  c.add_option("--nodes", o.host.nodes, "Nodes that are to run on this host")
      ->capture_default_str()
      ->check(flags::range(1, 1024));
  c.add_option("--threads", o.host.threads, "Compute threads of each of them; 0: all cores")
      ->capture_default_str()
      ->check(flags::non_negative());
  c.add_option("--kv-memory-mib", o.host.kv_memory_mib, "KV memory of each of them; 0: their own choice")
      ->capture_default_str()
      ->check(flags::non_negative());
  c.add_option("--ucx-tls", o.host.ucx_tls, "UCX transports that they are to use; default: the daemons' own");
  c.add_option("--ucx-net-devices", o.host.ucx_net_devices, "UCX network devices that they are to use; default: all");
  c.add_option("--max-connections", o.host.max_connections, "HTTP connections that the coordinator is to hold")
      ->capture_default_str()
      ->check(flags::positive());
  c.add_option("--listen", o.host.listen,
               "Address that a daemon of this host is to listen at; may be given several times");
  c.add_flag("--several-machines", o.host.several_machines,
             "The cluster spans machines, so others must reach those addresses");
  c.add_option("--cert", o.certificates.cert, "Certificate to look at, PEM");
  c.add_option("--key", o.certificates.key, "Its private key");
  c.add_option("--ca", o.certificates.ca, "Certificates of the CA that is to have signed it");
  c.add_option("--secret", o.certificates.secrets, "File that only its owner may read; may be given several times");
  c.add_option("--expect", line.expected, "Node that the cluster should have; may be given several times");
  c.add_option("--slo-class", o.slo_class, "Class of objectives that the canary is held against")
      ->capture_default_str();
  c.add_option("--node-timeout-s", o.node_timeout_s, "Time for a node's page")
      ->capture_default_str()
      ->check(flags::range(0.1, 60));
  c.add_flag("--no-canary", line.no_canary, "Send no request of its own");
  c.add_flag("--no-perftest", line.no_perftest, "Do not run ucx_perftest");
  c.add_flag("--pd", o.pd,
             "Measure whether splitting prefill from decode is worth it on this cluster; takes a minute or more, on an "
             "idle cluster");
  c.add_option("--pd-prompts", line.prompts, "Prompt lengths of --pd, in tokens; default: 64,256,1024,4096")
      ->delimiter(',')
      ->check(flags::range(1, 10'000'000));
  c.add_option("--pd-rounds", o.pd_options.rounds, "Rounds of --pd")
      ->capture_default_str()
      ->check(flags::range(1, 1000));
}

Options with_cluster(const CommandLine& line, std::optional<Endpoint> cluster, const std::optional<ClusterState>& local,
                     const RunDir& dir) {
  Options o = line.options;
  if (!line.prompts.empty()) o.pd_options.prompts.clear();
  for (const double tokens : line.prompts) o.pd_options.prompts.push_back(static_cast<std::uint64_t>(tokens));
  o.canary = !line.no_canary;
  o.perftest = !line.no_perftest;
  if (o.host_only) return o;
  o.cluster = std::move(cluster);
  for (const auto& name : line.expected) o.expected.push_back({name, false, {}});
  if (!o.cluster || !local) return o;
  const auto is_it = [&](const std::string& url) {
    const auto at = address_of_url(url);
    return at && *at == o.cluster->address;
  };
  if (!std::ranges::any_of(local->urls(), is_it)) return o;
  for (auto& e : members_of(*local, dir)) o.expected.push_back(std::move(e));
  return o;
}

}  // namespace sluice::ctl::doctor
