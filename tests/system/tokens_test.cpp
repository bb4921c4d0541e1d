// Splitting prefill from decode must not change what a client reads: lossless profiles give the tokens, and the
// log-probabilities to the last bit, of a run on one node; lossy ones give the same answer each time, near enough to
// raw.
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/poll_until.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;

namespace {

struct Shape {
  std::size_t prompt;
  int output;
};
// Around block (16), chunk (512) and batch (2048) edges.
constexpr Shape kShapes[] = {{1, 64},   {2, 8},    {16, 17},  {17, 64},   {100, 33},  {511, 16},
                             {513, 64}, {700, 40}, {1500, 9}, {2100, 64}, {3500, 64}, {3499, 1}};

json request_of(const std::vector<int>& text, std::size_t i, bool sampled) {
  json r{{"prompt", slice(text, 3000 * (i % 12), kShapes[i].prompt)},
         {"max_tokens", kShapes[i].output},
         {"temperature", sampled ? 0.8 : 0.0},
         {"seed", 7 + i},
         {"ignore_eos", true},
         {"logprobs", 3},
         {"sluice", {{"explain", true}}}};
  if (sampled) r["top_p"] = 0.95;
  return r;
}

std::vector<json> requests(const std::vector<int>& text, const char* mode, const char* profile, bool sampled) {
  std::vector<json> out;
  for (std::size_t i = 0; i < std::size(kShapes); ++i) {
    out.push_back(request_of(text, i, sampled));
    out.back()["sluice"]["mode"] = mode;
    if (*profile != '\0') out.back()["sluice"]["profile"] = profile;
  }
  return out;
}

/// Tokens, their log-probabilities, text and usage, but for what of the prompt was there already.
void check_same(const json& got, const json& want, std::size_t shape) {
  CAPTURE(kShapes[shape].prompt, kShapes[shape].output, got["sluice"].dump());
  CHECK(got["choices"][0]["logprobs"]["tokens"] == want["choices"][0]["logprobs"]["tokens"]);
  CHECK(got["choices"] == want["choices"]);
  for (const char* count : {"prompt_tokens", "completion_tokens"}) CHECK(got["usage"][count] == want["usage"][count]);
}

void check_split(const json& answer, const std::string& profile) {
  const json& e = answer["sluice"];
  CAPTURE(e.dump());
  CHECK(answer["usage"]["completion_tokens"] == answer["choices"][0]["logprobs"]["tokens"].size());
  if (answer["usage"]["prompt_tokens"] == 1) {
    CHECK(e["mode"] == "colocated");  // one token has no KV to move
    return;
  }
  CHECK(e["mode"] == "split");
  CHECK(e["profile"] == profile);
  CHECK(e["kv_wire_bytes"] > 0);
  CHECK_FALSE(e.contains("resumes"));
}

void check_profiles(const Cluster& c) {
  const auto text = heldout_tokens(c);
  for (const bool sampled : {false, true}) {
    // The reference runs alone and on one node; the others crowd each other.
    const auto want = complete_all(c, requests(text, "colocated", "", sampled), 1);
    for (const char* profile : {"raw", "ll"}) {
      const auto got = complete_all(c, requests(text, "split", profile, sampled), 6);
      CAPTURE(sampled, profile);
      for (std::size_t i = 0; i < got.size(); ++i) {
        check_same(got[i], want[i], i);
        check_split(got[i], profile);
      }
    }
  }
  for (const char* profile : {"q8", "k8v4", "h4"}) {
    const auto alone = complete_all(c, requests(text, "split", profile, true), 1);
    const auto crowded = complete_all(c, requests(text, "split", profile, true), 6);
    CAPTURE(profile);
    for (std::size_t i = 0; i < alone.size(); ++i) {
      check_same(crowded[i], alone[i], i);
      check_split(crowded[i], profile);
    }
  }
  CHECK(poll_until([&] { return c.idle(); }, std::chrono::seconds(5)));
}

// ---- Quality ----

using Head = std::map<std::string, double>;  // token -> probability

Head head_of(const json& answer) {
  Head h;
  for (const auto& [token, logprob] : answer["choices"][0]["logprobs"]["top_logprobs"][0].items())
    h[token] = std::exp(logprob.get<double>());
  return h;
}

/// KL(p || q) over the tokens in both heads, with one bin for all others. Merging outcomes never increases KL, so this
/// is a lower bound of the whole distribution's; the twenty best tokens hold most of its mass.
double coarse_kl(const Head& p, const Head& q) {
  double kl = 0;
  double p_rest = 1;
  double q_rest = 1;
  for (const auto& [token, a] : p) {
    const auto it = q.find(token);
    if (it == q.end()) continue;
    kl += a * std::log(a / it->second);
    p_rest -= a;
    q_rest -= it->second;
  }
  if (p_rest > 1e-9 && q_rest > 1e-9) kl += p_rest * std::log(p_rest / q_rest);
  return kl;
}

/// First output token of many prompts, cut at many lengths: its distribution reads all of the prompt's KV.
std::vector<Head> first_tokens(const Cluster& c, const std::vector<int>& text, const std::string& profile) {
  constexpr std::size_t kPrompts = 160;
  std::vector<json> asked;
  for (std::size_t i = 0; i < kPrompts; ++i)
    asked.push_back({{"prompt", slice(text, i * 251 % (text.size() - 1100), 64 + i * 37 % 960)},
                     {"max_tokens", 1},
                     {"temperature", 0},
                     {"logprobs", 20},
                     {"sluice", {{"mode", "split"}, {"profile", profile}}}});
  std::vector<Head> out;
  for (const json& a : complete_all(c, asked, 6)) out.push_back(head_of(a));
  return out;
}

}  // namespace

TEST_CASE("1P1D over tcp: tokens do not depend on the split", "[system]") {
  const Cluster c({.prefills = 1, .decodes = 1, .tls = kTcp});
  check_profiles(c);
}

TEST_CASE("1P1D over shared memory: tokens do not depend on the split", "[system]") {
  const Cluster c({.prefills = 1, .decodes = 1, .tls = kSharedMemory});
  check_profiles(c);
}

TEST_CASE("2P2D over tcp: tokens do not depend on the split", "[system]") {
  const Cluster c({.prefills = 2, .decodes = 2, .tls = kTcp});
  check_profiles(c);
}

TEST_CASE("2P2D over shared memory: tokens do not depend on the split", "[system]") {
  const Cluster c({.prefills = 2, .decodes = 2, .tls = kSharedMemory});
  check_profiles(c);
}

TEST_CASE("every profile stays within its stated KL", "[system]") {
  const Cluster c({.prefills = 1, .decodes = 1});
  const auto text = heldout_tokens(c);
  const auto raw = first_tokens(c, text, "raw");
  const json profiles = c.get("/sluice/v1/profiles").at("profiles");
  REQUIRE(profiles.size() >= 5);
  for (const json& p : profiles) {
    const std::string name = p["name"];
    const auto got = first_tokens(c, text, name);
    double sum = 0;
    for (std::size_t i = 0; i < raw.size(); ++i) sum += coarse_kl(raw[i], got[i]);
    const double kl = sum / static_cast<double>(raw.size());
    std::printf("profile %-5s mean KL of %zu next-token distributions: %.6f nats, stated %.6f\n", name.c_str(),
                raw.size(), kl, p["kl"].get<double>());
    CAPTURE(name);
    CHECK(kl <= p["kl"].get<double>() + 1e-12);
    if (p["kl"] == 0.0) CHECK(got == raw);
    if (p["kl"] > 0.0) CHECK(kl > 0);  // else nothing lossy happened and the test measures nothing
  }
}
