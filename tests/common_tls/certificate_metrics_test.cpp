#include "common/tls/certificate_metrics.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "common/files.h"
#include "tests/support/certificates.h"

using namespace sluice;
using namespace sluice::tls;
using Catch::Contains;

namespace {

/// The value of the series with these labels; nothing when it is not told.
std::optional<double> told(const Metrics& m, const std::string& series) {
  const std::string text = m.text();
  const auto at = text.find("\n" + series + " ");
  if (at == std::string::npos) return std::nullopt;
  return std::stod(text.substr(at + series.size() + 2));
}
std::string name(const std::string& what, const std::string& kind) {
  return "sluice_tls_certificate_" + what + "_seconds{kind=\"" + kind + "\",plane=\"control\"}";
}
double unix_now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }
constexpr double kDay = 86400;

}  // namespace

TEST_CASE("the families stand there without a certificate, and have no series") {
  Metrics m;
  CertificateMetrics certificates(m);
  certificates.follow(nullptr, "control");
  CHECK_THAT(m.text(), Contains("# TYPE sluice_tls_certificate_expiry_seconds gauge"));
  CHECK_THAT(m.text(), !Contains("plane="));
}

TEST_CASE("what is loaded is told, and what is loaded in its place") {
  test::Certificates c;
  const auto source = *Source::open({Side::client, {c["prefill.pem"], c["prefill.key"], c["ca.pem"]}}, "control plane");
  Metrics m;
  CertificateMetrics(m).follow(source, "control");
  const double ends = told(m, name("expiry", "own")).value();
  CHECK(ends > unix_now() + 89 * kDay);
  CHECK(ends < unix_now() + 91 * kDay);
  CHECK(told(m, name("start", "own")).value() <= unix_now());
  CHECK(told(m, name("expiry", "authority")).value() > unix_now() + 3600 * kDay);

  ::setenv("DAYS", "3", 1);
  c.renew("prefill");
  ::unsetenv("DAYS");
  REQUIRE(source->refresh());
  CHECK(told(m, name("expiry", "own")).value() < unix_now() + 4 * kDay);

  std::filesystem::copy(c["decode.pem"], c["prefill.pem"], std::filesystem::copy_options::overwrite_existing);
  CHECK_FALSE(source->refresh());
  CHECK(told(m, "sluice_tls_reload_failures_total{plane=\"control\"}") == 1);
  CHECK(told(m, name("expiry", "own")).value() < unix_now() + 4 * kDay);
}

TEST_CASE("of several certificates in a file the one that ends first counts") {
  test::Certificates lasting, brief;
  ::setenv("DAYS", "3", 1);
  brief.renew("decode");
  ::unsetenv("DAYS");
  // As if the one were between the other and its authority.
  std::ofstream(lasting["decode.pem"], std::ios::app) << read_file(brief["decode.pem"], 1U << 20U).value();
  const auto source = *Source::open({Side::client, {lasting["decode.pem"], lasting["decode.key"], ""}}, "test");
  Metrics m;
  CertificateMetrics(m).follow(source, "control");
  CHECK(told(m, name("expiry", "own")).value() < unix_now() + 4 * kDay);
  CHECK_FALSE(told(m, name("expiry", "authority")));
}
