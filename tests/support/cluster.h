#pragma once
// A whole cluster of real processes: one coordinator, prefill nodes p0, p1, ... and decode nodes d0, d1, ... on the
// bundled model, on free ports, talking over UCX. For tests in tests/system. SLUICE_TEST_FRONT_THREADS in the
// environment is the coordinator's --front-threads.
//
// Life: the constructor returns once every node is registered; the destructor ends what still runs (SIGTERM, then
// SIGKILL) and removes the directory of logs. When an assertion fails, the tails of the live clusters' logs are
// printed. Threading: construct and destroy on the main thread, since children die with the thread that started them
// (PR_SET_PDEATHSIG); the const methods may be called from any thread. Failure: exceptions.
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/http/client.h"

namespace sluice::test {

/// One child process; its output goes to a file.
class Process {
 public:
  Process(const std::string& program, std::vector<std::string> args, const std::string& log_file);
  ~Process();  // SIGKILL
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const;
  /// The exit status, 128 + the signal's number when one ended it; nullopt when it still runs after `limit`.
  std::optional<int> wait(std::chrono::milliseconds limit);
  [[nodiscard]] bool ended() const noexcept { return status_.has_value(); }

 private:
  pid_t pid_ = -1;
  int handle_ = -1;  // pidfd
  std::optional<int> status_;
};

inline constexpr const char* kTcp = "tcp,self";
inline constexpr const char* kSharedMemory = "posix,tcp,self";  // tcp only to find each other

struct ClusterOptions {
  int prefills = 1;
  int decodes = 1;
  std::string tls = kTcp;
  int kv_memory_mib = 64;
  bool local_prefill = false;  // decode nodes compute prompts unasked, which on one machine is nearly always sooner
  std::vector<std::string> coordinator_flags, prefill_flags, decode_flags;
};

class Cluster {
 public:
  explicit Cluster(ClusterOptions o);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  [[nodiscard]] const std::string& http() const noexcept { return http_; }
  [[nodiscard]] const std::string& control() const noexcept { return control_; }
  [[nodiscard]] const std::filesystem::path& dir() const noexcept { return dir_; }
  [[nodiscard]] static std::string model_dir();

  /// Sends a signal to one process ("coordinator", "p0", "d1").
  void signal(const std::string& who, int number);
  /// SIGKILL, and gone when this returns.
  void kill(const std::string& who);
  /// Starts a node again under its name; returns once all nodes are registered.
  void restart(const std::string& node);
  /// The exit status of a process that was told to stop.
  std::optional<int> wait_exit(const std::string& who);
  [[nodiscard]] std::vector<std::string> names() const;

  // What the processes say about themselves.
  [[nodiscard]] nlohmann::json get(const std::string& target) const;
  [[nodiscard]] nlohmann::json node(const std::string& name) const;
  /// The sum of a metric's series whose labels hold `label` ("profile=\"h4\""); 0 when there is none.
  [[nodiscard]] double metric(const std::string& who, const std::string& name, const std::string& label = "") const;
  [[nodiscard]] std::string log(const std::string& who) const;
  /// Nothing runs, nothing is reserved: every KV block of every node is free.
  [[nodiscard]] bool idle() const;
  void print_logs() const;

 private:
  void start_coordinator();
  void start_node(const std::string& name);
  void wait_ready() const;
  [[nodiscard]] std::filesystem::path log_file(const std::string& who) const { return dir_ / (who + ".log"); }

  ClusterOptions options_;
  std::filesystem::path dir_;
  std::string http_, control_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
};

}  // namespace sluice::test
