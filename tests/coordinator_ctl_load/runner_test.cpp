// The runner against a server of the house that answers as slowly as a test wants.
#include "coordinator/ctl/load/runner.h"

#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <deque>
#include <mutex>

#include "coordinator/ctl/load/synthetic.h"
#include "tests/support/server_fixture.h"

using namespace sluice;
using namespace sluice::ctl::load;
using namespace std::chrono_literals;
using nlohmann::json;
using test::ServerFixture;

namespace {

/// Serves one request at a time, each for `each`, with two chunks and the usage. Its state is its thread's.
class SlowServer {
 public:
  explicit SlowServer(std::chrono::milliseconds each) : io_(std::make_shared<test::IoThread>()), each_(each) {
    coordinator::HttpRoutes routes;
    routes.add("POST", "/v1/completions", [this](coordinator::HttpRequest q, Out out) {
      bodies_.push_back(json::parse(q.body));
      waiting_.push_back(std::move(out));
      most_ = std::max(most_, waiting_.size());
      if (waiting_.size() == 1) serve();
    });
    server_.emplace(std::move(routes), coordinator::HttpServerOptions{}, io_);
  }
  ~SlowServer() {
    io_->on_io([this] { timers_.clear(); });
    server_.reset();
  }
  Server server() const {
    Server s;
    s.address = "127.0.0.1:" + std::to_string(server_->port());
    s.model = "m";
    return s;
  }
  std::vector<json> bodies() {
    return io_->on_io([this] { return bodies_; });
  }
  std::size_t most() {
    return io_->on_io([this] { return most_; });
  }
  void refuse(std::size_t n) {
    io_->on_io([this, n] { refuse_ = n; });
  }

 private:
  using Out = std::shared_ptr<coordinator::Responder>;

  void serve() {
    timers_.emplace_back(std::make_unique<boost::asio::steady_timer>(io_->io(), each_));
    timers_.back()->async_wait([this](boost::system::error_code ec) {
      if (ec) return;
      const Out out = waiting_.front();
      waiting_.pop_front();
      answer(*out);
      if (!waiting_.empty()) serve();
    });
  }
  void answer(coordinator::Responder& out) {
    if (refuse_ > 0) {
      --refuse_;
      return out.respond(coordinator::json_response({{"error", {{"message", "full"}}}}, 429));
    }
    const auto w = out.begin_stream(200, {{"content-type", "text/event-stream"}});
    for (const char* text : {"one", " two"}) w->write("data: " + json{{"choices", {{{"text", text}}}}}.dump() + "\n\n");
    w->write(
        "data: {\"choices\": [], \"usage\": {\"prompt_tokens\": 5, \"completion_tokens\": 2}}\n\ndata: [DONE]\n\n");
    w->finish();
  }

  std::shared_ptr<test::IoThread> io_;
  std::chrono::milliseconds each_;
  std::vector<json> bodies_;
  std::deque<Out> waiting_;
  std::size_t most_ = 0;
  std::size_t refuse_ = 0;
  std::vector<std::unique_ptr<boost::asio::steady_timer>> timers_;
  std::optional<ServerFixture> server_;
};

Surroundings exact() {
  return {.material = Material::of_tokens({1, 2, 3, 4}), .text = Material::of_words(1), .count_tokens = {}};
}

RunOutcome run(const Server& server, const Dataset& dataset, const RunPlan& plan) {
  Progress silent(Progress::Style::none, "");
  Runner runner({.server = server, .dataset = dataset, .rules = {.model = "m"}, .timeout = 10s});
  REQUIRE(runner.resolve());
  return runner.run(plan, silent);
}

const SyntheticSpec kSmall{.conversations = 6, .input = {5, 0}, .output = {2, 0}, .seed = 1};

}  // namespace

TEST_CASE("a closed loop keeps its bound, and every request comes back once") {
  SlowServer slow(20ms);
  const RandomDataset d(kSmall, exact());
  const Server server = slow.server();
  const auto out = run(server, d, {.conversations = 6, .concurrency = 2});
  REQUIRE(out.results.size() == 6);
  for (const auto& r : out.results) {
    CHECK(r.error.empty());
    CHECK(r.ttft_ms >= 19);
    CHECK(r.output_tokens == 2);
    CHECK(r.itl_ms.size() == 1);
    CHECK(r.usage);
  }
  CHECK(slow.most() == 2);
  CHECK(out.duration_s >= 0.12);
  CHECK(out.latest_start_ms == 0);
  CHECK(out.cpu_s > 0);
}

TEST_CASE("in an open loop latency counts from when a request was due, whatever held it up") {
  SlowServer slow(50ms);
  const RandomDataset d(kSmall, exact());
  const Server server = slow.server();
  // All are due within 5 ms; one is served at a time. The last one waits for the five before it, on the server or here.
  for (const std::size_t bound : {6U, 1U}) {
    CAPTURE(bound);
    const auto out =
        run(server, d, {.conversations = 6, .concurrency = bound, .arrivals = Arrivals(Process::constant, 1000, 1, 1)});
    REQUIRE(out.results.size() == 6);
    CHECK(out.results.back().ttft_ms >= 280);
    CHECK(out.results.front().ttft_ms < 280);
    CHECK((out.latest_start_ms >= 240) == (bound == 1));
  }
}

TEST_CASE("each next turn carries the answer to the one before") {
  SlowServer slow(1ms);
  const MultiTurnDataset d({.conversations = 1, .input = {4, 0}, .output = {2, 0}, .seed = 1}, exact(), 3);
  const Server server = slow.server();
  const auto out = run(server, d, {.conversations = 1, .concurrency = 1});
  CHECK(out.results.size() == 3);
  const auto bodies = slow.bodies();
  REQUIRE(bodies.size() == 3);
  const auto prompt = [&](std::size_t i) { return bodies[i]["prompt"].get<std::string>(); };
  CHECK(prompt(1).starts_with(prompt(0) + "\none two\n"));
  CHECK(prompt(2).starts_with(prompt(1) + "\none two\n"));
}

TEST_CASE("a refusal is an error of its kind and ends its conversation") {
  SlowServer slow(1ms);
  slow.refuse(1);
  const MultiTurnDataset d({.conversations = 2, .input = {4, 0}, .output = {2, 0}, .seed = 1}, exact(), 2);
  const Server server = slow.server();
  const auto out = run(server, d, {.conversations = 2, .concurrency = 1});
  REQUIRE(out.results.size() == 3);
  CHECK(out.results[0].error_kind == "HTTP 429");
  CHECK(out.results[0].error == "full");
  CHECK(out.results[2].error.empty());
}

TEST_CASE("nobody there is a connection error, for every request") {
  Server server;
  {
    SlowServer gone(1ms);
    server = gone.server();
  }
  const RandomDataset d(kSmall, exact());
  const auto out = run(server, d, {.conversations = 6, .concurrency = 3});
  REQUIRE(out.results.size() == 6);
  for (const auto& r : out.results) CHECK(r.error_kind == "connection");
}

TEST_CASE("recorded times are kept") {
  SlowServer slow(1ms);
  const TraceDataset d({{0, 5, 2, {}}, {0.2, 5, 2, {}}}, exact(), 0);
  const Server server = slow.server();
  const auto out = run(server, d, {.conversations = 2, .concurrency = 10, .recorded_times = true});
  REQUIRE(out.results.size() == 2);
  CHECK(out.results[1].start_s == Approx(0.2).margin(0.01));
}
