// Grammars on their way to legs, with a compiler that the test holds still.
#include "decode_node/automata.h"

#include <catch2/catch.hpp>
#include <map>

#include "tests/support/metrics_lint.h"

using namespace sluice;
using namespace sluice::decode;

namespace {

namespace grammar = text::grammar;

/// A small one, all of the same size.
AutomatonPtr automaton() {
  static const auto vocabulary = grammar::Vocabulary::create({"", "a", "b"}, 3, {0});
  grammar::Grammar g;
  g.set_root(g.literal("ab"));
  return grammar::Automaton::compile(g, vocabulary).value();
}

SharedText of(const std::string& s) { return SharedText(s); }

/// "bad..." cannot be compiled; nothing is before open().
struct Rig {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = true;
  std::vector<std::string> order;
  std::map<std::uint64_t, std::string> told;  // by leg: "ok" or the error
  Metrics metrics;
  Automata automata{[this](const std::string& g) { return compile(g); }, metrics};

  ~Rig() {
    open();
    automata.stop();
  }
  Compiled compile(const std::string& g) {
    std::unique_lock lock(mutex);
    order.push_back(g);
    changed.notify_all();
    changed.wait(lock, [this] { return !held; });
    if (g.starts_with("bad")) return fail(Errc::unsupported, "no {}", g);
    return automaton();
  }
  void open() {
    const std::lock_guard lock(mutex);
    held = false;
    changed.notify_all();
  }
  Result<> want(std::uint64_t leg, const std::string& g, const std::string& tenant = "a") {
    return automata.want(RequestId(leg), tenant, of(g), [this, leg](const Compiled& c) {
      const std::lock_guard lock(mutex);
      told[leg] = c ? "ok" : c.error().message;
      changed.notify_all();
    });
  }
  template <class F>
  bool wait(F&& done) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(20), [&] { return done(); });
  }
};

}  // namespace

TEST_CASE("legs that want one grammar share its automaton, and the next one finds it") {
  Rig r;
  REQUIRE(r.want(1, "g"));
  REQUIRE(r.wait([&] { return r.order.size() == 1; }));
  REQUIRE(r.want(2, "g"));  // while it is compiled
  REQUIRE(r.want(3, "h"));
  REQUIRE(r.want(4, "h"));  // while it waits
  CHECK(r.told.empty());
  CHECK(r.automata.figures().waiting == 2);
  r.open();
  REQUIRE(r.wait([&] { return r.told.size() == 4; }));
  CHECK(r.order == std::vector<std::string>{"g", "h"});
  REQUIRE(r.want(5, "g"));  // told within the call
  CHECK(r.told.at(5) == "ok");
  CHECK(r.order.size() == 2);
  CHECK(r.automata.figures().cached == 2);
  CHECK(sluice::test::metrics_faults(r.metrics.text()) == std::vector<std::string>{});
}

TEST_CASE("a grammar that cannot be compiled is told, and not tried again") {
  Rig r;
  r.open();
  REQUIRE(r.want(1, "bad one"));
  REQUIRE(r.wait([&] { return r.told.size() == 1; }));
  REQUIRE(r.want(2, "bad one"));
  CHECK(r.told.at(2) == "no bad one");
  CHECK(r.order.size() == 1);
}

TEST_CASE("tenants take turns") {
  Rig r;
  REQUIRE(r.want(1, "a0", "a"));
  REQUIRE(r.wait([&] { return r.order.size() == 1; }));
  for (std::uint64_t i = 1; i <= 3; ++i) REQUIRE(r.want(10 + i, "a" + std::to_string(i), "a"));
  REQUIRE(r.want(20, "b0", "b"));
  r.open();
  REQUIRE(r.wait([&] { return r.told.size() == 5; }));
  CHECK(r.order == std::vector<std::string>{"a0", "b0", "a1", "a2", "a3"});
}

TEST_CASE("a short grammar does not wait for a long one") {
  Rig r;
  const std::string large(Automata::kShortBytes + 1, 'x');
  REQUIRE(r.want(1, large));
  REQUIRE(r.wait([&] { return r.order.size() == 1; }));
  REQUIRE(r.want(2, "g"));
  CHECK(r.wait([&] { return r.order.size() == 2; }));  // beside it
  CHECK(r.automata.figures().waiting == 2);
  r.open();
  REQUIRE(r.wait([&] { return r.told.size() == 2; }));
}

TEST_CASE("what nobody waits for any more is not compiled") {
  Rig r;
  REQUIRE(r.want(1, "g"));
  REQUIRE(r.wait([&] { return r.order.size() == 1; }));
  REQUIRE(r.want(2, "h"));
  REQUIRE(r.want(3, "i"));
  REQUIRE(r.want(4, "i"));
  r.automata.drop(RequestId(1));  // it is being compiled: it will be there for the next one
  r.automata.drop(RequestId(2));
  r.automata.drop(RequestId(3));
  r.open();
  REQUIRE(r.wait([&] { return r.told.size() == 1; }));
  CHECK(r.told.contains(4));
  CHECK(r.order == std::vector<std::string>{"g", "i"});
  CHECK(r.automata.figures().cached == 2);
}

TEST_CASE("no more grammars wait than the bound, and stopping tells nobody") {
  Rig r;
  REQUIRE(r.want(0, "g"));
  REQUIRE(r.wait([&] { return r.order.size() == 1; }));
  for (std::uint64_t i = 0; i < Automata::kMostWaiting; ++i) REQUIRE(r.want(1 + i, "g" + std::to_string(i)));
  const auto more = r.want(9999, "one more");
  REQUIRE_FALSE(more);
  CHECK(more.error().code == Errc::resource_exhausted);
  CHECK(r.want(9998, "g7"));  // one that waits already
  std::thread stop([&] { r.automata.stop(); });
  while (r.want(9997, "g7")) std::this_thread::yield();  // until it has begun to stop
  r.open();
  stop.join();
  CHECK(r.told.empty());
  CHECK(r.want(1, "g").error().code == Errc::unavailable);
}

TEST_CASE("the cache keeps what was used last, within its bytes") {
  const std::size_t one = automaton()->memory_bytes() + 1;  // with a name of one letter
  AutomatonCache cache(2 * one + one / 2);
  const auto put = [&](const std::string& g) { cache.put(key_of(of(g)), of(g), automaton()); };
  const auto has = [&](const std::string& g) { return cache.find(key_of(of(g)), of(g)).has_value(); };
  put("a");
  put("b");
  CHECK(has("a"));
  put("c");  // b was used longest ago
  CHECK(has("a"));
  CHECK_FALSE(has("b"));
  CHECK(has("c"));
  CHECK(cache.bytes() == 2 * one);
  const std::string huge(3 * one, 'x');
  put(huge);
  CHECK(has(huge));
  CHECK(cache.size() == 1);
  put("d");
  CHECK_FALSE(has(huge));
  SECTION("a text that shares another one's digest is another text") {
    CHECK_FALSE(cache.find(key_of(of("d")), of("e")).has_value());
    cache.put(key_of(of("d")), of("e"), automaton());
    CHECK_FALSE(has("d"));
    CHECK(cache.size() == 1);
  }
  SECTION("refusals count, too") {
    AutomatonCache few(1000, 2);
    for (const char* g : {"x", "y", "z"}) few.put(key_of(of(g)), of(g), fail(Errc::unsupported, "no"));
    CHECK(few.size() == 2);
  }
}
