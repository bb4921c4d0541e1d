#include "coordinator/policy/prompt_time.h"

#include <array>
#include <catch2/catch.hpp>

#include "coordinator/policy/fast_random.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

double truth(double tokens) {
  const double k = tokens * 1e-3;
  return 3e-4 + 0.015 * k + 0.009 * k * k;
}

struct Node {
  PromptTime time;
  TimePoint now{std::chrono::seconds(1000)};
  FastRandom random{7};
  int changes = 0;

  explicit Node(double tokens_per_s = 50000) { time.report(tokens_per_s, now); }
  void serve(double tokens, double factor = 1) {
    now += std::chrono::milliseconds(100);
    changes += time.observe(PromptTime::terms(tokens), factor * truth(tokens), now) ? 1 : 0;
  }
  [[nodiscard]] double error(double tokens) const {
    return time.predict(PromptTime::terms(tokens)) / truth(tokens) - 1;
  }
  /// Prompts of all lengths, `slow` of them by anything up to twice as long.
  void serve_mixed(int prompts, double slow) {
    for (int i = 0; i < prompts; ++i)
      serve(std::array{127.0, 511.0, 1023.0, 1899.0}[random.next() % 4],
            random.uniform() < slow ? 1 + random.uniform() : 1);
  }
};

}  // namespace

TEST_CASE("a prompt's time is what the node says until it is measured, and then its shape is learned") {
  Node n(25000);
  CHECK(n.time.predict(PromptTime::terms(1000)) == Approx(0.04));
  n.serve_mixed(60, 0);
  for (const double tokens : {127, 511, 1023, 1899}) CHECK(std::abs(n.error(tokens)) < 0.03);
  CHECK(n.changes == 0);
}

TEST_CASE("prompts that are slow by turns do not move what is typical") {
  // Four nodes on two cores: a prompt of 1024 tokens took 24 to 47 ms, half of the time 26. A mean said 31.
  Node n;
  n.serve_mixed(400, 0.35);
  for (const double tokens : {511, 1023, 1899}) CHECK(std::abs(n.error(tokens)) < 0.1);
  CHECK(n.changes == 0);
  // A second of other work passes: what was known before still counts after it.
  for (int i = 0; i < 5; ++i) n.serve(1899, 1.45);
  CHECK(std::abs(n.error(1023)) < 0.1);
}

TEST_CASE("a moment that lasts is followed, and its end") {
  Node n;
  n.serve_mixed(100, 0);
  for (int i = 0; i < 8; ++i) n.serve(1023, 1.3);
  CHECK(n.error(511) == Approx(0.3).margin(0.05));
  for (int i = 0; i < 8; ++i) n.serve(1023);
  CHECK(std::abs(n.error(511)) < 0.05);
}

TEST_CASE("a node that changed is noticed after three prompts, for all lengths, both ways") {
  Node n;
  n.serve_mixed(100, 0.1);
  for (int i = 0; i < 3; ++i) n.serve(1023, 5);
  CHECK(n.changes == 1);
  CHECK(n.error(127) == Approx(4).epsilon(0.1));
  CHECK(n.error(1899) == Approx(4).epsilon(0.1));
  for (int i = 0; i < 3; ++i) n.serve(1023);
  CHECK(n.changes == 2);
  CHECK(std::abs(n.error(1899)) < 0.1);
}

TEST_CASE("a first guess that was far off is not taken for the moment") {
  Node n(5000);
  for (int i = 0; i < 6; ++i) n.serve(1023);
  CHECK(std::abs(n.error(1023)) < 0.05);
}

TEST_CASE("a node's own figure counts when it changes and nothing was measured lately") {
  Node n;
  n.serve_mixed(50, 0);
  n.time.report(10000, n.now);
  CHECK(std::abs(n.error(1023)) < 0.05);  // prompts just told better
  n.time.report(50000, n.now);
  n.now += std::chrono::seconds(20);
  n.time.report(10000, n.now);
  CHECK(n.error(1023) == Approx(4).epsilon(0.1));
}

TEST_CASE("what a node's prompts took outlives a restart") {
  Node n;
  n.serve_mixed(60, 0);
  for (int i = 0; i < 9; ++i) n.serve(1023, 1.4);
  PromptTime after;
  after.restore(n.time.weights(), 0.5, n.now);
  CHECK(after.learned());
  n.now += std::chrono::seconds(60);
  after.report(50000, n.now);  // the first report there is has none before it to differ from
  CHECK(after.predict(PromptTime::terms(1023)) == Approx(n.time.predict(PromptTime::terms(1023))));
}

TEST_CASE("another process under a name keeps the guess and forgets the moment") {
  Node n;
  n.serve_mixed(60, 0);
  for (int i = 0; i < 9; ++i) n.serve(1023, 1.4);
  n.time.doubt();
  CHECK(std::abs(n.error(1023)) < 0.1);
}

TEST_CASE("nothing is learned of prompts that took no time, and nothing is known of a node that says nothing") {
  PromptTime t;
  CHECK(t.predict(PromptTime::terms(100)) == 0);
  CHECK_FALSE(t.observe(PromptTime::terms(100), 1, {}));
  t.report(1000, {});
  CHECK_FALSE(t.observe(PromptTime::terms(100), 0, {}));
  CHECK_FALSE(t.learned());
}
