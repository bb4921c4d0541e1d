#include "common/etcd/tls.h"

namespace sluice::etcd {

namespace ssl = boost::asio::ssl;

Result<std::shared_ptr<Tls>> Tls::load(const Options& o) {
  if (o.ca.empty()) {
    if (!o.cert.empty() || !o.key.empty())
      return fail_param("--registry-ca", "a certificate for etcd needs --registry-ca, which says whom to trust");
    return nullptr;
  }
  if (o.cert.empty() != o.key.empty())
    return fail_param("--registry-cert", "--registry-cert and --registry-key go together");
  auto tls = std::make_shared<Tls>();
  boost::system::error_code ec;
  tls->context.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1, ec);
  tls->context.set_verify_mode(ssl::verify_peer, ec);
  tls->context.load_verify_file(o.ca, ec);
  if (ec) return fail_param("--registry-ca", "cannot use {}: {}", o.ca, ec.message());
  if (o.cert.empty()) return tls;
  tls->context.use_certificate_chain_file(o.cert, ec);
  if (ec) return fail_param("--registry-cert", "cannot use {}: {}", o.cert, ec.message());
  tls->context.use_private_key_file(o.key, ssl::context::pem, ec);
  if (ec) return fail_param("--registry-key", "cannot use {}: {}", o.key, ec.message());
  return tls;
}

}  // namespace sluice::etcd
