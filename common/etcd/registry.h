#pragma once
// The registry that coordinators share and nodes read: its flags, and the names of its keys. Threading: values.
#include <string>

#include "common/etcd/options.h"
#include "common/flags/flags.h"

namespace sluice::etcd {

/// --registry and what goes with it, as given.
struct Registry {
  std::string url;                  // empty: none; each process knows what it is told by flags
  std::string cluster = "default";  // several clusters may share one etcd
  std::string ca, cert, key;
  std::string user, password;
  std::string password_file;

  [[nodiscard]] bool shared() const noexcept { return !url.empty(); }
  /// invalid_argument names the flag at fault.
  [[nodiscard]] Result<Options> options() const;
};

/// Adds --registry, --cluster-name and the flags of TLS and user.
void add_registry_options(flags::App& app, Registry& r);

// /sluice/CLUSTER/coordinators/ID   who is there, under its lease
// /sluice/CLUSTER/leader            who has the duties that one must have, under its lease
// /sluice/CLUSTER/settings          by whom the settings were put there, and when
// /sluice/CLUSTER/slo/CLASS         what a person set
// /sluice-learned/CLUSTER/ID/PART   what a coordinator learned. A root of its own: one watch of the other sees all that
//                                   must be seen at once, and nothing that is large
[[nodiscard]] inline std::string shared_prefix(const std::string& cluster) { return "/sluice/" + cluster + "/"; }
[[nodiscard]] inline std::string coordinators_prefix(const std::string& cluster) {
  return shared_prefix(cluster) + "coordinators/";
}
[[nodiscard]] inline std::string learned_prefix(const std::string& cluster) {
  return "/sluice-learned/" + cluster + "/";
}

}  // namespace sluice::etcd
