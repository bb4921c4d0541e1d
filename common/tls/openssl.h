#pragma once
// Internal to the room: OpenSSL's objects as owners, and its errors as words.
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace sluice::tls {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;
using CtxPtr = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using CrlPtr = std::unique_ptr<X509_CRL, Freed<X509_CRL_free>>;
using CertPtr = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

/// The latest error of this thread in OpenSSL's words, and forgets all of them; `otherwise` when there is none.
[[nodiscard]] std::string openssl_words(std::string otherwise);

}  // namespace sluice::tls
