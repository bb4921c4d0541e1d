#pragma once
// The way to a decode node, as the export needs it. Threading: any thread.
#include <functional>
#include <span>
#include <string>

#include "common/ids.h"
#include "common/result.h"
#include "kvtransfer/flow/buffer_pool.h"

namespace sluice::node {

struct LinkNow {
  double bytes_per_s = 0;  // what it carries now; 0 = not known
  double ahead_bytes = 0;  // handed over, not given back by the decode node
};

class FrameOut {
 public:
  virtual ~FrameOut() = default;
  using Done = std::move_only_function<void(Result<>)>;
  /// Sends one frame of request `tag` to `address`; done once, from any thread, when the payload may be dropped.
  virtual void send(const std::string& address, RequestId tag, std::span<const std::byte> header, kv::Buffer payload,
                    Done done) = 0;
  /// Drops frames of the request that were not sent yet (their done gets `cancelled`).
  virtual void cancel(const std::string& address, RequestId tag) = 0;
  /// Called under the export queue's lock: it must not come back to the export.
  [[nodiscard]] virtual LinkNow link(const std::string& address) const = 0;
};

}  // namespace sluice::node
