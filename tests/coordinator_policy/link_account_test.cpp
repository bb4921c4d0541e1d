#include "coordinator/policy/link_account.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;

namespace {
TimePoint at(double s) { return TimePoint(std::chrono::hours(1)) + from_seconds(s); }
}  // namespace

TEST_CASE("transfers of a link follow each other, none before its KV exists") {
  LinkAccount a;
  CHECK(a.wait_s(at(0), 100) == 0);
  a.place(at(0), at(0.5), 100);
  CHECK(a.wait_s(at(0), 100) == Approx(1));     // its bytes
  CHECK(a.wait_s(at(0), 1000) == Approx(0.5));  // its computation
  a.place(at(0.5), at(1), 200);
  CHECK(a.wait_s(at(0), 100) == Approx(3));
  CHECK(a.wait_s(at(0.25), 100) == Approx(2.75));
  a.place(at(10), at(10.5), 100);  // starts later than the link is free
  CHECK(a.wait_s(at(0), 100) == Approx(11));
}

TEST_CASE("a bandwidth learned later counts for what is under way") {
  LinkAccount a;
  a.place(at(0), at(0), 100);
  a.place(at(0), at(0), 100);
  CHECK(a.wait_s(at(0), 100) == Approx(2));
  CHECK(a.wait_s(at(0), 10) == Approx(20));
}

TEST_CASE("a transfer that is late will be late again") {
  LinkAccount a;
  const auto first = a.place(at(0), at(0), 100);
  a.place(at(0), at(0), 100);
  CHECK(a.wait_s(at(1), 100) == Approx(1));
  CHECK(a.wait_s(at(4), 100) == Approx(3 + 1));  // three seconds late: three more, and the second's own
  a.done(first, at(5));
  CHECK(a.wait_s(at(5), 100) == Approx(1));
}

TEST_CASE("a codec's work is neither late nor waits for what is computed") {
  LinkAccount a;
  a.place(at(0), at(10), 2);
  CHECK(a.wait_s(at(0), 1) == Approx(10));
  CHECK(a.backlog_s(at(0), 1) == Approx(2));
  CHECK(a.backlog_s(at(1), 1) == Approx(1));
  CHECK(a.backlog_s(at(20), 1) == 0);
  a.place(at(20), at(20), 3);
  CHECK(a.backlog_s(at(20), 1) == Approx(3));
}

TEST_CASE("transfers end in any order, and can be dropped") {
  LinkAccount a;
  const auto x = a.place(at(0), at(0), 100);
  const auto y = a.place(at(0), at(0), 100);
  CHECK(a.size() == 2);
  a.done(y, at(0.5));
  CHECK(a.size() == 1);
  CHECK(a.wait_s(at(0.5), 100) == Approx(1));
  a.drop(x);
  CHECK(a.idle());
  a.drop(x);
  a.place(at(1), at(1), 100);
  a.clear();
  CHECK(a.wait_s(at(1), 100) == 0);
}
