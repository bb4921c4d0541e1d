// KV of prompts that begin alike: whose may meet is said with each prompt, and what was not computed is said of it.
#include <set>

#include "tests/coordinator_serving/serving_fixture.h"

using namespace sluice;
using namespace sluice::test;

namespace {

struct AskingPair {
  Bench b;
  FakeNode& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));

  /// The root that the prefill node is given.
  std::string root(const std::string& tenant, const std::string& salt) {
    LegSpec spec;
    spec.tenant = tenant;
    spec.cache_salt = salt;
    spec.mode = LegMode::split;
    const std::size_t before = p0.prefills.size();
    heard = b.start(std::move(spec));
    REQUIRE(b.until([&] { return p0.prefills.size() > before; }));
    return p0.prefills.back().prefix_root;
  }
  void over(std::uint32_t cached) {
    ctl::PrefillDone d;
    d.request = b.last;
    d.attempt = p0.prefills.back().attempt;
    d.compute_s = 0.01;
    d.tokens = 39;
    d.cached_tokens = cached;
    p0.report(d);
    d0.tokens(b.last, 0, {21});
    d0.finished(b.last);
    REQUIRE(b.until([&] { return heard->over(); }));
  }
  std::shared_ptr<Heard> heard;
};

}  // namespace

TEST_CASE("the same tenant and salt have one root, and nobody else has it") {
  AskingPair r;
  std::set<std::string> roots;
  for (const auto& [tenant, salt] : std::vector<std::pair<std::string, std::string>>{
           {"a", ""}, {"b", ""}, {"a", "b"}, {"ab", ""}, {"a", "c"}, {"b", "c"}})
    roots.insert(r.root(tenant, salt));
  CHECK(roots.size() == 6);
  CHECK(roots.begin()->size() == ctl::kPrefixRoot);
  CHECK(r.root("a", "c") == r.root("a", "c"));
  AskingPair other;  // its own key
  CHECK_FALSE(roots.contains(other.root("a", "")));
}

TEST_CASE("what was not computed is told to the client, at most what a prefill node had to compute") {
  AskingPair r;
  for (const auto& [said, shown] : {std::pair(32U, 32), std::pair(0U, 0), std::pair(4000U, 39)}) {
    (void)r.root("a", "");
    r.over(said);
    CHECK(r.heard->end == LegEnd::length);
    CHECK(r.heard->stats.cached_tokens == shown);
  }
  const std::string text = r.b.serving.metrics_text();
  CHECK_THAT(text, Catch::Contains("vllm:prefix_cache_queries_total{model_name=\"fake\"} 117\n"));
  CHECK_THAT(text, Catch::Contains("vllm:prefix_cache_hits_total{model_name=\"fake\"} 71\n"));
}
