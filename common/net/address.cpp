#include "common/net/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace sluice::net {
namespace {

bool parse_port(std::string_view text, std::uint16_t& out) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  return ec == std::errc{} && end == text.data() + text.size();
}

/// In any of its spellings.
bool is_every_address(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (host.empty() || host == "*") return true;
  if (inet_aton(host.c_str(), &v4) == 1) return v4.s_addr == 0;
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && std::ranges::all_of(v6.s6_addr, [](auto b) { return b == 0; });
}

/// A name or an address, without a port; an IPv6 one in brackets or not.
Result<std::string> parse_host(std::string_view text) {
  std::string host(text);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  in6_addr v6{};
  const bool port_given = host.find(':') != std::string::npos && inet_pton(AF_INET6, host.c_str(), &v6) != 1;
  if (port_given || host.find_first_of(" /") != std::string::npos || is_every_address(host))
    return fail(Errc::invalid_argument, "'{}' is no host that others reach; write a name or an IP, without a port",
                text);
  return host;
}

}  // namespace

std::string host_port(std::string_view host, std::uint16_t port) {
  constexpr std::string_view kMapped = "::ffff:";
  if (host.starts_with(kMapped) && host.find('.') != std::string_view::npos) host.remove_prefix(kMapped.size());
  const bool bare_v6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  return bare_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<Address> parse_listen_address(std::string_view text) {
  const auto colon = text.rfind(':');
  Address a;
  if (colon == std::string_view::npos || !parse_port(text.substr(colon + 1), a.port))
    return fail(Errc::invalid_argument, "'{}' is not an address; write host:port, e.g. 127.0.0.1:7300", text);
  a.host = text.substr(0, colon);
  if (a.host.size() >= 2 && a.host.front() == '[' && a.host.back() == ']') a.host = a.host.substr(1, a.host.size() - 2);
  return a;
}

Result<Address> parse_address(std::string_view text) {
  SLUICE_ASSIGN(Address a, parse_listen_address(text));
  if (a.host.empty()) return fail(Errc::invalid_argument, "'{}' names no host; write host:port", text);
  return a;
}

Result<std::string> advertised_address(std::string_view listen, std::string_view advertise) {
  SLUICE_ASSIGN(Address a, parse_listen_address(listen));
  if (!advertise.empty()) {
    SLUICE_ASSIGN(a.host, parse_host(advertise));
  } else if (is_every_address(a.host)) {
    return fail(
        Errc::invalid_argument,
        "'{}' is every address of this machine, and none that others could reach: add --advertise HOST, the name "
        "or IP by which they reach it, or listen at one address",
        listen);
  }
  return a.str();
}

bool is_loopback(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "localhost") return true;
  const std::string text(host);
  in_addr v4{};
  in6_addr v6{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24U) == 127;
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

Result<PortRange> parse_port_range(const std::string& text) {
  if (text.empty() || text == "0") return PortRange{};
  const auto dash = text.find('-');
  const std::string_view first = std::string_view(text).substr(0, dash);
  const std::string_view last = dash == std::string::npos ? first : std::string_view(text).substr(dash + 1);
  PortRange r;
  if (!parse_port(first, r.first) || !parse_port(last, r.last) || r.first == 0 || r.last < r.first)
    return fail(Errc::invalid_argument, "'{}' is not a port range; write first-last, e.g. 7300-7399", text);
  return r;
}

}  // namespace sluice::net
