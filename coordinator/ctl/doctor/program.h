#pragma once
// Runs another program for what it prints, bounded in time and bytes. No shell: arguments are what they are.
// Threading: any; blocks until it ends or is ended. Failure: not_found (no such program), deadline_exceeded (it was
// killed), unavailable (it ended with an error; its words), data_corrupt (it printed too much).
#include <sys/types.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace sluice::ctl::doctor {

struct Program {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> env;  // on top of ours
  std::chrono::milliseconds limit{10000};
  std::size_t max_bytes = 1U << 20;
};

/// What it printed on standard output.
[[nodiscard]] Result<std::string> output_of(const Program& p);

/// One that runs beside us until the scope ends; its output is dropped.
class Beside {
 public:
  explicit Beside(const Program& p);
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;
  ~Beside();
  [[nodiscard]] bool started() const noexcept { return pid_ > 0; }

 private:
  pid_t pid_ = -1;
};

}  // namespace sluice::ctl::doctor
