#pragma once
// What the fabric library finds on this machine: its version, its transports and devices, and which of them a
// configuration would use. For reports; nothing is opened for longer than the call.
// Threading: any; some milliseconds, so not on a progress thread. Failure: none; what went wrong is told in words.
#include <string>
#include <vector>

#include "kvtransfer/transport/transport.h"

namespace sluice::kv {

struct FabricResource {
  std::string transport;  // "tcp", "posix", "rc_mlx5"
  std::string device;     // "eth0", "memory", "mlx5_0:1"
};

struct FabricReport {
  std::string version;
  std::vector<FabricResource> usable;  // by a transport with these options
  std::string why_none;                // why a transport with these options would not start; empty: it would
  std::vector<FabricResource> found;   // whatever the options say
};

[[nodiscard]] FabricReport report_fabric(const UcxOptions& o);

}  // namespace sluice::kv
