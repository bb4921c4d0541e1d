// Of several coordinators one measures new links; the others look later whether it did.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;
using namespace std::chrono_literals;

namespace {

ServingOptions led_by(const bool& ours) {
  ServingOptions o;
  o.leads = [&ours] { return ours; };
  return o;
}
ctl::RegisterRequest decode(const std::string& name, const std::string& address) {
  auto me = node_info(ctl::Role::decode, name);
  me.data_address = address;
  return me;
}
void run_for(Bench& b, std::chrono::milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  (void)b.until([&] { return std::chrono::steady_clock::now() >= end; });
}

}  // namespace

TEST_CASE("the leader measures a new node's links at once") {
  const bool ours = true;
  Bench b(led_by(ours));
  auto& p = b.join(node_info(ctl::Role::prefill, "p0"));
  b.join(decode("d0", "127.0.0.1:9"));
  REQUIRE(b.until([&] { return !p.path_probes.empty(); }));
  run_for(b, 300ms);
  CHECK(p.path_probes.size() == 1);
}

TEST_CASE("who does not lead measures nothing at first, and then what nobody has measured, once") {
  const bool ours = false;
  Bench b(led_by(ours));
  auto& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  p0.links = {{"127.0.0.1:9", 1e9, 1e-4, 0, 0}};  // the leader had it measured
  auto& p1 = b.join(node_info(ctl::Role::prefill, "p1"));
  b.join(decode("d0", "127.0.0.1:9"));
  run_for(b, 1500ms);
  CHECK(p0.path_probes.empty());
  CHECK(p1.path_probes.empty());
  // There may be no leader. Both ends of the link are new to us, and it is one link all the same.
  REQUIRE(b.until([&] { return !p1.path_probes.empty(); }));
  run_for(b, 1500ms);
  CHECK(p1.path_probes.size() == 1);
  CHECK(p0.path_probes.empty());
}

TEST_CASE("a node that is gone before its links were looked at is forgotten") {
  const bool ours = false;
  Bench b(led_by(ours));
  auto& p = b.join(node_info(ctl::Role::prefill, "p0"));
  b.join(decode("d0", "127.0.0.1:9"));
  run_for(b, 500ms);
  b.lose("d0");
  run_for(b, 3500ms);
  CHECK(p.path_probes.empty());
}

TEST_CASE("who becomes the leader measures what is idle for long; who is not, does not") {
  bool ours = false;
  ServingOptions o = led_by(ours);
  o.link_probe_s = 0.2;
  Bench b(std::move(o));
  auto& p = b.join(node_info(ctl::Role::prefill, "p0"));
  p.links = {{"127.0.0.1:9", 1e9, 1e-4, 0, 0}};
  b.join(decode("d0", "127.0.0.1:9"));
  run_for(b, 4500ms);  // the look at new links, which makes them idle, is over
  CHECK(p.path_probes.empty());
  ours = true;
  CHECK(b.until([&] { return !p.path_probes.empty(); }));
}
