#include "common/tls/cluster_options.h"

#include "common/flags/program.h"
#include "common/secret_file.h"

namespace sluice::tls {

void add_cluster_options(flags::App& app, ClusterOptions& o) {
  app.add_option("--cluster-token", o.token,
                 "Secret that nodes present and coordinators demand; not on the command line")
      ->secret("SLUICE_CLUSTER_TOKEN", "--cluster-token-file FILE");
  app.add_option("--cluster-token-file", o.token_file, "File with that secret, of mode 600");
  app.add_option("--cluster-cert", o.files.cert,
                 "Certificate for the control plane, PEM; its URI sluice://role/... says what this daemon may be: "
                 "coordinator, prefill or decode");
  app.add_option("--cluster-key", o.files.key, "Its private key, of mode 600");
  app.add_option("--cluster-ca", o.files.ca, "Authorities of the cluster's certificates; each end must show one");
  app.add_option("--cluster-crl", o.files.crl,
                 "Lists of what these authorities have revoked, PEM, one of each; read anew when it changes");
}

void settle_cluster_options(ClusterOptions& o) {
  if (!o.token_file.empty()) {
    auto token = read_secret_line(o.token_file);
    if (!token) throw UsageError("--cluster-token-file", token.error().message);
    o.token = std::move(*token);
  }
  const Files& f = o.files;
  const bool whole = !f.cert.empty() && !f.key.empty() && !f.ca.empty();
  const bool none = f.cert.empty() && f.key.empty() && f.ca.empty();
  if (!whole && !none) throw UsageError("--cluster-cert", "--cluster-cert, --cluster-key and --cluster-ca go together");
  if (none && !f.crl.empty())
    throw UsageError("--cluster-crl", "takes --cluster-cert, --cluster-key and --cluster-ca as well");
}

}  // namespace sluice::tls
