#include "node/prefix_news.h"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "engine/policy/prefix_cache.h"

using namespace sluice;
using namespace sluice::node;
using control::LegSpace;
using prefix::PrefixName;

namespace {

/// A cache of one long chain, and copies of its names that follow reports.
struct Told {
  engine::BlockAllocator pool;
  engine::PrefixCache cache{pool};
  PrefixNews news{[this](std::uint64_t from) { return cache.changes_since(from); }};
  std::map<LegSpace, std::set<PrefixName>> copies;
  std::mt19937_64 draw{3};

  explicit Told(std::uint32_t blocks) : pool(blocks) {}

  PrefixName name() {
    PrefixName n;
    for (auto& b : n.bytes) b = static_cast<std::uint8_t>(draw());
    return n;
  }
  /// A sequence of so many blocks was computed, and has ended.
  std::vector<PrefixName> compute(std::size_t blocks) {
    std::vector<PrefixName> chain(blocks);
    for (auto& n : chain) n = name();
    const auto taken = pool.allocate(blocks).value();
    cache.publish(chain, taken, 0);
    for (const auto& b : taken) REQUIRE(pool.release(b));
    return chain;
  }
  /// One heartbeat. False: no news.
  bool beat(LegSpace to) {
    const auto r = news.next(to);
    if (!r) return false;
    auto& copy = copies[to];
    if (r->anew) copy.clear();
    const auto removed = prefix::names_from_hex(r->removed).value();
    const auto stored = prefix::names_from_hex(r->stored).value();
    CHECK(removed.size() <= control::kMaxPrefixNames);
    CHECK(stored.size() <= control::kMaxPrefixNames);
    for (const auto& n : removed) copy.erase(n);
    copy.insert(stored.begin(), stored.end());
    return true;
  }
  [[nodiscard]] std::set<PrefixName> all() const {
    const auto known = cache.changes_since(0).stored;
    return {known.begin(), known.end()};
  }
};

constexpr LegSpace kA(1);
constexpr LegSpace kB(2);

}  // namespace

TEST_CASE("prefix news: what comes and goes is told once, to each coordinator") {
  Told t(64);
  CHECK(t.beat(kA));  // that there is nothing
  CHECK(t.copies[kA].empty());
  CHECK_FALSE(t.beat(kA));
  t.compute(40);
  CHECK(t.beat(kA));
  CHECK(t.copies[kA].size() == 40);
  CHECK_FALSE(t.beat(kA));
  t.compute(40);  // 16 of those before have to go
  CHECK(t.beat(kA));
  CHECK(t.copies[kA] == t.all());
  CHECK(t.all().size() == 64);
  CHECK(t.beat(kB));
  CHECK(t.copies[kB] == t.all());
  t.news.forget(kA);
  t.copies[kA] = {t.name()};  // of another life
  CHECK(t.beat(kA));
  CHECK(t.copies[kA] == t.all());
}

TEST_CASE("prefix news: many names take several heartbeats, while more come and go") {
  constexpr std::uint32_t kBlocks = 3 * control::kMaxPrefixNames;
  Told t(kBlocks);
  for (int i = 0; i < 4; ++i) t.compute(kBlocks / 4);
  for (int i = 0; i < 3; ++i) {
    CHECK(t.beat(kA));
    t.compute(100);
  }
  CHECK(t.beat(kA));
  CHECK(t.copies[kA] == t.all());
  CHECK_FALSE(t.beat(kA));
}

TEST_CASE("prefix news: who missed more than the log keeps begins anew") {
  Told t(1000);
  CHECK(t.beat(kA));
  for (std::size_t told = 0; told <= engine::PrefixLog::kKept; told += 500) t.compute(500);
  CHECK(t.cache.changes_since(1).anew);
  CHECK(t.beat(kA));
  CHECK(t.copies[kA] == t.all());
}
