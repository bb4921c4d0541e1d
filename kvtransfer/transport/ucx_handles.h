#pragma once
// One owner per UCX handle: what is created is destroyed, in order, whatever path leaves the scope.
//
// Threading: a context may be shared; a worker and everything made from it belong to one thread at a time.
// Failure: creation returns Result with UCX's own words; nothing here throws.
#include <ucp/api/ucp.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace sluice::kv::ucx {

[[nodiscard]] Error to_error(ucs_status_t status, std::string what);

class Config {
 public:
  [[nodiscard]] static Result<Config> read();
  [[nodiscard]] Result<> set(const char* name, const std::string& value);
  [[nodiscard]] const ucp_config_t* get() const noexcept { return handle_.get(); }

 private:
  struct Release {
    void operator()(ucp_config_t* c) const noexcept { ucp_config_release(c); }
  };
  std::unique_ptr<ucp_config_t, Release> handle_;
};

class Context {
 public:
  [[nodiscard]] static Result<Context> create(const Config& config);
  /// UCX's text about its transports and devices.
  [[nodiscard]] std::string info() const;
  [[nodiscard]] ucp_context_h get() const noexcept { return handle_.get(); }

 private:
  struct Release {
    void operator()(ucp_context_h c) const noexcept { ucp_cleanup(c); }
  };
  std::unique_ptr<ucp_context, Release> handle_;
};

class Worker {
 public:
  [[nodiscard]] static Result<Worker> create(const Context& context);
  [[nodiscard]] Result<> on_am(unsigned id, ucp_am_recv_callback_t cb, void* arg);
  [[nodiscard]] Result<int> event_fd() const;
  [[nodiscard]] Result<std::vector<std::byte>> address() const;
  /// True when something happened.
  bool progress() noexcept { return ucp_worker_progress(handle_.get()) != 0; }
  /// True when it is safe to sleep on event_fd(); false: call progress() first.
  [[nodiscard]] Result<bool> arm() noexcept;
  [[nodiscard]] ucp_worker_h get() const noexcept { return handle_.get(); }

 private:
  struct Release {
    void operator()(ucp_worker_h w) const noexcept { ucp_worker_destroy(w); }
  };
  std::unique_ptr<ucp_worker, Release> handle_;
};

/// A non-blocking operation in flight. Dropping it does not cancel the operation; UCX frees it when it ends.
class Request {
 public:
  Request() = default;
  explicit Request(ucs_status_ptr_t p) : handle_(UCS_PTR_IS_PTR(p) ? p : nullptr) {}
  [[nodiscard]] bool done() const noexcept {
    return !handle_ || ucp_request_check_status(handle_.get()) != UCS_INPROGRESS;
  }

 private:
  struct Release {
    void operator()(void* r) const noexcept { ucp_request_free(r); }
  };
  std::unique_ptr<void, Release> handle_;
};

/// A connection's end. Destroying an open one closes it by force; the worker finishes that as it progresses.
class Endpoint {
 public:
  /// `to` is the other worker's address(); cb(arg, ...) reports its end.
  [[nodiscard]] static Result<Endpoint> connect(const Worker& worker, std::span<const std::byte> to,
                                                ucp_err_handler_cb_t cb, void* arg);
  Endpoint() = default;
  Endpoint(Endpoint&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)) {}
  Endpoint& operator=(Endpoint&& o) noexcept {
    std::swap(handle_, o.handle_);
    return *this;
  }
  ~Endpoint() { (void)close(); }

  /// Ends the endpoint now: operations in flight finish with an error.
  [[nodiscard]] Request close();
  /// UCX's text about lanes and protocols.
  [[nodiscard]] std::string info() const;
  [[nodiscard]] ucp_ep_h get() const noexcept { return handle_; }

 private:
  ucp_ep_h handle_ = nullptr;
};

}  // namespace sluice::kv::ucx
