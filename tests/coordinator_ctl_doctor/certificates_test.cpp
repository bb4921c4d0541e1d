// Real files, made by OpenSSL as an operator would make them.
#include "coordinator/ctl/doctor/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <memory>

#include "tests/coordinator_ctl_doctor/findings.h"
#include "tests/support/temp_dir.h"

using namespace sluice::ctl::doctor;

namespace {

constexpr long kDay = 24 * 3600;

struct Pair {
  std::shared_ptr<EVP_PKEY> key;
  std::shared_ptr<X509> cert;
};

/// A certificate that is valid from `from` to `to` seconds from now, signed by `issuer`, or by itself.
Pair make(const char* name, long from, long to, const Pair* issuer = nullptr) {
  Pair p;
  p.key.reset(EVP_EC_gen("P-256"), EVP_PKEY_free);
  p.cert.reset(X509_new(), X509_free);
  X509* c = p.cert.get();
  ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
  X509_gmtime_adj(X509_getm_notBefore(c), from);
  X509_gmtime_adj(X509_getm_notAfter(c), to);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name),
                             -1, -1, 0);
  X509_set_issuer_name(c, X509_get_subject_name(issuer != nullptr ? issuer->cert.get() : c));
  X509_set_pubkey(c, p.key.get());
  X509_sign(c, issuer != nullptr ? issuer->key.get() : p.key.get(), EVP_sha256());
  return p;
}

class Files {
 public:
  std::string cert(const Pair& p, const std::string& name) {
    std::FILE* f = std::fopen((dir_ / name).c_str(), "w");
    PEM_write_X509(f, p.cert.get());
    std::fclose(f);
    return (dir_ / name).string();
  }
  std::string key(const Pair& p, const std::string& name, unsigned mode = 0600) {
    std::FILE* f = std::fopen((dir_ / name).c_str(), "w");
    PEM_write_PrivateKey(f, p.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    std::fclose(f);
    ::chmod((dir_ / name).c_str(), mode);
    return (dir_ / name).string();
  }
  std::string text(const std::string& bytes, const std::string& name, unsigned mode = 0600) {
    dir_.write(name, bytes);
    ::chmod((dir_ / name).c_str(), mode);
    return (dir_ / name).string();
  }

 private:
  sluice::test::TempDir dir_;
};

Findings judged(const CertificateFiles& f) {
  return judge_certificates(read_certificates(f),
                            std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

}  // namespace

TEST_CASE("a certificate with its key and its CA") {
  Files f;
  const Pair ca = make("ca", -kDay, 3650 * kDay);
  const Pair server = make("server", -kDay, 365 * kDay, &ca);
  const Findings all = judged({f.cert(server, "c"), f.key(server, "k"), f.cert(ca, "a"), {}});
  CHECK_THAT(only(all, "cert").found, Catch::Contains("CN=server") && Catch::Contains("valid until 20"));
  for (const auto& x : all) CHECK(x.severity == Severity::ok);
}

TEST_CASE("dates: expired, not yet, soon") {
  Files f;
  check_told(only(judged({f.cert(make("x", -9 * kDay, -kDay), "c"), "", "", {}}), "cert-expired"), Severity::error,
             "expired on", "renew");
  check_told(only(judged({f.cert(make("x", kDay, 9 * kDay), "c"), "", "", {}}), "cert-early"), Severity::error,
             "only from", "clock");
  check_told(only(judged({f.cert(make("x", -kDay, 9 * kDay), "c"), "", "", {}}), "cert-soon"), Severity::warning,
             "expires on", "renew");
}

TEST_CASE("a key that others can read, that belongs to another certificate, that wants a passphrase") {
  Files f;
  const Pair a = make("a", -kDay, 365 * kDay);
  const Pair b = make("b", -kDay, 365 * kDay);
  check_told(only(judged({f.cert(a, "c"), f.key(a, "k", 0644), "", {}}), "secret-open"), Severity::error, "0644",
             "chmod 600");
  check_told(only(judged({f.cert(a, "c"), f.key(b, "k2"), "", {}}), "key-mismatch"), Severity::error, "is not the key",
             "--key");
  const std::string locked =
      f.text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcGCSqG\n-----END ENCRYPTED PRIVATE KEY-----\n", "k3");
  check_told(only(judged({"", locked, "", {}}), "tls-file"), Severity::error, "without a passphrase", "--key");
}

TEST_CASE("a CA that did not sign it") {
  Files f;
  const Pair ca = make("ca", -kDay, 365 * kDay);
  const Pair stranger = make("ca", -kDay, 365 * kDay);  // of the same name
  const Pair server = make("server", -kDay, 365 * kDay, &ca);
  check_told(only(judged({f.cert(server, "c"), "", f.cert(stranger, "a"), {}}), "cert-untrusted"), Severity::error,
             "was not signed", "--ca");
}

TEST_CASE("files that are missing, empty or something else") {
  Files f;
  check_told(only(judged({"/none/cert.pem", "", "", {}}), "tls-file"), Severity::error, "No such file", "--cert");
  check_told(only(judged({f.text("", "e"), "", "", {}}), "tls-file"), Severity::error, "no PEM certificate", "--cert");
  check_told(only(judged({"", f.text("hello", "t"), "", {}}), "tls-file"), Severity::error, "no PEM private key",
             "--key");
  check_told(only(judged({"", "", f.text("hello", "u"), {}}), "tls-file"), Severity::error, "no PEM certificate",
             "--ca");
}

TEST_CASE("secrets are for their owner alone") {
  Files f;
  const Findings all = judged({"", "", "", {f.text("k", "good"), f.text("k", "open", 0640), "/none/token"}});
  CHECK(only(all, "secret").severity == Severity::ok);
  check_told(only(all, "secret-open"), Severity::error, "0640", "chmod 600");
  check_told(only(all, "secret-file"), Severity::error, "No such file", "path");
}
