#pragma once
// Child processes of the suites: this program again as the other side, ucx_perftest, a coordinator.
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace sluice::bench {

/// A child with a pipe to its stdin and one from its stdout and stderr; killed and reaped when it goes out of scope.
class Child {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;
  /// Starts argv[0] (searched in PATH) with `extra` added to an environment from which every UCX_* was removed.
  [[nodiscard]] static Result<Child> start(const std::vector<std::string>& argv, const Environment& extra = {});
  Child(Child&& o) noexcept
      : pid_(std::exchange(o.pid_, -1)), in_(std::exchange(o.in_, -1)), out_(std::exchange(o.out_, -1)) {}
  Child& operator=(Child&&) = delete;
  ~Child();

  /// The next line; empty at the end or after ten seconds of silence.
  [[nodiscard]] std::string line();
  [[nodiscard]] int pid() const noexcept { return pid_; }
  /// CPU time used so far, user and system.
  [[nodiscard]] double cpu_seconds() const;
  /// Everything until the child closes its output, or until it was silent for that long.
  [[nodiscard]] std::string rest(int silence_s);

 private:
  Child() = default;
  [[nodiscard]] bool readable(int timeout_s) const;
  int pid_ = -1, in_ = -1, out_ = -1;
};

/// Path of this program.
[[nodiscard]] std::string self_path();
/// A TCP port nobody uses at the moment.
[[nodiscard]] int free_port();
/// Waits up to ten seconds until some process listens at the port, without connecting to it.
[[nodiscard]] bool wait_for_listener(int port);

}  // namespace sluice::bench
