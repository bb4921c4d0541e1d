#include "coordinator/ctl/doctor/certificates.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>

#include "common/files.h"

namespace sluice::ctl::doctor {
namespace {

constexpr std::size_t kMaxFile = 1U << 20;
constexpr auto kSoon = std::chrono::days(30);
constexpr const char* kArea = "Certificates and secrets";

template <auto F>
struct Free {
  template <class T>
  void operator()(T* p) const noexcept {
    F(p);
  }
};
struct FreeText {
  void operator()(char* p) const noexcept { OPENSSL_free(p); }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Store = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;

/// A key that wants a passphrase is no key for a daemon; OpenSSL would ask at the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

/// The file's text; says in `facts` why not, and who may read it.
std::string open(const std::string& path, FileFacts& facts) {
  facts.path = path;
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) {
    facts.error = std::strerror(errno);
    return {};
  }
  facts.mode = s.st_mode & 07777U;
  auto text = read_file(path, kMaxFile);
  if (!text) facts.error = text.error().message;
  return text.value_or(std::string());
}

Bio memory(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

Certificate certificate_in(const std::string& text, FileFacts& facts) {
  if (!facts.error.empty()) return nullptr;
  Certificate c(PEM_read_bio_X509(memory(text).get(), nullptr, no_passphrase, nullptr));
  if (!c) facts.error = "it holds no PEM certificate";
  return c;
}

Key key_in(const std::string& text, FileFacts& facts) {
  if (!facts.error.empty()) return nullptr;
  Key k(PEM_read_bio_PrivateKey(memory(text).get(), nullptr, no_passphrase, nullptr));
  if (!k) facts.error = "it holds no PEM private key that can be read without a passphrase";
  return k;
}

std::chrono::sys_seconds time_of(const ASN1_TIME* t) {
  std::tm tm{};
  if (ASN1_TIME_to_tm(t, &tm) != 1) return {};
  return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&tm)));
}

/// Signed by a certificate of the CA file. Its dates are judged apart from that.
bool signed_by(X509* cert, const std::string& ca_text) {
  const Store store(X509_STORE_new());
  const Bio in = memory(ca_text);
  while (Certificate ca{PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr)})
    X509_STORE_add_cert(store.get(), ca.get());
  ERR_clear_error();  // the end of the file
  X509_STORE_set_flags(store.get(), X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
  const StoreContext context(X509_STORE_CTX_new());
  return X509_STORE_CTX_init(context.get(), store.get(), cert, nullptr) == 1 && X509_verify_cert(context.get()) == 1;
}

std::string day(std::chrono::sys_seconds t) {
  const std::time_t s = std::chrono::system_clock::to_time_t(t);
  std::tm tm{};
  ::gmtime_r(&s, &tm);
  return fmt::format("{:04}-{:02}-{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
}

bool readable(const std::optional<FileFacts>& f, Notebook& n, const char* flag) {
  if (!f) return false;
  n.about(f->path);
  if (f->error.empty()) return true;
  n.error("tls-file", f->error, "a daemon that is given this file does not start",
          fmt::format("{} to a PEM file that this user can read", flag));
  return false;
}

void judge_dates(const CertificateFacts& c, std::chrono::sys_seconds now, Notebook& n) {
  if (now >= c.not_after)
    n.error("cert-expired", fmt::format("expired on {}", day(c.not_after)),
            "every client that checks certificates refuses an expired one", "renew it, and start the daemon anew");
  else if (now < c.not_before)
    n.error("cert-early", fmt::format("is valid only from {} on", day(c.not_before)), "clients refuse it until then",
            "check this machine's clock, or issue it anew");
  else if (c.not_after - now < kSoon)
    n.warning("cert-soon", fmt::format("expires on {}", day(c.not_after)), "from then on every client refuses it",
              "renew it before");
  else
    n.ok("cert", fmt::format("{}, valid until {}", c.name, day(c.not_after)));
}

void judge_secret(const FileFacts& f, Notebook& n) {
  n.about(f.path);
  if (!f.error.empty())
    n.error("secret-file", f.error, "a daemon that is given this file does not start",
            "a path that this user can read");
  else if ((f.mode & 077U) != 0)
    n.error("secret-open", fmt::format("mode {:04o}: others than its owner can use it", f.mode),
            "whoever reads a secret can act as its owner", fmt::format("chmod 600 {}", f.path));
  else
    n.ok("secret", fmt::format("mode {:04o}", f.mode));
}

}  // namespace

CertificateFacts read_certificates(const CertificateFiles& files) {
  CertificateFacts c;
  Certificate cert;
  Key key;
  if (!files.cert.empty()) {
    cert = certificate_in(open(files.cert, c.cert.emplace()), *c.cert);
    if (cert) {
      const std::unique_ptr<char, FreeText> subject(X509_NAME_oneline(X509_get_subject_name(cert.get()), nullptr, 0));
      c.name = subject ? subject.get() : "";
      c.not_before = time_of(X509_get0_notBefore(cert.get()));
      c.not_after = time_of(X509_get0_notAfter(cert.get()));
    }
  }
  if (!files.key.empty()) key = key_in(open(files.key, c.key.emplace()), *c.key);
  if (cert && key) c.key_matches = X509_check_private_key(cert.get(), key.get()) == 1;
  if (!files.ca.empty()) {
    const std::string text = open(files.ca, c.ca.emplace());
    const Certificate ca = certificate_in(text, *c.ca);
    if (ca && cert) c.ca_signed = signed_by(cert.get(), text);
  }
  for (const auto& path : files.secrets) (void)open(path, c.secrets.emplace_back());
  ERR_clear_error();
  return c;
}

Findings judge_certificates(const CertificateFacts& c, std::chrono::sys_seconds now) {
  Notebook n(kArea, "");
  if (readable(c.cert, n, "--cert")) judge_dates(c, now, n);
  if (readable(c.key, n, "--key")) judge_secret(*c.key, n);
  if (c.key_matches && !*c.key_matches) {
    n.about(c.key->path);
    n.error("key-mismatch", fmt::format("is not the key of {}", c.cert->path),
            "a server can only prove a certificate with the key it was made for",
            "--cert and --key to files that belong together");
  }
  (void)readable(c.ca, n, "--ca");
  if (c.ca_signed && !*c.ca_signed) {
    n.about(c.cert->path);
    n.error("cert-untrusted", fmt::format("was not signed by a certificate of {}", c.ca->path),
            "clients that trust only that CA refuse it", "--ca to the CA that signed it, or have it signed by that CA");
  }
  for (const auto& f : c.secrets) judge_secret(f, n);
  return n.take();
}

}  // namespace sluice::ctl::doctor
