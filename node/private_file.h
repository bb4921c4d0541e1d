#pragma once
// A file in memory that only this process can open, and programs that it hands the descriptor to: for options that may
// be secrets. Not kept over exec unless replace_process() or run_program() say so. Threading: values.
// Failure: unavailable when the kernel gives no such file.
#include <string>
#include <utility>

#include "common/result.h"

namespace sluice::node {

class PrivateFile {
 public:
  [[nodiscard]] static Result<PrivateFile> of(const std::string& text);
  PrivateFile(PrivateFile&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  PrivateFile& operator=(PrivateFile&&) = delete;
  ~PrivateFile();

  [[nodiscard]] int descriptor() const noexcept { return fd_; }
  /// By which who has the descriptor opens it.
  [[nodiscard]] std::string path() const;

 private:
  explicit PrivateFile(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace sluice::node
