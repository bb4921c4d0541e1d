#include "coordinator/ctl/doctor/places.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "common/net/address.h"

namespace sluice::ctl::doctor {
namespace {

struct FreeInfo {
  void operator()(addrinfo* a) const noexcept { ::freeaddrinfo(a); }
};

/// A listener as the daemons make it: SO_REUSEADDR, so that an old connection in TIME_WAIT is no matter. 0 or errno.
int bind_error(const addrinfo& a) {
  const int fd = ::socket(a.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (a.ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  int error = 0;
  if (::bind(fd, a.ai_addr, a.ai_addrlen) != 0 || ::listen(fd, 1) != 0) error = errno;
  ::close(fd);
  return error;
}

std::string bare(std::string host) {
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

}  // namespace

bool is_loopback(const std::string& address) {
  const auto at = net::parse_listen_address(address);
  if (!at) return false;
  const std::string host = bare(at->host);
  return host.starts_with("127.") || host == "localhost" || host == "::1";
}

Place try_place(const std::string& address) {
  Place p{.address = address};
  const auto at = net::parse_listen_address(address);
  if (!at) {
    p.well_formed = false;
    return p;
  }
  const std::string host = bare(at->host);
  p.loopback = is_loopback(address);
  p.every_address = host.empty() || host == "0.0.0.0" || host == "::";
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  const std::string port = std::to_string(at->port);
  if (::getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &raw) != 0 || raw == nullptr) {
    p.bind_error = EADDRNOTAVAIL;
    return p;
  }
  const std::unique_ptr<addrinfo, FreeInfo> found(raw);
  p.bind_error = bind_error(*found);
  return p;
}

Findings judge_places(const std::vector<Place>& places, bool several_machines) {
  Notebook n("Addresses", "");
  for (const Place& p : places) {
    n.about(p.address);
    if (!p.well_formed)
      n.error("address-form", "is no address to listen at", "a daemon does not start with it",
              "host:port, :port or [IPv6]:port");
    else if (p.bind_error == EADDRINUSE)
      n.error("port-taken", "another process listens there already",
              "two processes cannot listen at one port; the daemon would not start",
              "another port, or end the other process (ss -ltnp shows it)");
    else if (p.bind_error == EADDRNOTAVAIL)
      n.error("address-elsewhere", "is not an address of this machine",
              "a process can only listen at addresses of its own machine",
              "an address that `ip addr` shows, or 0.0.0.0 with --advertise");
    else if (p.bind_error == EACCES)
      n.error("port-privileged", "this user may not listen there", "ports below 1024 are for root",
              "a port from 1024 on, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit");
    else if (p.bind_error != 0)
      n.error("port-error", std::strerror(p.bind_error), "the daemon would not start", "an address that can be bound");
    else if (p.loopback && several_machines)
      n.error("loopback-only", "is this machine's own: no other machine reaches it",
              "nodes on other machines connect to the coordinator, to each other's KV port, and people to their pages",
              "an address of the network, or 0.0.0.0 with --advertise HOST");
    else if (p.every_address && several_machines)
      n.note("every-address", "is every address of this machine",
             "others must be told one of them; a node refuses to start without",
             "--advertise HOST, a name or address by which others reach it");
    else
      n.ok("port-free", "is free");
  }
  return n.take();
}

}  // namespace sluice::ctl::doctor
