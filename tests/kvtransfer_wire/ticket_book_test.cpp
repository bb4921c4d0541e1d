#include <catch2/catch.hpp>
#include <thread>

#include "tests/kvtransfer_wire/transfer.h"
#include "tests/support/manual_clock.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;
using sluice::test::ManualClock;
using std::chrono::milliseconds;

namespace {

constexpr std::uint64_t kConn = 1, kOtherConn = 2;

struct Fixture {
  ManualClock clock;
  TicketBook book{Incarnation(222), clock, {.max_open = 4, .max_remembered = 3}};
  std::unique_ptr<CodecRegistry> registry = make_registry();

  Ticket ticket() { return make_ticket(*registry, {.layers = 2, .kv_heads = 1, .head_dim = 8}, {0, 32}); }
  Ticket issued() {
    Ticket t = ticket();
    REQUIRE(book.issue(t));
    return t;
  }
  static FrameHeader frame(const Ticket& t, std::uint32_t bytes = 100) {
    FrameHeader h;
    h.ticket = t.id;
    h.prefill_incarnation = t.prefill_incarnation;
    h.decode_incarnation = t.decode_incarnation;
    h.payload_bytes = bytes;
    return h;
  }
  Errc refusal(const FrameHeader& h, std::uint64_t bearer = kConn) {
    const auto r = book.admit(h, bearer);
    REQUIRE_FALSE(r);
    return r.error().code;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "frames of an open ticket are admitted") {
  const Ticket t = issued();
  for (int i = 0; i < 3; ++i) REQUIRE(**book.admit(frame(t), kConn) == t);
}

TEST_CASE_METHOD(Fixture, "a used ticket is a replay") {
  const Ticket t = issued();
  REQUIRE(book.admit(frame(t), kConn));
  REQUIRE(book.finish(t.id));
  REQUIRE_FALSE(book.finish(t.id));
  REQUIRE(refusal(frame(t)) == Errc::already_exists);
  REQUIRE(book.issue(t).error().code == Errc::already_exists);
}

TEST_CASE_METHOD(Fixture, "a ticket belongs to the connection that first bore it") {
  const Ticket t = issued();
  REQUIRE(book.admit(frame(t), kConn));
  REQUIRE(refusal(frame(t), kOtherConn) == Errc::already_exists);
  REQUIRE(book.admit(frame(t), kConn));
}

TEST_CASE_METHOD(Fixture, "unknown tickets are not found") { REQUIRE(refusal(frame(ticket())) == Errc::not_found); }

TEST_CASE_METHOD(Fixture, "stale incarnations are refused") {
  const Ticket t = issued();
  FrameHeader h = frame(t);
  h.prefill_incarnation = Incarnation(110);
  REQUIRE(refusal(h) == Errc::stale);
  h = frame(t);
  h.decode_incarnation = Incarnation(221);
  REQUIRE(refusal(h) == Errc::stale);
  Ticket old = ticket();
  old.decode_incarnation = Incarnation(221);
  REQUIRE(book.issue(old).error().code == Errc::stale);
}

TEST_CASE_METHOD(Fixture, "a ticket's time ends") {
  const Ticket t = issued();
  clock.advance(milliseconds(29999));
  REQUIRE(book.admit(frame(t), kConn));
  REQUIRE(book.expire().empty());
  clock.advance(milliseconds(1));
  REQUIRE(refusal(frame(t)) == Errc::stale);
  const auto gone = book.expire();
  REQUIRE(gone.size() == 1);
  REQUIRE(gone[0]->blocks == t.blocks);
  REQUIRE(refusal(frame(t)) == Errc::stale);
  REQUIRE(book.open() == 0);
}

TEST_CASE_METHOD(Fixture, "a revoked ticket is cancelled") {
  const Ticket t = issued();
  REQUIRE(book.revoke(t.id));
  REQUIRE_FALSE(book.revoke(t.id));
  REQUIRE(refusal(frame(t)) == Errc::cancelled);
}

TEST_CASE_METHOD(Fixture, "a ticket's bytes are bounded") {
  Ticket t = ticket();
  t.max_wire_bytes = 250;
  REQUIRE(book.issue(t));
  REQUIRE(book.admit(frame(t, 100), kConn));
  REQUIRE(refusal(frame(t, 151)) == Errc::data_corrupt);
  REQUIRE(book.admit(frame(t, 150), kConn));
  REQUIRE(refusal(frame(t, 1)) == Errc::data_corrupt);
}

TEST_CASE_METHOD(Fixture, "the book never grows without bound") {
  std::vector<Ticket> open;
  for (int i = 0; i < 4; ++i) open.push_back(issued());
  REQUIRE(book.issue(ticket()).error().code == Errc::resource_exhausted);
  for (const Ticket& t : open) REQUIRE(book.finish(t.id));
  for (int i = 0; i < 100; ++i) {
    const Ticket t = issued();
    REQUIRE((i % 2 ? book.finish(t.id) : book.revoke(t.id)));
    REQUIRE(book.remembered() <= 3);
  }
  REQUIRE(book.open() == 0);
}

TEST_CASE_METHOD(Fixture, "the book may be used from many threads") {
  const Ticket t = issued();
  std::atomic<int> admitted = 0, finished = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (int n = 0; n < 20; ++n) admitted += book.admit(frame(t, 1), kConn).has_value();
        finished += book.finish(t.id);
      });
  }
  REQUIRE(admitted >= 20);
  REQUIRE(finished == 1);
}
