#include "common/tls/session.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <new>

#include "common/tls/openssl.h"

namespace sluice::tls {

struct Session::Ssl {
  SslPtr ssl;
  BIO* in;   // the session's own
  BIO* out;  // the session's own
};

namespace {

bool is_ip(const std::string& host) {
  in6_addr any{};
  return inet_pton(AF_INET, host.c_str(), &any) == 1 || inet_pton(AF_INET6, host.c_str(), &any) == 1;
}

void mean_host(SSL* ssl, const std::string& host) {
  if (is_ip(host)) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
    return;
  }
  SSL_set_tlsext_host_name(ssl, host.c_str());
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  SSL_set1_host(ssl, host.c_str());
}

}  // namespace

Session::Session(std::shared_ptr<const Context> context, const std::string& host)
    : context_(std::move(context)), ssl_(std::make_unique<Ssl>()) {
  ssl_->ssl.reset(SSL_new(context_->get()));
  ssl_->in = BIO_new(BIO_s_mem());
  ssl_->out = BIO_new(BIO_s_mem());
  if (!ssl_->ssl || ssl_->in == nullptr || ssl_->out == nullptr) throw std::bad_alloc();
  BIO_set_mem_eof_return(ssl_->in, -1);  // empty means: more may come
  SSL* const ssl = ssl_->ssl.get();
  SSL_set_bio(ssl, ssl_->in, ssl_->out);
  if (context_->side() == Side::server)
    SSL_set_accept_state(ssl);
  else
    SSL_set_connect_state(ssl);
  if (!host.empty()) mean_host(ssl, host);
}

Session::~Session() = default;

Result<bool> Session::handshake() {
  ERR_clear_error();
  const int r = SSL_do_handshake(ssl_->ssl.get());
  if (r == 1) return done();
  if (SSL_get_error(ssl_->ssl.get(), r) == SSL_ERROR_WANT_READ) return false;
  return problem();
}

Result<bool> Session::done() {
  established_ = true;
  if (const CertPtr cert(SSL_get1_peer_certificate(ssl_->ssl.get())); cert) peer_ = peer_of(*cert);
  return true;
}

void Session::feed(std::string_view ciphertext) {
  BIO_write(ssl_->in, ciphertext.data(), static_cast<int>(ciphertext.size()));
}

Result<std::size_t> Session::read(char* to, std::size_t room) {
  if (ended_ || room == 0) return 0;
  ERR_clear_error();
  std::size_t n = 0;
  const int r = SSL_read_ex(ssl_->ssl.get(), to, room, &n);
  if (r == 1) return n;
  switch (SSL_get_error(ssl_->ssl.get(), r)) {
    case SSL_ERROR_WANT_READ:
      return 0;
    case SSL_ERROR_ZERO_RETURN:
      ended_ = true;
      return 0;
    default:
      return problem();
  }
}

Result<> Session::write(std::string_view plain) {
  ERR_clear_error();
  std::size_t n = 0;
  if (plain.empty()) return {};
  const int r = SSL_write_ex(ssl_->ssl.get(), plain.data(), plain.size(), &n);
  if (r == 1) return {};  // into memory always all of it
  return problem();
}

void Session::end() {
  if (!established_ || failed_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_->ssl.get());
  ERR_clear_error();
}

std::string Session::take_output() {
  std::string bytes(static_cast<std::size_t>(BIO_pending(ssl_->out)), '\0');
  if (!bytes.empty()) BIO_read(ssl_->out, bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

std::unexpected<Error> Session::problem() {
  failed_ = true;
  const long verified = SSL_get_verify_result(ssl_->ssl.get());
  const std::string words = openssl_words("the session broke");
  if (verified != X509_V_OK && !established_)
    return fail(Errc::permission_denied, "TLS: the peer's certificate is not believed: {}",
                X509_verify_cert_error_string(verified));
  // 1.3: a client is through before the server has looked at its certificate, and hears of it afterwards.
  return fail(words.find("alert") != std::string::npos ? Errc::permission_denied : Errc::data_corrupt, "TLS: {}",
              words);
}

}  // namespace sluice::tls
