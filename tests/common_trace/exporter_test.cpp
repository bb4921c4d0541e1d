// The exporter against a receiver on a real socket that answers as a test says.
#include "common/trace/exporter.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>

using namespace sluice;
using namespace sluice::trace;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;

namespace {

/// Takes requests one after another. Each gets the next answer of `script`, or 200.
class Receiver {
 public:
  explicit Receiver(std::deque<std::string> script = {}) : script_(std::move(script)) {
    thread_ = std::thread([this] { serve(); });
  }
  ~Receiver() {
    stop_ = true;
    boost::system::error_code ignored;
    tcp::socket(io_).connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  Endpoint endpoint() const { return {fmt::format("127.0.0.1:{}", acceptor_.local_endpoint().port()), "/v1/traces"}; }
  bool gets(std::size_t requests) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 20s, [&] { return bodies_.size() >= requests; });
  }
  std::vector<std::string> bodies() {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }
  std::vector<std::string> heads() {
    const std::lock_guard lock(mutex_);
    return heads_;
  }

 private:
  void serve() {
    while (true) {
      tcp::socket s(io_);
      acceptor_.accept(s);
      if (stop_) return;
      boost::system::error_code ec;
      std::string in;
      const std::size_t head = boost::asio::read_until(s, boost::asio::dynamic_buffer(in), "\r\n\r\n", ec);
      if (ec) continue;
      const std::size_t at = in.find("Content-Length: ");
      const std::size_t length = std::stoul(in.substr(at + 16));
      if (in.size() < head + length)
        boost::asio::read(s, boost::asio::dynamic_buffer(in), boost::asio::transfer_exactly(head + length - in.size()),
                          ec);
      std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
      {
        const std::lock_guard lock(mutex_);
        heads_.push_back(in.substr(0, head));
        bodies_.push_back(in.substr(head));
        if (!script_.empty()) {
          answer = script_.front();
          script_.pop_front();
        }
      }
      boost::asio::write(s, boost::asio::buffer(answer), ec);
      changed_.notify_all();
    }
  }

  boost::asio::io_context io_;
  tcp::acceptor acceptor_{io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> script_;
  std::vector<std::string> heads_, bodies_;
  std::thread thread_;
};

std::string empty_answer(const std::string& status, const std::string& more = {}) {
  return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n" + more + "\r\n";
}

struct Rig {
  Metrics metrics;
  Counters spans = metrics.counters("sluice_trace_spans_total", "Spans.");
  std::optional<Exporter> exporter;

  explicit Rig(const Endpoint& e, std::size_t max_queue = 100, std::size_t max_batch = 10) {
    exporter.emplace(ExporterOptions{.endpoint = e,
                                     .resource = {"svc", "i0"},
                                     .max_queue = max_queue,
                                     .max_batch = max_batch,
                                     .interval = 10ms,
                                     .timeout = 500ms,
                                     .flush_time = 1000ms,
                                     .retry = {.most_tries = 3, .first = 1ms, .longest = 20ms}},
                     spans);
  }
  void add(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      Span s;
      s.context = join_trace({}, {}, 1).context;
      s.name = "span";
      exporter->add(std::move(s));
    }
  }
  double count(const std::string& outcome) const { return spans.with({{"outcome", outcome}}).value(); }
};

std::size_t spans_in(const std::string& body) {
  return nlohmann::json::parse(body)["resourceSpans"][0]["scopeSpans"][0]["spans"].size();
}

/// An address that nobody listens at.
Endpoint nobody() {
  boost::asio::io_context io;
  const tcp::acceptor a(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  return {fmt::format("127.0.0.1:{}", a.local_endpoint().port()), "/v1/traces"};
}

}  // namespace

TEST_CASE("spans leave in batches, as OTLP asks for") {
  Receiver receiver;
  Rig r(receiver.endpoint());
  r.add(25);
  r.exporter.reset();
  std::size_t spans = 0;
  for (const auto& body : receiver.bodies()) {
    CHECK(spans_in(body) <= 10);
    spans += spans_in(body);
  }
  CHECK(spans == 25);
  CHECK(receiver.heads()[0].starts_with("POST /v1/traces HTTP/1.1\r\n"));
  CHECK(receiver.heads()[0].find("Content-Type: application/json\r\n") != std::string::npos);
  CHECK(r.count("exported") == 25);
  CHECK(r.count("dropped") + r.count("failed") == 0);
}

TEST_CASE("a span does not wait for others for long") {
  Receiver receiver;
  Rig r(receiver.endpoint());
  r.add(1);
  CHECK(receiver.gets(1));
}

TEST_CASE("a receiver that is busy is asked again") {
  Receiver receiver(
      {empty_answer("503 Service Unavailable"), empty_answer("429 Too Many Requests", "Retry-After: 0\r\n")});
  Rig r(receiver.endpoint());
  r.add(3);
  REQUIRE(receiver.gets(3));
  r.exporter.reset();
  CHECK(receiver.bodies()[0] == receiver.bodies()[2]);
  CHECK(r.count("exported") == 3);
  CHECK(r.count("failed") == 0);
}

TEST_CASE("a batch is given up after a few tries, and the next one has its own") {
  Receiver receiver({empty_answer("503 a"), empty_answer("502 b"), empty_answer("504 c")});
  Rig r(receiver.endpoint());
  r.add(1);
  REQUIRE(receiver.gets(3));
  r.add(1);
  REQUIRE(receiver.gets(4));
  r.exporter.reset();
  CHECK(r.count("failed") == 1);
  CHECK(r.count("exported") == 1);
}

TEST_CASE("a refusal for good is no reason to try again") {
  Receiver receiver({empty_answer("400 Bad Request"), empty_answer("500 Internal Server Error")});
  Rig r(receiver.endpoint());
  r.add(2);
  REQUIRE(receiver.gets(1));
  r.add(1);
  REQUIRE(receiver.gets(2));
  r.exporter.reset();
  CHECK(receiver.bodies().size() == 2);
  CHECK(r.count("failed") == 3);
}

TEST_CASE("what a receiver left out of a batch has failed") {
  const std::string partial = R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}})";
  Receiver receiver({fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", partial.size(), partial)});
  Rig r(receiver.endpoint());
  r.add(5);
  REQUIRE(receiver.gets(1));
  r.exporter.reset();
  CHECK(r.count("exported") == 3);
  CHECK(r.count("failed") == 2);
}

TEST_CASE("a receiver that is away costs spans and no time") {
  Rig r(nobody(), 20);
  const auto begin = std::chrono::steady_clock::now();
  r.add(500);
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
  CHECK(r.count("dropped") >= 400);
  r.exporter.reset();
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
  CHECK(r.count("exported") == 0);
  CHECK(r.count("dropped") + r.count("failed") == 500);
}

TEST_CASE("a receiver that takes a connection and says nothing does not hold the end up") {
  boost::asio::io_context io;
  const tcp::acceptor deaf(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  Rig r({fmt::format("127.0.0.1:{}", deaf.local_endpoint().port()), "/v1/traces"}, 20);
  r.add(100);
  CHECK(r.count("dropped") >= 70);
  const auto begin = std::chrono::steady_clock::now();
  r.exporter.reset();
  CHECK(std::chrono::steady_clock::now() - begin < 3s);
}
