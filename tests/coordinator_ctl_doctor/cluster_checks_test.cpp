#include "coordinator/ctl/doctor/cluster_checks.h"

#include "tests/coordinator_ctl_doctor/findings.h"

using namespace sluice;
using namespace sluice::ctl::doctor;

namespace {

Machine machine_of(const std::string& node, const std::string& boot, const std::string& address) {
  Machine m;
  m.node = node;
  m.host = "h-" + boot;
  m.boot_id = boot;
  m.cores = 8;
  m.threads = 4;
  m.ucx = {"1.13.1", "tcp,self", "", "", {{"tcp", "eth0"}}, {{"tcp", "eth0"}}};
  m.interfaces = {{"lo", true, true, 65536, {}, {"127.0.0.1"}}, {"eth0", true, false, 1500, 1000, {address}}};
  return m;
}

/// A prefill and a decode node on machines of their own.
ClusterFacts healthy() {
  ClusterFacts c;
  c.address = "10.0.0.1:8000";
  c.ready = true;
  c.model = "tiny";
  c.version = "0.1.0";
  c.clock_offset_s = 0.001;
  c.max_files = 65536;
  NodeFacts p{.name = "p0",
              .role = "prefill",
              .state = "ready",
              .admin_address = "10.0.0.2:9101",
              .backend = "avx512",
              .precision = "bf16",
              .version = "0.1.0",
              .model_hash = "h"};
  NodeFacts d = p;
  d.name = "d0";
  d.role = "decode";
  d.admin_address = "10.0.0.3:9101";
  d.data_address = "10.0.0.3:9100";
  p.links = {{"10.0.0.3:9100", 100e6, 0.0002}};
  p.machine = machine_of("p0", "b1", "10.0.0.2");
  p.machine->paths = {{"10.0.0.3:9100", "tcp/eth0", false}};
  d.machine = machine_of("d0", "b2", "10.0.0.3");
  p.clock_offset_s = d.clock_offset_s = 0.002;
  p.clock_error_s = d.clock_error_s = 0.001;
  c.nodes = {p, d};
  return c;
}

Findings judged(const ClusterFacts& c, const std::optional<Perftest>& perftest = std::nullopt) {
  Findings all = judge_members(c);
  append(all, judge_nodes(c, 4096));
  append(all, judge_links(c, perftest));
  return all;
}

NodeFacts& prefill(ClusterFacts& c) { return c.nodes[0]; }
NodeFacts& decode(ClusterFacts& c) { return c.nodes[1]; }

}  // namespace

TEST_CASE("a healthy cluster has nothing above a note") {
  const Findings all = judged(healthy());
  for (const auto& f : all) {
    INFO(f.id << ": " << f.found);
    CHECK(f.severity <= Severity::note);
  }
  CHECK_THAT(only(all, "link").found,
             Catch::Contains("800 Mb/s") && Catch::Contains("tcp/eth0") && Catch::Contains("1.0 Gb/s nominal"));
  CHECK(has(all, "ready"));
  CHECK(has(all, "versions"));
  CHECK(links_json(healthy())[0]["lane"] == "tcp/eth0");
}

TEST_CASE("a coordinator that cannot be asked: gone, another program, a wrong key") {
  ClusterFacts c;
  c.address = "10.0.0.1:8000";
  c.error = Error{Errc::unavailable, "cannot connect to 10.0.0.1:8000: Connection refused", {}};
  check_told(only(judged(c), "coordinator-unreachable"), Severity::error, "Connection refused", "--url");
  c.error = Error{Errc::data_corrupt, "10.0.0.1:8000 answers, but not in JSON", {}};
  check_told(only(judged(c), "not-sluice"), Severity::error, "not in JSON", "--url");
  c.error = Error{Errc::permission_denied, "10.0.0.1:8000: wrong API key", {}};
  check_told(only(judged(c), "api-key"), Severity::error, "key", "SLUICE_API_KEY");
}

TEST_CASE("not ready, refused, missing, ended, silent, draining") {
  ClusterFacts c = healthy();
  c.ready = false;
  c.reason = "no decode node is ready";
  check_told(only(judged(c), "not-ready"), Severity::error, "no decode node", "start the missing");
  c = healthy();
  c.refused = {
      {"d9", "node 'd9' serves model hash a, this cluster serves b (tiny); start it with the same model directory", 4}};
  c.expected = {{"d9", false, {}}, {"d8", false, {}}, {"d7", true, "killed"}, {"p0", false, {}}};
  const Findings all = judged(c);
  check_told(only(all, "node-refused"), Severity::error, "model hash", "same --model directory");
  CHECK(only(all, "node-refused").subject == "d9");
  check_told(only(all, "node-missing"), Severity::error, "has not joined", "log");
  CHECK(only(all, "node-missing").subject == "d8");
  check_told(only(all, "node-ended"), Severity::error, "killed", "start it again");
  c = healthy();
  decode(c).heartbeat_age_ms = 1500;
  decode(c).state = "draining";
  check_told(only(judged(c), "node-silent"), Severity::warning, "1.5 s ago", "overloaded");
  CHECK(only(judged(c), "node-draining").severity == Severity::note);
}

TEST_CASE("a refusal of long ago is a note: the node may have been given up") {
  ClusterFacts c = healthy();
  c.refused = {{"d9", "wrong cluster token", 3600}};
  CHECK(only(judged(c), "node-refused").severity == Severity::note);
}

TEST_CASE("what a refusal says is answered with what to set") {
  const auto cure = [](const std::string& why) {
    ClusterFacts c = healthy();
    c.refused = {{"x", why, 1}};
    return only(judged(c), "node-refused").set;
  };
  CHECK_THAT(cure("wrong cluster token"), Catch::Contains("--cluster-token"));
  CHECK_THAT(cure("node 'x' keeps KV as f32, this cluster as bf16; use one --kv-dtype"), Catch::Contains("--kv-dtype"));
  CHECK_THAT(cure("another live node is named 'x'; give each node its own --name"), Catch::Contains("--name"));
  CHECK_THAT(cure("node 'x' offers other KV profiles than the cluster"), Catch::Contains("--kv-profiles"));
  CHECK_THAT(cure("something else"), Catch::Contains("one version"));
}

TEST_CASE("an admin address that is not reached, is the loopback, or is another's") {
  ClusterFacts c = healthy();
  decode(c).machine.reset();
  decode(c).page_error = "no progress within 3000 ms";
  check_told(only(judged(c), "admin-unreachable"), Severity::warning, "10.0.0.3:9101", "--advertise");
  decode(c).admin_address = "127.0.0.1:9101";
  check_told(only(judged(c), "admin-unreachable"), Severity::warning, "127.0.0.1:9101", "--admin-listen");
  c = healthy();
  decode(c).machine->node = "d5";
  check_told(only(judged(c), "page-of-another"), Severity::warning, "answers node d5", "--admin-listen");
}

TEST_CASE("versions and bits that differ") {
  ClusterFacts c = healthy();
  decode(c).version = "0.2.0";
  check_told(only(judged(c), "versions"), Severity::warning, "0.1.0, 0.2.0", "one version");
  c = healthy();
  c.nodes.push_back(decode(c));
  c.nodes.back().name = "d1";
  c.nodes.back().machine.reset();
  c.nodes.back().backend = "avx2";
  check_told(only(judged(c), "bits"), Severity::warning, "decode nodes compute different bits", "--isa");
  c = healthy();
  decode(c).backend = "avx2";  // of another role: no matter
  CHECK_FALSE(has(judged(c), "bits"));
}

TEST_CASE("a clock is blamed only beyond what the round trips leave open") {
  ClusterFacts c = healthy();
  decode(c).clock_offset_s = -2.0;
  const Findings all = judge_nodes(c, 4096);
  const auto blamed = std::ranges::find(all, "d0", &Finding::subject);
  REQUIRE(blamed != all.end());
  CHECK(blamed->id == "clock");
  check_told(*blamed, Severity::warning, "2.001 s behind", "chrony");
  decode(c).clock_offset_s = -0.2;
  decode(c).clock_error_s = 0.15;
  CHECK(std::ranges::none_of(judge_nodes(c, 4096), [](const Finding& f) { return f.severity > Severity::note; }));
}

TEST_CASE("nodes that share a machine share its cores") {
  ClusterFacts c = healthy();
  decode(c).machine->boot_id = "b1";
  prefill(c).machine->threads = decode(c).machine->threads = 0;  // each takes all 8
  check_told(only(judged(c), "threads"), Severity::warning, "2 nodes with 16", "--threads 4");
}

TEST_CASE("of a machine that was judged apart only what its nodes share is said") {
  ClusterFacts c = healthy();
  prefill(c).machine->clock_synchronized = false;
  CHECK(has(judge_nodes(c, 4096, "other"), "clock-unsynchronized"));
  const Findings all = judge_nodes(c, 4096, "b1");
  CHECK_FALSE(has(all, "clock-unsynchronized"));
  CHECK(has(all, "threads"));
}

TEST_CASE("a coordinator that may open few files") {
  ClusterFacts c = healthy();
  c.max_files = 256;
  check_told(only(judged(c), "open-files"), Severity::warning, "256", "LimitNOFILE");
}

TEST_CASE("links: slow, far, not measured") {
  ClusterFacts c = healthy();
  prefill(c).links[0].bytes_per_s = 10e6;
  check_told(only(judged(c), "link-slow"), Severity::warning, "80 Mb/s", "MTU");
  CHECK_FALSE(has(judged(c), "link"));
  prefill(c).machine->interfaces[1].speed_mbps.reset();  // not known: nobody is blamed
  CHECK_FALSE(has(judged(c), "link-slow"));
  c = healthy();
  prefill(c).links[0].rtt_s = 0.02;
  check_told(only(judged(c), "link-far"), Severity::note, "20.0 ms", "nearer");
  prefill(c).links.clear();
  CHECK(only(judged(c), "link-unmeasured").severity == Severity::note);
}

TEST_CASE("ways: KV sent to the loopback of another machine, a lane slower than meant, MTUs that differ") {
  ClusterFacts c = healthy();
  decode(c).data_address = "127.0.0.1:9100";
  check_told(only(judged(c), "data-loopback"), Severity::error, "127.0.0.1:9100", "--data-listen");
  c = healthy();
  prefill(c).machine->ucx.tls = "rc,tcp,self";
  check_told(only(judged(c), "lane-slow"), Severity::warning, "chose tcp/eth0", "--ucx-tls");
  prefill(c).machine->ucx.tls = "posix,tcp,self";  // shared memory does not reach another machine: TCP is right
  CHECK_FALSE(has(judged(c), "lane-slow"));
  decode(c).machine->boot_id = "b1";
  CHECK(has(judged(c), "lane-slow"));
  c = healthy();
  decode(c).machine->interfaces[1].mtu = 9000;
  check_told(only(judged(c), "mtu-mismatch"), Severity::warning, "9000", "ip link set");
}

TEST_CASE("links of this machine stand beside ucx_perftest") {
  ClusterFacts c = healthy();
  prefill(c).machine->paths[0].lane = "tcp/lo";
  CHECK(only(judged(c, Perftest{120e6, 1e-5}), "perftest").severity == Severity::ok);
  CHECK(only(judged(c, Perftest{1000e6, 1e-5}), "below-perftest").severity == Severity::note);
  CHECK_FALSE(has(judged(healthy(), Perftest{1000e6, 1e-5}), "below-perftest"));  // between machines it says nothing
}
