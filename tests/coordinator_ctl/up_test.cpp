#include "coordinator/ctl/up.h"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace sluice::ctl;

namespace {

bool has(const std::vector<std::string>& args, const std::vector<std::string>& wanted) {
  return !std::ranges::search(args, wanted).empty();
}

}  // namespace

// --coordinator-arg shared a list with the flags that `up` passes on, and emptied it: they were lost without a word.
TEST_CASE("flags that are passed on reach their daemons beside further arguments") {
  UpOptions o;
  o.every_flag = {"--log-level", "debug"};
  o.coordinator_flag = {"--quality-kl", "0.01"};
  o.node_flag = {"--kv-profiles", "mine.json"};
  o.coordinator_arg = {"--seed=3"};
  o.kv_memory_mib = 64;
  const auto c = coordinator_args(o, "DIR", "ready", 0);
  CHECK(has(c, {"--model", "DIR"}));
  CHECK(has(c, {"--log-level", "debug"}));
  CHECK(has(c, {"--quality-kl", "0.01"}));
  CHECK(has(c, {"--seed=3"}));
  CHECK_FALSE(has(c, {"--kv-profiles"}));
  const auto n = node_args(o, "DIR", "127.0.0.1:9", 2, {"--max-seqs=8"});
  CHECK(has(n, {"--coordinator", "127.0.0.1:9"}));
  CHECK(has(n, {"--threads", "2"}));
  CHECK(has(n, {"--log-level", "debug"}));
  CHECK(has(n, {"--kv-profiles", "mine.json"}));
  CHECK(has(n, {"--kv-memory-mib", "64"}));
  CHECK(has(n, {"--max-seqs=8"}));
  CHECK_FALSE(has(n, {"--quality-kl"}));
}

TEST_CASE("nodes of one machine share its memory") {
  UpOptions o;
  CHECK(has(node_args(o, "DIR", "127.0.0.1:9", 1, {}), {"--memory-share", "0.5"}));
  o.prefill = 3;
  CHECK(has(node_args(o, "DIR", "127.0.0.1:9", 1, {}), {"--memory-share", "0.25"}));
  CHECK_FALSE(has(node_args(o, "DIR", "127.0.0.1:9", 1, {}), {"--kv-memory-mib"}));
}

// UCX opened listeners on the machine's outside interfaces for a cluster that was asked for on the loopback.
TEST_CASE("a local cluster's KV stays on the loopback unless a device is named") {
  UpOptions o;
  CHECK(has(node_args(o, "DIR", "127.0.0.1:9", 1, {}), {"--ucx-net-devices", "lo"}));
  const auto own = node_args(o, "DIR", "127.0.0.1:9", 1, {"--ucx-net-devices=eth0"});
  CHECK(has(own, {"--ucx-net-devices=eth0"}));
  CHECK_FALSE(has(own, {"--ucx-net-devices", "lo"}));
}

TEST_CASE("several coordinators have names, ports and state files of their own, and need a registry") {
  UpOptions o;
  CHECK(check(o));
  CHECK(coordinator_name(o, 0) == "coordinator");
  CHECK_FALSE(has(coordinator_args(o, "DIR", "ready", 0), {"--name"}));
  o.coordinators = 2;
  const auto alone = check(o);
  REQUIRE_FALSE(alone);
  CHECK_THAT(alone.error().message, Catch::Contains("--registry"));
  o.registry = "etcd://127.0.0.1:2379";
  o.every_flag = {"--registry", o.registry};
  o.state_file = "kept";
  CHECK(check(o));
  const auto first = coordinator_args(o, "DIR", "ready", 0), second = coordinator_args(o, "DIR", "ready", 1);
  CHECK(has(first, {"--port", "8000"}));
  CHECK(has(second, {"--port", "8001"}));
  CHECK(has(first, {"--name", "coordinator-0"}));
  CHECK(has(second, {"--name", "coordinator-1"}));
  CHECK(has(first, {"--state-file", "kept"}));
  CHECK(has(second, {"--state-file", "kept.1"}));
  for (const auto& args : {first, second, node_args(o, "DIR", "127.0.0.1:8,127.0.0.1:9", 1, {})})
    CHECK(has(args, {"--registry", o.registry}));
  o.port = 0;  // any
  CHECK(has(coordinator_args(o, "DIR", "ready", 1), {"--port", "0"}));
  o.port = 65535;
  CHECK_FALSE(check(o));
}
