#pragma once
// The options both kinds of node share: who they are, what they serve, how much memory KV may take, which transports.
// Threading: start-up only.
#include <cstdint>
#include <string>
#include <vector>

#include "common/etcd/registry.h"
#include "common/flags/flags.h"
#include "common/tls/cluster_options.h"
#include "common/trace/tracing.h"

namespace sluice::node {

struct NodeOptions {
  std::string name;                       // empty: random
  std::vector<std::string> coordinators;  // host:port of their control planes
  etcd::Registry registry;                // where further ones are found
  tls::ClusterOptions cluster;
  std::string model_dir;
  std::string model_name;                    // empty: the directory's name
  std::string admin_listen = "127.0.0.1:0";  // /metrics and /health
  std::string admin_tls = "off";             // these pages: off, server or mutual
  std::string advertise;                     // host by which others reach this node; empty: as it listens
  std::uint32_t block_size = 16;             // tokens per KV block
  std::uint32_t kv_memory_mib = 0;           // 0: from the memory that is there
  double memory_share = 1;                   // of the machine's memory that is this node's
  std::string kv_dtype = "bf16";
  std::string precision = "bf16";
  std::string isa = "auto";
  std::string kv_profiles;  // JSON file; empty: those of this build
  std::uint32_t threads = 0;
  std::uint32_t max_batch_tokens = 2048;
  std::uint32_t prefill_chunk = 512;
  std::string ucx_tls = "tcp,self";
  std::string ucx_net_devices;
  std::string ucx_port_range;  // first-last; empty: as UCX_TCP_PORT_RANGE says, else any
  double link_limit_mbps = 0;  // of each connection's sending; 0: none
  std::uint32_t keepalive_ms = 500;
  double drain_timeout_s = 30;
  double wedge_s = 30;
  trace::TraceOptions trace;
  std::string notify_socket;  // of the service manager; empty: none
  std::string keeps_role;     // why it cannot go on in the other role; empty: it can. No option: OtherRole tells
};

/// What the flags leave to be read and checked: secrets from their files. Throws UsageError.
void settle_node_options(NodeOptions& o);
void add_node_options(flags::App& app, NodeOptions& o);

/// Throws UsageError for what can be told of them before anything is loaded.
void check_node_options(NodeOptions o);

/// Throws UsageError for a --ucx-port-range that is none, before anything is loaded.
void check_port_range(const NodeOptions& o);

/// What others are told of a place that this node listens at. Throws UsageError, in words that name the flag.
[[nodiscard]] std::string advertised(const NodeOptions& o, const std::string& flag, const std::string& listen);

}  // namespace sluice::node
