#pragma once
// The directory of one local cluster: its state file, its lock, its logs, the list for Prometheus. Ours alone (mode
// 0700): whoever could write there could choose which processes `down` signals. Threading: one command at a time holds
// the lock. Failure: permission_denied, unavailable.
#include <filesystem>
#include <optional>
#include <string>

#include "common/result.h"
#include "coordinator/ctl/state.h"

namespace sluice::ctl {

/// ${XDG_RUNTIME_DIR:-/tmp}/sluice-<uid>
[[nodiscard]] std::filesystem::path default_run_dir();

/// Held while a command starts or stops the cluster; released when it goes.
class RunLock {
 public:
  explicit RunLock(int fd) : fd_(fd) {}
  RunLock(RunLock&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  RunLock& operator=(RunLock&&) = delete;
  ~RunLock();

 private:
  int fd_;
};

class RunDir {
 public:
  explicit RunDir(std::filesystem::path path) : path_(std::move(path)) {}

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path log(const std::string& name) const { return path_ / (name + ".log"); }
  /// Of a coordinator.
  [[nodiscard]] std::filesystem::path ready_file(const std::string& name) const { return path_ / (name + kReady); }

  [[nodiscard]] std::filesystem::path targets_file() const { return path_ / "targets.json"; }

  /// Makes it; refuses one that belongs to somebody else.
  [[nodiscard]] Result<> create() const;
  /// wait: until another command is done with the cluster; otherwise resource_exhausted.
  [[nodiscard]] Result<RunLock> lock(bool wait) const;

  /// Nothing when there is no state file.
  [[nodiscard]] Result<std::optional<ClusterState>> load() const;
  /// A reader sees the old state or the new one, never half of it.
  [[nodiscard]] Result<> save(const ClusterState& s) const;
  [[nodiscard]] Result<> save_targets(const std::string& text) const;
  void forget() const;

 private:
  static constexpr const char* kReady = ".ready";
  [[nodiscard]] std::filesystem::path state_file() const { return path_ / "cluster.json"; }
  [[nodiscard]] Result<> check_ours() const;
  [[nodiscard]] Result<> replace(const std::filesystem::path& file, const std::string& text) const;

  std::filesystem::path path_;
};

}  // namespace sluice::ctl
