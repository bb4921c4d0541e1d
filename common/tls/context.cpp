#include "common/tls/context.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <ctime>

#include "common/files.h"
#include "common/secret_file.h"
#include "common/tls/openssl.h"

namespace sluice::tls {
namespace {

constexpr std::size_t kMostBytes = 1U << 20U;
constexpr std::size_t kMostBytesOfLists = 64U << 20U;
// TLS 1.2; those of 1.3 are all fine.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

BioPtr memory(const std::string& text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

/// A daemon has nobody to ask: without this OpenSSL would read a terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

CertPtr next_certificate(BIO* from) { return CertPtr(PEM_read_bio_X509(from, nullptr, no_passphrase, nullptr)); }

std::chrono::system_clock::time_point moment(const ASN1_TIME* at) {
  std::tm t{};
  if (ASN1_TIME_to_tm(at, &t) != 1) return {};
  return std::chrono::system_clock::from_time_t(timegm(&t));
}

/// Of several lives, the one that ends first.
void shorten(std::optional<Lifetime>& all, const Lifetime& one) {
  if (!all || one.ends < all->ends) all = one;
}
void shorten(std::optional<Lifetime>& all, const X509* cert) {
  shorten(all, Lifetime{moment(X509_get0_notBefore(cert)), moment(X509_get0_notAfter(cert))});
}

Result<> show_certificate(SSL_CTX* ctx, const Files& f, std::optional<Lifetime>& life) {
  SLUICE_ASSIGN(const std::string text, read_file(f.cert, kMostBytes));
  const BioPtr in = memory(text);
  const CertPtr own = next_certificate(in.get());
  if (!own || SSL_CTX_use_certificate(ctx, own.get()) != 1)
    return fail(Errc::invalid_argument, "{} holds no certificate in PEM: {}", f.cert, openssl_words("nothing found"));
  shorten(life, own.get());
  while (const CertPtr between = next_certificate(in.get())) {
    if (SSL_CTX_add1_chain_cert(ctx, between.get()) != 1)
      return fail(Errc::invalid_argument, "{}: {}", f.cert, openssl_words("a certificate that cannot be used"));
    shorten(life, between.get());
  }
  ERR_clear_error();  // that no more certificate came
  return {};
}

Result<> take_key(SSL_CTX* ctx, const Files& f) {
  SLUICE_ASSIGN(std::string text, read_secret_file(f.key, kMostBytes));
  const KeyPtr key(PEM_read_bio_PrivateKey(memory(text).get(), nullptr, no_passphrase, nullptr));
  const bool locked = text.find("ENCRYPTED") != std::string::npos;
  OPENSSL_cleanse(text.data(), text.size());
  if (!key)
    return fail(Errc::invalid_argument, "{} holds no private key in PEM{}", f.key,
                locked ? ": it has a passphrase, and nobody is there to type it; remove it with openssl pkey"
                       : ": " + openssl_words("nothing found"));
  if (SSL_CTX_use_PrivateKey(ctx, key.get()) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
    ERR_clear_error();
    return fail(Errc::invalid_argument, "{} is not the key of the certificate in {}", f.key, f.cert);
  }
  return {};
}

Result<> trust(SSL_CTX* ctx, const ContextOptions& o, std::optional<Lifetime>& life) {
  if (o.files.ca.empty()) {
    if (o.side == Side::client && SSL_CTX_set_default_verify_paths(ctx) != 1)
      return fail(Errc::unavailable, "the system's certificate authorities: {}", openssl_words("not found"));
    return {};
  }
  SLUICE_ASSIGN(const std::string text, read_file(o.files.ca, kMostBytes));
  const BioPtr in = memory(text);
  std::size_t found = 0;
  for (; const CertPtr ca = next_certificate(in.get()); ++found) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca.get()) != 1)
      return fail(Errc::invalid_argument, "{}: {}", o.files.ca, openssl_words("a certificate that cannot be used"));
    shorten(life, ca.get());
    if (o.side == Side::server) SSL_CTX_add_client_CA(ctx, ca.get());  // tells clients whom we believe
  }
  ERR_clear_error();
  if (found == 0) return fail(Errc::invalid_argument, "{} holds no certificate in PEM", o.files.ca);
  return {};
}

Result<> heed_revocations(SSL_CTX* ctx, const Files& f, std::optional<Lifetime>& life) {
  if (f.crl.empty()) return {};
  if (f.ca.empty())
    return fail(Errc::invalid_argument, "{} says what authorities revoked, but none is named whose certificates count",
                f.crl);
  SLUICE_ASSIGN(const std::string text, read_file(f.crl, kMostBytesOfLists));
  const BioPtr in = memory(text);
  std::size_t found = 0;
  for (; const CrlPtr list = CrlPtr(PEM_read_bio_X509_CRL(in.get(), nullptr, no_passphrase, nullptr)); ++found) {
    if (X509_STORE_add_crl(SSL_CTX_get_cert_store(ctx), list.get()) != 1)
      return fail(Errc::invalid_argument, "{}: {}", f.crl, openssl_words("a list that cannot be used"));
    const ASN1_TIME* next = X509_CRL_get0_nextUpdate(list.get());
    if (next == nullptr) continue;  // it says of no end
    const Lifetime one{moment(X509_CRL_get0_lastUpdate(list.get())), moment(next)};
    if (one.ends <= std::chrono::system_clock::now())
      return fail(Errc::invalid_argument,
                  "{}: a list of revoked certificates has run out; have its authority make a new one", f.crl);
    shorten(life, one);
  }
  ERR_clear_error();  // that no more came
  if (found == 0) return fail(Errc::invalid_argument, "{} holds no list of revoked certificates in PEM", f.crl);
  X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
  return {};
}

}  // namespace

std::string openssl_words(std::string otherwise) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* words = code == 0 ? nullptr : ERR_reason_error_string(code);
  return words == nullptr ? otherwise : words;
}

Result<std::shared_ptr<const Context>> Context::load(const ContextOptions& o) {
  const bool server = o.side == Side::server;
  if (o.files.cert.empty() != o.files.key.empty() || (server && o.files.cert.empty()))
    return fail(Errc::invalid_argument, "a certificate and its key go together: one of the two files is missing");
  ERR_clear_error();
  CtxPtr ctx(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  if (!ctx) return fail(Errc::internal, "TLS: {}", openssl_words("no memory"));
  SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(ctx.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(ctx.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_default_passwd_cb(ctx.get(), no_passphrase);
  if (SSL_CTX_set_cipher_list(ctx.get(), kCiphers) != 1)
    return fail(Errc::unsupported, "this build of OpenSSL has none of the ciphers {}", kCiphers);
  std::optional<Lifetime> own, authority, revocations;
  if (!o.files.cert.empty()) {
    SLUICE_TRY(show_certificate(ctx.get(), o.files, own));
    SLUICE_TRY(take_key(ctx.get(), o.files));
  }
  SLUICE_TRY(trust(ctx.get(), o, authority));
  SLUICE_TRY(heed_revocations(ctx.get(), o.files, revocations));
  const bool demands = !server || !o.files.ca.empty();
  SSL_CTX_set_verify(ctx.get(), demands ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE, nullptr);
  if (server && demands) {
    SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ctx.get(), SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx.get(), 0);
  }
  std::shared_ptr<Context> made(new Context(ctx.release(), o.side));
  made->own_ = own;
  made->authority_ = authority;
  made->revocations_ = revocations;
  return std::shared_ptr<const Context>(std::move(made));
}

Context::~Context() { SSL_CTX_free(ctx_); }

}  // namespace sluice::tls
