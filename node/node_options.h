#pragma once
// The options both kinds of node share: who they are, what they serve, how much memory KV may take, which transports.
// Threading: start-up only.
#include <CLI/CLI.hpp>
#include <string>

namespace sluice::node {

struct NodeOptions {
  std::string name;         // empty: random
  std::string coordinator;  // host:port of its control plane
  std::string cluster_token;
  std::string model_dir;
  std::string model_name;                    // empty: the directory's name
  std::string admin_listen = "127.0.0.1:0";  // /metrics and /health
  std::uint32_t block_size = 16;             // tokens per KV block
  std::uint32_t kv_memory_mib = 512;
  std::string kv_dtype = "bf16";
  std::string precision = "bf16";
  std::string isa = "auto";
  std::string kv_profiles;  // JSON file; empty: those of this build
  std::uint32_t threads = 0;
  std::uint32_t max_batch_tokens = 2048;
  std::uint32_t prefill_chunk = 512;
  std::string ucx_tls = "tcp,self";
  std::string ucx_net_devices;
  std::uint32_t keepalive_ms = 500;
  double drain_timeout_s = 30;
};

inline void add_node_options(CLI::App& app, NodeOptions& o) {
  app.add_option("--name", o.name, "Node name, unique in the cluster; default: random");
  app.add_option("--coordinator", o.coordinator, "Coordinator's control address, host:port")->required();
  app.add_option("--cluster-token", o.cluster_token, "Secret the coordinator demands")->envname("SLUICE_CLUSTER_TOKEN");
  app.add_option("--model", o.model_dir, "Hugging Face model directory")->required();
  app.add_option("--model-name", o.model_name, "Name clients ask for; default: the directory's name");
  app.add_option("--admin-listen", o.admin_listen, "Address of /metrics and /health")->capture_default_str();
  app.add_option("--block-size", o.block_size, "Tokens per KV block")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--kv-memory-mib", o.kv_memory_mib, "Memory for KV blocks")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--kv-dtype", o.kv_dtype, "Element type of KV")
      ->capture_default_str()
      ->check(CLI::IsMember({"bf16", "f32"}));
  app.add_option("--precision", o.precision, "Precision of matrix products")
      ->capture_default_str()
      ->check(CLI::IsMember({"bf16", "f32"}));
  app.add_option("--isa", o.isa, "Instruction set: auto, scalar, avx2, avx512, avx512_nobf16")->capture_default_str();
  app.add_option("--kv-profiles", o.kv_profiles,
                 "KV profiles, a JSON file, the same on every node; default: those of this build")
      ->check(CLI::ExistingFile);
  app.add_option("--threads", o.threads, "Compute threads; 0 takes all cores")->capture_default_str();
  app.add_option("--max-batch-tokens", o.max_batch_tokens, "Rows in one forward pass")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--prefill-chunk", o.prefill_chunk, "Rows of one prompt in one pass")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--ucx-tls", o.ucx_tls, "UCX transports, an explicit list")->capture_default_str();
  app.add_option("--ucx-net-devices", o.ucx_net_devices, "UCX network devices; empty: all");
  app.add_option("--keepalive-ms", o.keepalive_ms, "UCX keepalive interval")
      ->capture_default_str()
      ->check(CLI::Range(10, 1000));
  app.add_option("--drain-timeout-s", o.drain_timeout_s, "Time for running requests after SIGTERM")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e6));
}

}  // namespace sluice::node
