// Running answers move between decode nodes: by hand, off a node that drains, and while nodes and clients die. Whatever
// happens, what clients read is what an undisturbed run gives.
#include <signal.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>
#include <utility>

#include "tests/support/poll_until.h"
#include "tests/system/api.h"

using namespace sluice::test;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

/// Under one profile whatever the links are like, so that two answers are the same one.
json request(const std::vector<int>& text, std::size_t first, int output, const char* profile = "raw") {
  return {{"prompt", slice(text, first, 150)},
          {"max_tokens", output},
          {"ignore_eos", true},
          {"temperature", 0},
          {"sluice", {{"profile", profile}}}};
}

std::string other(const std::string& node) { return node == "d0" ? "d1" : "d0"; }

/// The decode node that has something to do.
std::string busy(const Cluster& c) { return c.node("d0").at("seqs") > 0 ? "d0" : "d1"; }

/// A client may read tokens before the prefill node has reported; then the answer is to try again.
Answer migrate(const Cluster& c, const std::string& request, const std::string& node) {
  Answer a;
  (void)poll_until(
      [&] {
        a = post(c, "/sluice/v1/migrate", json{{"request", request}, {"node", node}});
        return a.status != 503 || a.body.dump().find("has not reported yet") == std::string::npos;
      },
      5s);
  return a;
}

struct Named {
  std::string id;
  json body;
};

/// Streams `q`, and has `act` done once, in mid-stream.
Streamed disturbed(const Cluster& c, const Named& q, std::size_t after, const std::function<void()>& act) {
  bool done = false;
  const Streamed s = stream_completion(
      c, q.body,
      [&](std::size_t chunks) {
        if (chunks >= after && !std::exchange(done, true)) act();
        return true;
      },
      q.id);
  REQUIRE(done);
  return s;
}

}  // namespace

TEST_CASE("an answer that is moved by hand is the answer", "[system]") {
  Cluster c({.prefills = 1, .decodes = 2});
  REQUIRE(c.node("d0")["moves"] == true);
  const auto text = heldout_tokens(c);
  for (const char* profile : {"raw", "h4"}) {
    const json q = request(text, 0, 1500, profile);
    const Streamed plain = stream_completion(c, q);
    REQUIRE(plain.done);
    std::string from;
    Answer moved;
    const Streamed s = disturbed(c, {"by-hand", q}, 20, [&] {
      from = busy(c);
      moved = migrate(c, "by-hand", other(from));
    });
    CAPTURE(profile, moved.body.dump(), s.error.dump(), s.explain.dump());
    REQUIRE(moved.status == 200);
    CHECK(moved.body["legs"][0]["moved"] == true);
    CHECK(s.done);
    CHECK(s.text == plain.text);
    CHECK(s.explain["decode_node"] == other(from));
    REQUIRE(s.explain["moves"].size() == 1);
    CHECK(s.explain["moves"][0]["from"] == from);
    CHECK_FALSE(s.explain.contains("resumes"));
  }
  CHECK(poll_until([&] { return c.idle(); }, 5s));
  CHECK(migrate(c, "by-hand", "d1").status == 404);
}

TEST_CASE("a drain under load moves what the node decodes, and ends soon", "[system]") {
  Cluster c({.prefills = 1, .decodes = 2});
  REQUIRE(c.node("d0")["moves"] == true);
  const auto text = heldout_tokens(c);
  constexpr int kStreams = 8;
  std::vector<json> asked;
  for (int i = 0; i < kStreams; ++i) asked.push_back(request(text, static_cast<std::size_t>(i) * 40, 1500));
  std::vector<std::string> plain;
  for (const json& a : complete_all(c, asked, kStreams)) plain.push_back(a["choices"][0]["text"]);
  std::vector<Streamed> got(kStreams);
  std::atomic<int> begun = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < kStreams; ++i)
    clients.emplace_back([&, i] {
      // Several chunks may come at once.
      bool counted = false;
      got[i] = stream_completion(c, asked[i], [&](std::size_t chunks) {
        if (chunks >= 10 && !std::exchange(counted, true)) ++begun;
        return true;
      });
    });
  CHECK(poll_until([&] { return begun == kStreams; }, 20s));
  const auto from = std::chrono::steady_clock::now();
  c.signal("d0", SIGTERM);
  CHECK(c.wait_exit("d0") == 0);
  const auto took = std::chrono::steady_clock::now() - from;
  for (auto& t : clients) t.join();
  CHECK(took < 4s);  // tools/migration_report.py measures it
  for (int i = 0; i < kStreams; ++i) {
    CAPTURE(i, got[i].error.dump(), got[i].explain.dump());
    CHECK(got[i].done);
    CHECK(got[i].text == plain[i]);
    CHECK_FALSE(got[i].explain.contains("resumes"));
    CHECK(got[i].explain["decode_node"] == "d1");
  }
}

TEST_CASE("a node dies in mid-move: the answer goes on", "[system]") {
  Cluster c({.prefills = 1, .decodes = 2});
  REQUIRE(c.node("d0")["moves"] == true);
  const auto text = heldout_tokens(c);
  const json q = request(text, 30, 800);
  const Streamed plain = stream_completion(c, q);
  std::mt19937 rng(7);
  for (int round = 0; round < 6; ++round) {
    std::string from;
    std::string dies;
    std::thread order;
    const Streamed s = disturbed(c, {"r" + std::to_string(round), q}, 20, [&] {
      from = busy(c);
      dies = round % 2 == 0 ? from : other(from);
      order = std::thread([&, round] { (void)migrate(c, "r" + std::to_string(round), other(from)); });
      std::this_thread::sleep_for(std::chrono::milliseconds(rng() % 30));
      c.kill(dies);
    });
    order.join();
    CAPTURE(round, from, dies, s.error.dump(), s.explain.dump());
    CHECK(s.done);
    CHECK(s.text == plain.text);
    c.restart(dies);
  }
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}

TEST_CASE("a client goes in mid-move: nothing is left behind", "[system]") {
  Cluster c({.prefills = 1, .decodes = 2});
  REQUIRE(c.node("d0")["moves"] == true);
  const auto text = heldout_tokens(c);
  for (int round = 0; round < 10; ++round) {
    const std::string id = "gone" + std::to_string(round);
    std::thread order;
    (void)stream_completion(
        c, request(text, 60, 800),
        [&](std::size_t chunks) {
          if (chunks < 20) return true;
          order = std::thread([&] { (void)migrate(c, id, other(busy(c))); });
          std::this_thread::sleep_for(std::chrono::milliseconds(round * 2));
          return false;
        },
        id);
    order.join();
  }
  CHECK(poll_until([&] { return c.idle(); }, 5s));
}
