#pragma once
// Who the other end is, by its certificate. Values; any thread.
#include <string>
#include <string_view>
#include <vector>

struct x509_st;

namespace sluice::tls {

/// A certificate says what its holder may be by a URI among its alternative names: sluice://role/prefill.
inline constexpr std::string_view kRoleUri = "sluice://role/";

struct Peer {
  std::string subject;             // for people: "CN=prefill-0,O=Sluice"
  std::vector<std::string> roles;  // what follows kRoleUri
  [[nodiscard]] bool has_role(std::string_view role) const;
};

/// For this room.
[[nodiscard]] Peer peer_of(const x509_st& certificate);

}  // namespace sluice::tls
