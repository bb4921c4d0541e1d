#include "common/tls/context.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <thread>

#include "common/tls/source.h"
#include "tests/support/certificates.h"

using namespace sluice;
using namespace sluice::tls;
using Catch::Contains;

namespace {

ContextOptions server(const test::Certificates& c) {
  return {Side::server, {c["coordinator.pem"], c["coordinator.key"], c["ca.pem"]}};
}
std::string refusal(const ContextOptions& o) {
  const auto r = Context::load(o);
  REQUIRE_FALSE(r);
  return r.error().message;
}

}  // namespace

TEST_CASE("a context is made of files, and each that does not fit is named") {
  const test::Certificates c;
  ContextOptions o = server(c);
  REQUIRE(Context::load(o));
  const auto now = std::chrono::system_clock::now();
  const auto whole = *Context::load(o);
  CHECK(whole->own()->ends > now + std::chrono::days(80));
  CHECK(whole->own()->ends < now + std::chrono::days(91));
  CHECK(whole->own()->begins <= now);
  CHECK(whole->authority()->ends > now + std::chrono::days(3600));
  CHECK_FALSE((*Context::load({Side::client, {"", "", c["ca.pem"]}}))->own());
  CHECK(Context::load({Side::client, {"", "", c["ca.pem"]}}));

  o.files.key = c["prefill.key"];
  CHECK_THAT(refusal(o), Contains("prefill.key") && Contains("not the key"));
  o.files.key = c["coordinator.pem"];
  CHECK_THAT(refusal(o), Contains("no private key"));
  o.files.key = "";
  CHECK_THAT(refusal(o), Contains("go together"));
  o = server(c);
  o.files.cert = c["coordinator.key"];
  CHECK_THAT(refusal(o), Contains("no certificate"));
  o = server(c);
  o.files.ca = c["nothing.pem"];
  CHECK_THAT(refusal(o), Contains("nothing.pem"));
  o.files.ca = c["ca.key"];
  CHECK_THAT(refusal(o), Contains("no certificate"));
}

TEST_CASE("a private key that others can read is refused, and so is one with a passphrase") {
  const test::Certificates c;
  ::chmod(c["coordinator.key"].c_str(), 0644);
  CHECK_THAT(refusal(server(c)), Contains("chmod 600"));
  const std::string lock = "openssl pkey -in " + c["client.key"] + " -aes256 -passout pass:x -out " + c["locked.key"];
  REQUIRE(std::system(lock.c_str()) == 0);
  ::chmod(c["locked.key"].c_str(), 0600);
  CHECK_THAT(refusal({Side::client, {c["client.pem"], c["locked.key"], ""}}), Contains("passphrase"));
}

TEST_CASE("new files replace the context; those that do not fit leave the old one") {
  test::Certificates c;
  const auto source = *Source::open(server(c), "test");
  const auto first = source->current();
  CHECK_FALSE(source->refresh());
  c.renew("coordinator");
  CHECK(source->refresh());
  const auto second = source->current();
  CHECK(second != first);
  std::filesystem::copy(c["prefill.pem"], c["coordinator.pem"], std::filesystem::copy_options::overwrite_existing);
  CHECK_FALSE(source->refresh());
  CHECK_FALSE(source->refresh());
  CHECK(source->failures() == 1);  // said once
  CHECK(source->current() == second);
  c.renew("coordinator");
  CHECK(source->refresh());
}

TEST_CASE("a list of revoked certificates is read with its authorities, and one that ran out is refused") {
  test::Certificates c;
  c.revoke("decode");
  ContextOptions o = server(c);
  CHECK_FALSE((*Context::load(o))->revocations());
  o.files.crl = c["crl.pem"];
  const auto now = std::chrono::system_clock::now();
  const auto with_list = *Context::load(o);
  CHECK(with_list->revocations()->ends > now + std::chrono::days(29));
  CHECK(with_list->revocations()->ends < now + std::chrono::days(31));

  o.files.crl = c["ca.pem"];
  CHECK_THAT(refusal(o), Contains("no list of revoked"));
  o.files.crl = c["nothing.pem"];
  CHECK_THAT(refusal(o), Contains("nothing.pem"));
  o.files.crl = c["crl.pem"];
  o.files.ca = "";
  CHECK_THAT(refusal(o), Contains("none is named"));
  o = server(c);
  o.files.crl = c["crl.pem"];
  const std::string brief =
      "cd " + c.path().string() +
      " && printf '[ca]\\ndefault_ca = o\\n[o]\\ndatabase = revoked\\ncrlnumber = revoked.number\\n"
      "default_md = sha256\\n' > s && openssl ca -config s -keyfile ca.key -cert ca.pem -gencrl "
      "-crlsec 1 -out crl.pem 2>/dev/null";
  REQUIRE(std::system(brief.c_str()) == 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  CHECK_THAT(refusal(o), Contains("has run out"));
}

TEST_CASE("a new list of revoked certificates makes a new context; a broken one leaves the old") {
  test::Certificates c;
  c.revoke("");
  ContextOptions o = server(c);
  o.files.crl = c["crl.pem"];
  const auto source = *Source::open(o, "test");
  CHECK_FALSE(source->refresh());
  c.revoke("decode");
  CHECK(source->refresh());
  const auto kept = source->current();
  std::filesystem::copy(c["ca.pem"], c["crl.pem"], std::filesystem::copy_options::overwrite_existing);
  CHECK_FALSE(source->refresh());
  CHECK(source->failures() == 1);
  CHECK(source->current() == kept);
}
