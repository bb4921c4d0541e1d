#include <catch2/catch.hpp>

#include "kvtransfer/transport/assembler.h"
#include "tests/support/kv/recording_handler.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

TEST_CASE("the assembler puts chunks together and checks every bound first") {
  RecordingHandler h;
  Assembler a(ConnId{1}, h);
  const auto data = pattern(1000, 1);
  const std::span<const std::byte> all(data);

  SECTION("whole message") {
    REQUIRE(a.first(3, bytes_of("head"), 1000, all.first(400)));
    REQUIRE(a.more(400, all.subspan(400, 500)));
    CHECK(h.messages.empty());
    REQUIRE(a.more(900, all.subspan(900)));
    REQUIRE(h.messages.size() == 1);
    CHECK(h.messages[0].payload == data);
    CHECK(h.messages[0].header == bytes_of("head"));
  }
  SECTION("an empty payload asks for no memory") {
    REQUIRE(a.first(3, {}, 0, {}));
    CHECK(h.messages.size() == 1);
    CHECK(h.payloads_asked == 0);
  }
  SECTION("a payload over the limit is refused before memory is asked for") {
    CHECK_FALSE(a.first(3, {}, kMaxMessagePayload + 1, all));
    CHECK_FALSE(a.first(3, {}, ~0ULL, all));
    CHECK(h.payloads_asked == 0);
  }
  SECTION("a header over the limit") { CHECK_FALSE(a.first(3, pattern(kMaxMessageHeader + 1, 1), 10, all.first(10))); }
  SECTION("more bytes than announced") {
    REQUIRE(a.first(3, {}, 500, all.first(400)));
    CHECK_FALSE(a.more(400, all.subspan(400, 101)));
  }
  SECTION("a first chunk longer than its message") { CHECK_FALSE(a.first(3, {}, 10, all.first(11))); }
  SECTION("gaps, repeats, strays and empty chunks") {
    CHECK_FALSE(a.more(0, all.first(1)));
    REQUIRE(a.first(3, {}, 500, all.first(100)));
    CHECK_FALSE(a.more(101, all.first(1)));
    CHECK_FALSE(a.more(99, all.first(1)));
    CHECK_FALSE(a.more(100, {}));
    CHECK_FALSE(a.first(4, {}, 1, all.first(1)));
  }
  SECTION("a refused payload is dropped and the next message is whole") {
    h.refuse_id = 9;
    REQUIRE(a.first(9, {}, 500, all.first(100)));
    REQUIRE(a.more(100, all.subspan(100, 400)));
    CHECK(h.messages.empty());
    REQUIRE(a.first(3, {}, 5, all.first(5)));
    CHECK(h.messages.size() == 1);
  }
}
