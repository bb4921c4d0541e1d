// Kept responses: whose they are, how long they stay, and who makes room.
#include "coordinator/api/responses/memory.h"

#include <catch2/catch.hpp>

#include "tests/support/manual_clock.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using namespace std::chrono_literals;

KeptResponse response(std::string id, std::string previous = {}, std::size_t bytes = 10) {
  return {std::move(id), std::move(previous), std::string(bytes, 'x'), "[]"};
}

TEST_CASE("nobody finds what another owner has") {
  ManualClock clock;
  ResponseMemory m({}, clock);
  REQUIRE(m.keep("a", response("r1")));
  CHECK(m.find("a", "r1"));
  CHECK_FALSE(m.find("b", "r1"));
  CHECK_FALSE(m.find("", "r1"));
  CHECK(m.chain("b", "r1", 10).missing == "r1");
  CHECK_FALSE(m.erase("b", "r1"));
  CHECK(m.erase("a", "r1"));
  CHECK_FALSE(m.erase("a", "r1"));
  CHECK_FALSE(m.find("a", "r1"));
  CHECK(m.size().count == 0);
  CHECK(m.size().bytes == 0);
}

TEST_CASE("a chain comes oldest first, and says what of it is gone") {
  ManualClock clock;
  ResponseMemory m({}, clock);
  m.keep("a", response("r1"));
  m.keep("a", response("r2", "r1"));
  m.keep("a", response("r3", "r2"));
  const auto chain = m.chain("a", "r3", 10);
  REQUIRE(chain.responses.size() == 3);
  CHECK(chain.responses[0]->id == "r1");
  CHECK(chain.responses[2]->id == "r3");
  CHECK(m.chain("a", "r3", 2).responses.size() == 2);
  m.erase("a", "r2");
  CHECK(m.chain("a", "r3", 10).missing == "r2");
  CHECK(m.chain("a", "r3", 10).responses.empty());
}

TEST_CASE("who holds most makes room, with what he used longest ago") {
  ManualClock clock;
  ResponseMemory m({.bytes = 10'000}, clock);
  m.keep("small", response("s", "", 1'000));
  for (int i = 0; i < 20; ++i) m.keep("large", response("l" + std::to_string(i), "", 2'000));
  CHECK(m.find("small", "s"));
  CHECK(m.find("large", "l19"));
  CHECK_FALSE(m.find("large", "l0"));
  CHECK(m.size().bytes <= 10'000);
  CHECK_FALSE(m.keep("large", response("huge", "", 10'000)));  // and nobody makes room for it in vain
  CHECK(m.find("small", "s"));
}

TEST_CASE("the count is bounded, too") {
  ManualClock clock;
  ResponseMemory m({.count = 3}, clock);
  for (int i = 0; i < 5; ++i) m.keep("a", response("r" + std::to_string(i)));
  CHECK(m.size().count == 3);
  CHECK_FALSE(m.find("a", "r1"));
  CHECK(m.find("a", "r2"));
}

TEST_CASE("a conversation stays whole as long as its last turn is used") {
  ManualClock clock;
  ResponseMemory m({.count = 3}, clock);
  m.keep("a", response("r1"));
  m.keep("a", response("other"));
  m.keep("a", response("r2", "r1"));
  CHECK(m.chain("a", "r2", 10).responses.size() == 2);
  m.keep("a", response("new"));
  CHECK_FALSE(m.find("a", "other"));
  CHECK(m.chain("a", "r2", 10).responses.size() == 2);
}

TEST_CASE("what was not used for a while goes") {
  ManualClock clock;
  ResponseMemory m({.unused = 1h}, clock);
  m.keep("a", response("r1"));
  m.keep("b", response("r2"));
  clock.advance(40min);
  CHECK(m.find("a", "r1"));
  clock.advance(40min);
  CHECK(m.find("a", "r1"));
  CHECK_FALSE(m.find("b", "r2"));
  CHECK(m.size().count == 1);
  clock.advance(1h);
  CHECK_FALSE(m.find("a", "r1"));
  CHECK(m.size().bytes == 0);
}

TEST_CASE("a memory of no bytes keeps nothing") {
  ManualClock clock;
  ResponseMemory m({.bytes = 0}, clock);
  CHECK_FALSE(m.enabled());
  CHECK_FALSE(m.keep("a", response("r1")));
}

}  // namespace
}  // namespace sluice::test
