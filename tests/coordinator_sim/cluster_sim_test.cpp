#include "coordinator/sim/cluster_sim.h"

#include <catch2/catch.hpp>

#include "coordinator/sim/experiment.h"

using namespace sluice;
using namespace sluice::sim;
using nlohmann::json;

namespace {

SimResult run(const json& changes, const std::string& policy = "sluice", std::uint64_t seed = 1) {
  const auto s = make_scenario({{"local_prefill", false}}, changes, seed);
  REQUIRE(s);
  auto p = make_policy(policy, {.seed = seed});
  REQUIRE(p);
  auto r = simulate(s->cluster, make_load(s->load), **p);
  REQUIRE(r);
  return std::move(*r);
}

const json kLight{{"requests", 400}, {"rate", 2}, {"prompt_mean", 2000}, {"spread", 0}};

}  // namespace

TEST_CASE("every request ends, and none before its work could be done") {
  const SimResult r = run(kLight);
  REQUIRE(r.requests.size() == 400);
  for (const Outcome& o : r.requests) {
    REQUIRE(o.ttft_s > 0);
    CHECK(o.e2e_s >= o.ttft_s);
    CHECK(o.raw_bytes > 0);
    CHECK(o.wire_bytes <= o.raw_bytes);
  }
}

TEST_CASE("one request alone takes what its stages take, overlapped") {
  const auto s = make_scenario(
      json::object(),
      {{"requests", 1}, {"prompt_spread", 0}, {"prompt_mean", 512 + 1}, {"spread", 0}, {"link_gbps", 1}}, 1);
  REQUIRE(s);
  auto p = make_policy("static:raw", {});
  const Load load{{0, 513, 4}};
  const auto r = simulate(s->cluster, load, **p);
  REQUIRE(r);
  const auto& h = s->cluster.prefills[0];
  const auto& m = s->cluster.model;
  const double compute = pass_seconds(h, m, 512, 512 * 256, 0);
  const double wire = 512 * m.kv_bytes_per_token / (1e9 / 8);
  const double step = pass_seconds(h, m, 1, 513, 513);
  // The wire begins when the first layer is there; the last layer is decoded in no time at all.
  CHECK(r->requests[0].ttft_s == Approx(compute / 32 + wire + step).epsilon(0.01));
  CHECK(r->requests[0].tpot_s == Approx(step).epsilon(0.01));
}

TEST_CASE("a transfer whose link collapses goes on under a tighter profile, and others do not") {
  const auto run_with = [](const std::string& policy, double collapse_at_s) {
    auto s = make_scenario({{"local_prefill", false}}, {{"spread", 0}, {"link_gbps", 100}}, 1);
    REQUIRE(s);
    s->cluster.links.step(collapse_at_s, 0.01);
    s->cluster.prefills.resize(1);
    s->cluster.decodes.resize(1);
    auto p = make_policy(policy, {});
    auto r = simulate(s->cluster, {{0, 8193, 4}}, **p);
    REQUIRE(r);
    return std::pair(r->tightened, r->requests[0]);
  };
  const auto [changed, tight] = run_with("sluice", 0.1);
  const auto [kept, loose] = run_with("sluice-keep", 0.1);
  CHECK(changed == 1);
  CHECK(kept == 0);
  CHECK(tight.profile == loose.profile);
  CHECK(tight.raw_bytes == loose.raw_bytes);
  CHECK(tight.wire_bytes < 0.7 * loose.wire_bytes);
  CHECK(tight.ttft_s < 0.7 * loose.ttft_s);
  CHECK(run_with("sluice", 100).first == 0);
}

TEST_CASE("without overlap the stages of one request add up") {
  auto s = make_scenario({{"local_prefill", false}}, {{"spread", 0}, {"link_gbps", 1}, {"overlap", false}}, 1);
  REQUIRE(s);
  s->cluster.prefills[0].codecs[2] = s->cluster.decodes[0].codecs[2] = {"int4", 1e9, 2e9};
  s->cluster.prefills.resize(1);
  s->cluster.decodes.resize(1);
  auto p = make_policy("static:int4", {});
  const auto r = simulate(s->cluster, {{0, 1025, 4}}, **p);
  REQUIRE(r);
  const auto& h = s->cluster.prefills[0];
  const auto& m = s->cluster.model;
  const double compute = pass_seconds(h, m, 512, 512 * 256, 0) + pass_seconds(h, m, 512, 512 * 768, 512);
  const double raw = 1024 * m.kv_bytes_per_token;
  const double expected = compute + raw / 1e9 + raw / 3.6 / (1e9 / 8) + raw / 2e9 + pass_seconds(h, m, 1, 1025, 1025);
  CHECK(r->requests[0].ttft_s == Approx(expected).epsilon(0.01));
}

TEST_CASE("nodes that share cores slow each other down, and only when they compute at once") {
  auto tpot = [](std::uint32_t cores, double second_at_s) {
    auto s = make_scenario({{"local_prefill", false}}, {{"spread", 0}, {"link_gbps", 1000}, {"cores", cores}}, 1);
    REQUIRE(s);
    auto p = make_policy("static:raw", {});
    const auto r = simulate(s->cluster, {{0, 513, 200}, {second_at_s, 513, 200}}, **p);
    REQUIRE(r);
    CHECK(r->requests[0].decode != r->requests[1].decode);
    return r->requests[1].tpot_s;
  };
  const double alone = tpot(0, 0.02);
  CHECK(tpot(2, 0.02) == Approx(alone).epsilon(0.02));
  CHECK(tpot(1, 0.02) == Approx(2 * alone).epsilon(0.1));
  CHECK(tpot(1, 100) == Approx(alone).epsilon(0.02));
}

TEST_CASE("decode steps add up one by one, and who comes in the middle joins the next") {
  const auto s = make_scenario({{"local_prefill", false}}, {{"spread", 0}, {"link_gbps", 100}, {"decode_nodes", 1}}, 1);
  REQUIRE(s);
  const auto& h = s->cluster.decodes[0];
  const auto& m = s->cluster.model;
  auto step = [&](double rows, double context) { return pass_seconds(h, m, rows, context, context); };
  SECTION("alone") {
    double sum = 0;
    for (int i = 1; i < 2000; ++i) sum += step(1, 513.0 + i);
    auto p = make_policy("static:raw", {});
    const auto r = simulate(s->cluster, {{0, 513, 2000}}, **p);
    REQUIRE(r);
    CHECK(r->requests[0].tpot_s * 1999 == Approx(sum).epsilon(1e-4));
    CHECK(r->events < 40 + r->end_s / s->cluster.telemetry_s * 3);  // no event per step
  }
  SECTION("two") {
    auto p = make_policy("static:raw", {});
    const auto r = simulate(s->cluster, {{0, 513, 400}, {1, 513, 5}}, **p);
    REQUIRE(r);
    const Outcome& late = r->requests[1];
    const double context = 513 + 1 / step(1, 513);
    CHECK(late.tpot_s == Approx(step(2, 513 + context)).epsilon(0.01));
    // It waited for the step under way, and took part in the next: between one and two steps after its KV came.
    const double compute = pass_seconds(s->cluster.prefills[0], m, 512, 512 * 256, 0);
    CHECK(late.ttft_s > compute + step(2, 1026));
    CHECK(late.ttft_s < compute + step(2, 1026) + step(1, 700) + 0.01);
    CHECK(r->requests[0].tpot_s == Approx(step(1, 713)).epsilon(0.02));
  }
}

TEST_CASE("the same seed gives the same result, another one another") {
  const SimResult a = run(kLight);
  const SimResult b = run(kLight);
  const SimResult c = run(kLight, "sluice", 2);
  CHECK(a.events == b.events);
  CHECK(a.end_s == b.end_s);
  CHECK(a.end_s != c.end_s);
}

TEST_CASE("a slow link is answered with compression; on a fast one, where all are equal, raw is common") {
  auto raw_share = [](double gbps) {
    json j = kLight;
    j["link_gbps"] = gbps;
    const SimResult r = run(j);
    double raw = 0;
    for (const Outcome& o : r.requests) raw += o.profile == 0 ? 1 : 0;
    return raw / 400;
  };
  CHECK(raw_share(1) < 0.1);
  CHECK(raw_share(10000) > 0.25);
}

TEST_CASE("the quality budget holds in every decision, explored ones included") {
  json j = kLight;
  j["quality_kl"] = 0.001;
  j["link_gbps"] = 1;
  for (const Outcome& o : run(j).requests) CHECK(o.profile <= 1);  // raw and int8
}

TEST_CASE("an overloaded cluster refuses or delays, and still ends") {
  json j = kLight;
  j["rate"] = 200;
  j["requests"] = 3000;
  j["prompt_mean"] = 8000;
  j["max_wait_s"] = 2;
  const SimResult r = run(j);
  std::size_t refused = 0;
  for (const Outcome& o : r.requests) refused += o.ttft_s < 0 ? 1 : 0;
  CHECK(refused > 0);
  CHECK(refused < r.requests.size());
}

TEST_CASE("predictions are near what happens in a steady state") {
  json j = kLight;
  j["spread"] = 0.03;
  j["requests"] = 1000;
  const SimResult r = run(j);
  std::vector<double> error;
  for (std::size_t i = 500; i < r.requests.size(); ++i)
    error.push_back(std::abs(r.requests[i].ttft_s - r.requests[i].predicted_ttft_s) / r.requests[i].ttft_s);
  std::ranges::nth_element(error, error.begin() + 250);
  CHECK(error[250] < 0.1);
}

TEST_CASE("every policy runs, and an unknown one is named") {
  for (const char* name : {"sluice", "static:int4", "break-even", "kvserve", "ucb1"}) {
    const SimResult r = run(kLight, name);
    CHECK(r.requests.size() == 400);
  }
  CHECK_FALSE(make_policy("oracle", {}));
}

TEST_CASE("hardware without a speed for a profile is refused") {
  auto s = make_scenario({{"local_prefill", false}}, kLight, 1);
  REQUIRE(s);
  s->cluster.profiles.push_back({"unheard-of", 0, 2});
  auto p = make_policy("sluice", {});
  CHECK_FALSE(simulate(s->cluster, make_load(s->load), **p));
}

// Such a prompt stood first in its prefill node's queue for ever, and the run with it.
TEST_CASE("a prompt that no prefill node can hold is refused") {
  auto s = make_scenario({{"local_prefill", false}}, kLight, 1);
  REQUIRE(s);
  for (Hardware& h : s->cluster.prefills) h.kv_bytes = 1024 * s->cluster.model.kv_bytes_per_token;
  auto p = make_policy("sluice", {});
  const auto r = simulate(s->cluster, {{0, 1025, 4}, {1, 1026, 4}, {2, 500, 4}}, **p);
  REQUIRE(r);
  CHECK(r->requests[0].ttft_s > 0);
  CHECK(r->requests[1].ttft_s < 0);
  CHECK(r->requests[2].ttft_s > 0);
}

TEST_CASE("who is more urgent starts sooner when a cluster is full, and without priorities order is by arrival") {
  const auto mean_ttft = [](int priority) {
    auto s = make_scenario({{"local_prefill", false}}, {{"decode_nodes", 1}, {"spread", 0}, {"link_gbps", 100}}, 1);
    REQUIRE(s);
    s->cluster.decodes[0].kv_bytes = 8000 * s->cluster.model.kv_bytes_per_token;
    s->cluster.max_wait_s = 1e6;
    s->cluster.admission = false;
    Load load;
    for (int i = 0; i < 200; ++i) {
      load.push_back({0.01 * i, 1000, 100});
      if (i % 10 == 9) load.back().priority = priority;
    }
    auto p = make_policy("static:int8", {});
    const auto r = simulate(s->cluster, load, **p);
    REQUIRE(r);
    std::pair<double, double> urgent_others;
    for (std::size_t i = 0; i < load.size(); ++i) {
      REQUIRE(r->requests[i].ttft_s > 0);
      (i % 10 == 9 ? urgent_others.first : urgent_others.second) += r->requests[i].ttft_s / (i % 10 == 9 ? 20 : 180);
    }
    return urgent_others;
  };
  const auto [marked, others] = mean_ttft(-1);
  const auto [plain, rest] = mean_ttft(0);
  CHECK(marked < 0.3 * others);
  CHECK(plain == Approx(rest).epsilon(0.2));
}

TEST_CASE("neighbours that compute on the same cores are part of a prediction") {
  // The median error of predicted TTFT once something was learned, on nodes that share two cores.
  const auto error = [](std::uint32_t prefills, std::uint32_t decodes, bool told, bool local = false) {
    auto s = make_scenario(json::object(),
                           {{"requests", 1200},
                            {"rate", 1.6},
                            {"prompt_mean", 4000},
                            {"output_mean", 200},
                            {"spread", 0.03},
                            {"link_gbps", 100},
                            {"cores", 2},
                            {"local_prefill", local}},
                           3);
    REQUIRE(s);
    s->cluster.prefills.resize(prefills, s->cluster.prefills[0]);
    s->cluster.decodes.resize(decodes, s->cluster.decodes[0]);
    s->cluster.tell_hosts = told;
    auto p = make_policy("sluice", {.seed = 3});
    const auto r = simulate(s->cluster, make_load(s->load), **p);
    REQUIRE(r);
    std::vector<double> errors;
    for (std::size_t i = r->requests.size() / 4; i < r->requests.size(); ++i)
      if (const Outcome& o = r->requests[i]; o.ttft_s > 0)
        errors.push_back(std::abs(o.predicted_ttft_s / o.ttft_s - 1));
    std::ranges::nth_element(errors, errors.begin() + static_cast<std::ptrdiff_t>(errors.size() / 2));
    return errors[errors.size() / 2];
  };
  CHECK(error(1, 1, true) < 0.04);  // two nodes, two cores: there is nothing to know
  CHECK(error(2, 2, true) < 0.1);
  CHECK(error(2, 2, true) < 0.85 * error(2, 2, false));
  CHECK(error(3, 3, true) < 0.8 * error(3, 3, false));
  // Where decode nodes compute prompts, these meet the neighbours, too.
  const double told = error(3, 3, true, true), untold = error(3, 3, false, true);
  CAPTURE(told, untold);
  CHECK(told <= untold);
}
