// SIGTERM drains: what runs is finished, what is new is told to go elsewhere, and the process ends with status 0.
#include <signal.h>

#include <catch2/catch.hpp>

#include "tests/support/poll_until.h"
#include "tests/support/raw_client.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

json long_request(const std::vector<int>& text) {
  return {{"prompt", slice(text, 0, 200)}, {"max_tokens", 3500}, {"ignore_eos", true}, {"temperature", 0}};
}

void check_whole(const Streamed& s) {
  CAPTURE(s.error.dump(), s.explain.dump());
  REQUIRE(s.done);
  CHECK(s.finish_reason == "length");
  CHECK(s.usage["completion_tokens"] == 3500);
  CHECK_FALSE(s.explain.contains("resumes"));
}

}  // namespace

TEST_CASE("SIGTERM to every process: a running stream is finished, new work is refused", "[system][fronts]") {
  Cluster c({.prefills = 1, .decodes = 1});
  const auto text = heldout_tokens(c);
  // A client that was half through its request when the drain began is answered, and so are new ones.
  RawClient late(static_cast<std::uint16_t>(std::stoi(c.http().substr(c.http().rfind(':') + 1))));
  REQUIRE(late.send("POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 14\r\n\r\n{\"prompt\""));
  std::string late_answer;
  Answer new_answer{.status = -1};
  bool told = false;
  const Streamed s = stream_completion(c, long_request(text), [&](std::size_t chunks) {
    if (chunks < 3 || std::exchange(told, true)) return true;
    for (const auto& who : c.names()) c.signal(who, SIGTERM);
    if (!poll_until([&] { return c.log("coordinator").find("draining") != std::string::npos; }, 5s)) return false;
    late.send(":\"a\"}");
    late_answer = late.read_response();
    new_answer = post(c, "/v1/completions", json{{"prompt", "Hello"}});
    return true;
  });
  check_whole(s);
  CAPTURE(late_answer, new_answer.body.dump());
  CHECK(late_answer.starts_with("HTTP/1.1 503"));
  CHECK(new_answer.status == 503);
  CHECK(new_answer.headers.contains("retry-after"));
  CHECK(new_answer.body["error"]["type"] == "service_unavailable_error");
  for (const auto& who : c.names()) {
    CAPTURE(who);
    CHECK(c.wait_exit(who) == 0);
  }
}

TEST_CASE("SIGTERM to a decode node: its legs go on at the other, or are finished where nodes do not move them",
          "[system]") {
  Cluster c({.prefills = 1, .decodes = 2});
  const bool moves = c.node("d0")["moves"] == true;
  const auto text = heldout_tokens(c);
  std::string leaving;
  json meanwhile;
  const Streamed s = stream_completion(c, long_request(text), [&](std::size_t chunks) {
    if (chunks < 3 || !leaving.empty()) return true;
    leaving = c.node("d0").at("seqs") == 1 ? "d0" : "d1";
    c.signal(leaving, SIGTERM);
    if (!poll_until([&] { return c.log(leaving).find("draining") != std::string::npos; }, 5s)) return false;
    meanwhile =
        post(c, "/v1/completions", json{{"prompt", "Meanwhile"}, {"max_tokens", 4}, {"sluice", {{"explain", true}}}})
            .body;
    return true;
  });
  check_whole(s);
  const std::string other = leaving == "d0" ? "d1" : "d0";
  CHECK(s.explain["decode_node"] == (moves ? other : leaving));
  CAPTURE(meanwhile.dump());
  CHECK(meanwhile["sluice"]["decode_node"] == other);
  CHECK(c.wait_exit(leaving) == 0);
}
