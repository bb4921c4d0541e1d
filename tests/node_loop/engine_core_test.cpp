#include "node/loop/engine_core.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>

#include "node/loop/ewma.h"
#include "tests/support/fake_model.h"

using namespace sluice;
using namespace sluice::node;
using namespace std::chrono_literals;

namespace {

struct Rig {
  test::FakeModel model;
  std::unique_ptr<engine::KvPool> pool = *engine::KvPool::create(model.kv_shape(4, 8, engine::DType::bf16));
  EngineCore core{model, *pool, {.max_batch_tokens = 32, .max_seqs = 8, .prefill_chunk = 8}};

  static engine::SequenceSpec sequence(std::uint64_t id, std::uint32_t tokens) {
    engine::SequenceSpec s;
    s.id = RequestId(id);
    s.tokens.assign(tokens, 5);
    s.max_total = tokens + 1;
    return s;
  }
  std::uint32_t free() { return core.hold().scheduler().counters().free_blocks; }
};

}  // namespace

TEST_CASE("tokens outside the vocabulary are named") {
  Rig r;
  const std::vector<TokenId> good{0, test::FakeModel::kVocab - 1};
  CHECK(r.core.check_vocabulary(good));
  CHECK(r.core.check_vocabulary({}));
  for (const TokenId bad : {TokenId{-1}, TokenId{test::FakeModel::kVocab}}) {
    const auto said = r.core.check_vocabulary(std::vector<TokenId>{1, bad, 2});
    REQUIRE_FALSE(said);
    CHECK(said.error().code == Errc::invalid_argument);
    CHECK(said.error().param == "tokens");
    CHECK_THAT(said.error().message, Catch::Contains(std::to_string(bad)));
  }
}

TEST_CASE("a pass has copies of its rows, and runs without the mutex") {
  Rig r;
  std::vector<PassRow> rows;
  {
    auto held = r.core.hold();
    REQUIRE(held.scheduler().admit(Rig::sequence(1, 6)));
    rows = held.plan().rows;
    CHECK(held.plan().rows.empty());  // in flight
  }
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].tokens == std::vector<TokenId>(6, 5));
  CHECK(rows[0].blocks.size() == 2);
  CHECK(rows[0].work.wants_logits);
  bool was_free = false;
  r.model.at_end = [&] { was_free = std::async(std::launch::async, [&] { return r.free(); }).get() == 6; };
  std::vector<float> logits;
  REQUIRE(r.core.forward(rows, logits, nullptr));
  CHECK(was_free);
  CHECK(logits.size() == test::FakeModel::kVocab);
  auto held = r.core.hold();
  held.settle(rows[0].work, true);
  CHECK(held.scheduler().view(RequestId(1))->computed == 6);
}

TEST_CASE("the engine's pulse moves with each layer, and says when a pass is under way") {
  Rig r;
  std::vector<PassRow> rows;
  {
    auto held = r.core.hold();
    REQUIRE(held.scheduler().admit(Rig::sequence(1, 6)));
    const auto before = held.plan().rows;
    REQUIRE(before.size() == 1);
    rows = before;
  }
  CHECK_FALSE(r.core.pulse().computing);
  const std::uint64_t idle = r.core.pulse().turns;
  CHECK(r.core.pulse().turns == idle);  // nothing moves it but the engine
  struct Watch final : engine::LayerObserver {
    explicit Watch(EngineCore& c) : core(c) {}
    void on_layer(std::uint32_t) override {
      seen.push_back(core.pulse().turns);
      CHECK(core.pulse().computing);
    }
    EngineCore& core;
    std::vector<std::uint64_t> seen;
  } watch{r.core};
  std::vector<float> logits;
  REQUIRE(r.core.forward(rows, logits, &watch));
  REQUIRE(watch.seen.size() == r.model.config().layers);
  for (std::size_t i = 0; i < watch.seen.size(); ++i) CHECK(watch.seen[i] > (i == 0 ? idle : watch.seen[i - 1]));
  CHECK_FALSE(r.core.pulse().computing);
  CHECK(r.core.pulse().turns > watch.seen.back());
}

TEST_CASE("a failed row is planned again") {
  Rig r;
  auto held = r.core.hold();
  REQUIRE(held.scheduler().admit(Rig::sequence(1, 6)));
  const auto first = held.plan().rows;
  held.settle(first[0].work, false);
  const auto again = held.plan().rows;
  REQUIRE(again.size() == 1);
  CHECK(again[0].work == first[0].work);
}

TEST_CASE("references that were kept outlive their sequence") {
  Rig r;
  std::vector<engine::BlockHandle> kept;
  {
    auto held = r.core.hold();
    REQUIRE(held.scheduler().admit(Rig::sequence(1, 6)));
    const auto view = held.scheduler().view(RequestId(1));
    kept.assign(view->blocks.begin(), view->blocks.end());
    held.retain(kept);
    REQUIRE(held.scheduler().finish(RequestId(1)));
  }
  CHECK(r.free() == 6);
  r.core.release(kept);
  CHECK(r.free() == 8);
}

// A loop that waited for room slept on when the room came between its look and its wait.
TEST_CASE("whatever comes while the engine thread looks is not lost") {
  Rig r;
  std::atomic<int> seen = 0;
  int wanted = 0;  // under the mutex
  r.core.start([&] {
    auto held = r.core.hold();
    while (!held.stopping()) {
      seen = wanted;
      held.wait();
    }
  });
  for (int i = 1; i <= 200; ++i) {
    {
      const auto held = r.core.hold();
      wanted = i;
    }
    if (i % 2 == 0) {
      r.core.wake();
    } else {
      r.core.release({});
    }
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (seen != i && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    REQUIRE(seen == i);
  }
  r.core.stop();
}

TEST_CASE("stop ends a thread that waits, twice is harmless, and no arrival is told twice") {
  Rig r;
  std::promise<void> ended;
  r.core.start([&] {
    auto held = r.core.hold();
    while (!held.stopping()) held.wait();
    ended.set_value();
  });
  {
    auto held = r.core.hold();
    const TimePoint first = held.next_arrival();
    CHECK(first < held.next_arrival());
  }
  r.core.stop();
  CHECK(ended.get_future().wait_for(0s) == std::future_status::ready);
  r.core.stop();
  CHECK(r.core.hold().stopping());
}

TEST_CASE("a mean starts at its first sample, or at what is known before") {
  Ewma fresh(0.2);
  CHECK(fresh.value() == 0);
  fresh.add(10);
  CHECK(fresh.value() == 10);
  fresh.add(20);
  CHECK(fresh.value() == Approx(12));
  Ewma known(0.5, 4);
  known.add(8);
  CHECK(known.value() == Approx(6));
}
