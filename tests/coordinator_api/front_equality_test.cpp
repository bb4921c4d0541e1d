// Clients get the same bytes from one front thread and from three, and what they do meanwhile harms nobody else.
#include <thread>

#include "tests/coordinator_api/api_fixture.h"

namespace sluice::test {
namespace {

std::string without(std::string text, const std::string& begin, const std::string& end) {
  for (std::size_t at = 0; (at = text.find(begin, at)) != std::string::npos;) {
    at += begin.size();
    text.erase(at, text.find(end, at) - at);
  }
  return text;
}

/// All bytes of the answers, but for dates and drawn seeds.
std::vector<std::string> answers(int threads) {
  const FrontThreads fronts(threads);
  Api api;
  const auto ask = [&](const std::string& path, const json& body) {
    RawClient c(api.port());
    c.send(Api::post_text(path, body.dump(), "X-Request-Id: the-same\r\n"));
    return without(without(c.read_all(), "\"created\":", ","), "\r\ndate: ", "\r\n");
  };
  std::vector<std::string> all;
  for (const bool stream : {false, true})
    for (int i = 0; i < 4; ++i) {
      const std::string text = "The " + std::string(static_cast<std::size_t>(10 * i), 'x') + " h\xc3\xa9llo";
      all.push_back(ask(
          "/v1/completions",
          {{"prompt", text}, {"stream", stream}, {"max_tokens", 60}, {"logprobs", 1}, {"n", 1 + i}, {"stop", "llo"}}));
      all.push_back(
          ask("/v1/chat/completions",
              {{"messages", {{{"role", "user"}, {"content", text}}}}, {"stream", stream}, {"max_tokens", 60}}));
    }
  all.push_back(ask("/v1/completions", {{"prompt", ""}, {"max_tokens", -1}}));
  all.push_back(ask("/tokenize", {{"prompt", "abc"}}));
  return all;
}

TEST_CASE("one front thread and three say the same bytes") {
  const auto one = answers(1), three = answers(3);
  REQUIRE(one.size() == three.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    CAPTURE(i);
    CHECK_FALSE(one[i].empty());
    // Where chunks of a stream are cut is the same, too: an event is one, whenever it comes.
    CHECK(one[i] == three[i]);
  }
}

TEST_CASE("clients that leave in mid-stream disturb no other on any thread") {
  const FrontThreads fronts(3);
  Api api;
  api.on_io([&] {
    api.backend().script = [](FakeBackend& b, RequestId id) {
      b.say(id, "first ");
      if (b.legs.at(id.value()).spec.prompt->size() < 10) b.play_echo(id);  // "stays"; the others wait for ever
    };
  });
  const json leaving{{"prompt", "leaves in the middle"}, {"stream", true}, {"n", 2}},
      staying{{"prompt", "stays"}, {"stream", true}};
  std::vector<std::thread> clients;
  std::atomic<int> whole{0};
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      for (int round = 0; round < 10; ++round) {
        RawClient leaves(api.port()), stays(api.port());
        leaves.send(Api::post_text("/v1/completions", leaving.dump()));
        stays.send(Api::post_text("/v1/completions", staying.dump()));
        leaves.read_until("data: ");
        round % 2 ? leaves.reset() : leaves.close();
        const std::string all = stays.read_all();
        whole += all.find("[DONE]") != std::string::npos;
      }
    });
  for (auto& c : clients) c.join();
  CHECK(whole == 40);
  CHECK(api.eventually([](FakeBackend& b) {
    return std::ranges::none_of(b.legs, [](const auto& leg) { return leg.second.sink != nullptr; });
  }));
  CHECK(api.on_io([&] { return api.backend().cancels.size(); }) == 80);
}

}  // namespace
}  // namespace sluice::test
