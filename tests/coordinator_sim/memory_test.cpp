// Decode memory on demand (ADR 10) in a simulated cluster whose coordinator does not know how long outputs become.
#include <algorithm>
#include <catch2/catch.hpp>
#include <numeric>

#include "coordinator/sim/experiment.h"
#include "coordinator/sim/memory_book.h"

using namespace sluice;
using namespace sluice::sim;
using nlohmann::json;

namespace {

const json kChats{{"requests", 600},     {"prompt_mean", 400}, {"output_mean", 300},     {"output_spread", 1.2},
                  {"decode_nodes", 1},   {"prefill_nodes", 4}, {"link_gbps", 100},       {"hidden_lengths", true},
                  {"decode_kv_gb", 3},   {"max_wait_s", 1e6},  {"context_tokens", 8192}, {"rate", 40},
                  {"slo_tpot_ms", 1000}, {"admission", false}};

SimResult run(const std::string& memory, const json& more = json::object(), const std::string& policy = "sluice",
              int urgent_every = 0) {
  json j = kChats;
  j["memory"] = memory;
  j.merge_patch(more);
  auto s = make_scenario(json::object(), j, 1);
  REQUIRE(s);
  Load load = make_load(s->load);
  for (std::size_t i = 0; urgent_every > 0 && i < load.size(); i += static_cast<std::size_t>(urgent_every))
    load[i].priority = -1;
  if (j.contains("cores")) s->cluster.tell_hosts = false;
  auto p = make_policy(policy, {.seed = 1});
  REQUIRE(p);
  auto r = simulate(s->cluster, load, **p);
  REQUIRE(r);
  return std::move(*r);
}

std::uint64_t preemptions(const SimResult& r) {
  return std::accumulate(r.requests.begin(), r.requests.end(), std::uint64_t{0},
                         [](std::uint64_t n, const Outcome& o) { return n + o.preemptions; });
}

void check_all_answered(const SimResult& r) {
  for (const Outcome& o : r.requests) {
    CHECK(o.ttft_s > 0);
    CHECK(o.e2e_s >= o.ttft_s);
    CHECK(o.stalled_s >= 0);
    CHECK((o.preemptions > 0) == (o.stalled_s > 0));
  }
}

}  // namespace

TEST_CASE("sequences that are known fit together if they do at every time") {
  std::vector<KnownSequence> two{{.tokens = 16, .left = 48}, {.tokens = 16, .left = 48}};
  CHECK(fit_together(two, 8, 16));
  CHECK_FALSE(fit_together(two, 7, 16));
  // One ends before the other grows.
  std::vector<KnownSequence> after{{.tokens = 48, .left = 16}, {.tokens = 16, .left = 48}};
  CHECK(fit_together(after, 6, 16));
  CHECK_FALSE(fit_together(after, 5, 16));
  std::vector<KnownSequence> later{{.tokens = 16, .left = 48}, {.tokens = 16, .left = 48, .starts_in = 48}};
  CHECK(fit_together(later, 5, 16));
}

TEST_CASE("whoever loses blocks gets some again: every request is answered, by each way to give memory out") {
  for (const char* memory : {"sluice", "greedy", "oracle", "reserve"}) {
    CAPTURE(memory);
    const SimResult r = run(memory);
    check_all_answered(r);
    CHECK(preemptions(r) == r.swaps + r.recomputes);
  }
}

TEST_CASE("on demand nearly as many sequences run as where lengths are known, and few are preempted") {
  const SimResult oracle = run("oracle");
  const SimResult sluice = run("sluice");
  const SimResult greedy = run("greedy");
  const SimResult reserve = run("reserve");
  CHECK(sluice.concurrency >= 0.9 * oracle.concurrency);
  CHECK(reserve.concurrency < 0.3 * oracle.concurrency);
  CHECK(preemptions(greedy) > 60);
  for (const SimResult* r : {&oracle, &sluice})
    CHECK(static_cast<double>(preemptions(*r)) < 0.3 * static_cast<double>(preemptions(greedy)));
}

TEST_CASE("the same seed preempts the same sequences") {
  const SimResult a = run("greedy");
  const SimResult b = run("greedy");
  CHECK(a.events == b.events);
  CHECK(a.end_s == b.end_s);
  for (std::size_t i = 0; i < a.requests.size(); ++i) CHECK(a.requests[i].preemptions == b.requests[i].preemptions);
}

TEST_CASE("steps taken together end as they do one by one") {
  const auto both = [](const char* memory, double kv_gb) {
    json still{{"spread", 0}, {"local_prefill", false}, {"prefill_nodes", 1}, {"decode_kv_gb", kv_gb}};
    SimResult together = run(memory, still, "static:raw");
    still["cores"] = 1000;  // one event a step
    return std::pair(std::move(together), run(memory, still, "static:raw"));
  };
  for (const char* memory : {"sluice", "greedy"}) {
    CAPTURE(memory);
    const auto [together, each] = both(memory, 60);
    CHECK(2 * together.events < each.events);
    for (std::size_t i = 0; i < each.requests.size(); ++i)
      CHECK(together.requests[i].e2e_s == Approx(each.requests[i].e2e_s).epsilon(1e-5));
    // Where blocks run out a step's last digit decides who is parked.
    const auto [some, one] = both(memory, 3);
    CHECK(some.end_s == Approx(one.end_s).epsilon(0.02));
    CHECK(some.concurrency == Approx(one.concurrency).epsilon(0.02));
  }
}

TEST_CASE("the urgent keep their blocks") {
  const SimResult r = run("greedy", json::object(), "sluice", 10);
  check_all_answered(r);
  CHECK(preemptions(r) > 60);
  for (std::size_t i = 0; i < r.requests.size(); i += 10) CHECK(r.requests[i].preemptions == 0);
}

TEST_CASE("KV that has lost bits is copied, exact KV is computed again where that is sooner") {
  const json split{{"local_prefill", false}};
  const SimResult lossy = run("greedy", split, "static:int4");
  CHECK(lossy.swaps > 60);
  CHECK(lossy.recomputes == 0);
  const SimResult exact = run("greedy", split, "static:raw");
  CHECK(exact.swaps > 60);  // a copy at 50 GB/s is sooner
  json slow = split;
  slow["decode_hardware"] = "cpu";
  slow["prefill_hardware"] = "cpu";
  slow["requests"] = 60;
  slow["rate"] = 0.2;
  slow["decode_kv_gb"] = 1;
  check_all_answered(run("greedy", slow, "static:raw"));
}

TEST_CASE("who sets a limit is cut off at it") {
  const SimResult r = run("sluice", {{"max_tokens", 100}, {"spread", 0}, {"rate", 5}});
  for (const Outcome& o : r.requests) CHECK((o.e2e_s - o.ttft_s) <= 99.5 * std::max(o.tpot_s, 1e-3F));
  CHECK_FALSE(make_scenario(json::object(), {{"max_tokens", 100}}, 1));
}

TEST_CASE("sequences that grow move, too") {
  json two{{"decode_nodes", 2}, {"moves", true}, {"rate", 20}};
  check_all_answered(run("sluice", two));
  check_all_answered(run("greedy", two));
}
