// Log-probabilities of a prompt's own tokens: exactly what the same tokens get when they are output, whatever KV
// travels, and in the shape that evaluation harnesses read.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/poll_until.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;

namespace {

constexpr int kTop = 5;

/// The rest of the prompt as it would be drawn: each token is the only one that can be, and its log-probability is the
/// model's own all the same. On the decode node alone, so that nothing of it is the prefill node's work.
std::vector<json> token_by_token(const Cluster& c, const std::vector<int>& prompt) {
  std::vector<json> asked;
  for (std::size_t i = 1; i < prompt.size(); ++i)
    asked.push_back({{"prompt", slice(prompt, 0, i)},
                     {"max_tokens", 1},
                     {"temperature", 0},
                     {"ignore_eos", true},
                     {"logit_bias", {{std::to_string(prompt[i]), 100}}},
                     {"logprobs", kTop},
                     {"sluice", {{"mode", "colocated"}}}});
  std::vector<json> out;
  for (const json& a : complete_all(c, asked, 6)) out.push_back(a["choices"][0]["logprobs"]);
  return out;
}

void check_echo(const json& logprobs, const std::vector<json>& want) {
  REQUIRE(logprobs["token_logprobs"].size() == want.size() + 2);  // the first, and one that was drawn
  CHECK(logprobs["tokens"].size() == want.size() + 2);
  CHECK(logprobs["token_logprobs"][0].is_null());
  CHECK(logprobs["top_logprobs"][0].is_null());
  CHECK(logprobs["text_offset"][0] == 0);
  for (std::size_t i = 0; i < want.size(); ++i) {
    CAPTURE(i);
    CHECK(logprobs["tokens"][i + 1] == want[i]["tokens"][0]);
    CHECK(logprobs["token_logprobs"][i + 1] == want[i]["token_logprobs"][0]);
    CHECK(logprobs["top_logprobs"][i + 1] == want[i]["top_logprobs"][0]);
    CHECK(logprobs["text_offset"][i + 1] > logprobs["text_offset"][i]);
  }
}

void check_field(const json& list, const std::vector<int>& prompt, const std::vector<json>& want) {
  REQUIRE(list.size() == prompt.size());
  CHECK(list[0].is_null());
  for (std::size_t i = 0; i < want.size(); ++i) {
    const json& entries = list[i + 1];
    const json& mine = entries[std::to_string(prompt[i + 1])];
    CAPTURE(i, entries.dump());
    CHECK(mine["logprob"] == want[i]["token_logprobs"][0]);
    CHECK(mine["decoded_token"] == want[i]["tokens"][0]);
    CHECK(entries.size() == static_cast<std::size_t>(mine["rank"] <= kTop ? kTop : kTop + 1));
    for (const auto& [id, e] : entries.items()) {
      const auto better = std::ranges::count_if(entries, [&](const json& o) { return o["logprob"] > e["logprob"]; });
      if (e["rank"] <= kTop) CHECK(e["rank"] >= better + 1);
    }
  }
}

/// What lm-eval makes of one choice: it leaves out the context and the one token that was drawn.
struct Read {
  double sum = 0;
  bool greedy = true;
};
Read as_lm_eval(const json& choice, std::size_t context) {
  const json& l = choice["logprobs"];
  Read r;
  for (std::size_t i = context; i + 1 < l["token_logprobs"].size(); ++i) {
    const double mine = l["token_logprobs"][i];
    double best = -1e9;
    for (const auto& [token, logprob] : l["top_logprobs"][i].items()) best = std::max(best, logprob.get<double>());
    r.sum += mine;
    r.greedy = r.greedy && mine == best;
  }
  return r;
}

/// The likeliest token after a prompt.
int likeliest(const Cluster& c, std::vector<int> prompt) {
  prompt.push_back(prompt.back());
  const json a = complete(c, {{"prompt", prompt}, {"max_tokens", 0}, {"prompt_logprobs", 1}});
  for (const auto& [id, e] : a["choices"][0]["prompt_logprobs"].back().items())
    if (e["rank"] == 1) return std::stoi(id);
  throw std::runtime_error("no token is the likeliest");
}

}  // namespace

TEST_CASE("a prompt's log-probabilities are those of its tokens drawn one by one, whatever the profile", "[system]") {
  // Chunks and passes smaller than the prompt.
  const Cluster c(
      {.prefills = 1, .decodes = 1, .prefill_flags = {"--prefill-chunk", "32", "--max-batch-tokens", "64"}});
  const auto text = heldout_tokens(c);
  const std::vector<int> prompt(text.begin() + 500, text.begin() + 650);
  const auto want = token_by_token(c, prompt);
  for (const char* profile : {"raw", "ll", "q8", "h4"}) {
    CAPTURE(profile);
    const json a = complete(c, {{"prompt", prompt},
                                {"max_tokens", 1},
                                {"temperature", 0},
                                {"echo", true},
                                {"logprobs", kTop},
                                {"prompt_logprobs", kTop},
                                {"sluice", {{"profile", profile}, {"explain", true}}}});
    CHECK(a["sluice"]["mode"] == "split");
    CHECK(a["sluice"]["profile"] == profile);
    check_echo(a["choices"][0]["logprobs"], want);
    check_field(a["choices"][0]["prompt_logprobs"], prompt, want);
  }
  CHECK(poll_until([&] { return c.idle(); }, std::chrono::seconds(5)));
}

TEST_CASE("an evaluation harness gets the likelihood of each continuation", "[system]") {
  const Cluster c({.prefills = 1, .decodes = 1});
  const auto text = heldout_tokens(c);
  const std::vector<int> context(text.begin() + 100, text.begin() + 160);
  std::vector<int> real(text.begin() + 100, text.begin() + 170);
  std::vector<int> greedy = context;
  for (int i = 0; i < 6; ++i) greedy.push_back(likeliest(c, greedy));
  // One request a batch, as lm-eval's local-completions sends it.
  const json a = complete(c, {{"prompt", {real, greedy}},
                              {"temperature", 0},
                              {"max_tokens", 1},
                              {"logprobs", 1},
                              {"seed", 1234},
                              {"echo", true}});
  REQUIRE(a["choices"].size() == 2);
  const auto by_hand = [&](const std::vector<int>& prompt) {
    const auto each = token_by_token(c, prompt);
    double sum = 0;
    for (std::size_t i = context.size() - 1; i < each.size(); ++i) sum += each[i]["token_logprobs"][0].get<double>();
    return sum;
  };
  const Read first = as_lm_eval(a["choices"][0], context.size());
  const Read second = as_lm_eval(a["choices"][1], context.size());
  CHECK(first.sum == by_hand(real));
  CHECK_FALSE(first.greedy);
  CHECK(second.sum == by_hand(greedy));
  CHECK(second.greedy);

  const json info = c.get("/tokenizer_info");
  CHECK(info["eos_token"].is_string());
  CHECK(info["chat_template"].is_string());

  const json none = complete(c, {{"prompt", real}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 1}});
  CHECK(none["choices"][0]["finish_reason"] == "length");
  CHECK(none["usage"]["completion_tokens"] == 0);
  CHECK(none["choices"][0]["logprobs"]["token_logprobs"].size() == real.size());
  CHECK(complete(c, {{"prompt", real}, {"max_tokens", 0}})["choices"][0]["text"] == "");
}
