// How a node introduces its KV: to the coordinator and to its peers.
#include "node/node_kv.h"

#include <catch2/catch.hpp>

#include "kvtransfer/wire/handshake.h"
#include "node/node_figures.h"
#include "tests/support/fake_model.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::node;

namespace {

struct Rig {
  test::TempDir dir;
  NodeOptions options;
  NodeModel model;

  Rig() {
    options.model_dir = dir.path().string();
    const test::FakeModel fake;
    model.pool = *engine::KvPool::create(fake.kv_shape(8, 5, engine::DType::bf16));
    model.identity.name = "m";
    model.identity.hash = "fa4e";
    model.hash_prefix = 0xfa4e;
  }
};

}  // namespace

TEST_CASE("each role says how fast it does its own half") {
  const Rig r;
  const auto loaded = NodeKv::load(r.options, r.model);
  REQUIRE(loaded);
  for (const control::Role role : {control::Role::prefill, control::Role::decode}) {
    const auto me = loaded->introduction(role);
    CHECK(me.model.name == "m");
    CHECK(me.model.codec_hash == loaded->codecs().format_hash());
    CHECK(me.block_size == 8);
    CHECK(me.total_blocks == 5);
    REQUIRE_FALSE(me.profiles.empty());
    for (const control::ProfileInfo& p : me.profiles) {
      CHECK((p.encode_bps > 0) == (role == control::Role::prefill));
      CHECK((p.decode_bps > 0) == (role == control::Role::decode));
    }
  }
}

TEST_CASE("a hello and a ticket name the same process") {
  const Rig r;
  const auto loaded = NodeKv::load(r.options, r.model);
  REQUIRE(loaded);
  const auto hello = kv::parse_hello(loaded->hello(NodeId("n"), Incarnation(7)));
  REQUIRE(hello);
  const KvIdentity me = loaded->identity(NodeId("n"), Incarnation(7));
  CHECK(hello->node == me.node);
  CHECK(hello->incarnation == me.incarnation);
  CHECK(hello->model_hash == me.model_hash);
  CHECK(hello->layout == me.layout);
  CHECK(hello->format_hash == loaded->codecs().format_hash());
  CHECK(me.layout == kv::KvLayout{3, 2, 16, kv::KvDType::bf16});
}

TEST_CASE("profiles of another model are refused") {
  Rig r;
  r.dir.write("profiles.json", R"({"model_hash": "beef", "profiles": []})");
  r.options.kv_profiles = (r.dir.path() / "profiles.json").string();
  CHECK_FALSE(NodeKv::load(r.options, r.model));
}

TEST_CASE("blocks are told alike in heartbeats and pages") {
  const engine::SchedulerCounters c{.free_blocks = 3, .total_blocks = 9};
  control::Heartbeat h;
  tell_blocks(c, h);
  CHECK(h.free_blocks == 3);
  CHECK(h.total_blocks == 9);
  Metrics metrics;
  BlockGauges(metrics).set(c);
  CHECK_THAT(metrics.text(),
             Catch::Contains("sluice_kv_blocks_free 3") && Catch::Contains("sluice_kv_blocks_capacity 9"));
}
