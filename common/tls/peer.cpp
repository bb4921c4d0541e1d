#include "common/tls/peer.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

#include "common/tls/openssl.h"

namespace sluice::tls {

bool Peer::has_role(std::string_view role) const { return std::ranges::find(roles, role) != roles.end(); }

Peer peer_of(const X509& certificate) {
  Peer p;
  const BioPtr text(BIO_new(BIO_s_mem()));
  if (text && X509_NAME_print_ex(text.get(), X509_get_subject_name(&certificate), 0, XN_FLAG_RFC2253) >= 0) {
    char* bytes = nullptr;
    const long n = BIO_get_mem_data(text.get(), &bytes);
    p.subject.assign(bytes, static_cast<std::size_t>(n));
  }
  const std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* s = name->d.uniformResourceIdentifier;
    const std::string_view uri(reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)),
                               static_cast<std::size_t>(ASN1_STRING_length(s)));
    if (uri.starts_with(kRoleUri)) p.roles.emplace_back(uri.substr(kRoleUri.size()));
  }
  return p;
}

}  // namespace sluice::tls
