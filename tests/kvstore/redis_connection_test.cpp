// Servers that are no Redis, or an evil one: always an error in time, and no allocation that they choose.
#include "kvstore/tier/redis_connection.h"

#include <catch2/catch.hpp>

#include "tests/kvstore/objects.h"
#include "tests/kvstore/scripted_server.h"

using namespace sluice;
using namespace sluice::kvstore;
using namespace sluice::kvstore::test;
using namespace std::chrono_literals;

namespace {

Result<std::vector<RedisReply>> ask(Script script, Deadline deadline, const RedisCommand& command = {"GET", "x"}) {
  const ScriptedServer server(std::move(script));
  RedisPool pool({.address = server.address(), .user = {}, .password = {}});
  return pool.call({&command, 1}, 1000, deadline);
}

}  // namespace

TEST_CASE("redis connection: a server that gives a byte at a time costs the deadline, and no more") {
  const auto begin = std::chrono::steady_clock::now();
  const auto r = ask({.answer = "$900\r\n" + std::string(900, 'x'), .piece = 1, .between = 5ms}, soon(100ms));
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::deadline_exceeded);
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
}

TEST_CASE("redis connection: answers that no Redis gives") {
  const auto answer = GENERATE(as<std::string>{}, "hello\r\n",
                               "*2147483647\r\n",                             // 16 GiB of pointers
                               "*17\r\n", "*2\r\n*2\r\n",                     // no command here asks for such
                               "$5\r\n" + std::string(100, 'x'), "$-7\r\n");  // lengths that lie
  INFO(answer);
  const auto r = ask({.answer = answer}, soon());
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::internal);
}

TEST_CASE("redis connection: more than was asked for is not taken") {
  const auto r = ask({.answer = "$8000000\r\n" + std::string(8'000'000, 'x') + "\r\n"}, soon());
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::internal);
  CHECK(r.error().message.find("more than it was asked for") != std::string::npos);
}

// A write to a connection that the other end left raises SIGPIPE, whose default is to end the process.
TEST_CASE("redis connection: a server that goes while it is written to is an error, and not our end") {
  const std::string large(32'000'000, 'x');
  const auto r = ask({.answer = {}, .close_at_once = true}, soon(), {"SET", "x", large});
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::unavailable);
}

TEST_CASE("redis connection: a server of a cluster is named as such") {
  const auto answer =
      GENERATE(as<std::string>{}, "-MOVED 3999 127.0.0.1:6381\r\n", "-CLUSTERDOWN Hash slot not served\r\n");
  const auto r = ask({.answer = answer}, soon());
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Errc::unsupported);
  CHECK(r.error().message.find("cluster") != std::string::npos);
}
