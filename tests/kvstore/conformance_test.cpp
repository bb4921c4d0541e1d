// One suite over all tiers: what kvstore/tier/tier.h promises.
#include "tests/kvstore/conformance.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "tests/kvstore/objects.h"
#include "tests/support/skip.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace sluice::kvstore::test;

namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;

template <class F>
void each_tier(F&& fn, const ResidentLimits& limits = {64 * kMiB, 64 * kMiB}, bool only_evicting = false) {
  if (tiers_under_test().empty()) SLUICE_SKIP("redis-server is not installed");
  for (const auto& kind : tiers_under_test()) {
    if (only_evicting && !kind.evicts) continue;
    INFO("tier: " << kind.name);
    const TierRig rig = kind.make(limits);
    fn(*rig.tier);
  }
}

bool there(Tier& tier, const ObjectKey& key) { return tier.has({&key, 1}, soon()).value().at(0); }

Errc code_of(const Result<>& r) { return r ? Errc::internal : r.error().code; }

}  // namespace

TEST_CASE("tier: an object is given back as it came") {
  each_tier([](Tier& tier) {
    for (const std::size_t bytes : {std::size_t{8}, std::size_t{100'000}, 3 * kMiB}) {
      const auto object = make_object({.name = bytes, .bytes = bytes});
      CHECK(tier.get(object.key(), soon()).error().code == Errc::not_found);
      CHECK_FALSE(there(tier, object.key()));
      REQUIRE(put_object(tier, object, soon()));
      CHECK(there(tier, object.key()));
      const auto got = tier.get(object.key(), soon());
      REQUIRE(got);
      CHECK(same_bytes(*got, object));
      CHECK(got->facts() == object.facts());
    }
  });
}

TEST_CASE("tier: nobody sees an object before it is committed, nor after it was undone") {
  each_tier([](Tier& tier) {
    const auto object = make_object({});
    {
      const auto put = tier.begin(object.key(), object.facts(), soon()).value();
      REQUIRE(put->part(object.bytes().first(1000)));
      CHECK_FALSE(there(tier, object.key()));
      CHECK(tier.get(object.key(), soon()).error().code == Errc::not_found);
      CHECK(code_of(put->commit()) == Errc::invalid_argument);  // not all of it came
    }
    CHECK_FALSE(there(tier, object.key()));
    REQUIRE(put_object(tier, object, soon()));  // it left no room taken and no name
    CHECK(same_bytes(tier.get(object.key(), soon()).value(), object));
  });
}

TEST_CASE("tier: more bytes than were announced are refused") {
  each_tier([](Tier& tier) {
    const auto object = make_object({});
    auto put = tier.begin(object.key(), object.facts(), soon()).value();
    REQUIRE(put->part(object.bytes()));
    CHECK(code_of(put->part(object.bytes().first(1))) == Errc::invalid_argument);
    put.reset();
    CHECK_FALSE(there(tier, object.key()));
  });
}

TEST_CASE("tier: an object is written once") {
  each_tier([](Tier& tier) {
    const auto object = make_object({});
    REQUIRE(put_object(tier, object, soon()));
    CHECK(code_of(put_object(tier, object, soon())) == Errc::already_exists);
    CHECK(same_bytes(tier.get(object.key(), soon()).value(), object));
  });
}

TEST_CASE("tier: erased is gone, and may come again") {
  each_tier([](Tier& tier) {
    const auto object = make_object({});
    CHECK(code_of(tier.erase(object.key(), soon())) == Errc::not_found);
    REQUIRE(put_object(tier, object, soon()));
    REQUIRE(tier.erase(object.key(), soon()));
    CHECK(tier.get(object.key(), soon()).error().code == Errc::not_found);
    REQUIRE(put_object(tier, object, soon()));
    CHECK(there(tier, object.key()));
  });
}

TEST_CASE("tier: has answers for each key in turn") {
  each_tier([](Tier& tier) {
    std::vector<ObjectKey> keys;
    for (std::uint64_t n = 1; n <= 20; ++n) {
      const auto object = make_object({.name = n, .bytes = 64});
      keys.push_back(object.key());
      if (n % 3 == 0) REQUIRE(put_object(tier, object, soon()));
    }
    const auto has = tier.has(keys, soon()).value();
    REQUIRE(has.size() == keys.size());
    for (std::size_t i = 0; i < has.size(); ++i) CHECK(has[i] == ((i + 1) % 3 == 0));
    CHECK(tier.has({}, soon()).value().empty());
  });
}

TEST_CASE("tier: wrong bytes that were put are never given back") {
  each_tier([](Tier& tier) {
    const auto object = make_object({});
    auto bytes = copy_of(object);
    bytes[bytes.size() / 2] ^= std::byte{4};
    auto put = tier.begin(object.key(), object.facts(), soon()).value();
    REQUIRE(put->part(bytes));
    const bool kept = put->commit().has_value();
    put.reset();
    const auto got = tier.get(object.key(), soon());
    REQUIRE_FALSE(got);
    CHECK(got.error().code == (kept ? Errc::data_corrupt : Errc::not_found));
    CHECK(tier.counts().refused[static_cast<std::size_t>(Refusal::digest)] == 1);
    CHECK_FALSE(there(tier, object.key()));  // deleted
    REQUIRE(put_object(tier, object, soon()));
    CHECK(same_bytes(tier.get(object.key(), soon()).value(), object));
  });
}

TEST_CASE("tier: another object under a key is refused") {
  each_tier([](Tier& tier) {
    const auto a = make_object({.name = 1}), b = make_object({.name = 2});
    auto put = tier.begin(a.key(), b.facts(), soon()).value();
    REQUIRE(put->part(b.bytes()));
    (void)put->commit();
    put.reset();
    CHECK_FALSE(tier.get(a.key(), soon()));
    CHECK(tier.counts().refused[static_cast<std::size_t>(Refusal::address)] == 1);
  });
}

TEST_CASE("tier: room is made of leaves, the oldest first, and quotas hold") {
  const auto object = [](std::uint64_t name, std::uint64_t parent, std::uint64_t tenant = 1) {
    return make_object({.name = name, .parent = parent, .tenant = tenant, .bytes = 10'000});
  };
  const std::uint64_t one = object(1, 100).facts().bytes;
  each_tier(
      [&](Tier& tier) {
        const auto a = object(1, 100), b = object(2, 1), c = object(3, 103, 3), d = object(4, 104, 4);
        for (const auto& o : {a, b, c}) REQUIRE(put_object(tier, o, soon()));
        REQUIRE(tier.get(b.key(), soon()));
        REQUIRE(put_object(tier, d, soon()));
        CHECK(there(tier, a.key()));
        CHECK_FALSE(there(tier, c.key()));
        for (const auto& o : {object(11, 100, 2), object(12, 100, 2), object(13, 100, 2)})
          REQUIRE(put_object(tier, o, soon()));
        const auto use = tier.use(soon()).value();
        CHECK(use.by_tenant.at(prefix::TenantMark(2)) == 2 * one);
        CHECK(use.bytes == 3 * one);
        CHECK(use.capacity == 3 * one);
        CHECK(tier.counts().evicted_objects == 4);
        CHECK(code_of(put_object(tier, make_object({.name = 50, .bytes = 30'000}), soon())) ==
              Errc::resource_exhausted);
      },
      {3 * one, 2 * one}, true);
}

TEST_CASE("tier: many threads put, get and erase the same few objects") {
  each_tier([](Tier& tier) {
    std::vector<ObjectBytes> objects;
    for (std::uint64_t n = 1; n <= 8; ++n) objects.push_back(make_object({.name = n, .bytes = 20'000}));
    std::atomic<int> wrong = 0, got = 0;
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        std::mt19937 draw(t);
        for (int i = 0; i < 100; ++i) {
          const auto& o = objects[draw() % objects.size()];
          const auto what = draw() % 5;
          if (what == 0) {
            (void)tier.erase(o.key(), soon());
          } else if (what < 3) {
            (void)put_object(tier, o, soon());
          } else if (const auto r = tier.get(o.key(), soon())) {
            ++got;
            if (!same_bytes(*r, o)) ++wrong;
          } else if (r.error().code != Errc::not_found) {
            ++wrong;
          }
        }
      });
    threads.clear();
    CHECK(wrong == 0);
    CHECK(got > 0);
    for (const auto n : tier.counts().refused) CHECK(n == 0);
  });
}

TEST_CASE("tier: what is evicted while it is read is given back whole or not at all, and limits hold") {
  std::vector<ObjectBytes> objects;
  for (std::uint64_t n = 1; n <= 12; ++n)
    objects.push_back(make_object({.name = n, .parent = n - 1, .tenant = n % 2, .bytes = 200'000}));
  const std::uint64_t one = objects[0].facts().bytes;
  each_tier(
      [&](Tier& tier) {
        std::atomic<int> wrong = 0, got = 0;
        std::vector<std::jthread> threads;
        for (unsigned t = 0; t < 3; ++t)
          threads.emplace_back([&, t] {
            std::mt19937 draw(t);
            for (int i = 0; i < 150; ++i) {
              const auto& o = objects[draw() % objects.size()];
              if (draw() % 2 == 0) (void)put_object(tier, o, soon());
              const auto r = tier.get(o.key(), soon());
              if (r) ++got;
              if (r ? !same_bytes(*r, o) : r.error().code != Errc::not_found) ++wrong;
              const auto use = tier.use(soon()).value();
              if (use.bytes > 5 * one) ++wrong;
              for (const auto& [_, bytes] : use.by_tenant)
                if (bytes > 3 * one) ++wrong;
            }
          });
        threads.clear();
        CHECK(wrong == 0);
        CHECK(got > 0);
        CHECK(tier.counts().evicted_objects > 0);
        for (const auto n : tier.counts().refused) CHECK(n == 0);
      },
      {5 * one, 3 * one}, true);
}
