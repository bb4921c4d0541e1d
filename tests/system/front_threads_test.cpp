// A coordinator whose front has threads of its own: what clients get is what one thread gives them.
#include <signal.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/support/poll_until.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

/// Texts of eight streams at once, and of as many whole answers.
std::vector<std::string> texts(const Cluster& c, const std::vector<int>& tokens) {
  std::vector<std::string> all(16);
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < 8; ++i)
    clients.emplace_back([&, i] {
      json request{{"prompt", slice(tokens, 50 * i, 100)},
                   {"max_tokens", 60},
                   {"temperature", 0.8},
                   {"seed", i},
                   {"logprobs", 2}};
      all[i] = stream_completion(c, request).text;
      const json whole = complete(c, request);
      all[8 + i] = whole["choices"][0].dump();
    });
  for (auto& t : clients) t.join();
  return all;
}

}  // namespace

TEST_CASE("a front of three threads answers as one thread does, and is drained as it", "[system]") {
  std::vector<std::string> one, three;
  {
    Cluster c({.prefills = 1, .decodes = 1});
    one = texts(c, heldout_tokens(c));
  }
  Cluster c({.prefills = 1, .decodes = 1, .coordinator_flags = {"--front-threads", "3"}});
  const auto tokens = heldout_tokens(c);
  three = texts(c, tokens);
  for (std::size_t i = 0; i < one.size(); ++i) {
    CAPTURE(i);
    CHECK_FALSE(one[i].empty());
    CHECK(one[i] == three[i]);
  }
  // What the deciding thread answers comes through all of them.
  for (const char* path : {"/livez", "/readyz", "/health", "/sluice/v1/status", "/v1/models", "/openapi.json"})
    for (int i = 0; i < 3; ++i) CHECK_NOTHROW(c.get(path));
  CHECK(c.metric("coordinator", "sluice_http_requests_active") == 1);  // the one that asks

  // A client that hangs up is noticed on whatever thread it is, and its blocks are free.
  json endless{{"prompt", slice(tokens, 0, 200)}, {"max_tokens", 3500}, {"ignore_eos", true}, {"temperature", 0}};
  for (int i = 0; i < 4; ++i) (void)stream_completion(c, endless, [](std::size_t chunks) { return chunks < 3; });
  CHECK(poll_until([&] { return c.idle(); }, 10s));
  CHECK(c.metric("coordinator", "sluice_requests_total", "outcome=\"cancelled\"") == 4);

  // A drain finishes what runs.
  bool told = false;
  endless["max_tokens"] = 1500;
  const Streamed s = stream_completion(c, endless, [&](std::size_t chunks) {
    if (chunks >= 3 && !std::exchange(told, true)) c.signal("coordinator", SIGTERM);
    return true;
  });
  CHECK(s.done);
  CHECK(s.usage["completion_tokens"] == 1500);
  CHECK(c.wait_exit("coordinator") == 0);
}

TEST_CASE("a second signal ends a coordinator with front threads in mid-stream", "[system]") {
  Cluster c({.prefills = 1, .decodes = 1, .coordinator_flags = {"--front-threads", "2"}});
  const auto tokens = heldout_tokens(c);
  const json endless{{"prompt", slice(tokens, 0, 200)}, {"max_tokens", 3500}, {"ignore_eos", true}};
  bool told = false;
  const Streamed s = stream_completion(c, endless, [&](std::size_t chunks) {
    if (chunks < 3 || std::exchange(told, true)) return true;
    c.signal("coordinator", SIGTERM);
    CHECK(poll_until([&] { return c.log("coordinator").find("draining") != std::string::npos; }, 5s));
    c.signal("coordinator", SIGTERM);
    return true;
  });
  CHECK_FALSE(s.done);
  CHECK(c.wait_exit("coordinator") == 0);
}
