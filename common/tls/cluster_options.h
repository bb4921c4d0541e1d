#pragma once
// By what the daemons of a cluster know each other on the control plane, as flags say it: a token, certificates, or
// both. Threading: start-up. Failure: UsageError that names the flag.
#include <string>

#include "common/flags/flags.h"
#include "common/tls/context.h"

namespace sluice::tls {

struct ClusterOptions {
  std::string token;       // nodes present it, coordinators demand it; empty: none
  std::string token_file;  // read into `token` when settled
  Files files;             // empty: the control plane is plain
};

void add_cluster_options(flags::App& app, ClusterOptions& o);
/// Reads the token's file, and checks that what goes together is there.
void settle_cluster_options(ClusterOptions& o);

}  // namespace sluice::tls
