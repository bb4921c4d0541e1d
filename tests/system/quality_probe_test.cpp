// Quality probes in a whole cluster: a codec that does not keep what it states is caught and left, an honest one is
// not, and no client notices that it was probed.
#include <catch2/catch.hpp>
#include <future>

#include "tests/support/poll_until.h"
#include "tests/support/temp_dir.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

/// Profiles of which one lies: two levels for a channel, stated as if they were 256.
const char* const kProfiles = R"({"profiles": [
  {"name": "raw", "codec": "raw", "nominal_ratio": 1},
  {"name": "liar", "stated_kl": 0.001, "nominal_ratio": 12, "key": "m", "value": "m",
   "classes": {"m": {"quantizer": "minmax", "levels": 2, "coder": "rans"}}},
  {"name": "h4", "stated_kl": 0.02, "nominal_ratio": 3.87, "key": "m", "value": "m",
   "classes": {"m": {"transform": "hadamard", "quantizer": "lloyd", "levels": 16}}}]})";

json profile(const Cluster& c, const std::string& name) {
  const json all = c.get("/sluice/v1/profiles");
  for (const json& p : all.at("profiles"))
    if (p["name"] == name) return p;
  throw std::runtime_error("no profile " + name);
}

json prompt_of(const std::vector<int>& text, std::size_t i, std::size_t tokens) {
  return slice(text, i * 251 % (text.size() - 1100), tokens);
}

}  // namespace

TEST_CASE("a broken codec table is caught and left within 20 probes, an honest profile is not", "[system]") {
  const TempDir dir;
  dir.write("profiles.json", kProfiles);
  const std::vector<std::string> flags{"--kv-profiles", (dir / "profiles.json").string()};
  Cluster c({.coordinator_flags = {"--quality-probe-share", "1", "--quality-kl", "0.05"},
             .prefill_flags = flags,
             .decode_flags = flags});
  const auto text = heldout_tokens(c);
  auto probes = [&](const std::string& name) { return profile(c, name).at("probes").get<int>(); };
  auto ask = [&](std::size_t i, const char* pinned) {
    json r{{"prompt", prompt_of(text, i, 200 + i * 37 % 700)}, {"max_tokens", 4}, {"sluice", {{"explain", true}}}};
    if (pinned != nullptr) r["sluice"]["profile"] = pinned;
    return complete(c, r)["sluice"]["profile"].get<std::string>();
  };

  CHECK(profile(c, "liar")["allowed"] == true);
  int asked = 0;
  while (profile(c, "liar")["drift"] == false && asked < 40) {
    const int before = probes("liar");
    ask(static_cast<std::size_t>(asked++), "liar");
    REQUIRE(poll_until([&] { return probes("liar") == before + 1; }, 10s));
  }
  const json liar = profile(c, "liar");
  std::printf("a profile that states KL 0.001 and has %.3f was left after %d probes; it counts for %.3f now\n",
              liar["probed_kl"].get<double>(), liar["probes"].get<int>(), liar["kl"].get<double>());
  CHECK(liar["drift"] == true);
  CHECK(liar["probes"] <= 20);
  CHECK(liar["stated_kl"] == 0.001);
  CHECK(liar["kl"] > 0.05);
  CHECK(liar["allowed"] == false);
  CHECK(c.metric("coordinator", "sluice_quality_drift", "profile=\"liar\"") == 1);
  CHECK(c.log("coordinator").find("KV profile exceeds its stated KL") != std::string::npos);

  // Requests that choose for themselves use it no more, however fast it is.
  for (std::size_t i = 0; i < 12; ++i) CHECK(ask(100 + i, nullptr) != "liar");

  for (std::size_t i = 0; i < 24; ++i) ask(200 + i, i % 4 == 0 ? "raw" : "h4");
  REQUIRE(poll_until([&] { return probes("h4") >= 18 && probes("raw") >= 6; }, 10s));
  CHECK(profile(c, "h4")["drift"] == false);
  CHECK(profile(c, "h4")["probed_kl"] > 0);
  CHECK(profile(c, "h4")["probed_kl"] < 0.02);
  CHECK(profile(c, "raw")["probed_kl"] < 1e-6);  // the very same KV
  CHECK(profile(c, "raw")["probed_top1"] == 1);
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}

TEST_CASE("probing changes no token, for no profile", "[system]") {
  auto answers = [](const char* share) {
    Cluster c({.coordinator_flags = {"--quality-probe-share", share}});
    const auto text = heldout_tokens(c);
    std::vector<json> asked;
    const char* profiles[] = {"raw", "ll", "q8", "h4"};
    for (std::size_t i = 0; i < 24; ++i)
      asked.push_back({{"prompt", prompt_of(text, i, i % 3 == 0 ? 128 + 16 * i : 100 + 37 * i)},
                       {"max_tokens", 12},
                       {"temperature", i % 2 == 0 ? 0.0 : 0.9},
                       {"seed", i},
                       {"ignore_eos", true},
                       {"logprobs", 2},
                       {"sluice", {{"mode", "split"}, {"profile", profiles[i % 4]}}}});
    std::vector<json> out;
    for (const json& a : complete_all(c, asked, 6)) out.push_back(a["choices"]);
    const double probed =
        c.metric("d0", "sluice_quality_probes_total") + c.metric("p0", "sluice_quality_references_total");
    CHECK((probed > 0) == (std::string(share) != "0"));
    CHECK(poll_until([&] { return c.idle(); }, 5s));
    return out;
  };
  const auto plain = answers("0");
  const auto probed = answers("1");
  for (std::size_t i = 0; i < plain.size(); ++i) {
    CAPTURE(i);
    CHECK(probed[i] == plain[i]);
  }
}

TEST_CASE("clients and nodes that go away in the middle of probes leave no block taken", "[system]") {
  Cluster c({.prefills = 1, .decodes = 2, .coordinator_flags = {"--quality-probe-share", "1"}});
  const auto text = heldout_tokens(c);
  const json request{
      {"prompt", prompt_of(text, 3, 900)}, {"max_tokens", 3000}, {"ignore_eos", true}, {"sluice", {{"profile", "h4"}}}};
  for (int i = 0; i < 12; ++i) {
    const auto hang_up_at = static_cast<std::size_t>(i % 4);  // before, at and after the first token
    (void)stream_completion(c, request, [&](std::size_t chunks) { return chunks < hang_up_at; });
  }
  CHECK(poll_until([&] { return c.idle(); }, 10s));

  std::vector<json> many(16, request);
  for (auto& r : many) r["max_tokens"] = 40;
  const auto tokens_of = [&](const std::string& node) { return c.metric(node, "sluice_decode_tokens_total"); };
  const double before = tokens_of("d1");
  const double other_before = tokens_of("d0");
  std::string gone;  // whichever has legs: all may be on one of the two
  auto load = std::async(std::launch::async, [&] { return complete_all(c, many, 8); });
  const auto running = poll_until(
      [&] {
        gone = tokens_of("d1") > before ? "d1" : tokens_of("d0") > other_before ? "d0" : "";
        return !gone.empty();
      },
      20s);
  if (running) c.kill(gone);
  const auto got = load.get();
  REQUIRE(running);
  const std::string left = gone == "d1" ? "d0" : "d1";
  for (const json& a : got) CHECK(a["usage"]["completion_tokens"] == 40);
  CHECK(poll_until(
      [&] {
        return c.metric("p0", "sluice_kv_blocks_free") == c.metric("p0", "sluice_kv_blocks_capacity") &&
               c.metric(left, "sluice_kv_blocks_free") == c.metric(left, "sluice_kv_blocks_capacity");
      },
      10s));
}
