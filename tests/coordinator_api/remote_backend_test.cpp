// Legs whose front thread is not the deciding one: what crosses, in what order, and what happens when one side is slow
// or both speak at once.
#include "coordinator/api/remote_backend.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/support/fake_backend.h"
#include "tests/support/io_thread.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;
using namespace std::chrono_literals;

/// What came of a leg, and on which thread.
class Seen final : public LegSink {
 public:
  void on_begin(const std::string& fingerprint) override { note("begin " + fingerprint); }
  void on_tokens(std::span<const TokenEvent> tokens) override {
    for (const auto& t : tokens) note(std::to_string(t.id));
    count += tokens.size();
  }
  void on_prompt_logprobs(std::size_t first, std::span<const RatedToken> tokens) override {
    note(fmt::format("rated {}+{}", first, tokens.size()));
  }
  void on_finish(LegEnd end, const LegStats& stats) override {
    note("finish " + stats.profile);
    ended = end;
    ++ends;
  }
  void on_error(const Error& error, std::optional<Duration> retry_after) override {
    note("error");
    failed = error;
    retry = retry_after;
    ++ends;
  }
  std::vector<std::string> said;
  std::size_t count = 0;
  int ends = 0;
  std::optional<LegEnd> ended;
  std::optional<Error> failed;
  std::optional<Duration> retry;
  std::thread::id thread;

 private:
  void note(std::string what) {
    CHECK(ends == 0);
    thread = std::this_thread::get_id();
    said.push_back(std::move(what));
  }
};

/// Two threads, and a backend on the one that decides.
struct Two {
  explicit Two(RemoteBackend::Bounds bounds = {}) : remote(front.io(), deciding.io(), real, bounds) {}
  ~Two() {
    front.stop();
    deciding.stop();
  }
  RequestId start(const std::shared_ptr<Seen>& seen, std::vector<TokenId> prompt = {'h', 'i'}) {
    LegSpec spec;
    spec.prompt = std::make_shared<const std::vector<TokenId>>(std::move(prompt));
    spec.sampling.max_tokens = 100;
    return front.on_io([&] { return remote.start(std::move(spec), seen); });
  }
  template <class P>
  bool on_front(P holds) {
    return front.eventually(holds);
  }
  IoThread deciding, front;
  FakeBackend real{deciding.io()};
  RemoteBackend remote;
};

TEST_CASE("a leg's events come on the front's thread, in their order, and its end is the last") {
  Two t;
  const auto seen = std::make_shared<Seen>();
  t.start(seen);
  REQUIRE(t.on_front([&] { return seen->ends == 1; }));
  CHECK(seen->said ==
        std::vector<std::string>{"begin fp_0123456789abcdef", "104", "105", std::to_string(kFakeEos), "finish q8"});
  CHECK(seen->ended == LegEnd::stop);
  CHECK(seen->thread == t.front.on_io([] { return std::this_thread::get_id(); }));
  CHECK(seen.use_count() == 1);  // both sides have let go
}

TEST_CASE("what a handler puts in crosses with one wake, and in one turn") {
  Two t;
  t.deciding.on_io([&] { t.real.script = [](FakeBackend&, RequestId) {}; });
  std::vector<std::shared_ptr<Seen>> legs;
  for (int i = 0; i < 50; ++i) t.start(legs.emplace_back(std::make_shared<Seen>()));
  REQUIRE(t.deciding.eventually([&] { return t.real.legs.size() == 50; }));
  // The front's thread is held up while the deciding one speaks to all of them.
  std::promise<void> held, go;
  boost::asio::post(t.front.io(), [&] {
    held.set_value();
    go.get_future().wait();
  });
  held.get_future().wait();
  t.deciding.on_io([&] {
    for (std::uint64_t id = 1; id <= 50; ++id) t.real.say(RequestId(id), "ab");
  });
  t.deciding.on_io([] {});  // what it said has gone over
  go.set_value();
  // One handler took it: no other one can have seen a part.
  REQUIRE(t.on_front([&] { return legs.front()->count > 0; }));
  CHECK(t.front.on_io([&] { return std::ranges::all_of(legs, [](const auto& s) { return s->count == 2; }); }));
}

TEST_CASE("a cancelled leg ends once, and the backend hears of it") {
  Two t;
  t.deciding.on_io([&] { t.real.script = [](FakeBackend& b, RequestId id) { b.say(id, "x"); }; });
  const auto seen = std::make_shared<Seen>();
  const auto id = t.start(seen);
  REQUIRE(t.on_front([&] { return seen->count == 1; }));
  t.front.on_io([&] {
    t.remote.cancel(id, CancelReason::stop_string);
    t.remote.cancel(id, CancelReason::client_gone);  // again, while the first is on its way
  });
  REQUIRE(t.on_front([&] { return seen->ends == 1; }));
  CHECK(seen->ended == LegEnd::cancelled);
  t.front.on_io([&] { t.remote.cancel(id, CancelReason::client_gone); });
  t.front.on_io([&] { t.remote.cancel(RequestId(4711), CancelReason::client_gone); });
  CHECK(t.deciding.on_io([&] { return t.real.cancels.front(); }) == CancelReason::stop_string);
}

TEST_CASE("cancels, starts and tokens that race leave each leg with one end and nothing after it") {
  Two t;
  t.deciding.on_io([&] {
    // Each leg speaks on, a token a turn, until it has said 30 or is cancelled.
    t.real.script = [&t](FakeBackend& b, RequestId id) {
      auto turn = std::make_shared<std::function<void(int)>>();
      *turn = [&t, &b, id, turn](int left) {
        if (!b.alive(id)) return;
        if (left == 0) return b.finish(id, LegEnd::length);
        b.say(id, "t");
        boost::asio::post(t.deciding.io(), [turn, left] { (*turn)(left - 1); });
      };
      (*turn)(30);
    };
  });
  std::mt19937 random(7);
  std::vector<std::shared_ptr<Seen>> legs;
  for (int i = 0; i < 400; ++i) {
    const auto id = t.start(legs.emplace_back(std::make_shared<Seen>()));
    if (random() % 2) boost::asio::post(t.front.io(), [&t, id] { t.remote.cancel(id, CancelReason::client_gone); });
  }
  REQUIRE(t.on_front([&] { return std::ranges::all_of(legs, [](const auto& s) { return s->ends == 1; }); }));
  for (const auto& s : legs) {
    CHECK((s->ended == LegEnd::length ? s->count == 30 : s->ended == LegEnd::cancelled && s->count <= 30));
    CHECK(s.use_count() == 1);
  }
}

TEST_CASE("starts beyond what may be on the way are refused as where no room is") {
  Two t({.commands = 2, .event_bytes = FrontDesk::kMostWaiting});
  std::promise<void> held, go;
  boost::asio::post(t.deciding.io(), [&] {
    held.set_value();
    go.get_future().wait();
  });
  held.get_future().wait();
  std::vector<std::shared_ptr<Seen>> legs;
  for (int i = 0; i < 3; ++i) t.start(legs.emplace_back(std::make_shared<Seen>()));
  REQUIRE(t.on_front([&] { return legs[2]->ends == 1; }));
  CHECK(legs[2]->failed->code == Errc::resource_exhausted);
  CHECK(legs[2]->retry == 1s);
  go.set_value();
  REQUIRE(t.on_front([&] { return legs[0]->ends == 1 && legs[1]->ends == 1; }));
  CHECK(legs[0]->ended == LegEnd::stop);
}

TEST_CASE("a front thread that is too far behind costs the leg, not the memory") {
  Two t({.commands = 100, .event_bytes = 10'000});
  t.deciding.on_io([&] { t.real.script = [](FakeBackend&, RequestId) {}; });
  const auto seen = std::make_shared<Seen>(), other = std::make_shared<Seen>();
  t.start(seen);
  t.start(other);
  REQUIRE(t.deciding.eventually([&] { return t.real.legs.size() == 2; }));
  std::promise<void> held, go;
  boost::asio::post(t.front.io(), [&] {
    held.set_value();
    go.get_future().wait();
  });
  held.get_future().wait();
  t.deciding.on_io([&] { t.real.say(RequestId(1), std::string(1000, 'x')); });
  REQUIRE(t.deciding.eventually([&] { return !t.real.alive(RequestId(1)); }));
  CHECK(t.deciding.on_io([&] { return t.real.cancels; }) == std::vector{CancelReason::client_gone});
  go.set_value();
  REQUIRE(t.on_front([&] { return seen->ends == 1; }));
  CHECK(seen->failed->code == Errc::unavailable);
  CHECK(seen->count > 0);
  CHECK(seen->count < 1000);
  // Once it has caught up others go on.
  t.deciding.on_io([&] { t.real.play_echo(RequestId(2)); });
  REQUIRE(t.on_front([&] { return other->ends == 1; }));
  CHECK(other->ended == LegEnd::stop);
}

TEST_CASE("what the nodes hold is read without asking, as of the last look") {
  Two t;
  CHECK(t.front.on_io([&] { return t.remote.largest_context(); }) == 0);
  t.deciding.on_io([&] {
    t.real.largest = 4096;
    t.remote.desk().refresh();
  });
  CHECK(t.front.on_io([&] { return t.remote.largest_context(); }) == 4096);
}

}  // namespace
}  // namespace sluice::test
