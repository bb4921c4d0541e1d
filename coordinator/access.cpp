#include "coordinator/access.h"

#include "common/flags/program.h"
#include "common/log.h"
#include "common/net/address.h"
#include "common/secret_file.h"

namespace sluice::coordinator {
namespace {

std::string secret_of(const char* flag, const std::string& file) {
  auto line = read_secret_line(file);
  if (!line) throw UsageError(flag, line.error().message);
  return std::move(*line);
}

std::string host_of(const char* flag, const std::string& listen) {
  auto at = net::parse_listen_address(listen);
  if (!at) throw UsageError(flag, at.error().message);
  return at->host;
}

}  // namespace

void add_access_options(flags::App& app, AccessOptions& o) {
  app.add_option("--api-keys", o.keys.file,
                 "File of API keys by tenant, with their quotas; `sluicectl key new` makes its lines");
  app.add_option("--api-key", o.keys.keys, "Accepted keys of an operator, without bounds; not on the command line")
      ->secret("SLUICE_API_KEY", "--api-key-file FILE");
  app.add_option("--api-key-file", o.key_file, "File with such a key, of mode 600");
  app.add_option("--tls-cert", o.http_tls.cert, "Certificate for HTTPS, PEM, with those between it and its authority");
  app.add_option("--tls-key", o.http_tls.key, "Its private key, of mode 600");
  app.add_option("--tls-client-ca", o.http_tls.ca, "HTTPS clients must show a certificate of these authorities");
  app.add_option("--tls-crl", o.http_tls.crl,
                 "Lists of what these authorities have revoked, PEM, one of each; read anew when it changes");
  app.add_option("--admin-listen", o.admin_listen,
                 "host:port of a listener of its own for the operator's API, /ui and /metrics; default: with the rest");
  tls::add_cluster_options(app, o.cluster);
  app.add_flag("--insecure-bind", o.insecure_bind,
               "Listen where others can reach it without asking for any credential");
}

void settle_access(AccessOptions& o, RegistryOptions& registry) {
  if (!o.key_file.empty()) o.keys.keys.push_back(secret_of("--api-key-file", o.key_file));
  for (const std::string& key : o.keys.keys)
    if (key.empty()) throw UsageError("--api-key", "a key is empty");
  tls::settle_cluster_options(o.cluster);
  registry.cluster_token = o.cluster.token;
  const tls::Files& h = o.http_tls;
  if (h.cert.empty() != h.key.empty()) throw UsageError("--tls-cert", "--tls-cert and --tls-key go together");
  if (h.cert.empty() && !h.ca.empty()) throw UsageError("--tls-client-ca", "takes --tls-cert and --tls-key as well");
  if (h.ca.empty() && !h.crl.empty()) throw UsageError("--tls-crl", "takes --tls-client-ca as well");
}

void check_bind(const std::string& flag, const std::string& what, const std::string& host, bool guarded,
                bool insecure_bind, const std::string& remedy) {
  if (guarded || net::is_loopback(host)) return;
  const std::string at = host.empty() ? "every address" : host;
  if (!insecure_bind)
    throw UsageError(flag, fmt::format("{} would be open to whoever reaches {}: {}; or listen at 127.0.0.1; "
                                       "--insecure-bind serves everybody",
                                       what, at, remedy));
  log::warn("INSECURE: anybody who reaches this address may use it", {{"what", what}, {"at", at}, {"remedy", remedy}});
}

void check_binds(const AccessOptions& o, const std::string& http_host, const RegistryOptions& registry) {
  const bool http = !o.keys.keys.empty() || !o.keys.file.empty() || !o.http_tls.ca.empty();
  const char* const http_remedy =
      "demand API keys (--api-keys FILE, --api-key-file FILE or SLUICE_API_KEY) or "
      "certificates of clients (--tls-client-ca FILE)";
  check_bind("--host", "HTTP", http_host, http, o.insecure_bind, http_remedy);
  if (!o.admin_listen.empty())
    check_bind("--admin-listen", "the operator's API", host_of("--admin-listen", o.admin_listen), http, o.insecure_bind,
               http_remedy);
  check_bind("--control-listen", "the control plane", host_of("--control-listen", registry.listen),
             !registry.cluster_token.empty() || !o.cluster.files.cert.empty(), o.insecure_bind,
             "demand a token of nodes (--cluster-token-file FILE or SLUICE_CLUSTER_TOKEN) or certificates "
             "(--cluster-cert, --cluster-key, --cluster-ca)");
}

}  // namespace sluice::coordinator
