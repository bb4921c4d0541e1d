#pragma once
// The context in use, made anew when its files change: certificates are renewed without a restart. Connections keep the
// context they began with. New files that do not fit (a certificate whose key has not come yet, a broken one) are said
// once and left; the old context stays.
// Threading: current() on any thread, the rest on one; the contexts it gives may go to any.
#include <memory>
#include <mutex>
#include <string>

#include "common/file_stamp.h"
#include "common/tls/context.h"

namespace sluice::tls {

class Source {
 public:
  /// `what` names it in logs: "HTTP", "control plane".
  [[nodiscard]] static Result<std::shared_ptr<Source>> open(ContextOptions o, std::string what);
  [[nodiscard]] std::shared_ptr<const Context> current() const {
    const std::lock_guard lock(mutex_);
    return context_;
  }
  /// Looks at the files, which costs little. True: there is a new context.
  bool refresh();
  /// Times that new files could not be used.
  [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

 private:
  Source(ContextOptions o, std::string what) : options_(std::move(o)), what_(std::move(what)) {}
  [[nodiscard]] FileStamp stamp() const;

  ContextOptions options_;
  std::string what_;
  FileStamp seen_;
  mutable std::mutex mutex_;  // guards the pointer
  std::shared_ptr<const Context> context_;
  std::uint64_t failures_ = 0;
};

}  // namespace sluice::tls
