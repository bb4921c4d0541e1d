// Links that nothing goes over are measured anew, at little cost to those who use their nodes.
#include "coordinator/cluster/link_probes.h"

#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;
using Link = LinkProbes::Link;

namespace {

TimePoint at(double s) { return TimePoint{std::chrono::hours(1)} + from_seconds(s); }
const Link kA{NodeId("p0"), NodeId("d0")}, kB{NodeId("p0"), NodeId("d1")}, kC{NodeId("p1"), NodeId("d1")};

/// One use of a link that ends then.
void use(LinkProbes& l, const Link& link, double end_s) {
  l.began(link);
  l.ended(link, at(end_s));
}

}  // namespace

TEST_CASE("a link is measured when it was idle for long, the one idle for longest first") {
  LinkProbes l(60);
  use(l, kB, 0);
  use(l, kC, 5);
  CHECK_FALSE(l.next(at(59)));
  CHECK(l.next(at(70)) == kB);
  CHECK_FALSE(l.next(at(70)));  // d1 takes part in one at a time
  l.ended(kB, at(70.1));
  CHECK_FALSE(l.next(at(70.4)));  // and rests
  CHECK(l.next(at(70.6)) == kC);
  l.ended(kC, at(70.7));
  CHECK_FALSE(l.next(at(129)));
  use(l, kB, 129);  // a transfer tells as much
  CHECK(l.next(at(131)) == kC);
  CHECK_FALSE(LinkProbes(0).next(at(1e9)));
}

TEST_CASE("a link is not measured while it or, for a while, one of its nodes is in use") {
  LinkProbes l(60);
  use(l, kB, 0);
  use(l, kC, 0);
  l.began(kA);
  l.began(kA);
  l.ended(kA, at(1));  // one of two
  CHECK(l.next(at(61)) == kC);
  l.ended(kC, at(61.1));
  CHECK_FALSE(l.next(at(100)));  // p0 sends
  CHECK(l.next(at(121)) == kB);  // p0 sends always
  l.ended(kB, at(121.1));
  for (double t = 122; t < 1000; t += 1)
    if (const auto found = l.next(at(t))) {
      CHECK(*found != kA);
      l.ended(*found, at(t));
    }
  l.ended(kA, at(1000));
  double first = 0;
  for (double t = 1001; t < 1100 && first == 0; t += 0.6)
    if (const auto found = l.next(at(t))) {
      if (*found == kA) first = t;
      l.ended(*found, at(t));
    }
  CHECK(first >= 1060);
  CHECK(first < 1065);
}

TEST_CASE("links of a node that is gone are not measured, and what ends on them later counts no more") {
  LinkProbes l(60);
  use(l, kC, 0);
  use(l, kA, 0);
  l.began(kB);
  l.forget(NodeId("d1"));
  l.ended(kB, at(1));
  CHECK(l.next(at(61)) == kA);  // p0 is not busy for ever
  CHECK_FALSE(l.next(at(1000)));
}

TEST_CASE("a probe takes a few milliseconds of what a link is known to carry") {
  CHECK(LinkProbes::block_bytes(0) == 64 << 10);
  CHECK(LinkProbes::block_bytes(6e6) == 64 << 10);
  CHECK(LinkProbes::block_bytes(5e8) == 500000);
  CHECK(LinkProbes::block_bytes(1e11) == 1 << 20);
}

// A link that had been slow once was avoided from then on, however fast it had become.
TEST_CASE("the coordinator has idle links measured, and none that a request's KV is on") {
  ServingOptions o;
  o.link_probe_s = 0.05;
  Bench b(o);
  FakeNode& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  auto second = node_info(ctl::Role::decode, "d1");
  second.data_address = "127.0.0.1:10";
  b.join(node_info(ctl::Role::decode, "d0"));
  REQUIRE(b.until([&] { return p0.path_probes.size() >= 2; }));
  CHECK(p0.path_probes[0].block_bytes == 0);  // at registration: thoroughly
  CHECK(p0.path_probes[1].block_bytes == 64 << 10);

  const auto heard = b.start({});
  REQUIRE(b.until([&] { return p0.prefills.size() == 1; }));
  b.join(std::move(second));
  const std::size_t before = p0.path_probes.size();
  REQUIRE(b.until([&] { return p0.path_probes.size() >= before + 2; }));
  for (std::size_t i = before; i < p0.path_probes.size(); ++i) CHECK(p0.path_probes[i].data_address == "127.0.0.1:10");
  p0.prefill_done(b.last);
  REQUIRE(b.until([&] { return p0.path_probes.back().data_address == "127.0.0.1:9"; }));
}
