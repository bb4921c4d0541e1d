#pragma once
// The coordinator process: builds the rooms, wires them, runs the deciding thread's io_context and the front's threads,
// and drains on SIGTERM. The only place that makes concrete types. Threading: run_app() makes the calling thread the
// deciding one, until the process should end.
#include <string>
#include <vector>

#include "common/etcd/registry.h"
#include "common/trace/tracing.h"
#include "coordinator/access.h"
#include "coordinator/api/output_choice.h"
#include "coordinator/api/prompt_pool.h"
#include "coordinator/http/server.h"
#include "coordinator/serving/serving.h"

namespace sluice::coordinator {

struct AppOptions {
  std::string model_dir;
  std::string model_name;  // empty: the directory's name
  int max_model_len = 0;   // 0: the model's
  OutputChoice output;     // how tool calls and reasoning are told from its text
  HttpServerOptions http;
  int front_threads = 1;  // 1: the deciding thread is the front, too
  AccessOptions access;   // settled
  PromptPoolOptions prompts;
  ServingOptions serving;
  trace::TraceOptions trace;
  int responses_memory_mib = 64;  // of kept answers of the Responses API; 0: none are kept
  double drain_timeout_s = 30;
  double wedge_s = 30;
  std::string state_file;     // what was learned and set, over restarts; empty: nothing is kept
  etcd::Registry registry;    // shared with other coordinators; default: none, all is in memory
  std::string name;           // among them; empty: the one in the state file, else a random one
  std::string advertise;      // host by which nodes and others reach this one; empty: as it listens
  std::string ready_file;     // written with the addresses in use once they are bound
  std::string notify_socket;  // of the service manager; empty: none
};

/// Returns the process's exit code; throws std::runtime_error when it cannot start (model, address).
int run_app(const AppOptions& o);

}  // namespace sluice::coordinator
