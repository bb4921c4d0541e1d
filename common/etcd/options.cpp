#include "common/etcd/options.h"

namespace sluice::etcd {

Result<std::shared_ptr<tls::Source>> open_tls(const Options& o) {
  if (o.ca.empty()) {
    if (!o.cert.empty() || !o.key.empty())
      return fail_param("--registry-ca", "a certificate for etcd needs --registry-ca, which says whom to trust");
    return nullptr;
  }
  if (o.cert.empty() != o.key.empty())
    return fail_param("--registry-cert", "--registry-cert and --registry-key go together");
  auto source = tls::Source::open({tls::Side::client, {.cert = o.cert, .key = o.key, .ca = o.ca}}, "registry");
  if (!source) return fail_param("--registry-ca", "{}", source.error().message);
  return source;
}

Result<std::vector<net::Address>> parse_endpoints(std::string_view url) {
  constexpr std::string_view kScheme = "etcd://";
  constexpr std::size_t kMost = 16;
  if (!url.starts_with(kScheme))
    return fail(Errc::invalid_argument, "'{}' is no registry; write etcd://host:2379[,host:2379...]", url);
  std::string_view rest = url.substr(kScheme.size());
  std::vector<net::Address> out;
  for (bool more = true; more;) {
    const auto comma = rest.find(',');
    more = comma != std::string_view::npos;
    SLUICE_ASSIGN(auto at, net::parse_address(rest.substr(0, comma)));
    out.push_back(std::move(at));
    if (more) rest = rest.substr(comma + 1);
  }
  if (out.size() > kMost)
    return fail(Errc::invalid_argument, "{} endpoints of etcd; {} are the most", out.size(), kMost);
  return out;
}

}  // namespace sluice::etcd
