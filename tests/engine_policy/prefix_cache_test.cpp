#include "engine/policy/prefix_cache.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "engine/policy/scheduler.h"

using namespace sluice;
using namespace sluice::engine;
using prefix::PrefixName;

namespace {

/// A prompt is a text, a block a letter: its name is the text up to it.
PrefixName name_of(std::string_view text) {
  PrefixName n;
  for (std::size_t i = 0; i < text.size(); ++i) n.bytes[i % n.bytes.size()] ^= static_cast<std::uint8_t>(text[i] + i);
  n.bytes[15] = static_cast<std::uint8_t>(text.size());
  return n;
}

std::vector<PrefixName> chain_of(std::string_view text) {
  std::vector<PrefixName> out;
  for (std::size_t n = 1; n <= text.size(); ++n) out.push_back(name_of(text.substr(0, n)));
  return out;
}

struct Rig {
  explicit Rig(std::uint32_t blocks) : pool(blocks), cache(pool) {}
  BlockAllocator pool;
  PrefixCache cache;

  /// What a prompt of these blocks does: its hit, the rest computed and published. Its blocks.
  std::vector<BlockHandle> run(std::string_view text) {
    const auto chain = chain_of(text);
    auto blocks = cache.acquire(chain);
    const std::size_t hit = blocks.size();
    const auto own = pool.allocate(text.size() - hit).value();
    blocks.insert(blocks.end(), own.begin(), own.end());
    cache.publish(chain, blocks, hit);
    return blocks;
  }
  void end(const std::vector<BlockHandle>& blocks) {
    for (const BlockHandle& b : blocks) REQUIRE(pool.release(b));
  }
  /// How long a beginning is known.
  std::size_t known(std::string_view text) {
    const auto hit = cache.acquire(chain_of(text));
    end(hit);
    return hit.size();
  }
};

}  // namespace

TEST_CASE("blocks of an ended sequence are found again, count as free, and are the same blocks") {
  Rig r(8);
  const auto first = r.run("abcd");
  CHECK(r.pool.free_blocks() == 4);
  r.end(first);
  CHECK(r.pool.free_blocks() == 8);
  CHECK(r.cache.counters().blocks == 4);
  const auto again = r.cache.acquire(chain_of("abxd"));
  REQUIRE(again.size() == 2);
  CHECK(again[0] == first[0]);
  CHECK(again[1] == first[1]);
  CHECK(r.pool.free_blocks() == 6);
  r.end(again);
  CHECK(r.known("zb") == 0);
  CHECK(r.known("") == 0);
}

TEST_CASE("what is held is not evicted, and whoever needs more is told that there is no room") {
  Rig r(6);
  const auto held = r.run("abc");
  const auto refused = r.pool.allocate(4);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::resource_exhausted);
  CHECK(r.cache.counters().evicted_blocks == 0);
  r.end(held);
  REQUIRE(r.pool.allocate(6));
  CHECK(r.cache.counters().evicted_blocks == 3);
  CHECK(r.cache.counters().blocks == 0);
  CHECK(r.known("a") == 0);
}

TEST_CASE("the least recently used end goes first, and a block before the one it continues never") {
  Rig r(6);
  r.end(r.run("abc"));
  r.end(r.run("abx"));
  r.end(r.run("pq"));
  CHECK(r.known("abc") == 3);  // which makes it the last used
  REQUIRE(r.pool.allocate(1));
  CHECK(r.known("abx") == 2);
  REQUIRE(r.pool.allocate(2));
  CHECK(r.known("pq") == 0);
  CHECK(r.known("abc") == 3);
  REQUIRE(r.pool.allocate(1));
  CHECK(r.known("abc") == 2);
}

TEST_CASE("a name that is known keeps its block, and the one that continues another's block holds it") {
  Rig r(8);
  const auto one = r.pool.allocate(2).value();
  const auto two = r.pool.allocate(3).value();
  r.cache.publish(chain_of("ab"), one, 0);
  r.cache.publish(chain_of("abc"), two, 0);  // computed at the same time
  r.end(one);
  CHECK(r.cache.counters().blocks == 3);
  CHECK(r.pool.free_blocks() == 3);  // a and b cannot go while c is held
  CHECK(r.pool.allocate(4).error().code == Errc::resource_exhausted);
  r.end(two);  // of its own a and b nobody knows
  CHECK(r.pool.free_blocks() == 8);
  const auto hit = r.cache.acquire(chain_of("abc"));
  CHECK(hit == std::vector{one[0], one[1], two[2]});
  r.end(hit);
}

TEST_CASE("a chain whose beginning went meanwhile is published with its sequence's own blocks") {
  Rig r(5);
  const auto one = r.pool.allocate(1).value();
  const auto two = r.pool.allocate(3).value();
  r.cache.publish(chain_of("a"), one, 0);
  r.cache.publish(chain_of("a"), two, 0);
  r.end(one);
  REQUIRE(r.pool.allocate(2));  // takes the first a
  r.cache.publish(chain_of("abc"), two, 1);
  CHECK(r.known("abc") == 3);
  r.end(two);
}

TEST_CASE("the keeper's reference is nobody else's to give back") {
  Rig r(2);
  const auto a = r.run("a");
  REQUIRE(r.pool.release(a[0]));
  CHECK(r.pool.release(a[0]).error().code == Errc::stale);
  CHECK(r.pool.keep(a[0]).error().code == Errc::already_exists);
  CHECK(r.known("a") == 1);
  const auto other = r.pool.allocate(1).value();
  CHECK(r.pool.let_go(other[0]).error().code == Errc::stale);
}

TEST_CASE("a cache that goes leaves every block free") {
  BlockAllocator pool(4);
  {
    PrefixCache cache(pool);
    const auto a = pool.allocate(3).value();
    cache.publish(chain_of("abc"), a, 0);
    for (const BlockHandle& b : a) REQUIRE(pool.release(b));
  }
  CHECK(pool.free_blocks() == 4);
  CHECK(pool.allocate(4));
}

TEST_CASE("a sequence shares blocks, computes behind them, and gives all back") {
  Rig r(8);
  r.end(r.run("ab"));
  Scheduler s(r.pool, 4);
  const auto spec = [&](std::vector<BlockHandle> shared, std::uint32_t computed) {
    return SequenceSpec{.id = RequestId(1),
                        .tokens = std::vector<TokenId>(15, 1),
                        .computed = computed,
                        .max_total = 15,
                        .fill_to = 15,
                        .shared = std::move(shared)};
  };
  const auto hit = r.cache.acquire(chain_of("abz"));
  CHECK(s.admit(spec(hit, 7)).error().code == Errc::invalid_argument);  // it would write into what others read
  REQUIRE(s.admit(spec(hit, 8)));
  CHECK(s.view(RequestId(1))->blocks.size() == 4);
  CHECK(s.view(RequestId(1))->blocks[1] == hit[1]);
  CHECK(s.counters().free_blocks == 4);
  const auto plan = s.plan({}).work;
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].first == 8);
  CHECK(plan[0].count == 7);
  REQUIRE(s.commit(plan[0]));
  REQUIRE(s.finish(RequestId(1)));
  CHECK(r.pool.free_blocks() == 8);
  CHECK(r.known("ab") == 2);
}

namespace {

/// The same by looking at everything each time.
class NaiveCache {
 public:
  struct Entry {
    BlockHandle block;
    std::uint64_t used = 0;
  };
  explicit NaiveCache(const BlockAllocator& pool) : pool_(pool) {}

  std::vector<BlockHandle> find(const std::string& text) const {
    std::vector<BlockHandle> out;
    for (std::size_t n = 1; n <= text.size() && known_.contains(text.substr(0, n)); ++n)
      out.push_back(known_.at(text.substr(0, n)).block);
    return out;
  }
  void use(const std::string& text, const std::vector<BlockHandle>* own = nullptr, std::size_t from = 0) {
    ++uses_;
    while (from > 0 && !known_.contains(text.substr(0, from))) --from;
    for (std::size_t n = from + 1; n <= text.size(); ++n) {
      const std::string name = text.substr(0, n);
      if (!known_.contains(name)) {
        if (own == nullptr) return;
        known_[name].block = (*own)[n - 1];
      }
      known_[name].used = uses_;
    }
  }
  std::uint32_t spare() const {
    return static_cast<std::uint32_t>(std::ranges::count_if(known_, [&](const auto& e) {
      return std::ranges::none_of(known_,
                                  [&](const auto& o) { return o.first.starts_with(e.first) && busy(o.second); });
    }));
  }
  void evict() {
    std::optional<std::string> first;
    for (const auto& [name, e] : known_) {
      const bool leaf = std::ranges::none_of(
          known_, [&](const auto& o) { return o.first.size() > name.size() && o.first.starts_with(name); });
      if (leaf && !busy(e) && (!first || e.used < known_.at(*first).used)) first = name;
    }
    REQUIRE(first);
    known_.erase(*first);
  }
  std::size_t size() const { return known_.size(); }

 private:
  bool busy(const Entry& e) const { return pool_.references(e.block) > 1; }
  const BlockAllocator& pool_;
  std::map<std::string, Entry> known_;
  std::uint64_t uses_ = 0;
};

}  // namespace

TEST_CASE("random prompts: the cache does what one that looks at everything does, and no block is lost") {
  const std::uint32_t seed = GENERATE(range(1U, 21U));
  std::mt19937 rng(seed);
  const auto pick = [&](std::uint32_t low, std::uint32_t high) {
    return std::uniform_int_distribution<std::uint32_t>(low, high)(rng);
  };
  Rig r(pick(6, 40));
  NaiveCache naive(r.pool);
  struct Running {
    std::string text;
    std::vector<BlockHandle> blocks;
    std::size_t done = 0;
  };
  std::vector<Running> running;
  for (int i = 0; i < 400; ++i) {
    if (running.empty() || pick(0, 2) == 0) {
      std::string text;
      for (std::uint32_t n = pick(1, 6); text.size() < n;) text += static_cast<char>('a' + pick(0, 1));
      const auto hit = r.cache.acquire(chain_of(text));
      REQUIRE(hit == naive.find(text));
      naive.use(text.substr(0, hit.size()));
      const std::size_t lacks = text.size() - hit.size();
      const std::uint32_t free = r.pool.free_blocks();
      const std::uint64_t before = r.cache.counters().evicted_blocks;
      auto own = r.pool.allocate(lacks);
      REQUIRE(own.has_value() == (lacks <= free));
      for (std::uint64_t n = before; n < r.cache.counters().evicted_blocks; ++n) naive.evict();
      if (own) {
        Running s{text, hit, hit.size()};
        s.blocks.insert(s.blocks.end(), own->begin(), own->end());
        running.push_back(std::move(s));
      } else {
        r.end(hit);
      }
    } else {
      const std::size_t at = pick(0, static_cast<std::uint32_t>(running.size()) - 1);
      Running& s = running[at];
      if (s.done < s.text.size() && pick(0, 4) != 0) {
        const std::size_t to = pick(static_cast<std::uint32_t>(s.done) + 1, static_cast<std::uint32_t>(s.text.size()));
        r.cache.publish(chain_of(s.text.substr(0, to)), s.blocks, s.done);
        naive.use(s.text.substr(0, to), &s.blocks, s.done);
        s.done = to;
      } else {
        r.end(s.blocks);
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(at));
      }
    }
    REQUIRE(r.cache.counters().blocks == naive.size());
    REQUIRE(r.cache.spare() == naive.spare());
  }
  for (const Running& s : running) r.end(s.blocks);
  CHECK(r.pool.free_blocks() == r.pool.total_blocks());
  CHECK(r.pool.allocate(r.pool.total_blocks()));
}
