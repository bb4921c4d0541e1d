#pragma once
// "host:port" as users write it; IPv6 hosts in brackets. Pure text: nothing is resolved here.
#include <cstdint>
#include <string>

#include "common/result.h"

namespace sluice::kv {

struct Address {
  std::string host;
  std::uint16_t port = 0;
  [[nodiscard]] std::string str() const;
};
[[nodiscard]] Result<Address> parse_address(const std::string& text);

struct PortRange {
  std::uint16_t first = 0, last = 0;  // both 0: any port
};
/// "first-last" or one port; empty or "0" (UCX's own "any") gives {0, 0}.
[[nodiscard]] Result<PortRange> parse_port_range(const std::string& text);

}  // namespace sluice::kv
