#pragma once
// Who may reach the coordinator, as its flags say it: API keys, certificates, tokens, and where it listens. What others
// can reach asks for a credential, or the coordinator does not start. Threading: start-up. Failure: UsageError that
// names the flag.
#include <string>

#include "common/flags/flags.h"
#include "common/tls/cluster_options.h"
#include "coordinator/serving/serving.h"
#include "coordinator/tenants/tenants.h"

namespace sluice::coordinator {

struct AccessOptions {
  KeyOptions keys;
  std::string key_file;  // a key of the operator's, beside those of `keys`
  tls::Files http_tls;   // ca: clients must show a certificate from there
  tls::ClusterOptions cluster;
  std::string admin_listen;  // host:port; empty: everything is on one listener
  bool insecure_bind = false;
};

void add_access_options(flags::App& app, AccessOptions& o);
/// Reads the secrets that are in files, and checks that what goes together is there; `registry` gets the token.
void settle_access(AccessOptions& o, RegistryOptions& registry);

/// May `what` listen at `host`? `guarded`: it asks for a credential; `remedy`: what would be one. With insecure_bind a
/// warning is logged instead.
void check_bind(const std::string& flag, const std::string& what, const std::string& host, bool guarded,
                bool insecure_bind, const std::string& remedy);
/// All listeners of the coordinator.
void check_binds(const AccessOptions& o, const std::string& http_host, const RegistryOptions& registry);

}  // namespace sluice::coordinator
