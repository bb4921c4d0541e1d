#include "coordinator/policy/admission.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <deque>
#include <random>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

const TimePoint kNow{std::chrono::seconds(1000)};

/// Outputs as people get them: lognormal, now and then cut off at the limit.
struct Lengths {
  std::mt19937_64 gen;
  double median = 150, sigma = 0.7, limit = 1000;
  double operator()() {
    std::normal_distribution<double> z;
    return std::min(std::ceil(median * std::exp(sigma * z(gen))), limit);
  }
};

OutputLengths learned(double median = 150, int outputs = 400) {
  OutputLengths l;
  Lengths draw{std::mt19937_64(9), median};
  for (int i = 0; i < outputs; ++i) {
    const double n = draw();
    l.observe(n, n < draw.limit);
  }
  return l;
}

// ---- Prefill in front of a decode node, second by second ----

struct Load {
  double seats = 64, prefill_s = 5, step_s = 0.025, per_s = 0, seconds = 400, warm_up_s = 100;
};

struct Seen {
  double wasted = 0;      // share of computed prefills that found no seat
  double used = 0;        // mean share of seats taken
  double swing = 0;       // standard deviation of that share
  double bursts = 0;      // standard deviation of admissions per second over their mean
  double rhythm = 0;      // largest autocorrelation of admissions per second, a prefill's length or two apart
  double done_per_s = 0;  // outputs
};

struct Leg {
  double arrives = 0, ends = 0, length = 0;
};

/// Of a series about its mean, at lags from `from` to `to`: the largest.
double autocorrelation(std::span<const double> x, std::size_t from, std::size_t to) {
  double mean = 0;
  for (const double v : x) mean += v / static_cast<double>(x.size());
  auto at = [&](std::size_t lag) {
    double sum = 0;
    for (std::size_t i = 0; i + lag < x.size(); ++i) sum += (x[i] - mean) * (x[i + lag] - mean);
    return sum;
  };
  double most = -1;
  for (std::size_t lag = from; lag <= to; ++lag) most = std::max(most, at(lag) / std::max(at(0), 1e-9));
  return most;
}

/// Poisson arrivals; a request is admitted or refused at once, its prefill takes prefill_s, and then there is a seat on
/// the decode node or its prefill was for nothing. admit(now, on the way, running).
template <class Admit>
Seen simulate(const Load& load, Admit admit, std::function<void(const Leg&)> on_end) {
  constexpr double kTick = 0.05;
  Lengths length{std::mt19937_64(4)};
  std::mt19937_64 gen(5);
  std::poisson_distribution<int> arrivals(load.per_s * kTick);
  std::deque<Leg> on_the_way;
  std::vector<Leg> running;
  Seen out;
  double computed = 0;
  double ticks = 0;
  std::vector<double> admitted_in(static_cast<std::size_t>(load.seconds) + 1);
  double used2 = 0;
  for (double now = 0; now < load.seconds; now += kTick) {
    const bool count = now >= load.warm_up_s;
    std::erase_if(running, [&](const Leg& l) {
      if (l.ends > now) return false;
      on_end(l);
      out.done_per_s += count ? 1 : 0;
      return true;
    });
    while (!on_the_way.empty() && on_the_way.front().arrives <= now) {
      Leg l = on_the_way.front();
      on_the_way.pop_front();
      computed += count ? 1 : 0;
      if (static_cast<double>(running.size()) < load.seats) {
        l.ends = now + l.length * load.step_s;
        running.push_back(l);
      } else {
        out.wasted += count ? 1 : 0;
      }
    }
    for (int n = arrivals(gen); n > 0; --n) {
      if (!admit(now, on_the_way, running)) continue;
      on_the_way.push_back({.arrives = now + load.prefill_s, .length = length()});
      admitted_in[static_cast<std::size_t>(now)] += 1;
    }
    if (!count) continue;
    ++ticks;
    const double share = static_cast<double>(running.size()) / load.seats;
    out.used += share;
    used2 += share * share;
  }
  out.wasted /= std::max(computed, 1.0);
  out.used /= ticks;
  out.swing = std::sqrt(std::max(used2 / ticks - out.used * out.used, 0.0));
  out.done_per_s /= load.seconds - load.warm_up_s;
  double mean = 0;
  double square = 0;
  double n = 0;
  for (auto s = static_cast<std::size_t>(load.warm_up_s); s < static_cast<std::size_t>(load.seconds); ++s, ++n) {
    mean += admitted_in[s];
    square += admitted_in[s] * admitted_in[s];
  }
  mean /= n;
  const auto measured = std::span(admitted_in).subspan(static_cast<std::size_t>(load.warm_up_s));
  out.rhythm = autocorrelation(measured, static_cast<std::size_t>(load.prefill_s * 0.75),
                               static_cast<std::size_t>(load.prefill_s * 2.5));
  out.bursts = std::sqrt(square / n - mean * mean) / std::max(mean, 1e-9);
  return out;
}

Seen naive(const Load& load) {
  return simulate(
      load, [&](double, const auto&, const auto& running) { return static_cast<double>(running.size()) < load.seats; },
      [](const Leg&) {});
}

/// Whoever is on the way holds a seat: nothing is ever wasted, and seats stand empty for as long as a prefill takes.
Seen reserved(const Load& load) {
  return simulate(
      load,
      [&](double, const auto& on_the_way, const auto& running) {
        return static_cast<double>(running.size() + on_the_way.size()) < load.seats;
      },
      [](const Leg&) {});
}

Seen predicted(const Load& load) {
  OutputLengths lengths;
  const DecodeView node{.usable = true, .total_blocks = 1U << 20, .max_seqs = static_cast<std::uint32_t>(load.seats)};
  std::vector<Occupant> all;
  const OccupantsOf of = [&](std::size_t) { return std::span<const Occupant>(all); };
  return simulate(
      load,
      [&](double now, const auto& on_the_way, const auto& running) {
        all.clear();
        for (const Leg& l : running)
          all.push_back({.emitted = l.length - (l.ends - now) / load.step_s, .limit = 1000, .tpot_s = load.step_s});
        for (const Leg& l : on_the_way)
          all.push_back({.limit = 1000, .starts_in_s = l.arrives - now, .tpot_s = load.step_s, .holds = false});
        return Forecast(lengths, of).room(node, 0, load.prefill_s, 0, 1);
      },
      [&](const Leg& l) { lengths.observe(l.length, l.length < 1000); });
}

Occupant decoding(double blocks, double emitted, double limit = 1000) {
  return {.blocks = blocks, .emitted = emitted, .limit = limit, .tpot_s = 0.02};
}

}  // namespace

TEST_CASE("output lengths: what was seen, with those that were cut off counted as longer") {
  const OutputLengths l = learned();
  REQUIRE(l.known());
  CHECK(l.survival(0, 1000) == Approx(1));
  CHECK(l.survival(150, 1000) == Approx(0.5).margin(0.06));
  CHECK(l.survival(150 * std::exp(0.7), 1000) == Approx(0.16).margin(0.05));
  CHECK(l.survival(1000, 1000) == 0);
  CHECK(l.survival(150, 150) == 0);
  CHECK(l.survival(300, 300, 1000) == 1);
  CHECK(l.survival(300, 150, 1000) == Approx(l.survival(300, 1000) / l.survival(150, 1000)));

  OutputLengths cut;  // half of them stopped by their own small limit: it says nothing of others' lengths
  Lengths draw{std::mt19937_64(2)};
  for (int i = 0; i < 800; ++i) {
    const double n = draw();
    cut.observe(i % 2 == 0 ? n : std::min(n, 100.0), i % 2 == 0 || n < 100);
  }
  CHECK(cut.survival(150, 1000) == Approx(0.5).margin(0.07));

  const OutputLengths none;
  CHECK_FALSE(none.known());
  CHECK(none.survival(250, 1000) == Approx(0.75));
  for (double last = 1, n = 0; n < 1000; n += 7) {
    CHECK(l.survival(n, 1000) <= last + 1e-12);
    last = l.survival(n, 1000);
  }
}

TEST_CASE("a forecast counts what runs by its chance to run still, and prefills when they arrive") {
  const OutputLengths l = learned();
  const std::vector<std::vector<Occupant>> all{
      {decoding(10, 0),
       decoding(20, 900),
       {.blocks = 7, .limit = 1000, .starts_in_s = 3, .tpot_s = 0.02},
       {.blocks = 9, .limit = 1000, .starts_in_s = 3, .tpot_s = 0.02, .holds = false}},
      {decoding(5, 0)},
      {}};
  const OccupantsOf of = [&](std::size_t node) { return std::span<const Occupant>(all[node]); };
  const Forecast f(l, of);
  CHECK(f.at(0, 0).blocks == 37);
  CHECK(f.at(0, 0).blocks_var == 0);
  CHECK(f.at(0, 3).seqs ==
        Approx(2.5).margin(0.1));  // both have come, the first is at the median, the second's limit over
  CHECK(f.at(0, 2.9).seqs < f.at(0, 3).seqs);
  CHECK(f.at(0, 30).seqs < 0.2);
  CHECK(f.at(1, 0).seqs == 1);
  CHECK(f.at(2, 0).seqs == 0);
  const double mean = f.at(1, 3).blocks;  // 150 tokens on: the median
  CHECK(mean == Approx(2.5).margin(0.4));
  CHECK(f.at(1, 3).blocks_var == Approx(mean * (5 - mean)));
}

TEST_CASE("admission by the load of the moment swings with the prefill's length, by the forecast it does not") {
  Load load;
  const double mean_s = 150 * std::exp(0.5 * 0.7 * 0.7) * load.step_s;  // of decoding
  for (const double overload : {1.2, 1.5, 3.0})
    for (const double prefill_s : {2.0, 5.0, 10.0}) {
      load.per_s = overload * load.seats / mean_s;
      load.prefill_s = prefill_s;
      const Seen a = naive(load);
      const Seen b = predicted(load);
      std::printf("load %.1f, prefill %4.1f s\n", overload, prefill_s);
      for (const auto& [rule, x] : {std::pair{"the moment", a}, {"forecast", b}, {"reserved", reserved(load)}})
        std::printf("  %-10s %4.1f%% of prefills wasted, seats %3.0f%% +- %2.0f, bursts %.2f, rhythm %5.2f, %4.1f/s\n",
                    rule, x.wasted * 100, x.used * 100, x.swing * 100, x.bursts, x.rhythm, x.done_per_s);
      CAPTURE(overload, prefill_s);
      CHECK(b.wasted < 0.04);
      CHECK(b.used > 0.8);
      CHECK(b.wasted < 0.25 * a.wasted);
      CHECK(b.bursts < 0.6 * a.bursts);
      CHECK(b.rhythm < 0.25);
      if (overload == 3.0) CHECK(a.rhythm > 0.5);
    }
  // With room for all, nobody is refused by either.
  load.per_s = 0.5 * load.seats / mean_s;
  load.prefill_s = 5;
  CHECK(predicted(load).done_per_s == Approx(load.per_s).epsilon(0.06));
}

TEST_CASE("a request that must wait is refused only when its turn is expected to come too late") {
  auto c = test::cluster(1, 1);
  DecodeView& d = c.decodes[0];
  d.total_blocks = 100;
  d.free_blocks = 0;
  d.max_seqs = 100;
  d.seqs = 10;
  Placement p({});
  Admission a(p);
  auto r = test::request();
  r.prompt_tokens = 100;
  r.max_new_tokens = 60;  // 10 blocks
  std::vector<Occupant> on;
  for (int i = 0; i < 10; ++i) on.push_back(decoding(10, 15.0 * i));
  const OccupantsOf all = [&](std::size_t) { return std::span<const Occupant>(on); };

  CHECK_FALSE(a.check_wait(c, r, all, {}, 0.01, kNow));  // nothing is known yet: no refusals on a guess
  Lengths draw{std::mt19937_64(1)};
  for (int i = 0; i < 200; ++i) a.observe_output(draw(), true);
  CHECK_FALSE(a.check_wait(c, r, all, {}, 30, kNow));
  const auto late = a.check_wait(c, r, all, {}, 0.01, kNow);
  REQUIRE(late);
  CHECK(late->error.code == Errc::resource_exhausted);
  CHECK(late->retry_after_s >= 1);
  CHECK(late->retry_after_s <= 5);
  // Others before it in the queue take what comes free first.
  const Ahead few{.blocks = 80, .seqs = 8, .limits = 8 * 1000};
  const Ahead queue{.blocks = 400, .seqs = 40, .limits = 40 * 1000};
  const auto behind = a.check_wait(c, r, all, queue, 0.01, kNow);
  REQUIRE(behind);
  CHECK(behind->retry_after_s > late->retry_after_s);
  CHECK(a.check_wait(c, r, all, few, 1.5, kNow));
  r.waited_s = 29.9;
  CHECK(a.check_wait(c, r, all, few, 30, kNow));
  // A queue of four times what the node holds: each of them stays for some 200 tokens of 10 ms.
  r.waited_s = 0;
  CHECK(a.check_wait(c, r, all, queue, 4, kNow));
  CHECK_FALSE(a.check_wait(c, r, all, queue, 30, kNow));
}

TEST_CASE("where sequences grow, those that run take more first, and most of them end long before their limit") {
  auto c = test::cluster(1, 1);
  DecodeView& d = c.decodes[0];
  d.grows = true;
  d.total_blocks = 100;
  d.max_seqs = 100;
  Placement p({});
  Admission a(p);
  for (int i = 0; i < 100; ++i) a.observe_output(100, true);
  const std::vector<Occupant> on(10, Occupant{.blocks = 6, .limit = 1500, .tpot_s = 0.01, .blocks_a_token = 1.0 / 16});
  const OccupantsOf all = [&](std::size_t) { return std::span<const Occupant>(on); };
  const Forecast f(a.lengths(), all);
  CHECK(f.at(0, 0).blocks == Approx(60));
  CHECK(f.at(0, 0.5).blocks == Approx(60 + 10 * 50.0 / 16).epsilon(0.05));
  CHECK(f.at(0, 3).blocks < 20);

  auto r = test::request(100, 1500);  // more than is free ever, at its limit
  r.stay = expected_stay(a.lengths(), 0, r.max_new_tokens);
  CHECK_FALSE(a.check_wait(c, r, all, {}, 10, kNow));
  CHECK(a.check_wait(c, r, all, {}, 0.01, kNow));
}

TEST_CASE("a request that must be decoded fast is refused where that will not be, and not before") {
  auto c = test::cluster(1, 1);
  DecodeView& d = c.decodes[0];
  d.total_blocks = 10000;
  d.free_blocks = 9000;
  d.max_seqs = 200;
  d.step_s = 0.01;
  d.step_batch = 1;
  d.seqs = 100;  // a step costs more with each sequence: 0.0075 + 0.0025 (seqs + 1)
  Placement p({});
  Admission a(p);
  const auto r = test::request();
  Lengths draw{std::mt19937_64(1)};
  for (int i = 0; i < 200; ++i) a.observe_output(draw(), true);
  auto asked = [&](std::vector<Occupant> all, double limit) {
    const Placed placed = p.decide(c, r, 1e6, kNow);
    REQUIRE(std::holds_alternative<Decision>(placed));
    Decision choice = std::get<Decision>(placed);
    const OccupantsOf of = [&](std::size_t) { return std::span<const Occupant>(all); };
    return a.check_speed(c, r, choice, of, limit, kNow);
  };
  const std::vector<Occupant> young(100, decoding(10, 0));
  const std::vector<Occupant> old(100, Occupant{.blocks = 10, .emitted = 149.9, .limit = 150, .tpot_s = 0.02});
  const auto refused = asked(young, 0.1);
  REQUIRE(refused);
  CHECK(refused->error.code == Errc::resource_exhausted);
  CHECK(refused->retry_after_s >= 1);
  CHECK_FALSE(asked(old, 0.1));     // over before its prefill is
  CHECK_FALSE(asked(young, 1.0));   // fast enough as it is
  CHECK_FALSE(asked(young, 1e-4));  // beyond even an idle node: no use in coming again
}
