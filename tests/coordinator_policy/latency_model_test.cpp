#include "coordinator/policy/latency_model.h"

#include <array>
#include <catch2/catch.hpp>

#include "tests/coordinator_policy/fixture.h"

using namespace sluice;
using namespace sluice::coordinator;

namespace {

struct Model {
  Directory names;
  LatencyModel latency{names};
  TimePoint now{std::chrono::seconds(1000)};

  Candidate predict(const ClusterSnapshot& c, const RequestFeatures& r, std::size_t p = 0, std::size_t d = 0,
                    std::size_t f = 0) {
    if (names.bind(c)) latency.grow(c);
    Candidate k{.prefill = p, .decode = d, .profile = f};
    latency.predict(c, r, now, k);
    return k;
  }
  void pass(double s) { now += from_seconds(s); }
};

/// What a request over a pair with these truths would measure, alone on it.
struct Truth {
  double fixed_s = 0.004, tokens_per_s = 10000, bandwidth_bps = 1e9, codec = 1.0, step_s = 0.01;

  [[nodiscard]] Measured measure(const Candidate& k, const ClusterSnapshot& c) const {
    StageTimes t = k.stages;
    t.queue_s = t.link_wait_s = 0;
    t.prefill_s = k.tokens / tokens_per_s;
    t.encode_s = k.raw_bytes / (c.prefills[k.prefill].profiles[k.profile].encode_bps * codec);
    t.decode_s = k.raw_bytes / (c.decodes[k.decode].profiles[k.profile].decode_bps * codec);
    t.wire_s = k.wire_bytes / bandwidth_bps;
    t.fixed_s = fixed_s;
    t.first_s = step_s;
    Measured m;
    m.ttft_s = pipeline_ttft(t, k.overlap);
    m.compute_s = t.prefill_s;
    m.exposed_s = m.ttft_s - t.fixed_s - t.prefill_s - t.first_s;
    m.encode_s = t.encode_s;
    m.decode_s = t.decode_s;
    m.wire_s = std::max({t.wire_s, t.prefill_s, t.encode_s, t.decode_s});
    m.raw_bytes = k.raw_bytes;
    m.wire_bytes = k.wire_bytes;
    m.first_step_s = step_s;
    m.tpot_s = step_s;
    m.output_tokens = 64;
    return m;
  }
};

/// One request alone, from decision to end. Returns the error of its prediction as a share of the truth.
double serve(Model& model, const ClusterSnapshot& c, const RequestFeatures& r, const Truth& truth,
             std::size_t profile = 0) {
  Candidate k = model.predict(c, r, 0, 0, profile);
  const Measured m = truth.measure(k, c);
  model.latency.placed(k, model.now);
  model.pass(m.ttft_s - m.first_step_s);
  model.latency.prefill_done(k, m, model.now);
  model.pass(1);
  model.latency.finished(k, m, model.now);
  return std::abs(k.model_ttft_s - m.ttft_s) / m.ttft_s;
}

}  // namespace

TEST_CASE("stage times follow bytes, rates and ratio before anything was measured") {
  Model model;
  auto c = test::cluster(1, 1);
  c.prefills[0].queued_tokens = 5000;
  c.links[0].backlog_bytes = 1000000;
  const auto r = test::request(4097);
  const Candidate raw = model.predict(c, r);
  const double bytes = 4096.0 * 131072;
  CHECK(raw.stages.queue_s == Approx(0.5));
  CHECK(raw.stages.prefill_s == Approx(0.4096));
  CHECK(raw.stages.encode_s == Approx(bytes / 8e9));
  CHECK(raw.stages.wire_s == Approx(bytes / 1e9 + 1e-4));
  CHECK(raw.stages.link_wait_s == Approx(1e-3));
  const Candidate h4 = model.predict(c, r, 0, 0, 2);
  CHECK(h4.stages.wire_s == Approx(bytes / 3.8 / 1e9 + 1e-4));
  CHECK(h4.stages.encode_s > raw.stages.encode_s);
}

TEST_CASE("a one-token prompt moves no KV") {
  Model model;
  const Candidate k = model.predict(test::cluster(1, 1), test::request(1));
  CHECK(k.raw_bytes == 0);
  CHECK(k.stages.encode_s == 0);
  CHECK(k.stages.wire_s == Approx(1e-4));
}

TEST_CASE("a tiny prompt's fixed cost is learned") {
  // A prompt of eight tokens was predicted at 0.8 ms and took 5 ms, every time.
  Model model;
  const auto c = test::cluster(1, 1);
  const Truth truth{.fixed_s = 0.004, .step_s = 0.0002};
  double error = 1;
  for (int i = 0; i < 20; ++i) error = serve(model, c, test::request(9), truth);
  CHECK(error < 0.1);
}

TEST_CASE("what a request costs as such is not taken from those that something else held up") {
  // Long prompts' own spread was taken for it when it was large, and not when it was small: 4 ms where it was 0.1 ms.
  Model model;
  const auto c = test::cluster(1, 1);
  for (int i = 0; i < 80; ++i) {
    Truth truth{.fixed_s = i % 4 == 0 ? 0.03 : 0.0003, .step_s = 0.001};
    serve(model, c, test::request(i % 2 == 0 ? 2001 : 101), truth);
  }
  CHECK(model.latency.fixed_s(0, 0) < 0.001);
}

TEST_CASE("prompts whose times vary by a third do not shake what is known of a node") {
  Model model;
  const auto c = test::cluster(1, 1);
  double worst = 0;
  for (int i = 0; i < 200; ++i) {
    const double factor = std::array{1.0, 1.4, 0.75, 1.2, 0.7, 1.35, 0.65, 0.95}[static_cast<std::size_t>(i * 5 % 8)];
    const Truth truth{.tokens_per_s = 10000 / factor};
    serve(model, c, test::request(2001), truth);
    if (i > 40) worst = std::max(worst, std::abs(model.predict(c, test::request(2001)).stages.prefill_s / 0.2 - 1));
  }
  CHECK(worst < 0.08);
}

TEST_CASE("prompts whose KV is stuck on another link do not make those beside them look slow") {
  const auto c = test::cluster(1, 2);
  Model model;
  for (int i = 0; i < 12; ++i) serve(model, c, test::request(), {});
  const double alone = model.predict(c, test::request()).stages.prefill_s;
  // A queue of prompts, every second of which nobody hears the end of: what is heard of is two prompts apart.
  std::vector<Candidate> sent;
  for (int i = 0; i < 20; ++i) {
    sent.push_back(model.predict(c, test::request(), 0, static_cast<std::size_t>(i % 2)));
    model.latency.placed(sent.back(), model.now);
  }
  for (std::size_t i = 0; i < sent.size(); ++i) {
    model.pass(0.41);
    if (i % 2 == 1) continue;
    Measured m = Truth{}.measure(sent[i], c);
    m.queue_s = 0.41 * static_cast<double>(i);
    m.exposed_s = 0;
    model.latency.prefill_done(sent[i], m, model.now);
  }
  CHECK(model.predict(c, test::request()).stages.prefill_s < 1.3 * alone);
}

TEST_CASE("speeds are learned where tables and probes are wrong") {
  Model model;
  const auto c = test::cluster(1, 1);
  const Truth truth{.fixed_s = 0.005, .tokens_per_s = 4000, .bandwidth_bps = 0.2e9, .codec = 0.25, .step_s = 0.02};
  double error = 1;
  for (int i = 0; i < 40; ++i) error = serve(model, c, test::request(1024 + 97 * i), truth, i % 3);
  CHECK(error < 0.05);
  const Candidate k = model.predict(c, test::request(4097), 0, 0, 2);
  CHECK(k.stages.prefill_s == Approx(4096 / 4000.0).epsilon(0.05));
  CHECK(k.stages.wire_s == Approx(k.wire_bytes / 0.2e9).epsilon(0.1));
  CHECK(k.stages.encode_s == Approx(k.raw_bytes / 0.5e9).epsilon(0.1));
  CHECK(k.stages.tpot_s == Approx(0.02).epsilon(0.05));
}

TEST_CASE("one cold request does not spoil the next predictions") {
  Model model;
  const auto c = test::cluster(1, 1);
  const auto r = test::request(129);
  Truth cold{.fixed_s = 1.5, .tokens_per_s = 400, .step_s = 0.2};
  serve(model, c, r, cold);
  const Truth warm{.fixed_s = 0.004, .step_s = 0.01};
  CHECK(model.predict(c, r).model_ttft_s < 0.15);
  double error = 1;
  for (int i = 0; i < 10; ++i) error = serve(model, c, r, warm);
  CHECK(error < 0.15);
}

TEST_CASE("a change of the link is followed within a few requests, from requests alone") {
  Model model;
  const auto c = test::cluster(1, 1);
  const auto r = test::request(4097);
  Truth truth{.bandwidth_bps = 1e9};
  for (int i = 0; i < 30; ++i) serve(model, c, r, truth);
  truth.bandwidth_bps = 0.1e9;
  int requests = 0;
  while (serve(model, c, r, truth) > 0.15 && requests < 20) ++requests;
  CHECK(requests <= 4);
  CHECK(model.latency.changes() >= 1);
}

TEST_CASE("a link that became faster is noticed although computation hides every transfer") {
  // On a real link that stepped from 50 Mb/s to 1 Gb/s the model still believed in 185 Mb/s after 40 requests: a small
  // profile's transfer takes as long as the prompt's computation, whatever the link.
  Model model;
  const auto c = test::cluster(1, 1);
  const auto r = test::request(4097);
  Truth slow{.bandwidth_bps = 6e6};
  for (int i = 0; i < 20; ++i) serve(model, c, r, slow, 2);
  const double real = 125e6;
  for (int i = 0; i < 5; ++i) {
    Candidate k = model.predict(c, r, 0, 0, 2);
    model.latency.placed(k, model.now);
    model.pass(0.5);
    Measured m{
        .compute_s = 0.5, .wire_s = 0.49, .decode_s = 0.01, .raw_bytes = k.raw_bytes, .wire_bytes = k.wire_bytes};
    m.link_bytes = k.wire_bytes;
    m.link_busy_s = k.wire_bytes / real;
    model.latency.prefill_done(k, m, model.now);
  }
  const Candidate k = model.predict(c, r, 0, 0, 2);
  CHECK(k.stages.wire_s == Approx(k.wire_bytes / real).epsilon(0.15));
}

TEST_CASE("the account of a busy node counts what was placed and follows what really happens") {
  Model model;
  auto c = test::cluster(1, 1);
  const auto r = test::request(10001);
  std::vector<Candidate> placed;
  for (int i = 0; i < 4; ++i) {
    Candidate k = model.predict(c, r);
    CHECK(k.stages.queue_s == Approx(1.0 * i).margin(0.01));
    model.latency.placed(k, model.now);
    c.prefills[0].queued_tokens += 10000;
    placed.push_back(k);
  }
  // The node is twice as slow as it says: after the first prompt, what waits is known to take longer.
  model.pass(2.0);
  Measured m{.compute_s = 2.0, .wire_s = 0.001, .exposed_s = 0};
  model.latency.prefill_done(placed[0], m, model.now);
  c.prefills[0].queued_tokens -= 10000;
  CHECK(model.predict(c, r).stages.queue_s == Approx(3.0).epsilon(0.2));
  for (int i = 1; i < 4; ++i) {
    model.latency.abandoned(placed[static_cast<std::size_t>(i)], model.now);
    c.prefills[0].queued_tokens -= 10000;
  }
  CHECK(model.predict(c, r).stages.queue_s == 0);
}

TEST_CASE("requests wait for each other at a slow encoder, and from two prefill nodes at a slow decoder") {
  auto c = test::cluster(2, 2);
  const auto r = test::request(4097);
  for (const bool encoder : {true, false}) {
    for (auto& p : c.prefills) p.profiles[2].encode_bps = encoder ? 1e8 : 1e12;
    for (auto& d : c.decodes) d.profiles[2].decode_bps = encoder ? 1e12 : 1e8;
    Model model;
    Candidate first = model.predict(c, r, 0, 0, 2);
    const double alone = first.model_ttft_s;
    const double work = encoder ? first.stages.encode_s : first.stages.decode_s;
    REQUIRE(work > 5);
    model.latency.placed(first, model.now);
    // Whose codec it is waits, whatever the link; another does not.
    const Candidate same = encoder ? model.predict(c, r, 0, 1, 2) : model.predict(c, r, 1, 0, 2);
    const Candidate other = encoder ? model.predict(c, r, 1, 0, 2) : model.predict(c, r, 0, 1, 2);
    CHECK(same.model_ttft_s == Approx(alone + work).epsilon(0.1));
    CHECK(other.model_ttft_s == Approx(alone).epsilon(0.1));
    model.latency.abandoned(first, model.now);
    CHECK((encoder ? model.predict(c, r, 0, 1, 2) : model.predict(c, r, 1, 0, 2)).model_ttft_s == Approx(alone));
  }
}

TEST_CASE("a prompt takes longer beside others on the same machine, once that was learned") {
  auto c = test::cluster(2, 1);
  c.hosts = {{"m0", 1}};
  for (auto& p : c.prefills) p.host = 0;
  const auto r = test::request(1025);
  Model model;
  const double alone = model.predict(c, r, 0).stages.prefill_s;
  // Side by side on one core each takes twice its time.
  for (int i = 0; i < 40; ++i) {
    Candidate a = model.predict(c, r, 0);
    model.latency.placed(a, model.now);
    Candidate b = model.predict(c, r, 1);
    model.latency.placed(b, model.now);
    model.pass(2 * alone);
    for (Candidate* k : {&a, &b}) {
      model.latency.prefill_done(*k, {.compute_s = 2 * alone, .wire_s = 1e-3}, model.now);
    }
    Candidate single = model.predict(c, r, i % 2);
    model.latency.placed(single, model.now);
    model.pass(alone);
    model.latency.prefill_done(single, {.compute_s = alone, .wire_s = 1e-3}, model.now);
    model.pass(1);
  }
  model.pass(60);  // how busy the other was is forgotten
  Candidate k = model.predict(c, r, 0);
  CHECK(k.stages.prefill_s == Approx(alone).epsilon(0.15));
  model.latency.placed(k, model.now);
  CHECK(model.predict(c, r, 1).stages.prefill_s == Approx(2 * alone).epsilon(0.15));
}

TEST_CASE("TPOT grows with the batch as it was measured to") {
  Model model;
  auto c = test::cluster(1, 1);
  const double alone = model.predict(c, test::request()).stages.tpot_s;
  CHECK(alone == Approx(0.01));
  for (int i = 0; i < 60; ++i) {
    c.decodes[0].seqs = static_cast<std::uint32_t>(i % 30);
    Candidate k = model.predict(c, test::request(101));
    Measured m{.tpot_s = 0.005 + 0.001 * k.seqs, .output_tokens = 100};
    m.seqs = k.seqs;
    model.latency.finished(k, m, model.now);
  }
  c.decodes[0].seqs = 19;
  CHECK(model.predict(c, test::request(101)).stages.tpot_s == Approx(0.025).epsilon(0.05));
}

TEST_CASE("a node that comes back as a new process has no queue") {
  Model model;
  auto c = test::cluster(1, 1);
  Candidate k = model.predict(c, test::request(10001));
  model.latency.placed(k, model.now);
  c.prefills[0].queued_tokens = 10000;
  CHECK(model.predict(c, test::request()).stages.queue_s > 0.5);
  c.prefills[0].incarnation = Incarnation(2);
  c.prefills[0].queued_tokens = 0;
  c.topology = 7;
  CHECK(model.predict(c, test::request()).stages.queue_s == 0);
}
