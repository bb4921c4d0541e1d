// KV of prompts that begin alike: whose may meet is said with each prompt, and what was not computed is said of it.
#include <set>

#include "common/prefix/namer.h"
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

namespace {

/// The names that a node gives to the blocks of a prompt.
std::string names_under(const std::string& root, const std::vector<TokenId>& prompt) {
  std::vector<prefix::PrefixName> names;
  prefix::PrefixNamer(prefix::PrefixKey::parse(root).value()).append_names({}, prompt, 16, names);
  return to_hex(names);
}

struct TwoPrefills {
  Bench b{ServingOptions{.local_prefill = false}};
  FakeNode& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  FakeNode& p1 = b.join(node_info(ctl::Role::prefill, "p1"));
  FakeNode& d0 = b.join(node_info(ctl::Role::decode, "d0"));
  std::vector<TokenId> prompt = std::vector<TokenId>(200, 7);

  /// The node that a prompt of this tenant was given to. Its answer is over.
  FakeNode& serve(const std::string& tenant = "a") {
    LegSpec spec;
    spec.tenant = tenant;
    spec.prompt = std::make_shared<std::vector<TokenId>>(prompt);
    const std::size_t at0 = p0.prefills.size();
    const std::size_t at1 = p1.prefills.size();
    heard = b.start(std::move(spec));
    REQUIRE(b.until([&] { return p0.prefills.size() + p1.prefills.size() > at0 + at1; }));
    FakeNode& p = p0.prefills.size() > at0 ? p0 : p1;
    ctl::PrefillDone d;
    d.request = b.last;
    d.attempt = p.prefills.back().attempt;
    d.compute_s = 0.02;
    d.tokens = 199;
    p.report(d);
    d0.tokens(b.last, 0, {21});
    d0.finished(b.last);
    REQUIRE(b.until([&] { return heard->over(); }));
    return p;
  }
  /// known: blocks of all nodes that the coordinator knows when it has heard of this.
  void tell(FakeNode& p, ctl::PrefixReport r, std::size_t known) {
    p.prefixes = std::move(r);
    REQUIRE(b.until([&] { return !p.prefixes && b.serving.view().prefixes().size() == known; }));
  }
  std::shared_ptr<Heard> heard;
};

}  // namespace

TEST_CASE("a prompt goes to the node that says it has its beginning") {
  TwoPrefills r;
  FakeNode& first = r.serve();
  FakeNode& other = &first == &r.p0 ? r.p1 : r.p0;
  const std::string root = first.prefills.back().prefix_root;
  r.tell(first, {.anew = true, .stored = names_under(root, r.prompt)}, 12);
  for (int i = 0; i < 4; ++i) {
    CHECK(&r.serve() == &first);
    CHECK(r.heard->stats.extra["cached"]["expected_tokens"] == 192);
    CHECK(r.heard->stats.extra["cached"]["saved_ms"] > 0);
  }
  (void)r.serve("b");  // of whom nobody has anything
  CHECK_FALSE(r.heard->stats.extra.contains("cached"));

  // It has let go of it, and the other one has it.
  r.tell(first, {.removed = names_under(root, r.prompt)}, 0);
  r.tell(other, {.anew = true, .stored = names_under(root, r.prompt)}, 12);
  for (int i = 0; i < 4; ++i) CHECK(&r.serve() == &other);
}

TEST_CASE("names that cannot be are nobody's, and a node that comes again has nothing") {
  TwoPrefills r;
  FakeNode& first = r.serve();
  const std::string root = first.prefills.back().prefix_root;
  r.tell(first, {.anew = true, .stored = names_under(root, r.prompt)}, 12);
  r.tell(first, {.stored = "not hex"}, 0);
  (void)r.serve();
  CHECK_FALSE(r.heard->stats.extra.contains("cached"));
  r.tell(first, {.anew = true, .stored = names_under(root, r.prompt)}, 12);
  (void)r.serve();
  CHECK(r.heard->stats.extra.contains("cached"));
  r.b.lose("p0");
  r.b.lose("p1");
  CHECK(r.b.serving.view().prefixes().empty());
}
