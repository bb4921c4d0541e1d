#include "coordinator/api/token_stream.h"

#include <catch2/catch.hpp>
#include <random>

#include "tests/support/fake_model_text.h"

namespace sluice::test {
namespace {

using namespace sluice::coordinator;

struct Run {
  std::string text;
  std::vector<std::string> deltas;
  std::optional<FinishReason> reason;
  nlohmann::json stop_reason;
  int count = 0;
  bool cancelled = false;
};

TokenEvent token(char c, bool stop = false) {
  TokenEvent t;
  t.id = static_cast<unsigned char>(c);
  t.stop = stop;
  return t;
}

/// Feeds `bytes` one token a byte, `batch` tokens a push, then ends the leg.
Run run(std::string_view bytes, TokenStreamOptions o, std::size_t batch = 1, LegEnd end = LegEnd::length) {
  TokenStream s(std::make_unique<FakeDetokenizer>(true), std::move(o));
  Run r;
  auto take = [&](const TokenStream::Delta& d) {
    r.text += d.text;
    if (!d.text.empty()) r.deltas.push_back(d.text);
    r.cancelled |= d.cancel;
  };
  for (std::size_t i = 0; i < bytes.size(); i += batch) {
    std::vector<TokenEvent> t;
    for (char c : bytes.substr(i, batch)) t.push_back(token(c));
    take(s.push(t));
  }
  take(s.finish(end));
  r.reason = s.finish_reason();
  r.stop_reason = s.stop_reason();
  r.count = s.token_count();
  return r;
}

TEST_CASE("text flows through at once when nothing could begin a stop string") {
  auto r = run("hello", {});
  CHECK(r.deltas == std::vector<std::string>{"h", "e", "l", "l", "o"});
  CHECK(r.reason == FinishReason::length);
  CHECK(r.stop_reason.is_null());
  CHECK(run("hello", {.stop = {"xyz"}}).deltas.size() == 5);
}

TEST_CASE("a character split across tokens comes out whole") {
  auto r = run("a\xF0\x9F\x98\x80z", {});
  CHECK(r.deltas == std::vector<std::string>{"a", "\xF0\x9F\x98\x80", "z"});
  CHECK(run("a\xF0\x9F", {}).text == "a\xEF\xBF\xBD");
}

TEST_CASE("a stop string across token boundaries is cut out, and what may begin one is held back") {
  auto r = run("abcENDxyz", {.stop = {"END"}});
  CHECK(r.text == "abc");
  CHECK(r.reason == FinishReason::stop);
  CHECK(r.stop_reason == "END");
  CHECK(r.cancelled);
  CHECK(r.count == 6);
  CHECK(run("abcENDxyz", {.stop = {"END"}, .include_stop_str = true}).text == "abcEND");
  // Held back, then released: E and N turn out to be text.
  r = run("abENxEN", {.stop = {"END"}});
  CHECK(r.deltas == std::vector<std::string>{"a", "b", "ENx", "EN"});
  CHECK(r.reason == FinishReason::length);
  CHECK_FALSE(r.cancelled);
}

TEST_CASE("overlapping stops: the first to complete wins, the longest of those completing together") {
  CHECK(run("xabcd", {.stop = {"abcd", "bc"}}).text == "xa");
  CHECK(run("xabcd", {.stop = {"cd", "abcd"}}).text == "x");
  CHECK(run("aaab", {.stop = {"aab"}}).text == "a");
  CHECK(run("abababac", {.stop = {"ababac"}}).text == "ab");
  CHECK(run("abababac", {.stop = {"ababac", "abababac"}}).text.empty());
  CHECK(run("caf\xC3\xA9!", {.stop = {"\xC3\xA9"}}).text == "caf");
}

TEST_CASE("the first min_tokens tokens cannot stop the output") {
  auto r = run("ENDabENDx", {.stop = {"END"}, .min_tokens = 3});
  CHECK(r.text == "ENDab");
  CHECK(r.count == 8);
  CHECK(run("ENDx", {.stop = {"END"}, .min_tokens = 4}).text == "ENDx");
}

TEST_CASE("the stopping token counts but stays out of the text unless asked for") {
  for (bool include : {false, true}) {
    TokenStream s(std::make_unique<FakeDetokenizer>(true), {.include_stop_str = include});
    auto d = s.push(std::vector{token('a'), token('!', true)});
    CHECK(d.text == (include ? "a!" : "a"));
    CHECK(d.tokens.size() == (include ? 2 : 1));
    CHECK_FALSE(d.cancel);
    (void)s.finish(LegEnd::stop);
    CHECK(s.finish_reason() == FinishReason::stop);
    CHECK(s.stop_reason() == '!');
    CHECK(s.token_count() == 2);
  }
}

TEST_CASE("nothing comes after a stop string, whatever the backend still sends") {
  TokenStream s(std::make_unique<FakeDetokenizer>(true), {.stop = {"b"}});
  CHECK(s.push(std::vector{token('a'), token('b'), token('c')}).text == "a");
  CHECK(s.push(std::vector{token('d')}).text.empty());
  CHECK(s.finish(LegEnd::cancelled).text.empty());
  CHECK(s.finish_reason() == FinishReason::stop);
  CHECK(s.token_count() == 2);
}

TEST_CASE("a cancelled leg without a stop string ends as aborted and gives what was held") {
  auto r = run("abEN", {.stop = {"END"}}, 1, LegEnd::cancelled);
  CHECK(r.text == "abEN");
  CHECK(r.reason == FinishReason::aborted);
}

/// The meaning of stop strings, written the slow way.
std::string slow_truth(std::string_view text, const std::vector<std::string>& stops) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const auto& s : stops)
      if (text.substr(0, end).ends_with(s)) longest = std::max(longest, s.size());
    if (longest > 0) return std::string(text.substr(0, end - longest));
  }
  return std::string(text);
}

TEST_CASE("the outcome equals the definition for random texts, however they are batched") {
  std::mt19937 rng(7);
  auto word = [&](std::size_t max) {
    std::string s;
    for (std::size_t n = 1 + rng() % max; n > 0; --n) s += static_cast<char>('a' + rng() % 2);
    return s;
  };
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::string> stops;
    for (std::size_t n = 1 + rng() % 3; n > 0; --n) stops.push_back(word(6));
    std::string text = word(40);
    auto want = slow_truth(text, stops);
    for (std::size_t batch : {1UL, 3UL, 64UL}) CHECK(run(text, {.stop = stops}, batch).text == want);
  }
}

}  // namespace
}  // namespace sluice::test
