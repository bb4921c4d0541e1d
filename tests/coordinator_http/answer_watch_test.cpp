// When a silent answer has to say something, without clocks.
#include "coordinator/http/answer_watch.h"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::coordinator;
using namespace std::chrono_literals;
using Act = AnswerWatch::Act;

TEST_CASE("an answer that must not be silent speaks once per interval of silence") {
  const TimePoint t0{};
  AnswerWatch w(t0, 1s);
  CHECK(w.next(true) == TimePoint::max());
  w.keep_alive_every(15s);
  CHECK(w.next(true) == t0 + 15s);
  CHECK(w.due(t0 + 14s, true) == Act::none);
  w.sent(t0 + 14s);
  CHECK(w.due(t0 + 15s, true) == Act::none);
  CHECK(w.due(t0 + 29s, true) == Act::keep_alive);
  w.keep_alive_every(0s);
  CHECK(w.due(t0 + 1h, true) == Act::none);
}

TEST_CASE("a client that ended is asked at once, and again ever more rarely") {
  const TimePoint t0{};
  AnswerWatch w(t0, 1s);
  w.ended(t0 + 1s);
  w.ended(t0 + 2s);  // only the first counts
  CHECK(w.next(true) == t0 + 1s);
  CHECK(w.due(t0 + 1s, true) == Act::probe);
  CHECK(w.due(t0 + 5s, true) == Act::none);
  CHECK(w.due(t0 + 6s, true) == Act::probe);
  CHECK(w.next(true) == t0 + 16s);
  CHECK(w.due(t0 + 16s, true) == Act::probe);
  CHECK(w.next(true) == t0 + 36s);
}

TEST_CASE("a client that ended and can't be asked has its grace") {
  const TimePoint t0{};
  AnswerWatch w(t0, 1s);
  CHECK(w.due(t0 + 1h, false) == Act::none);
  w.ended(t0 + 1h);
  CHECK(w.next(false) == t0 + 1h + 1s);
  CHECK(w.due(t0 + 1h, false) == Act::none);
  CHECK(w.due(t0 + 1h + 1s, false) == Act::give_up);
}
