#include "common/etcd/client.h"

#include "tests/common_etcd/etcd_rig.h"
#include "tests/support/skip.h"

using namespace sluice;
using namespace sluice::etcd;
using namespace std::chrono_literals;
using test::EtcdRig;
using test::RealEtcd;

TEST_CASE("keys are written, read in pages, compared and deleted") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd;
  EtcdRig r(etcd.options());
  for (int i = 0; i < 10; ++i) REQUIRE(r.put("/a/" + std::to_string(i), std::string(1, static_cast<char>(i))));
  const auto all = r.range(KeyRange::prefix("/a/"), 3);
  REQUIRE(all);
  REQUIRE(all->keys.size() == 10);
  CHECK(all->keys[7].value == std::string(1, '\7'));
  CHECK(r.range(KeyRange::one("/a/3"))->keys.size() == 1);

  const auto rev = all->keys[0].mod_revision;
  const Txn change{{{Compare::Of::modified, "/a/0", rev}}, {{"/a/0", "new"}}};
  CHECK(r.commit(change)->succeeded);
  CHECK_FALSE(r.commit(change)->succeeded);  // somebody was faster
  CHECK_FALSE(r.commit({{{Compare::Of::created, "/a/0", 0}}, {{"/a/0", "mine"}}})->succeeded);
  CHECK(r.commit({{{Compare::Of::created, "/b", 0}}, {{"/b", "mine"}, {"/a/1", std::nullopt}}})->succeeded);
  CHECK(r.range(KeyRange::prefix("/a/"))->keys.size() == 9);
  const auto counted = r.wait<RangeAnswer>([&](auto done) { r.client.count(KeyRange::prefix("/a/"), done); });
  CHECK(counted->count == 9);
}

TEST_CASE("a lease that is not renewed takes its keys along") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd;
  EtcdRig r(etcd.options());
  const auto lease = r.wait<LeaseId>([&](auto done) { r.client.grant(2s, done); });
  REQUIRE(lease);
  REQUIRE(r.put("/k", "v", *lease));
  CHECK(r.wait<void>([&](auto done) { r.client.keep_alive(*lease, done); }));
  REQUIRE(r.wait<void>([&](auto done) { r.client.revoke(*lease, done); }));
  CHECK(r.range(KeyRange::one("/k"))->keys.empty());
  const auto late = r.wait<void>([&](auto done) { r.client.keep_alive(*lease, done); });
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Errc::not_found);
  CHECK(r.put("/k", "v", *lease).error().code == Errc::not_found);
}

TEST_CASE("an endpoint that is gone or stopped is left for one that answers") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd, stopped;
  stopped.signal(SIGSTOP);
  auto o = etcd.options();
  o.timeout = 300ms;
  o.endpoints = {{"127.0.0.1", RealEtcd::free_port()}, stopped.options().endpoints[0], etcd.options().endpoints[0]};
  EtcdRig r(o);
  CHECK(r.put("/k", "v"));
  CHECK(r.client.endpoint() == 2);
  etcd.kill();
  const auto none = r.put("/k", "v");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Errc::unavailable);
  stopped.signal(SIGCONT);
  CHECK(r.put("/k", "v"));
}

TEST_CASE("a user's password opens etcd, a wrong one or none does not") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd({"--auth-token-ttl", "1"});
  etcd.post("/v3/auth/user/add", R"({"name":"root","password":"pw"})");
  etcd.post("/v3/auth/role/add", R"({"name":"root"})");
  etcd.post("/v3/auth/user/grant", R"({"user":"root","role":"root"})");
  etcd.post("/v3/auth/enable", "{}");
  auto o = etcd.options();
  {
    EtcdRig r(o);
    const auto none = r.put("/k", "v");
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Errc::permission_denied);
    CHECK_THAT(none.error().message, Catch::Contains("SLUICE_REGISTRY_USER"));
  }
  o.user = "root";
  o.password = "wrong";
  {
    EtcdRig r(o);
    CHECK(r.put("/k", "v").error().code == Errc::permission_denied);
  }
  o.password = "pw";
  EtcdRig r(o);
  REQUIRE(r.put("/k", "v"));
  r.until([] { return false; }, 3s);  // its token runs out
  CHECK(r.put("/k", "w"));
  // And one that etcd forgets when it is started again.
  etcd.kill();
  etcd.start();
  CHECK(r.put("/k", "x"));
  CHECK(r.range(KeyRange::one("/k"))->keys.at(0).value == "x");
}

namespace {

/// A CA and a certificate of 127.0.0.1 that it signed.
void make_certificates(const test::TempDir& dir) {
  const std::string d = dir.path().string();
  const auto run = [](const std::string& c) { REQUIRE(std::system((c + " >/dev/null 2>&1").c_str()) == 0); };
  run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout " + d +
      "/ca.key -out " + d + "/ca.pem");
  run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=etcd -keyout " + d + "/etcd.key -out " +
      d + "/etcd.csr");
  dir.write("ext", "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n");
  run("openssl x509 -req -days 2 -CA " + d + "/ca.pem -CAkey " + d + "/ca.key -CAcreateserial -extfile " + d +
      "/ext -in " + d + "/etcd.csr -out " + d + "/etcd.pem");
}

}  // namespace

TEST_CASE("etcd over TLS: its certificate is checked, and ours is asked for") {
  if (!RealEtcd::installed() || std::system("command -v openssl >/dev/null 2>&1") != 0)
    SLUICE_SKIP("etcd or openssl is not installed");
  test::TempDir certs, others;
  make_certificates(certs);
  make_certificates(others);
  const std::string ca = certs / "ca.pem", cert = certs / "etcd.pem", key = certs / "etcd.key";
  RealEtcd etcd({"--cert-file", cert, "--key-file", key, "--trusted-ca-file", ca, "--client-cert-auth"}, true);
  auto o = etcd.options();
  o.ca = ca;
  o.cert = cert;
  o.key = key;
  {
    EtcdRig r(o);
    REQUIRE(r.until([&] { return r.put("/k", "v").has_value(); }));
  }
  o.ca = (others / "ca.pem").string();
  {
    EtcdRig r(o);
    CHECK_FALSE(r.put("/k", "v"));
  }
  o.ca = ca;
  o.cert = o.key = "";
  {
    EtcdRig r(o);
    CHECK_FALSE(r.put("/k", "v"));
  }
  {
    // Renewed where it lies: shown without a restart. First one of an authority that etcd does not know.
    o.cert = certs / "ours.pem";
    o.key = certs / "ours.key";
    const auto lay = [&](const test::TempDir& from) {
      using std::filesystem::copy_options;
      std::filesystem::copy(from / "etcd.pem", o.cert, copy_options::overwrite_existing);
      std::filesystem::copy(from / "etcd.key", o.key, copy_options::overwrite_existing);
    };
    lay(others);
    EtcdRig r(o);
    CHECK_FALSE(r.put("/k", "v"));
    lay(certs);
    CHECK(r.until([&] { return r.put("/k", "v").has_value(); }, 5s));
    lay(others);
    CHECK(r.until([&] { return !r.put("/k", "v").has_value(); }, 5s));
    o.cert = o.key = "";
  }
  o.ca = "";
  {
    EtcdRig r(o);
    CHECK_FALSE(r.put("/k", "v"));
  }
  o.ca = "/none";
  CHECK_FALSE(open_tls(o));
  o.ca = ca;
  o.cert = cert;
  CHECK_FALSE(open_tls(o));  // no key
}
