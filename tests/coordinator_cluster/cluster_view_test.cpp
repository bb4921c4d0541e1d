// Which nodes may serve together, and which may continue each other's answers.
#include "coordinator/cluster/cluster_view.h"

#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

ctl::RegisterRequest prefill(const std::string& name, std::uint32_t chunk, std::uint32_t batch = 2048) {
  auto r = node_info(ctl::Role::prefill, name);
  r.model.precision = "bf16";
  r.prefill_chunk = chunk;
  r.max_batch_tokens = batch;
  r.frame_kib = 1024;
  return r;
}

std::vector<std::string> usable(const ClusterSnapshot& c) {
  std::vector<std::string> out;
  for (const auto& p : c.prefills)
    if (p.usable) out.push_back(p.id.value());
  for (const auto& d : c.decodes)
    if (d.usable) out.push_back(d.id.value());
  return out;
}

}  // namespace

TEST_CASE("a node with another model, KV type, codec build or profile list is refused in words") {
  ClusterView v(std::chrono::seconds(2));
  REQUIRE(v.add(prefill("p0", 512), {}));
  auto refusal = [&](auto change) {
    auto r = node_info(ctl::Role::decode, "d0");
    change(r);
    const auto added = v.add(r, {});
    REQUIRE_FALSE(added);
    return added.error().message;
  };
  CHECK_THAT(refusal([](auto& r) { r.model.hash = "x"; }), Catch::Contains("same model directory"));
  CHECK_THAT(refusal([](auto& r) { r.model.kv_dtype = "f32"; }), Catch::Contains("--kv-dtype"));
  CHECK_THAT(refusal([](auto& r) { r.model.codec_hash = 1; }), Catch::Contains("codec"));
  CHECK_THAT(refusal([](auto& r) { r.profiles.pop_back(); }), Catch::Contains("profiles"));
  CHECK(v.add(node_info(ctl::Role::decode, "d0"), {}));
}

TEST_CASE("a snapshot says how a prefill node's KV leaves") {
  ClusterView v(std::chrono::seconds(2));
  REQUIRE(v.add(prefill("p0", 512), {}));
  const PrefillView& p = v.snapshot().prefills.at(0);
  CHECK(p.pass_tokens == 2048);
  CHECK(p.chunk_tokens == 512);
  CHECK(p.frame_kib == 1024);
}

TEST_CASE("nodes with other bits serve together, and the difference is named by its flag") {
  ClusterView v(std::chrono::seconds(2));
  REQUIRE(v.add(prefill("p0", 512), {}));
  REQUIRE(v.add(prefill("p1", 256), {}));
  CHECK(v.unlike(*v.find(NodeId("p1")))->info.node == NodeId("p0"));
  CHECK(usable(v.snapshot()) == std::vector<std::string>{"p0", "p1"});
  auto other = prefill("p2", 512);
  other.model.backend = "avx2";
  other.model.precision = "f32";
  other.frame_kib = 64;
  CHECK(difference(bits_of(prefill("a", 512)), bits_of(other)) ==
        "--isa (backend) scalar against avx2, --precision bf16 against f32, --frame-kib 1024 against 64");
  auto newer = prefill("p3", 512);
  newer.model.version = "2";
  CHECK_THAT(difference(bits_of(prefill("a", 512)), bits_of(newer)), Catch::StartsWith("Sluice version"));
  CHECK_THAT(difference(bits_of(prefill("a", 512)), bits_of(prefill("b", 256))), Catch::StartsWith("--prefill-chunk"));
  // What counts is where a prompt is cut, not how the flags say it.
  CHECK(difference(bits_of(prefill("a", 512, 256)), bits_of(prefill("b", 256, 512))).empty());
}

TEST_CASE("only like nodes continue an answer; lossless KV may be cut anywhere") {
  ClusterView v(std::chrono::seconds(2));
  auto f32 = prefill("p2", 512);
  f32.model.precision = "f32";
  auto d1 = node_info(ctl::Role::decode, "d1");
  d1.model.backend = "avx512_bf16";
  REQUIRE(v.add(prefill("p0", 512), {}));
  REQUIRE(v.add(prefill("p1", 256), {}));
  REQUIRE(v.add(f32, {}));
  REQUIRE(v.add(node_info(ctl::Role::decode, "d0"), {}));
  REQUIRE(v.add(d1, {}));
  const NodeBits p = bits_of(prefill("", 512));
  const NodeBits d = bits_of(node_info(ctl::Role::decode, ""));
  CHECK(usable(v.snapshot_like(p, d, false)) == std::vector<std::string>{"p0", "d0"});
  CHECK(usable(v.snapshot_like(p, d, true)) == std::vector<std::string>{"p0", "p1", "d0"});
  CHECK(usable(v.snapshot_like(p, bits_of(d1), false)) == std::vector<std::string>{"p0", "d1"});
  CHECK(usable(v.snapshot()).size() == 5);
}

TEST_CASE("answers to a grammar go only where they are kept to it") {
  ClusterView v(std::chrono::seconds(2));
  CHECK_FALSE(v.without_grammars());  // there is nobody yet
  REQUIRE(v.add(prefill("p0", 512), {}));
  REQUIRE(v.add(node_info(ctl::Role::decode, "d0"), {}));
  CHECK(v.without_grammars());
  auto d1 = node_info(ctl::Role::decode, "d1");
  d1.grammars = true;
  REQUIRE(v.add(d1, {}));
  CHECK_FALSE(v.without_grammars());
  CHECK(usable(v.snapshot_bound()) == std::vector<std::string>{"p0", "d1"});
  CHECK(usable(v.snapshot()) == std::vector<std::string>{"p0", "d0", "d1"});
  const NodeBits p = bits_of(prefill("", 512)), d = bits_of(d1);
  CHECK(usable(v.snapshot_like(p, d, false, true)) == std::vector<std::string>{"p0", "d1"});
  v.remove(NodeId("d0"));
  CHECK(&v.snapshot_bound() == &v.snapshot());  // all of them: nothing is copied
}

TEST_CASE("refused nodes are remembered until they join; many of them only by the last few") {
  ClusterView v(std::chrono::seconds(2));
  const TimePoint t{};
  v.refused(NodeId("d0"), "another model", t);
  v.refused(NodeId("d0"), "wrong token", t + std::chrono::seconds(1));
  REQUIRE(v.refusals().size() == 1);
  CHECK(v.refusals().at(NodeId("d0")).why == "wrong token");
  REQUIRE(v.add(node_info(ctl::Role::decode, "d0"), t));
  CHECK(v.refusals().empty());
  for (int i = 0; i < 100; ++i) v.refused(NodeId("n" + std::to_string(i)), "x", t + std::chrono::seconds(i));
  CHECK(v.refusals().size() == 32);
  CHECK(v.refusals().contains(NodeId("n99")));
  CHECK_FALSE(v.refusals().contains(NodeId("n0")));
}

TEST_CASE("refused names and words go into JSON: what is no text or endless is left out") {
  ClusterView v(std::chrono::seconds(2));
  v.refused(NodeId("\xff"), "x", {});
  v.refused(NodeId(std::string(1000, 'n')), "x", {});
  CHECK(v.refusals().empty());
  v.refused(NodeId("d0"), std::string(5000, 'w'), {});
  CHECK(v.refusals().at(NodeId("d0")).why.size() == 1024);
  v.refused(NodeId("d0"), "dtype \xff", {});
  CHECK(v.refusals().at(NodeId("d0")).why == "dtype ");
}

TEST_CASE("where sequences grow the account holds what a leg has now, and a forecast what it will") {
  ClusterView v(std::chrono::seconds(2));
  auto info = node_info(ctl::Role::decode, "d0");
  info.grows = true;
  REQUIRE(v.add(info, {}));
  const NodeId d0("d0");
  const auto view = [&]() -> const DecodeView& { return v.snapshot().decodes.at(0); };
  CHECK(view().grows);
  const RequestFeatures r{.prompt_tokens = 40, .max_new_tokens = 1000};
  const DecodePlace small = place_on(view(), r);
  v.assign(NodeId(), 0, d0, small);
  CHECK(view().free_blocks == 97);
  CHECK(view().memory.expected_peak() == 65);
  RequestFeatures later = r;
  later.emitted = 9;
  const DecodePlace larger = place_on(view(), later);
  v.grow(d0, small, larger);
  CHECK(view().free_blocks == 96);
  CHECK(view().memory.expected_peak() == 65);
  v.release(d0, larger);
  CHECK(view().free_blocks == 100);
  CHECK(view().memory.expected_peak() == 0);
  CHECK(view().seqs == 0);
}

TEST_CASE("what other coordinators' legs are expected to hold stands in the forecast once, as told last") {
  ClusterView v(std::chrono::seconds(2));
  auto info = node_info(ctl::Role::decode, "d0");
  info.grows = true;
  REQUIRE(v.add(info, {}));
  const NodeId d0("d0");
  const auto peak = [&] { return v.snapshot().decodes.at(0).memory.expected_peak(); };
  const MemoryPart part = memory_part({.tokens = 64, .left = 64, .block_size = 16}, {});
  const MemoryPart other = memory_part({.tokens = 64, .left = 640, .block_size = 16}, {});
  v.expect_others(d0, 3, part);
  CHECK(peak() == 24);
  v.expect_others(d0, 1, other);
  CHECK(peak() == 44);
  v.expect_others(d0, 0, part);
  CHECK(peak() == 0);
}

TEST_CASE("a node that parks, or just had no room, gets nobody new until it says otherwise") {
  ClusterView v(std::chrono::seconds(2));
  auto info = node_info(ctl::Role::decode, "d0");
  info.grows = true;
  REQUIRE(v.add(info, {}));
  const NodeId d0("d0");
  const auto view = [&]() -> const DecodeView& { return v.snapshot().decodes.at(0); };
  v.heartbeat(d0, {.total_blocks = 100, .preemptions = 5}, {});
  CHECK(view().memory.margin() == 0);  // of before we heard of it
  v.heartbeat(d0, {.total_blocks = 100, .preemptions = 7}, {});
  CHECK(view().memory.margin() > 0);
  CHECK_FALSE(view().closed);
  const double margin = view().memory.margin();
  v.heartbeat(d0, {.total_blocks = 100, .parked = 2, .preemptions = 7}, {});
  CHECK(view().memory.margin() == margin);
  CHECK(view().closed);
  v.heartbeat(d0, {.total_blocks = 100, .preemptions = 7}, {});
  CHECK_FALSE(view().closed);
  v.was_full(d0);
  CHECK(view().closed);
  v.heartbeat(d0, {.total_blocks = 100, .preemptions = 7}, {});
  CHECK_FALSE(view().closed);
}
