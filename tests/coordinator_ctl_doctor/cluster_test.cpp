// The coordinator's answers as facts, and nodes that answer as no node should.
#include "coordinator/ctl/doctor/cluster.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

using namespace sluice::ctl;
using namespace sluice::ctl::doctor;
using nlohmann::json;

namespace {

/// Answers each of `n` connections with the bytes it is told, then keeps the connection open until the scope ends.
class Stranger {
 public:
  Stranger(std::string bytes, std::size_t n) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    thread_ = std::jthread([this, bytes = std::move(bytes), n] {
      for (std::size_t i = 0; i < n; ++i) {
        const int c = ::accept(fd_, nullptr, nullptr);
        if (c < 0) return;
        open_.push_back(c);
        (void)::send(c, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      }
    });
  }
  ~Stranger() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    for (const int c : open_) ::close(c);
    ::close(fd_);
  }
  std::string address;

 private:
  int fd_;
  std::vector<int> open_;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("status and nodes are read; oddities are left out") {
  ClusterFacts c;
  read_status(json::parse(R"({"ready": true, "model": "m", "version": "0.1.0", "reason": 7})"), c);
  read_nodes(
      json::parse(
          R"({"nodes": [7, {"node": "p0", "role": "prefill", "admin_address": "1.2.3.4:5", "admin_scheme": "https", "links":
    [{"address": "a:1", "bandwidth_bps": 5, "rtt_s": 0.1}, 9]}], "refused": [{"node": "x", "why": "w", "age_ms": 2000}]})"),
      c);
  CHECK(c.ready);
  CHECK(c.nodes[0].admin_tls);
  CHECK(c.model == "m");
  REQUIRE(c.nodes.size() == 1);
  CHECK(c.nodes[0].links[0].bytes_per_s == 5);
  REQUIRE(c.refused.size() == 1);
  CHECK(c.refused[0].age_s == 2);
  ClusterFacts nothing;
  read_nodes(json::parse("[]"), nothing);
  read_status(json::parse("null"), nothing);
  CHECK(nothing.nodes.empty());
}

TEST_CASE("a coordinator that is not there, and one that is something else") {
  ClusterQuestion q;
  q.coordinator = {"127.0.0.1:1", ""};
  REQUIRE(gather_cluster(q).error);
  const Stranger web("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1);
  q.coordinator.address = web.address;
  const auto c = gather_cluster(q);
  REQUIRE(c.error);
  CHECK(c.error->code == sluice::Errc::data_corrupt);
}

TEST_CASE("a sample of the text format") {
  const std::string text = "# HELP x y\nx_total 3\nprocess_max_fds 1024\n";
  CHECK(sample_in(text, "process_max_fds") == 1024.0);
  CHECK_FALSE(sample_in(text, "process_max"));
  CHECK_FALSE(sample_in("process_max_fds 1", "process_max_fds"));  // no line before it: not where the format has it
}

TEST_CASE("nodes that are silent, endless, too large or no node cost their time limit and are told") {
  // A coordinator that names them, by hand: one answer for each of its two views.
  const Stranger silent("", 1);
  const Stranger junk("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 1);
  const Stranger large("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", 1);
  const Stranger old("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 1);
  json nodes = json::array();
  int i = 0;
  for (const auto* s : {&silent, &junk, &large, &old})
    nodes.push_back({{"node", "n" + std::to_string(i++)}, {"role", "decode"}, {"admin_address", s->address}});
  nodes.push_back(
      {{"node", "secure"}, {"role", "decode"}, {"admin_address", "127.0.0.1:1"}, {"admin_scheme", "https"}});
  nodes.push_back({{"node", "gone"}, {"role", "decode"}, {"admin_address", "127.0.0.1:1"}});
  const std::string body = json{{"ready", true}, {"nodes", nodes}}.dump();
  const Stranger coordinator("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
                                 std::to_string(body.size()) + "\r\n\r\n" + body,
                             3);
  ClusterQuestion q;
  q.coordinator = {coordinator.address, ""};
  q.node_limit = std::chrono::milliseconds(300);
  const auto begun = std::chrono::steady_clock::now();
  const ClusterFacts c = gather_cluster(q);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(10));
  CHECK_FALSE(c.error);
  REQUIRE(c.nodes.size() == 6);
  for (const auto& n : c.nodes) {
    INFO(n.name << ": " << n.page_error);
    CHECK_FALSE(n.machine);
    CHECK_FALSE(n.page_error.empty());
  }
  CHECK_THAT(c.nodes[3].page_error, Catch::Contains("older version"));
}
