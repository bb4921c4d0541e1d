#include "kvstore/store.h"

#include <catch2/catch.hpp>

#include "kvstore/tier/memory_tier.h"
#include "tests/kvstore/objects.h"
#include "tests/support/poll_until.h"
#include "tests/support/temp_dir.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace sluice::kvstore::test;
using namespace std::chrono_literals;

namespace {

constexpr ResidentLimits kWide{std::uint64_t{1} << 30U, std::uint64_t{1} << 30U};

/// What a test makes of a tier. Shared: tiers go with their store.
struct Mood {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;          // calls wait, until their deadline
  bool deaf = false;          // held calls wait beyond it too
  std::optional<Errc> fails;  // calls fail
  int calls = 0, waiting = 0;

  void set(bool hold, std::optional<Errc> fail_with = {}) {
    const std::scoped_lock lock(mutex);
    held = hold;
    fails = fail_with;
    changed.notify_all();
  }
  void hold_beyond_deadlines() {
    const std::scoped_lock lock(mutex);
    held = deaf = true;
  }
  void await_call() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting > 0; });
  }
  int asked() {
    const std::scoped_lock lock(mutex);
    return calls;
  }
};

/// A memory tier that is asked on the store's threads, and does as the test says.
class MoodyTier final : public Tier {
 public:
  explicit MoodyTier(std::shared_ptr<Mood> mood)
      : mood_(std::move(mood)), inner_(make_memory_tier(kWide, plain_keys())) {}
  std::string_view kind() const noexcept override { return "moody"; }
  Result<std::unique_ptr<Put>> begin(const ObjectKey& k, const ObjectFacts& f, Deadline d) override {
    SLUICE_TRY(obey(d));
    return inner_->begin(k, f, d);
  }
  Result<ObjectBytes> get(const ObjectKey& k, Deadline d) override {
    SLUICE_TRY(obey(d));
    return inner_->get(k, d);
  }
  Result<std::vector<bool>> has(std::span<const ObjectKey> k, Deadline d) override {
    SLUICE_TRY(obey(d));
    return inner_->has(k, d);
  }
  Result<> erase(const ObjectKey& k, Deadline d) override { return inner_->erase(k, d); }
  Result<TierUse> use(Deadline d) override { return inner_->use(d); }
  TierCounts counts() const override { return inner_->counts(); }
  Tier& inner() { return *inner_; }

 private:
  Result<> obey(Deadline deadline) {
    std::unique_lock lock(mood_->mutex);
    ++mood_->calls;
    ++mood_->waiting;
    mood_->changed.notify_all();
    const Deadline until = mood_->deaf ? soon(1h) : deadline;
    const bool let_go = mood_->changed.wait_until(lock, until, [&] { return !mood_->held; });
    --mood_->waiting;
    if (!let_go) return fail(Errc::deadline_exceeded, "held");
    if (mood_->fails) return fail(*mood_->fails, "told to fail");
    return {};
  }
  std::shared_ptr<Mood> mood_;
  std::unique_ptr<Tier> inner_;
};

/// A store over a memory tier and a moody one behind it.
struct Two {
  std::shared_ptr<Mood> mood = std::make_shared<Mood>();
  Tier* memory = nullptr;
  MoodyTier* moody = nullptr;
  std::unique_ptr<Store> store;

  explicit Two(LaneOptions lane = {}) {
    std::vector<std::unique_ptr<Tier>> tiers;
    tiers.push_back(make_memory_tier(kWide, plain_keys()));
    memory = tiers.back().get();
    auto second = std::make_unique<MoodyTier>(mood);
    moody = second.get();
    tiers.push_back(std::move(second));
    store = std::make_unique<Store>(std::move(tiers), lane, plain_keys());
  }
  ~Two() {
    mood->set(false);
    store.reset();
  }
  LaneState lane(std::size_t i) const { return store->report().at(i).lane; }
};

bool equal(const StoredKv& kv, const Recipe& r) {
  const auto payloads = payloads_of(r);
  bool same = kv.head().parts.size() == payloads.size();
  for (std::size_t i = 0; same && i < payloads.size(); ++i) same = std::ranges::equal(kv.payload(i), payloads[i]);
  return same;
}

}  // namespace

TEST_CASE("store: what is put is written to all tiers, and read from the first") {
  Two t;
  const auto object = make_object({});
  t.store->put(object);
  REQUIRE(t.store->drain(soon()));
  const int asked = t.mood->asked();
  CHECK(equal(t.store->get(object.key(), soon()).value(), {}));
  CHECK(t.mood->asked() == asked);
  CHECK(t.lane(0).counts.hits == 1);
  CHECK(t.lane(0).counts.read_bytes == object.bytes().size());
  CHECK(t.lane(1).counts.written == 1);
  CHECK(t.lane(1).counts.written_bytes == object.bytes().size());
  CHECK(t.store->get(make_object({.name = 2}).key(), soon()).error().code == Errc::not_found);
  CHECK(t.lane(1).counts.misses == 1);
}

TEST_CASE("store: what a later tier has is written to those before it") {
  Two t;
  const auto object = make_object({});
  REQUIRE(put_object(t.moody->inner(), object, soon()));
  CHECK(equal(t.store->get(object.key(), soon()).value(), {}));
  REQUIRE(t.store->drain(soon()));
  CHECK(t.memory->has({&object.key(), 1}, soon()).value()[0]);
  CHECK(t.lane(1).counts.hits == 1);
  CHECK(t.lane(1).counts.read_seconds > 0);
}

TEST_CASE("store: a tier that hangs costs a read its deadline, and writes and other tiers nothing") {
  Two t;
  const auto here = make_object({.name = 1}), there = make_object({.name = 2});
  REQUIRE(put_object(*t.memory, here, soon()));
  REQUIRE(put_object(t.moody->inner(), there, soon()));
  t.mood->set(true);
  t.store->put(make_object({.name = 3}));
  CHECK(t.store->get(here.key(), soon()));
  CHECK(t.store->get(there.key(), soon(50ms)).error().code == Errc::deadline_exceeded);
  CHECK(t.lane(1).counts.failures == 1);
  t.mood->set(false);
  CHECK(t.store->get(there.key(), soon()));
}

TEST_CASE("store: a tier whose calls do not end is found out by as many as it has readers") {
  Two t({.readers = 2});
  const auto object = make_object({});
  REQUIRE(put_object(t.moody->inner(), object, soon()));
  t.mood->hold_beyond_deadlines();
  for (int reader = 0; reader < 2; ++reader) {
    CHECK_FALSE(t.lane(1).paused);
    CHECK(t.store->get(object.key(), soon(50ms)).error().code == Errc::deadline_exceeded);
  }
  CHECK(t.lane(1).paused);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(t.store->get(object.key(), soon()).error().code == Errc::unavailable);
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  t.mood->set(false);
  CHECK(sluice::test::poll_until([&] { return t.store->get(object.key(), soon()).has_value(); }, 20s));
}

TEST_CASE("store: a tier that fails is left alone") {
  Two t({.first_pause = 1h});
  const auto object = make_object({});
  REQUIRE(put_object(t.moody->inner(), object, soon()));
  t.mood->set(false, Errc::unavailable);
  CHECK(t.store->get(object.key(), soon()).error().code == Errc::unavailable);
  CHECK(t.lane(1).paused);
  const int asked = t.mood->asked();
  CHECK(t.store->get(object.key(), soon()).error().code == Errc::unavailable);
  t.store->put(make_object({.name = 2}));
  CHECK(t.mood->asked() == asked);
  CHECK(t.lane(1).counts.dropped_paused == 1);
}

TEST_CASE("store: a tier that failed is asked again by itself") {
  Two t({.first_pause = 1ms});
  const auto object = make_object({});
  REQUIRE(put_object(t.moody->inner(), object, soon()));
  t.mood->set(false, Errc::unavailable);
  CHECK(t.store->get(object.key(), soon()).error().code == Errc::unavailable);
  t.mood->set(false);
  CHECK(sluice::test::poll_until([&] { return t.store->get(object.key(), soon()).has_value(); }, 20s));
  CHECK_FALSE(t.lane(1).paused);
}

TEST_CASE("store: writes that do not fit the queue are dropped and counted") {
  const auto object = make_object({.bytes = 10'000});
  Two t({.queue_bytes = 3 * object.bytes().size()});
  t.mood->set(true);
  for (std::uint64_t n = 1; n <= 5; ++n) t.store->put(make_object({.name = n, .bytes = 10'000}));
  CHECK(t.lane(1).counts.dropped_full == 2);
  CHECK(t.lane(1).queued_bytes == 3 * object.bytes().size());
  t.mood->set(false);
  REQUIRE(t.store->drain(soon()));
  CHECK(t.lane(1).counts.written == 3);
  CHECK(t.lane(1).queued_bytes == 0);
}

TEST_CASE("store: one that ends drops what is queued, and waits for no tier's queue") {
  Two t({.write_limit = 50ms});
  t.mood->set(true);
  for (std::uint64_t n = 1; n <= 3; ++n) t.store->put(make_object({.name = n}));
  t.mood->await_call();
  const auto begin = std::chrono::steady_clock::now();
  t.store.reset();
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
}

TEST_CASE("store: too many readers are told so at once") {
  Two t({.queued_calls = 1, .readers = 1});
  t.mood->set(true);
  const auto key = make_object({}).key();
  std::jthread first([&] { (void)t.store->get(key, soon(500ms)); });
  t.mood->await_call();  // the reader has it
  std::jthread second([&] { (void)t.store->get(key, soon(500ms)); });
  const auto limit = soon();
  Errc last = Errc::deadline_exceeded;
  while (last != Errc::resource_exhausted && std::chrono::steady_clock::now() < limit)
    last = t.store->get(key, soon(1ms)).error().code;
  CHECK(last == Errc::resource_exhausted);
}

TEST_CASE("store: has asks all tiers, and takes one that fails for empty") {
  Two t;
  const auto a = make_object({.name = 1}), b = make_object({.name = 2}), c = make_object({.name = 3});
  REQUIRE(put_object(*t.memory, a, soon()));
  REQUIRE(put_object(t.moody->inner(), b, soon()));
  const std::vector keys{a.key(), b.key(), c.key()};
  CHECK(t.store->has(keys, soon()) == std::vector{true, true, false});
  t.mood->set(false, Errc::unavailable);
  CHECK(t.store->has(keys, soon()) == std::vector{true, false, false});
}

TEST_CASE("store: erased is gone from all tiers") {
  Two t;
  const auto object = make_object({});
  t.store->put(object);
  REQUIRE(t.store->drain(soon()));
  CHECK(t.store->erase(object.key(), soon()));
  CHECK(t.store->get(object.key(), soon()).error().code == Errc::not_found);
  CHECK(t.store->erase(object.key(), soon()));
}

TEST_CASE("store: objects sealed with another key are refused and counted") {
  std::vector<std::unique_ptr<Tier>> tiers;
  tiers.push_back(make_memory_tier(kWide, sealing_keys()));
  const auto object = make_object({}, sealing_keys());
  REQUIRE(put_object(*tiers[0], object, soon()));
  Store store(std::move(tiers), {}, plain_keys());
  CHECK(store.get(object.key(), soon()).error().code == Errc::data_corrupt);
  CHECK(store.unopened() == 1);
}

TEST_CASE("store: after a change of the store key all is written anew, and nothing old stands in its way") {
  const sluice::test::TempDir dir;
  const StoreOptions options{.tiers = parse_tiers("disk:" + dir.path().string() + ":64MiB").value()};
  const ObjectKeys newer(cluster_key(), kv::SealKey{9});
  for (const ObjectKeys* keys : {&sealing_keys(), &newer, &plain_keys()}) {
    const auto object = make_object({}, *keys);
    const auto store = Store::open(options, *keys).value();
    CHECK(store->get(object.key(), soon()).error().code == Errc::not_found);
    store->put(object);
    REQUIRE(store->drain(soon()));
    CHECK(equal(store->get(object.key(), soon()).value(), {}));
  }
}

TEST_CASE("store: is made from its flag, and its disk outlives it") {
  const sluice::test::TempDir dir;
  StoreOptions options{.tiers = parse_tiers("memory:64MiB,disk:" + dir.path().string() + ":64MiB").value()};
  const auto object = make_object({}, sealing_keys());
  {
    const auto store = Store::open(options, sealing_keys()).value();
    store->put(object);
    REQUIRE(store->drain(soon()));
    for (const auto& use : store->use(soon())) CHECK(use.value().bytes == object.bytes().size());
  }
  const auto store = Store::open(options, sealing_keys()).value();
  CHECK(equal(store->get(object.key(), soon()).value(), {}));
  CHECK(store->report().at(1).lane.counts.hits == 1);
  options.tenant_share = 0;
  CHECK(Store::open(options, sealing_keys()).error().code == Errc::invalid_argument);
}
