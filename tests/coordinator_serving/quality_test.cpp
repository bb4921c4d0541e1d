// Quality probes from the coordinator's side: who is probed, and what a bad answer does to later choices.
#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

struct Probing {
  Bench b;
  FakeNode& p0;
  FakeNode& d0;

  explicit Probing(double share) : Probing(options(share), std::identity()) {}
  template <class Change>
  Probing(const ServingOptions& o, Change change)
      : b(o),
        p0(b.join(change(node_info(ctl::Role::prefill, "p0")))),
        d0(b.join(change(node_info(ctl::Role::decode, "d0")))) {
    run({.profile = "raw"});  // both nodes are there once it ran
  }
  static ServingOptions options(double share) {
    ServingOptions o;
    o.quality.share = share;
    o.controller.explore_share = 0;
    return o;
  }
  /// One leg to its end; the profile it ran under.
  std::string run(LegSpec spec = {}) {
    const std::size_t n = p0.prefills.size();
    const auto heard = b.start(std::move(spec));
    REQUIRE(b.until([&] { return p0.prefills.size() == n + 1; }));
    d0.tokens(b.last, 0, {1, 2});
    p0.prefill_done(b.last);
    d0.finished(b.last);
    REQUIRE(b.until([&] { return heard->over(); }));
    return p0.prefills.back().profile;
  }
  void answer(const std::string& profile, double kl, int times) {
    const auto before = b.serving.quality().find(profile)->probes;
    for (int i = 0; i < times; ++i) d0.probed({b.last, profile, kl, kl < 0.1});
    REQUIRE(b.until([&] { return b.serving.quality().find(profile)->probes == before + times; }));
  }
  double kl(const std::string& profile) {
    for (const auto& e : b.serving.view().profiles())
      if (e.name == profile) return e.kl;
    return -1;
  }
};

}  // namespace

TEST_CASE("both nodes are asked for a probe, with the prompt's last token, or neither") {
  Probing r(1);
  auto prompt = std::make_shared<std::vector<TokenId>>(40, 7);
  prompt->back() = 19;
  r.run({.prompt = prompt, .profile = "q8"});
  CHECK(r.d0.reserves.back().probe);
  CHECK(r.p0.prefills.back().probe_token == 19);
  CHECK(r.p0.prefills.back().tokens.size() == 39);

  Probing off(0);
  off.run({.profile = "q8"});
  CHECK_FALSE(off.d0.reserves.back().probe);
  CHECK(off.p0.prefills.back().probe_token == -1);
}

TEST_CASE("a profile that probes find broken is left, with a line in the log and a metric, until it is mended") {
  Probing r(1);
  CHECK(r.kl("q8") == 0.001);
  r.answer("q8", 1.0, 20);
  CHECK(r.kl("q8") > 0.9);
  const auto log = r.b.serving.decisions().since(0, 10);
  REQUIRE(log.size() == 2);
  CHECK(log[1]["event"] == "quality_left");
  CHECK(log[1]["profile"] == "q8");
  const std::string metrics = r.b.serving.metrics_text();
  CHECK(metrics.find("sluice_quality_drift{profile=\"q8\"} 1") != std::string::npos);
  CHECK(metrics.find("sluice_quality_stated_kl{profile=\"q8\"} 0.001") != std::string::npos);
  CHECK(metrics.find("sluice_quality_probe_top1_total{profile=\"q8\",same=\"false\"} 20") != std::string::npos);
  for (int i = 0; i < 10; ++i) CHECK(r.run() == "raw");
  CHECK(r.run({.profile = "q8"}) == "q8");  // who pins it gets it
  // A node that joins changes nothing of that, nor does a restart.
  r.b.join(node_info(ctl::Role::decode, "d1"));
  CHECK(r.kl("q8") > 0.9);
  Bench again;
  again.serving.state().load(r.b.serving.state().save());
  again.join(node_info(ctl::Role::decode, "d1"));
  CHECK(again.serving.view().profiles().at(1).kl > 0.9);

  r.answer("q8", 0.0001, 300);
  CHECK(r.kl("q8") == 0.001);
  CHECK(r.b.serving.decisions().since(0, 100).back()["event"] == "quality_kept_again");
}

// A left profile's trial was decided before anything else: a request whose objective it could not meet was refused,
// although any other profile would have done.
TEST_CASE("a trial of a left profile that would come too late costs nobody an answer") {
  ServingOptions o = Probing::options(1);
  o.quality.rest_s = 0;
  auto slow = [](ctl::RegisterRequest r) {
    r.profiles[1].encode_bps = r.profiles[1].decode_bps = 100;  // bytes per second: minutes for a prompt
    return r;
  };
  Probing r(o, slow);
  r.answer("q8", 1.0, 20);
  LegSpec hurried;
  hurried.slo_ttft = std::chrono::seconds(5);
  hurried.quality_budget = 0.01;
  CHECK(r.run(std::move(hurried)) == "raw");
  LegSpec patient;
  patient.slo_ttft = std::chrono::minutes(60);
  patient.quality_budget = 0.01;
  bool tried = false;  // one trial a second
  REQUIRE(r.b.until([&] { return tried = tried || r.run(LegSpec(patient)) == "q8"; }));
}

TEST_CASE("answers that make no sense are dropped") {
  Probing r(1);
  r.d0.probed({RequestId(1), "unheard-of", 1, true});
  r.d0.probed({RequestId(1), "q8", -1, true});
  r.answer("q8", 0.0, 1);
  CHECK(r.b.serving.quality().find("q8")->probes == 1);
}
