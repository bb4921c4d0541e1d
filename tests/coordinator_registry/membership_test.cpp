#include "coordinator/registry/membership.h"

#include "tests/coordinator_registry/registry_rig.h"
#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;
using test::EtcdRig;
using test::RealEtcd;

namespace {

struct Coordinator {
  SteadyClock clock;
  test::WatchedPart part;
  Membership membership;
  Coordinator(boost::asio::io_context& io, const etcd::Options& o, const std::string& id)
      : part(io, o),
        membership(io, clock, part.client, "c",
                   Member{.id = id, .control = id + ":1", .http = id + ":2", .incarnation = 7}) {
    part.on_keys = [this](const etcd::Watch::Keys& k) { membership.on_keys(k); };
    membership.start();
    part.watch.start();
  }
  ~Coordinator() { membership.stop(); }
  [[nodiscard]] std::string seen() const {
    std::string out;
    for (const Member& m : membership.members()) out += m.id + (m.leader ? "*" : "") + (m.me ? "! " : " ");
    return out;
  }
};

}  // namespace

TEST_CASE("coordinators see each other, and one leads; the next one when it leaves, dies or falls silent") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd;
  EtcdRig r(etcd.options());
  auto a = std::make_unique<Coordinator>(r.io, etcd.options(), "a");
  REQUIRE(r.until([&] { return a->membership.leads(); }));
  Coordinator b(r.io, etcd.options(), "b");
  REQUIRE(r.until([&] { return a->seen() == "a*! b " && b.seen() == "a* b! "; }));
  CHECK_FALSE(b.membership.leads());
  CHECK(b.membership.members()[0].http == "a:2");

  SECTION("it leaves") {
    a->membership.leave();
    REQUIRE(r.until([&] { return b.membership.leads(); }, 2s));
    CHECK(b.seen() == "b*! ");
  }
  SECTION("it dies: its lease runs out") {
    a.reset();
    const auto began = std::chrono::steady_clock::now();
    REQUIRE(r.until([&] { return b.membership.leads(); }, 12s));
    CHECK(std::chrono::steady_clock::now() - began > 2s);
    CHECK(b.seen() == "b*! ");
  }
}

TEST_CASE("the leader stops by its own clock when etcd is away, and all find their places again") {
  if (!RealEtcd::installed()) SLUICE_SKIP("etcd is not installed");
  RealEtcd etcd;
  EtcdRig r(etcd.options());
  Coordinator a(r.io, etcd.options(), "a");
  REQUIRE(r.until([&] { return a.membership.leads(); }));
  Coordinator b(r.io, etcd.options(), "b");
  REQUIRE(r.until([&] { return b.seen() == "a* b! "; }));

  SECTION("etcd is stopped for longer than the leases last") {
    etcd.signal(SIGSTOP);
    r.until([] { return false; }, 2s);
    CHECK(a.membership.leads());
    REQUIRE(r.until([&] { return !a.membership.leads(); }, 5s));
    CHECK(b.seen() == "a* b! ");  // what was known stays known
    etcd.signal(SIGCONT);
  }
  SECTION("etcd comes back empty") {
    etcd.kill();
    etcd.lose_data();
    etcd.start();
  }
  REQUIRE(r.until(
      [&] {
        return a.membership.leads() != b.membership.leads() && a.membership.members().size() == 2 &&
               b.membership.members().size() == 2;
      },
      15s));
}
