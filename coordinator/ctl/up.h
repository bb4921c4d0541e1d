#pragma once
// `up`: one coordinator or several, P prefill and M decode nodes as child processes, until /health says that all have
// joined. Either everything runs at the end or nothing does. Threading: the caller's thread alone; it takes SIGINT,
// SIGTERM, SIGHUP and SIGCHLD for itself.
#include <memory>
#include <string>
#include <vector>

#include "common/result.h"
#include "common/tls/context.h"
#include "coordinator/ctl/run_dir.h"

namespace sluice::ctl {

struct UpOptions {
  std::string model;
  int coordinators = 1;
  std::string registry;  // what several coordinators share; given to all daemons
  int prefill = 1;
  int decode = 1;
  std::string host = "127.0.0.1";
  int port = 8000;         // of the first coordinator; the others have the next ones
  std::string state_file;  // of the first coordinator; FILE.1, FILE.2, ... of the others; empty: none
  std::string transport = "tcp";
  int threads = 0;        // per node; 0 shares the cores out
  int kv_memory_mib = 0;  // 0: each takes its share of what is there
  bool detach = false;
  bool json = false;  // the state to stdout once ready; progress goes to stderr
  int ready_timeout_s = 60;
  int stop_timeout_s = 35;
  std::string api_key;
  std::shared_ptr<const tls::Context> tls;  // whom to believe when the coordinator speaks https
  // Flags of our own that daemons take as they are: all of them, the coordinator, the nodes.
  std::vector<std::string> every_flag, coordinator_flag, node_flag;
  std::vector<std::string> coordinator_arg;  // further ones, as they were given
  std::vector<std::string> prefill_arg;
  std::vector<std::string> decode_arg;
};

/// Compute threads of one node, so that all nodes together take each core once.
[[nodiscard]] int threads_per_node(int asked, unsigned cores, int nodes);
/// The explicit UCX list of a transport's name.
[[nodiscard]] std::string ucx_list(const std::string& transport);

/// What does not go together, before anything is started.
[[nodiscard]] Result<> check(const UpOptions& o);
/// "coordinator" where there is one, else "coordinator-0" and so on.
[[nodiscard]] std::string coordinator_name(const UpOptions& o, int index);
/// What each daemon is started with; a node's name comes beside it. index: which of the coordinators.
[[nodiscard]] std::vector<std::string> coordinator_args(const UpOptions& o, const std::string& model,
                                                        const std::string& ready_file, int index);
/// control: control addresses of all coordinators, with commas.
[[nodiscard]] std::vector<std::string> node_args(const UpOptions& o, const std::string& model,
                                                 const std::string& control, int threads,
                                                 const std::vector<std::string>& extra);

/// Exit code. In the foreground it returns when the cluster has ended.
[[nodiscard]] Result<int> up(const UpOptions& o, const RunDir& dir);

}  // namespace sluice::ctl
