#pragma once
// What UCX is told, and what its own texts say of what it does. Threading: any; no state.
#include <string>
#include <vector>

#include "common/result.h"
#include "kvtransfer/transport/fabric.h"
#include "kvtransfer/transport/transport.h"
#include "kvtransfer/transport/ucx_handles.h"

namespace sluice::kv::ucx {

/// The options in UCX's terms. unavailable or invalid_argument: UCX refuses one.
[[nodiscard]] Result<Config> configure(const UcxOptions& o);

/// UCX only warns of a device that is not there, and starts without it: such a node would look ready and reach nobody.
/// invalid_argument names those that are there.
[[nodiscard]] Result<> check_devices(const UcxOptions& o);

/// The pairs of transport and device that UCX would use. From UCX's own text:
/// "#      resource 1  :  md 1  dev 1  flags -- tcp/eth0" gives {"tcp", "eth0"}.
[[nodiscard]] Result<std::vector<FabricResource>> resources(const Config& config);

/// One of the listed transports is not TCP: a connection over TCP is then slower than it was meant to be.
[[nodiscard]] bool names_faster_than_tcp(const std::string& tls);

/// The transport and device of the lane that carries active messages, from UCX's own text:
/// "lane[0]:  2:tcp/lo.0 md[1] -> ... am am_bw#0" gives "tcp/lo".
[[nodiscard]] std::string message_lane(const std::string& info);

}  // namespace sluice::kv::ucx
