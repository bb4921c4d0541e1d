#include "coordinator/policy/host_load.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>

using namespace sluice;
using namespace sluice::coordinator;

namespace {

const HostView kTwoCores{"m0", 2};

struct Hosts {
  HostLoad load;
  TimePoint now{std::chrono::seconds(1000)};
  std::vector<HostLoad::Id> nodes;

  explicit Hosts(std::size_t n, const HostView& host = kTwoCores) {
    for (std::size_t i = 0; i < n; ++i) {
      nodes.push_back(load.add());
      load.place(nodes.back(), host, 1);
    }
  }
  void pass(double s) { now += from_seconds(s); }
  void busy(std::size_t i, bool yes = true) { load.busy(nodes[i], yes, now); }
};

}  // namespace

TEST_CASE("a node without neighbours, or without a machine, is never slowed down") {
  Hosts alone(1);
  CHECK_FALSE(alone.load.shares(alone.nodes[0]));
  CHECK(alone.load.slowdown(alone.nodes[0], {1, 1}) == 1);
  const HostLoad::Id nowhere = alone.load.add();
  alone.load.place(nowhere, {}, 1);
  CHECK_FALSE(alone.load.shares(nowhere));
  alone.load.observe(nowhere, {1, 1}, 1, 0.01);
  CHECK(alone.load.met(nowhere, alone.now) == HostLoad::Features{});
}

TEST_CASE("what a computation will meet is who computes now, as long as that is known to last") {
  Hosts h(3);
  const auto x = [&](double after_s, double len_s) { return h.load.ahead(h.nodes[0], h.now, after_s, len_s); };
  CHECK(x(0, 1) == HostLoad::Features{0, 0});
  h.busy(1);
  // One other on two cores: a half of the machine, and a core for each.
  CHECK(x(0, 1)[0] == Approx(0.5));
  CHECK(x(0, 1)[1] == 0);
  h.busy(2);
  CHECK(x(0, 1)[1] == Approx(std::log(1.5)));
  // One of them is through after half of it.
  h.load.until(h.nodes[2], h.now + from_seconds(0.5));
  CHECK(x(0, 1)[1] == Approx(std::log(1.25)));
  CHECK(x(0.5, 1)[1] == 0);
  h.busy(1, false);
  h.busy(2, false);
  CHECK(x(0, 1)[0] == Approx(0).margin(1e-9));
}

TEST_CASE("beyond what is known others are as busy as they were lately") {
  Hosts h(2);
  for (int i = 0; i < 400; ++i) {
    h.busy(1);
    h.pass(0.05);
    h.busy(1, false);
    h.pass(0.15);
  }
  CHECK(h.load.ahead(h.nodes[0], h.now, 0, 1)[0] == Approx(0.5 * 0.25).epsilon(0.1));
  h.pass(100);  // and forgotten
  CHECK(h.load.ahead(h.nodes[0], h.now, 0, 1)[0] < 0.001);
}

TEST_CASE("what was met is the mean over the time since the mark") {
  Hosts h(3);
  h.load.mark(h.nodes[0], h.now);
  h.pass(1);
  h.busy(1);
  h.pass(1);
  h.busy(2);
  h.pass(2);
  const auto x = h.load.met(h.nodes[0], h.now);
  CHECK(x[0] == Approx(0.5 * 3 / 4));
  CHECK(x[1] == Approx(std::log(1.5) * 2 / 4));
  h.load.mark(h.nodes[0], h.now);
  CHECK(h.load.met(h.nodes[0], h.now) == HostLoad::Features{});
  // Its own computing is not what it meets.
  h.busy(1, false);
  h.busy(2, false);
  h.load.mark(h.nodes[0], h.now);
  h.busy(0);
  h.pass(1);
  CHECK(h.load.met(h.nodes[0], h.now) == HostLoad::Features{});
}

TEST_CASE("what neighbours cost is learned, and learned anew") {
  Hosts h(3);
  std::mt19937 rng(1);
  std::normal_distribution<double> noise(0, 0.1);
  std::uniform_real_distribution<double> half(0, 0.5);
  const auto teach = [&](double a, double b) {
    for (int i = 0; i < 2000; ++i) {
      const HostLoad::Features x{half(rng), i % 2 == 0 ? half(rng) : 0};
      h.load.observe(h.nodes[0], x, a * x[0] + b * x[1] + noise(rng), 0.01);
    }
  };
  teach(0.8, 1.2);
  CHECK(h.load.slowdown(h.nodes[1], {0.5, 0}) == Approx(std::exp(0.4)).epsilon(0.05));
  CHECK(h.load.slowdown(h.nodes[1], {0.5, 0.4}) == Approx(std::exp(0.4 + 0.48)).epsilon(0.05));
  teach(0.1, 0.5);
  CHECK(h.load.slowdown(h.nodes[1], {0.5, 0.4}) == Approx(std::exp(0.05 + 0.2)).epsilon(0.05));
  // Nobody is faster for having neighbours.
  teach(-1, -1);
  CHECK(h.load.slowdown(h.nodes[1], {0.5, 0.4}) == 1);
}

TEST_CASE("what was learned survives in a file, and a damaged one does not") {
  Hosts h(2);
  for (int i = 0; i < 500; ++i) h.load.observe(h.nodes[0], {0.5, 0}, 0.5, 0.01);
  const double learned = h.load.slowdown(h.nodes[0], {0.5, 0});
  Hosts again(2);
  again.load.load(h.load.save());
  CHECK(again.load.slowdown(again.nodes[0], {0.5, 0}) == Approx(learned));
  Hosts other(2);
  const double before = other.load.slowdown(other.nodes[0], {0.5, 0});
  for (const auto& bad : {nlohmann::json(1), nlohmann::json{{"m0", {1, 2, 3}}}, nlohmann::json{{"m0", {"x", 1}}},
                          nlohmann::json{{"m0", {1e9, 1}}}})
    other.load.load(bad);
  CHECK(other.load.slowdown(other.nodes[0], {0.5, 0}) == before);
}

TEST_CASE("nodes that leave are nobody's neighbours") {
  Hosts h(2);
  h.busy(1);
  h.load.clear_seats();
  h.load.place(h.nodes[0], kTwoCores, 1);
  CHECK_FALSE(h.load.shares(h.nodes[0]));
  CHECK(h.load.ahead(h.nodes[0], h.now, 0, 1) == HostLoad::Features{});
}
