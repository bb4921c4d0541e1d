#pragma once
// "host:port" as users write it; IPv6 hosts in brackets. Pure text: nothing is resolved here. Thread-safe. Failure:
// invalid_argument that shows the text and how to write it.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace sluice::net {

/// As in a URL: an IPv6 host in brackets, one that stands for an IPv4 host ("::ffff:10.0.0.1") as that. A host that has
/// brackets keeps them.
[[nodiscard]] std::string host_port(std::string_view host, std::uint16_t port);

struct Address {
  std::string host;
  std::uint16_t port = 0;
  [[nodiscard]] std::string str() const { return host_port(host, port); }
};

/// Of somebody to talk to.
[[nodiscard]] Result<Address> parse_address(std::string_view text);
/// Of a place to listen at: ":port" means all interfaces, and has an empty host.
[[nodiscard]] Result<Address> parse_listen_address(std::string_view text);

/// The address that others are told, of a place that is listened at: with the host `advertise`, or as it is where that
/// is empty. invalid_argument: it is no host, or nobody said one and the place is every address of the machine
/// (0.0.0.0,
/// [::], no host), which for whoever is told it would be himself.
[[nodiscard]] Result<std::string> advertised_address(std::string_view listen, std::string_view advertise);

/// Only processes of this machine reach a place there. A name other than localhost is not looked up: it is not.
[[nodiscard]] bool is_loopback(std::string_view host);

struct PortRange {
  std::uint16_t first = 0, last = 0;  // both 0: any port
};
/// "first-last" or one port; empty or "0" (UCX's own "any") gives {0, 0}.
[[nodiscard]] Result<PortRange> parse_port_range(const std::string& text);

}  // namespace sluice::net
