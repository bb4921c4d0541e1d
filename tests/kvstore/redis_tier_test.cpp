// What a Redis may do to a tier: stop, be slow, be full, forget, die and come back. Always an answer in time, and never
// wrong bytes.
#include "kvstore/tier/redis_tier.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "tests/kvstore/objects.h"
#include "tests/support/real_redis.h"
#include "tests/support/skip.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace sluice::kvstore::test;
using sluice::test::RealRedis;

#define NEEDS_REDIS() \
  if (!RealRedis::installed()) SLUICE_SKIP("redis-server is not installed")

namespace {

std::unique_ptr<Tier> tier_of(const RedisServer& server) { return make_redis_tier({.server = server}, plain_keys()); }

ObjectBytes object(std::uint64_t n, std::size_t bytes = 1'500'000) { return make_object({.name = n, .bytes = bytes}); }

std::string name_in_redis(const ObjectKey& key) { return "sluice:kv:{" + to_hex(key) + "}"; }

std::uint64_t refused(const Tier& tier, Refusal why) { return tier.counts().refused[static_cast<std::size_t>(why)]; }

double seconds_of(const std::function<void()>& fn) {
  const auto begin = std::chrono::steady_clock::now();
  fn();
  return seconds(std::chrono::steady_clock::now() - begin);
}

constexpr double kSlack = 1.0;  // on a machine with other things to do

}  // namespace

TEST_CASE("redis: a server that is stopped costs the deadline, and no more") {
  NEEDS_REDIS();
  RealRedis redis;
  const auto tier = tier_of(redis.server());
  const auto a = object(1), b = object(2);
  REQUIRE(put_object(*tier, a, soon()));
  redis.signal(SIGSTOP);
  using namespace std::chrono_literals;
  CHECK(seconds_of([&] { CHECK(tier->get(a.key(), soon(100ms)).error().code == Errc::deadline_exceeded); }) < kSlack);
  CHECK(seconds_of([&] { CHECK(put_object(*tier, b, soon(100ms)).error().code == Errc::deadline_exceeded); }) <
        kSlack + 1);  // the undo has a second
  CHECK(seconds_of([&] { CHECK_FALSE(tier->has({&a.key(), 1}, soon(100ms))); }) < kSlack);
  redis.signal(SIGCONT);
  CHECK(same_bytes(tier->get(a.key(), soon()).value(), a));
  CHECK(put_object(*tier, b, soon()));
}

TEST_CASE("redis: a server that is killed in the middle of writing, and comes back empty") {
  NEEDS_REDIS();
  RealRedis redis;
  const auto tier = tier_of(redis.server());
  const auto a = object(1);
  {
    const auto put = tier->begin(a.key(), a.facts(), soon()).value();
    REQUIRE(put->part(a.bytes().first(1'100'000)));
    redis.kill();
    (void)put->part(a.bytes().subspan(1'100'000));
    CHECK_FALSE(put->commit());
  }
  CHECK(tier->get(a.key(), soon()).error().code == Errc::unavailable);
  redis.start();
  CHECK(tier->get(a.key(), soon()).error().code == Errc::not_found);
  REQUIRE(put_object(*tier, a, soon()));
  CHECK(same_bytes(tier->get(a.key(), soon()).value(), a));
}

TEST_CASE("redis: a server that was restarted between two parts publishes no half object") {
  NEEDS_REDIS();
  RealRedis redis;
  const auto tier = tier_of(redis.server());
  const auto a = object(1);
  const auto put = tier->begin(a.key(), a.facts(), soon()).value();
  REQUIRE(put->part(a.bytes().first(600'000)));
  redis.kill();
  redis.start();
  (void)put->part(a.bytes().subspan(600'000));
  CHECK_FALSE(put->commit());
  CHECK(tier->get(a.key(), soon()).error().code == Errc::not_found);
  CHECK(redis.say({"DBSIZE"}) == 0);
}

TEST_CASE("redis: a flush is a miss") {
  NEEDS_REDIS();
  RealRedis redis;
  const auto tier = tier_of(redis.server());
  const auto a = object(1);
  REQUIRE(put_object(*tier, a, soon()));
  {
    const auto b = object(2);
    const auto put = tier->begin(b.key(), b.facts(), soon()).value();
    REQUIRE(put->part(b.bytes().first(1'000'000)));
    redis.say({"FLUSHALL"});
    (void)put->part(b.bytes().subspan(1'000'000));
    CHECK_FALSE(put->commit());
  }
  CHECK(tier->get(a.key(), soon()).error().code == Errc::not_found);
  CHECK(redis.say({"DBSIZE"}) == 0);
  CHECK(put_object(*tier, a, soon()));
}

TEST_CASE("redis: a full server refuses, and gives what it has") {
  NEEDS_REDIS();
  RealRedis redis({"--maxmemory", "8mb", "--maxmemory-policy", "noeviction"});
  const auto tier = tier_of(redis.server());
  std::vector<ObjectBytes> kept;
  Errc last = Errc::internal;
  for (std::uint64_t n = 1; n <= 8; ++n) {
    const auto put = put_object(*tier, object(n), soon());
    if (put) kept.push_back(object(n));
    if (!put) last = put.error().code;
  }
  CHECK(last == Errc::resource_exhausted);
  REQUIRE(kept.size() > 1);
  for (const auto& o : kept) CHECK(same_bytes(tier->get(o.key(), soon()).value(), o));
  CHECK(redis.say({"DBSIZE"}) == static_cast<std::int64_t>(kept.size()));  // nothing half is left
  CHECK(tier->use(soon()).value().capacity == 8'388'608);
  for (const auto& o : kept) REQUIRE(tier->erase(o.key(), soon()));
  CHECK(put_object(*tier, kept[0], soon()));
}

TEST_CASE("redis: one that evicts gives whole objects or none") {
  NEEDS_REDIS();
  RealRedis redis({"--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"});
  const auto tier = tier_of(redis.server());
  std::size_t there = 0;
  for (std::uint64_t n = 1; n <= 12; ++n) (void)put_object(*tier, object(n), soon());
  for (std::uint64_t n = 1; n <= 12; ++n) {
    const auto got = tier->get(object(n).key(), soon());
    if (got) CHECK(same_bytes(*got, object(n)));
    if (!got) CHECK(got.error().code == Errc::not_found);
    there += got ? 1 : 0;
  }
  CHECK(there > 0);
  CHECK(there < 12);
}

TEST_CASE("redis: what others change is refused, deleted and counted") {
  NEEDS_REDIS();
  RealRedis redis;
  const auto tier = tier_of(redis.server());
  const auto a = object(1);
  const std::string name = name_in_redis(a.key());
  const auto after = [&](const std::vector<RedisCommand>& commands) {
    (void)tier->erase(a.key(), soon());
    REQUIRE(put_object(*tier, a, soon()));
    for (const auto& c : commands) redis.say(c);
    const auto got = tier->get(a.key(), soon());
    REQUIRE_FALSE(got);
    return got.error().code;
  };
  const std::string chunk(512U << 10U, 'x');
  CHECK(after({{"HSET", name, "1", chunk}}) == Errc::data_corrupt);
  CHECK(refused(*tier, Refusal::digest) == 1);
  CHECK(redis.say({"EXISTS", name}) == 0);
  CHECK(after({{"HSET", name, "1", "short"}}) == Errc::data_corrupt);
  CHECK(after({{"HSET", name, "0", "short"}}) == Errc::data_corrupt);
  CHECK(after({{"HSET", name, "b", "99999999999999"}}) == Errc::data_corrupt);
  CHECK(after({{"HSET", name, "b", "many"}}) == Errc::data_corrupt);
  CHECK(after({{"HSET", name, "b", "0"}}) == Errc::data_corrupt);
  CHECK(refused(*tier, Refusal::length) == 5);
  CHECK(after({{"HDEL", name, "2"}}) == Errc::not_found);
  CHECK(after({{"DEL", name}, {"SET", name, "text"}}) == Errc::unavailable);  // an error of the server
}

TEST_CASE("redis: a put that nobody ends expires, and what nobody reads does") {
  NEEDS_REDIS();
  RealRedis redis;
  const auto tier = tier_of(redis.server());
  const auto a = object(1), b = object(2);
  REQUIRE(put_object(*tier, b, soon()));
  CHECK(redis.say({"PTTL", name_in_redis(b.key())}) > 23LL * 3600 * 1000);
  const auto put = tier->begin(a.key(), a.facts(), soon()).value();
  REQUIRE(put->part(a.bytes().first(700'000)));
  const std::int64_t with_expiry = redis.say({"EVAL",
                                              "local n = 0 for _, k in ipairs(redis.call('KEYS', '*')) do if "
                                              "redis.call('PTTL', k) > 0 then n = n + 1 end end return n",
                                              "0"});
  CHECK(with_expiry == 2);
}

TEST_CASE("redis: user, password and database") {
  NEEDS_REDIS();
  RealRedis redis({"--user", "sluice", "on", ">secret", "~sluice:*", "+@all", "--requirepass", "other"});
  const auto a = object(1, 1000);
  RedisServer server = redis.server();
  CHECK(tier_of(server)->get(a.key(), soon()).error().code == Errc::permission_denied);
  server.user = "sluice";
  server.password = "wrong";
  const auto refused = tier_of(server)->get(a.key(), soon());
  CHECK(refused.error().code == Errc::permission_denied);
  CHECK(refused.error().message.find("wrong") == std::string::npos);
  server.password = "secret";
  server.database = 1;
  const auto tier = tier_of(server);
  REQUIRE(put_object(*tier, a, soon()));
  CHECK(same_bytes(tier->get(a.key(), soon()).value(), a));
  CHECK(RealRedis::say(server, {"DBSIZE"}) == 1);
  server.database = 0;
  CHECK(RealRedis::say(server, {"DBSIZE"}) == 0);
}

// As where a node dies between the two commands: neither an expiry is set, nor is the rest deleted.
TEST_CASE("redis: parts that get no expiry are not there") {
  NEEDS_REDIS();
  RealRedis redis({"--user", "sluice", "on", "nopass", "~sluice:*", "+@all", "-pexpire", "-unlink"});
  RedisServer server = redis.server();
  server.user = "sluice";
  CHECK(put_object(*tier_of(server), object(1), soon()).error().code == Errc::permission_denied);
  CHECK(redis.say({"DBSIZE"}) == 0);
}

TEST_CASE("redis: a user without a password is the one that is asked as") {
  NEEDS_REDIS();
  RealRedis redis({"--user", "sluice", "on", "nopass", "~sluice:*", "+@all", "--user", "default", "off"});
  const auto a = object(1, 1000);
  RedisServer server = redis.server();
  CHECK(tier_of(server)->get(a.key(), soon()).error().code == Errc::permission_denied);
  server.user = "sluice";
  CHECK(put_object(*tier_of(server), a, soon()));
  server.user = "nobody";
  CHECK(tier_of(server)->get(a.key(), soon()).error().code == Errc::permission_denied);
}

TEST_CASE("redis: a server of a cluster is refused by name") {
  NEEDS_REDIS();
  // The cluster's own port would be 10,000 higher, which not every free port allows.
  RealRedis redis({"--cluster-enabled", "yes", "--cluster-port", std::to_string(RealRedis::free_port())});
  const auto got = tier_of(redis.server())->get(object(1, 1000).key(), soon());
  REQUIRE_FALSE(got);
  CHECK(got.error().code == Errc::unsupported);
  CHECK(got.error().message.find("cluster") != std::string::npos);
}

TEST_CASE("redis: a server that goes and comes while threads put and get") {
  NEEDS_REDIS();
  RealRedis redis;
  const auto tier = tier_of(redis.server());
  std::vector<ObjectBytes> objects;
  for (std::uint64_t n = 1; n <= 6; ++n) objects.push_back(object(n, 600'000));
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0, late = 0, hits = 0;
  std::vector<std::jthread> threads;
  for (unsigned t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 draw(t);
      while (!stop) {
        const auto& o = objects[draw() % objects.size()];
        const double spent = seconds_of([&] {
          using namespace std::chrono_literals;
          if (draw() % 2 == 0) {
            (void)put_object(*tier, o, soon(300ms));
          } else if (const auto got = tier->get(o.key(), soon(300ms))) {
            ++hits;
            if (!same_bytes(*got, o)) ++wrong;
          }
        });
        if (spent > 0.3 + 1 + kSlack) ++late;
      }
    });
  const auto more_hits = [&] {
    const int before = hits;
    return sluice::test::poll_until([&] { return hits > before + 5; }, std::chrono::seconds(20)).has_value();
  };
  for (int round = 0; round < 3; ++round) {
    CHECK(more_hits());
    redis.kill();
    redis.start();
    CHECK(more_hits());
    redis.signal(SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(400));  // so that calls meet their deadline
    redis.signal(SIGCONT);
    redis.say({"FLUSHALL"});
  }
  stop = true;
  threads.clear();
  CHECK(wrong == 0);
  CHECK(late == 0);
  for (const auto n : tier->counts().refused) CHECK(n == 0);
}
