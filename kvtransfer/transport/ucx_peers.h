#pragma once
// The other workers that this one has endpoints to, one each, shared by all connections to it. An endpoint that fails,
// or that a connection condemns, ends for all of them.
//
// Threading: the progress thread. UCX reports a failure from within progress(), where no endpoint may be closed: it is
// kept until settle().
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "kvtransfer/transport/ucx_connection.h"
#include "kvtransfer/transport/ucx_handles.h"

namespace sluice::kv::ucx {

class Peers {
 public:
  /// A peer is gone: its connections have to end with this error.
  using Lost = std::function<void(const Peer&, const Error&)>;
  explicit Peers(Lost lost) : lost_(std::move(lost)) {}
  Peers(const Peers&) = delete;  // endpoints point to it
  Peers& operator=(const Peers&) = delete;

  /// The peer with that address of its worker; made where there is none yet.
  [[nodiscard]] Result<std::shared_ptr<Peer>> at(const Worker& worker, const std::vector<std::byte>& fabric);
  /// Ends the endpoint, and with it every connection to that worker.
  void condemn(Peer& peer);
  void condemn_all();
  /// Ends what UCX reported, and lets go of closings that are over.
  void settle();
  [[nodiscard]] bool closing() const noexcept { return !closing_.empty(); }
  void abandon() { closing_.clear(); }

 private:
  static void on_error(void* arg, ucp_ep_h ep, ucs_status_t status);

  Lost lost_;
  std::map<std::vector<std::byte>, std::shared_ptr<Peer>> by_address_;
  std::vector<std::shared_ptr<Peer>> failed_;
  std::vector<Request> closing_;
};

}  // namespace sluice::kv::ucx
