#pragma once
// The program under measurement, a process of its own, so that its CPU time is nobody else's: a coordinator, or the
// relay that stands beside it as a reference.
// Threading: the thread that made it. Failure: an Error that names the program.
#include <string>
#include <vector>

#include "tools/bench/transport_process.h"

namespace sluice::bench {

/// CPU time so far, in seconds.
struct CpuTime {
  double process = 0;      // all its threads
  double main_thread = 0;  // the one that runs the io_context
};

class FrontProcess {
 public:
  /// `program`: of a coordinator; its log goes nowhere.
  [[nodiscard]] static Result<FrontProcess> coordinator(const std::string& program, const std::string& model_dir);
  /// This program again, with these words behind "front -- relay". It says where it listens in two lines.
  [[nodiscard]] static Result<FrontProcess> relay(const std::vector<std::string>& arguments);

  [[nodiscard]] const std::string& http() const noexcept { return http_; }
  [[nodiscard]] const std::string& control() const noexcept { return control_; }
  [[nodiscard]] CpuTime cpu() const;

 private:
  explicit FrontProcess(Child child) : child_(std::move(child)) {}
  Child child_;
  std::string http_, control_;
};

}  // namespace sluice::bench
