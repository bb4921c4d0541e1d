#include "common/etcd/registry.h"

#include <algorithm>

#include "common/secret_file.h"

namespace sluice::etcd {

Result<Options> Registry::options() const {
  const auto fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (cluster.empty() || cluster.size() > 64 || !std::ranges::all_of(cluster, fine))
    return fail_param("--cluster-name", "a cluster is named by up to 64 of a-z, A-Z, 0-9, '.', '-' and '_'");
  auto endpoints = parse_endpoints(url);
  if (!endpoints) return fail_param("--registry", "{}", endpoints.error().message);
  std::string secret = password;
  if (!password_file.empty()) {
    auto line = read_secret_line(password_file);
    if (!line) return fail_param("--registry-password-file", "{}", line.error().message);
    secret = std::move(*line);
  }
  if (user.empty() != secret.empty())
    return fail_param("--registry-user", "SLUICE_REGISTRY_USER and SLUICE_REGISTRY_PASSWORD go together");
  return Options{
      .endpoints = std::move(*endpoints), .ca = ca, .cert = cert, .key = key, .user = user, .password = secret};
}

void add_registry_options(flags::App& app, Registry& r) {
  app.add_option("--registry", r.url,
                 "What coordinators share, and where nodes find them: etcd://host:2379[,host:2379...]; default: none");
  app.add_option("--cluster-name", r.cluster, "Of the cluster within the registry")->capture_default_str();
  app.add_option("--registry-ca", r.ca, "Whose certificates etcd may have (PEM); makes its connections TLS");
  app.add_option("--registry-cert", r.cert, "Our certificate for etcd (PEM)");
  app.add_option("--registry-key", r.key, "Its key (PEM)");
  app.add_option("--registry-user", r.user, "Our user at etcd")->envname("SLUICE_REGISTRY_USER");
  app.add_option("--registry-password", r.password, "Its password; not on the command line")
      ->secret("SLUICE_REGISTRY_PASSWORD", "--registry-password-file FILE");
  app.add_option("--registry-password-file", r.password_file, "File with that password, of mode 600");
}

}  // namespace sluice::etcd
