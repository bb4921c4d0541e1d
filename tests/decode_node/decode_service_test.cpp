// A decode node's work without network and coordinator.
#include "decode_node/decode_service.h"

#include <catch2/catch.hpp>
#include <condition_variable>

#include "tests/support/fake_model.h"
#include "tests/support/manual_clock.h"
#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::decode;

namespace {

struct Rig {
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();
  test::FakeModel model;
  std::unique_ptr<engine::KvPool> pool = *engine::KvPool::create(model.kv_shape(4, 32, engine::DType::bf16));
  test::ManualClock clock;
  Metrics metrics;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<control::Finished> finished;
  DecodeService service{{NodeId("d"), Incarnation(9), 0xfa4e, {3, 2, 16, kv::KvDType::bf16}},
                        *codecs,
                        {model, *pool, {.max_batch_tokens = 64, .max_seqs = 8, .prefill_chunk = 16}},
                        {.max_seqs = 4},
                        clock,
                        metrics,
                        [this](RequestId, const char* type, const nlohmann::json& body) {
                          if (std::string(type) != control::type::kFinished) return;
                          const std::lock_guard lock(mutex);
                          finished.push_back({.request = RequestId(body.at("request").get<std::uint64_t>()),
                                              .reason = body.at("reason").get<std::string>()});
                          changed.notify_all();
                        }};

  Rig() {
    service.set_note_sender([](kv::ConnId, std::vector<std::byte>) {});
  }
  static control::ReserveRequest request(std::uint64_t id, std::uint32_t kv_tokens) {
    control::ReserveRequest r;
    r.request = RequestId(id);
    r.tokens.assign(20, 7);
    r.prompt_tokens = 20;
    r.kv_tokens = kv_tokens;
    r.max_new_tokens = 4;
    r.sampling.temperature = 0;
    r.sampling.ignore_eos = true;
    r.profile = "raw";
    r.prefill_node = NodeId("p");
    r.timeout_ms = 1000;
    return r;
  }
  std::uint32_t free() { return service.figures().counters.free_blocks; }
  bool ends(std::size_t n) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), [&] { return finished.size() == n; });
  }
};

}  // namespace

TEST_CASE("a leg whose KV comes over the network gets a ticket for its blocks, and waits") {
  Rig r;
  const auto t = r.service.reserve(Rig::request(1, 19));
  REQUIRE(t);
  REQUIRE(*t);
  CHECK((*t)->request == RequestId(1));
  CHECK((*t)->tokens == kv::TokenRange{0, 19});
  CHECK((*t)->blocks.size() == 5);  // of the 6 that it holds
  CHECK(r.free() == 32 - 6);
  CHECK(r.service.figures().counters.awaiting_kv == 1);
  CHECK(r.service.cancel(RequestId(1)) == std::optional<std::uint32_t>(6));
  CHECK_FALSE(r.service.cancel(RequestId(1)));
  CHECK(r.free() == 32);
}

TEST_CASE("a leg that computes all by itself needs no ticket") {
  Rig r;
  const auto t = r.service.reserve(Rig::request(1, 0));
  REQUIRE(t);
  CHECK_FALSE(*t);
  REQUIRE(r.ends(1));
  CHECK(r.finished[0].reason == "length");
  CHECK(r.free() == 32);
}

TEST_CASE("what the service counts keeps the rules of names") {
  Rig r;
  CHECK(sluice::test::metrics_faults(r.metrics.text()) == std::vector<std::string>{});
}

TEST_CASE("a reservation that fails holds nothing") {
  Rig r;
  auto q = Rig::request(1, 19);
  SECTION("a profile that this node lacks") {
    q.profile = "zip";
    CHECK(r.service.reserve(q).error().code == Errc::not_found);
  }
  SECTION("no room") {
    q.max_new_tokens = 200;
    CHECK_FALSE(r.service.reserve(q));
  }
  SECTION("too many legs") {
    for (std::uint64_t id = 2; id <= 5; ++id) REQUIRE(r.service.reserve(Rig::request(id, 19)));
    CHECK(r.service.reserve(q).error().code == Errc::resource_exhausted);
    r.service.cancel_all({});
  }
  CHECK(r.service.figures().legs == 0);
  CHECK(r.free() == 32);
}

TEST_CASE("KV that does not come in time ends its leg with an error") {
  Rig r;
  REQUIRE(r.service.reserve(Rig::request(1, 19)));
  r.service.expire();
  CHECK(r.service.figures().legs == 1);
  r.clock.advance(std::chrono::seconds(2));
  r.service.expire();
  REQUIRE(r.ends(1));
  CHECK(r.finished[0].reason == "error");
  CHECK(r.service.figures().legs == 0);
  CHECK(r.free() == 32);
}

TEST_CASE("everything goes when nobody reads it any more") {
  Rig r;
  for (std::uint64_t id = 1; id <= 3; ++id) REQUIRE(r.service.reserve(Rig::request(id, 19)));
  r.service.cancel_all({});
  CHECK(r.service.figures().legs == 0);
  CHECK(r.free() == 32);
  CHECK(r.finished.empty());
}
