// What the sequences of a node will hold at the same time: the arithmetic by hand, and the forecast at the door of a
// node under endless demand.
#include "coordinator/policy/memory_forecast.h"

#include <catch2/catch.hpp>
#include <numeric>

#include "tests/coordinator_policy/memory_forecast_sim.h"

using namespace sluice::coordinator;

namespace {

constexpr Staying kSure;  // runs until its limit

OutputLengths seen(std::uint32_t tokens, int outputs) {
  OutputLengths l;
  for (int i = 0; i < outputs; ++i) l.observe(tokens, true);
  return l;
}

}  // namespace

TEST_CASE("one sequence that surely goes on until its limit peaks with all of its blocks") {
  MemoryForecast f;
  CHECK(f.expected_peak() == 0);
  const Growing g{.tokens = 100, .left = 60, .block_size = 16};
  const MemoryPart p = memory_part(g, kSure);
  f.add(p);
  CHECK(f.expected_peak() == 10);  // 160 tokens
  CHECK(f.peak() == 10);           // and no doubt of it
  f.remove(p);
  CHECK(f.expected_peak() == 0);
}

TEST_CASE("those that end sooner make way: the peak is what is held together, not the sum of all that is ever held") {
  MemoryForecast f;
  f.add(memory_part({.tokens = 1600, .left = 32, .block_size = 16}, kSure));  // 102 blocks, for 32 tokens
  f.add(memory_part({.tokens = 16, .left = 1600, .block_size = 16}, kSure));  // 101 blocks, in the end
  // At token 32 the first has 102 and the second 3.
  CHECK(f.expected_peak() == 105);
  CHECK(f.fits({.tokens = 16, .left = 16, .block_size = 16}, kSure, 107));
  CHECK_FALSE(f.fits({.tokens = 16, .left = 32, .block_size = 16}, kSure, 107));
}

TEST_CASE("against the largest of the sums by hand, for random sequences with known ends") {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    MemoryForecast f;
    std::vector<Growing> all(1 + random() % 20);
    for (Growing& g : all) {
      g = {.tokens = 1 + static_cast<std::uint32_t>(random() % 500),
           .left = 1 + static_cast<std::uint32_t>(random() % 600),
           .block_size = 16};
      f.add(memory_part(g, kSure));
    }
    double peak = 0;
    for (const Growing& at : all) {
      double sum = 0;
      for (const Growing& g : all)
        if (g.left >= at.left) sum += (g.tokens + at.left + 15) / 16;
      peak = std::max(peak, sum);
    }
    CHECK(f.expected_peak() >= peak);
    CHECK(f.expected_peak() <= 1.5 * peak + 1);  // a cell's ends count as if they came together
  }
}

TEST_CASE("what is taken away leaves what was there, whatever the order") {
  const OutputLengths l = seen(200, 50);
  MemoryForecast f;
  std::vector<MemoryPart> parts;
  for (std::uint32_t i = 0; i < 100; ++i)
    parts.push_back(memory_part({.tokens = 7 * i + 1, .left = 4000 - i, .block_size = 16}, expected_stay(l, i, 4000)));
  f.add(parts[0]);
  const double one = f.peak();
  for (std::size_t i = 1; i < parts.size(); ++i) f.add(parts[i]);
  f.replace(parts[3], parts[7]);
  CHECK(f.peak() > 20 * one);
  f.replace(parts[7], parts[3]);
  for (std::size_t i = parts.size() - 1; i > 0; --i) f.remove(parts[i]);
  CHECK(f.peak() == Approx(one).epsilon(1e-6));
  f.remove(parts[0]);
  CHECK(f.peak() == 0);
  f.remove(parts[0]);  // once too often
  CHECK(f.peak() == 0);
}

TEST_CASE("lengths that were seen are expected, given what is there already") {
  const OutputLengths l = seen(200, 200);
  CHECK(expected_left(expected_stay(l, 0, 4096), 4096) == Approx(200).margin(30));
  CHECK(expected_left(expected_stay(l, 150, 4096), 4096 - 150) == Approx(50).margin(20));
  // Beyond all that was seen: as long again, about, and no sign of the limit.
  const double beyond = expected_left(expected_stay(l, 800, 100'000), 99'200);
  CHECK(beyond > 400);
  CHECK(beyond < 3000);
}

TEST_CASE("with nothing seen an answer is taken for a usual one, whatever its limit") {
  const OutputLengths none;
  CHECK(expected_left(expected_stay(none, 0, 100'000), 100'000) < 400);
  CHECK(expected_left(expected_stay(none, 0, 10), 10) <= 10);
  CHECK(expected_left(expected_stay(none, 10, 10), 0) == 0);
}

TEST_CASE("limits bound what is held, and sequences at their limit hold nothing ahead") {
  const OutputLengths l = seen(1000, 100);
  const MemoryPart p = memory_part({.tokens = 100, .left = 20, .block_size = 16}, expected_stay(l, 0, 20));
  for (const float m : p.mean) CHECK(m <= 8);
  const MemoryPart over = memory_part({.tokens = 100, .left = 0, .block_size = 16}, expected_stay(l, 20, 20));
  CHECK(std::accumulate(over.mean.begin(), over.mean.end(), 0.0F) == 0);
  CHECK(memory_part({.tokens = UINT32_MAX, .left = UINT32_MAX, .block_size = 0}, kSure).mean.back() > 4e9F);
}

TEST_CASE("a node without sequences takes any, and one with some keeps a doubt") {
  const OutputLengths l;
  MemoryForecast f;
  const Growing g{.tokens = 16, .left = 160'000, .block_size = 16};
  CHECK(f.fits(g, kSure, 100));  // what could never end there is refused elsewhere
  const Staying stay = expected_stay(l, 0, g.left);
  std::uint32_t taken = 0;
  while (f.fits(g, stay, 1000)) {
    f.add(memory_part(g, stay));
    ++taken;
  }
  CHECK(f.expected_peak() < 950);
  CHECK(taken >= 24);
}

TEST_CASE("preemptions widen the margin, ends close it, and it stays within its bounds") {
  MemoryForecast f;
  CHECK(f.margin() == 0);
  f.preempted(0);
  CHECK(f.margin() == 0);
  f.preempted(1);
  CHECK(f.margin() == Approx(MemoryForecast::kStep));
  const double one = f.margin();
  f.preempted(1'000'000);  // one cause
  CHECK(f.margin() < 6 * one);
  for (int i = 0; i < 1000; ++i) f.preempted(4);
  CHECK(f.margin() == MemoryForecast::kMostMargin);
  const Growing g{.tokens = 16, .left = 0, .block_size = 16};
  MemoryForecast half = f;
  half.add(memory_part({.tokens = 16, .left = 64, .block_size = 16}, kSure));
  CHECK(half.fits(g, kSure, 10));
  CHECK_FALSE(half.fits(g, kSure, 9));
  for (int i = 0; i < 3000; ++i) f.ended();
  CHECK(f.margin() < 1e-4);
  f.add(memory_part(g, kSure));
  f.preempted(1);
  f.clear();
  CHECK(f.margin() >= MemoryForecast::kStep);  // what was learned stays
}

TEST_CASE("at the door of a node under endless demand the forecast fills the memory and few are preempted") {
  for (const NamedLengths& kind : all_lengths()) {
    INFO(kind.name);
    SimulatedNode forecast{.length = kind.length}, whole{.length = kind.length, .door = Door::whole};
    forecast.run(2000);
    forecast.clear_figures();
    forecast.run(6000);
    whole.run(8000);
    CHECK(forecast.used_share() > 0.55);
    CHECK(forecast.preempted_share() < 0.1);
    CHECK(forecast.used_share() > 4 * whole.used_share());
  }
}

TEST_CASE("a table of doors and lengths", "[.table]") {
  const std::pair<const char*, Door> doors[] = {
      {"forecast", Door::forecast}, {"whole", Door::whole}, {"now", Door::now}};
  for (const std::uint32_t pool : {512U, 4096U})
    for (const NamedLengths& kind : all_lengths())
      for (const auto& [name, door] : doors) {
        SimulatedNode n{.length = kind.length, .door = door, .pool = pool};
        n.run(20'000);
        WARN(pool << " blocks, lengths " << kind.name << ", " << name << ": used " << n.used_share()
                  << ", preempted per answer " << n.preempted_share() << ", answers " << n.answers << ", margin "
                  << n.forecast.margin());
      }
}
