#include "node/node_options.h"

#include "common/flags/program.h"
#include "common/net/address.h"

namespace sluice::node {

void add_node_options(flags::App& app, NodeOptions& o) {
  app.add_option("--name", o.name, "Node name, unique in the cluster; default: random");
  app.add_option("--coordinator", o.coordinators,
                 "Coordinators' control addresses, host:port[,host:port...]; with --registry besides those found there")
      ->delimiter(',');
  etcd::add_registry_options(app, o.registry);
  tls::add_cluster_options(app, o.cluster);
  app.add_option("--model", o.model_dir, "Hugging Face model directory")->required();
  app.add_option("--model-name", o.model_name, "Name clients ask for; default: the directory's name");
  app.add_option("--admin-listen", o.admin_listen, "Address of /metrics and /health")->capture_default_str();
  app.add_option("--admin-tls", o.admin_tls,
                 "server: these pages are HTTPS, with --cluster-cert; mutual: and only for who shows a certificate of "
                 "--cluster-ca")
      ->capture_default_str()
      ->check(flags::one_of({"off", "server", "mutual"}));
  app.add_option("--advertise", o.advertise,
                 "Name or IP by which other machines reach this node, of all its addresses; needed where it listens at "
                 "every address (0.0.0.0), or behind address translation");
  app.add_option("--block-size", o.block_size, "Tokens per KV block")
      ->capture_default_str()
      ->check(flags::range(1, 1024));
  app.add_option("--kv-memory-mib", o.kv_memory_mib,
                 "Memory for KV blocks; 0: from the memory that is there and what the model can use")
      ->capture_default_str()
      ->check(flags::non_negative());
  app.add_option("--memory-share", o.memory_share,
                 "Share of the machine's memory that is this node's, when several nodes share a machine")
      ->capture_default_str()
      ->check(flags::range(0.001, 1));
  app.add_option("--kv-dtype", o.kv_dtype, "Element type of KV")
      ->capture_default_str()
      ->check(flags::one_of({"bf16", "f32"}));
  app.add_option("--precision", o.precision, "Precision of matrix products")
      ->capture_default_str()
      ->check(flags::one_of({"bf16", "f32"}));
  app.add_option("--isa", o.isa, "Instruction set: auto, scalar, avx2, avx512, avx512_nobf16")->capture_default_str();
  app.add_option("--kv-profiles", o.kv_profiles,
                 "KV profiles, a JSON file, the same on every node; default: those of this build")
      ->check(flags::existing_file());
  app.add_option("--threads", o.threads, "Compute threads; 0 takes all cores")->capture_default_str();
  app.add_option("--max-batch-tokens", o.max_batch_tokens, "Rows in one forward pass")
      ->capture_default_str()
      ->check(flags::positive());
  app.add_option("--prefill-chunk", o.prefill_chunk, "Rows of one prompt in one pass")
      ->capture_default_str()
      ->check(flags::positive());
  app.add_option("--ucx-tls", o.ucx_tls, "UCX transports, an explicit list")->capture_default_str();
  app.add_option("--ucx-net-devices", o.ucx_net_devices, "UCX network devices; empty: all");
  app.add_option("--ucx-port-range", o.ucx_port_range,
                 "TCP ports that UCX listens at, first-last, and --data-listen with port 0, too; default: "
                 "UCX_TCP_PORT_RANGE if that is set, else any");
  app.add_option("--link-limit-mbps", o.link_limit_mbps,
                 "For tests and demonstrations: KV leaves as slowly as over a link of so many Mb/s; 0: no limit")
      ->check(flags::range(0.0, 1e6));
  app.add_option("--keepalive-ms", o.keepalive_ms, "UCX keepalive interval")
      ->capture_default_str()
      ->check(flags::range(10, 1000));
  app.add_option("--drain-timeout-s", o.drain_timeout_s, "Time for running requests after SIGTERM")
      ->capture_default_str()
      ->check(flags::range(0.0, 1e6));
  app.add_option("--notify-socket", o.notify_socket, "Socket of the service manager, which is told of start and end")
      ->envname("NOTIFY_SOCKET");
  app.add_option("--wedge-s", o.wedge_s,
                 "An engine that has work and does not move for this long makes the node unready; ten times as long, "
                 "not live")
      ->capture_default_str()
      ->check(flags::range(0.1, 1e6));
  trace::add_trace_options(app, o.trace, trace::Begins::no);
}

void check_port_range(const NodeOptions& o) {
  if (const auto range = net::parse_port_range(o.ucx_port_range); !range)
    throw UsageError("--ucx-port-range", range.error().message);
}

void settle_node_options(NodeOptions& o) {
  tls::settle_cluster_options(o.cluster);
  if (o.admin_tls != "off" && o.cluster.files.cert.empty())
    throw UsageError("--admin-tls", "takes --cluster-cert, --cluster-key and --cluster-ca");
}

void check_node_options(NodeOptions o) {
  (void)advertised(o, "--admin-listen", o.admin_listen);
  check_port_range(o);
  settle_node_options(o);
}

std::string advertised(const NodeOptions& o, const std::string& flag, const std::string& listen) {
  auto address = net::advertised_address(listen, o.advertise);
  if (!address) throw UsageError(flag, address.error().message);
  return *address;
}

}  // namespace sluice::node
