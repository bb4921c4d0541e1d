#include "coordinator/registry/learned_merge.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace sluice::coordinator;
using nlohmann::json;

namespace {

LearnedEntry entry(double samples, double at, const std::string& by, double value = 1) {
  return {{{"value", value}, {"var", 0.1}, {"count", samples}}, samples, at, by};
}

/// Equal in all that an exchange tells.
bool same(const LearnedEntries& a, const LearnedEntries& b) { return to_json(a) == to_json(b); }

LearnedEntries random_entries(std::mt19937& random) {
  LearnedEntries out;
  for (int i = 0; i < 12; ++i)
    if (random() % 3 != 0)
      out[json{"prefill", "p" + std::to_string(i % 4), "encode", "q" + std::to_string(i)}.dump()] =
          entry(random() % 5 * 20.0, 1000 + random() % 4 * 30.0, std::string(1, static_cast<char>('a' + random() % 3)),
                random() % 3);
  return out;
}

const json kState = {
    {"policy",
     {{"version", 1},
      {"latency",
       {{"prefill",
         {{"p0",
           {{"encode", {{"q8", {{"value", 5e8}, {"var", 0.01}, {"count", 12}}}}}, {"compute", {0.1, 2.0, 3.0}}}}}},
        {"decode",
         {{"d0",
           {{"decode", json::object()},
            {"first", {{"value", 0.02}, {"var", 0.1}, {"count", 3}}},
            {"step", {1.0, 2.0, 3.0}}}}}},
        {"links",
         {{{"prefill", "p0"},
           {"decode", "d/0"},
           {"bandwidth", {{"value", 1e9}, {"var", 0.1}, {"count", 7}}},
           {"fixed", {{"value", 0.001}, {"var", 0.1}, {"count", 0}}}}}},
        {"fixed", {{"value", 0.004}, {"var", 0.1}, {"count", 9}}}}},
      {"local",
       {{"decode", {{"d0", {{"compute", {0.1, 2.0, 0.5}}, {"ratio", {{"value", 1.1}, {"var", 0.1}, {"count", 4}}}}}}},
        {"mean_output", 100}}},
      {"controller", {{"shared", {1, 2, 3, 4, 5, 6}}, {"seen", 40}}}}},
    {"quality", {{"identity", "abc/1"}, {"profiles", {{"q8", {{"stated", 0.01}, {"probes", 5}}}}}}},
    {"slo", {{"default", {{"ttft_ms", 1}}}}}};

}  // namespace

TEST_CASE("a merge takes states in any order, any number of times") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const LearnedEntries a = random_entries(random), b = random_entries(random), c = random_entries(random);
    CHECK(same(merged(a, b), merged(b, a)));
    CHECK(same(merged(merged(a, b), c), merged(a, merged(b, c))));
    CHECK(same(merged(a, a), a));
    CHECK(same(merged(merged(a, b), b), merged(a, b)));
    for (const auto& [key, e] : merged(a, b)) CHECK((a.contains(key) || b.contains(key)));
  }
}

TEST_CASE("the better known entry wins: more samples, or fresher ones") {
  const auto winner = [](const LearnedEntry& a, const LearnedEntry& b) {
    return merged({{"k", a}}, {{"k", b}}).at("k").by;
  };
  CHECK(winner(entry(40, 1000, "a"), entry(3, 1000, "b")) == "a");
  CHECK(winner(entry(40, 1000, "a"), entry(40, 1001, "b")) == "b");
  CHECK(winner(entry(40, 1000, "a"), entry(3, 1000 + 10 * kFresh, "b")) == "b");
  // An old hand's ten thousand samples of what a node did yesterday say nothing of today.
  CHECK(winner(entry(10000, 1000, "a"), entry(kEnough, 1001, "b")) == "b");
}

TEST_CASE("a coordinator gives up what it learned itself only for what is clearly better known") {
  const LearnedEntries mine{{"k", entry(10, 1000, "me")}};
  CHECK(worth_taking(mine, {{"k", entry(12, 1010, "b")}}).empty());
  CHECK(worth_taking(mine, {{"k", entry(64, 1000, "b")}}).size() == 1);
  CHECK(worth_taking(mine, {{"k", entry(10, 1000 + 2 * kFresh, "b")}}).size() == 1);
  CHECK(worth_taking(mine, {{"other", entry(1, 0, "b")}}).size() == 1);
}

TEST_CASE("what has learned nothing keeps its age and its owner, whoever writes it") {
  const LearnedEntries before{{"k", entry(10, 1000, "b", 5)}, {"l", entry(10, 1000, "b")}};
  const LearnedEntries now{
      {"k", entry(10, 2000, "me", 5.1)}, {"l", entry(11, 2000, "me")}, {"m", entry(1, 2000, "me")}};
  const LearnedEntries s = stamped(now, before);
  CHECK(s.at("k").by == "b");  // it only drifted
  CHECK(s.at("k").at == 1000);
  CHECK(s.at("l").by == "me");
  CHECK(s.at("l").at == 2000);
  CHECK(s.at("m").by == "me");
  // Fits count nothing: their weights tell.
  const LearnedEntry fit{json::array({1.0, 2.0}), 0, 1000, "b"};
  LearnedEntry close{json::array({1.0 + 1e-9, 2.0}), 0, 2000, "me"}, far{json::array({1.1, 2.0}), 0, 2000, "me"};
  CHECK(stamped({{"f", close}}, {{"f", fit}}).at("f").by == "b");
  CHECK(stamped({{"f", far}}, {{"f", fit}}).at("f").by == "me");
}

TEST_CASE("a state falls into entries and comes together again") {
  const LearnedEntries e = entries_of(kState, 1000, "me");
  CHECK(e.size() == 10);
  const json back = state_of(e);
  CHECK(back["policy"]["latency"]["prefill"] == kState["policy"]["latency"]["prefill"]);
  CHECK(back["policy"]["latency"]["decode"]["d0"]["step"] == kState["policy"]["latency"]["decode"]["d0"]["step"]);
  CHECK(back["policy"]["latency"]["links"][0]["decode"] == "d/0");
  CHECK_FALSE(back["policy"]["latency"]["links"][0].contains("fixed"));  // it has seen nothing
  CHECK(back["policy"]["local"]["decode"] == kState["policy"]["local"]["decode"]);
  CHECK(back["policy"]["controller"] == kState["policy"]["controller"]);
  CHECK(back["quality"] == json::array({kState["quality"]}));
  CHECK_FALSE(back.contains("slo"));  // what people set is not learned
  CHECK(same(parse_learned(to_json(e), 5000), e));
}

TEST_CASE("what is no state gives no entries, and a clock that runs ahead gains nothing") {
  for (const json& wrong :
       {json(), json(1), json::array(), json{{"policy", 3}}, json{{"policy", {{"latency", {{"links", {1, 2}}}}}}}})
    CHECK(entries_of(wrong, 1, "me").empty());
  for (const json& wrong : {json(), json(1), json::array({1}), json::array({json::array({"k", 1, "x", 1, "b"})}),
                            json::array({json::array({"k", 1, -1, 1, "b"})}), json{{"k", 1}}})
    CHECK(parse_learned(wrong, 1).empty());
  CHECK(parse_learned(to_json({{"k", entry(1, 9e9, "b")}}), 1000).at("k").at == 1000);
  CHECK_NOTHROW(state_of({{"no path", entry(1, 1, "b")}, {"[1,2]", entry(1, 1, "b")}, {"[]", entry(1, 1, "b")}}));
}
