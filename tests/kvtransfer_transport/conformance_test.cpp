// What transport.h promises, checked over every transport.
#include <catch2/catch.hpp>

#include <numeric>
#include <thread>

#include "tests/support/kv/networks.h"
#include "tests/support/kv/recording_handler.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

/// Two transports, one connection.
struct Pair {
  explicit Pair(const Network& n) : a(n.make(ha)), b(n.make(hb)) {
    address = b->listen(n.listen_at).value();
    ab = connect();
    ba = hb.read([&] { return hb.connected.back().first; });
  }
  ConnId connect() {
    const auto before = hb.read([&] { return hb.connected.size(); });
    const ConnId c = a->connect(address).value();
    REQUIRE(ha.wait([&] { return std::ranges::any_of(ha.connected, [&](auto& x) { return x.first == c; }); }));
    REQUIRE(hb.wait([&] { return hb.connected.size() > before; }));
    return c;
  }
  RecordingHandler ha, hb;
  std::unique_ptr<Transport> a, b;
  std::string address;
  ConnId ab, ba;  // the connection's id on either side
};

}  // namespace

TEST_CASE("transport conformance") {
  const Network net = GENERATE(from_range(all_networks()));
  CAPTURE(net.name);
  DYNAMIC_SECTION(net.name) {
    SECTION("connects, tells both sides once, and says what carries the bytes") {
      Pair p(net);
      CHECK(p.ha.read([&] { return p.ha.connected; }) == std::vector{std::pair(p.ab, false)});
      CHECK(p.hb.read([&] { return p.hb.connected; }) == std::vector{std::pair(p.ba, true)});
      const std::string want = net.tls.empty() ? "loopback/" : net.name == "ucx shm" ? "posix/memory" : "tcp/";
      CHECK(p.a->describe(p.ab).starts_with(want));
      CHECK(p.b->describe(p.ba).starts_with(want));
    }

    SECTION("payloads of every size arrive whole, in order, both ways") {
      Pair p(net);
      std::vector<std::size_t> sizes{0,       1, 7, 4096, 63 * 1024, 63 * 1024 + 1, 64 * 1024, 1 << 20, (4 << 20) + 3,
                                     16 << 20};
      std::vector<std::vector<std::byte>> payloads;
      for (const std::size_t s : sizes) payloads.push_back(pattern(s, s + 1));
      std::vector<Result<>> done_a, done_b;
      for (std::size_t i = 0; i < sizes.size(); ++i) {
        const auto header = pattern(i * 50, i);
        p.a->send(p.ab, {static_cast<MessageId>(i), header, payloads[i]}, p.ha.done(done_a));
        p.b->send(p.ba, {static_cast<MessageId>(i), header, payloads[i]}, p.hb.done(done_b));
      }
      for (auto [h, done] : {std::pair(&p.ha, &done_a), {&p.hb, &done_b}}) {
        REQUIRE(h->wait([&] { return h->messages.size() == sizes.size() && done->size() == sizes.size(); }));
        for (std::size_t i = 0; i < sizes.size(); ++i) {
          CHECK(done->at(i).has_value());
          CHECK(h->messages[i].id == i);
          CHECK(h->messages[i].header == pattern(i * 50, i));
          CHECK((h->messages[i].payload == payloads[i]));
        }
      }
    }

    SECTION("the largest message passes, a larger one and a larger header fail cleanly") {
      Pair p(net);
      const auto big = pattern(kMaxMessagePayload, 3);
      const auto too_big = std::vector<std::byte>(kMaxMessagePayload + 1);
      std::vector<Result<>> done;
      p.a->send(p.ab, {1, pattern(kMaxMessageHeader, 1), big}, p.ha.done(done));
      REQUIRE(p.ha.wait([&] { return done.size() == 1; }));
      CHECK(done[0].has_value());
      REQUIRE(p.hb.wait([&] { return p.hb.messages.size() == 1; }));
      CHECK((p.hb.messages[0].payload == big));
      p.a->send(p.ab, {1, {}, too_big}, p.ha.done(done));
      p.a->send(p.ab, {1, pattern(kMaxMessageHeader + 1, 1), {}}, p.ha.done(done));
      REQUIRE(p.ha.wait([&] { return done.size() == 3; }));
      CHECK(done[1].error().code == Errc::invalid_argument);
      CHECK(done[2].error().code == Errc::invalid_argument);
    }

    SECTION("a refused payload is dropped; the next one arrives") {
      Pair p(net);
      p.hb.refuse_id = 7;
      std::vector<Result<>> done;
      const auto data = pattern(300000, 1);
      p.a->send(p.ab, {7, {}, data}, p.ha.done(done));
      p.a->send(p.ab, {8, {}, data}, p.ha.done(done));
      REQUIRE(p.hb.wait([&] { return p.hb.messages.size() == 1; }));
      CHECK(p.hb.messages[0].id == 8);
      CHECK((p.hb.messages[0].payload == data));
      REQUIRE(p.ha.wait([&] { return done.size() == 2; }));
    }

    SECTION("many connections, threads sending at once: each thread's order holds, nothing is lost") {
      Pair p(net);
      constexpr int kConns = 8, kThreads = 4, kEach = 50;
      std::vector<ConnId> conns{p.ab};
      while (conns.size() < kConns) conns.push_back(p.connect());
      const auto data = pattern(70000, 5);
      std::vector<Result<>> done;
      std::vector<std::thread> threads;
      for (int t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
          for (int i = 0; i < kEach; ++i)
            for (const ConnId c : conns) {
              const std::array head{static_cast<std::byte>(t), static_cast<std::byte>(i)};
              p.a->send(c, {2, head, std::span(data).first(i * 1400)}, p.ha.done(done));
            }
        });
      for (auto& t : threads) t.join();
      constexpr std::size_t kTotal = kConns * kThreads * kEach;
      REQUIRE(p.hb.wait([&] { return p.hb.messages.size() == kTotal; }));
      REQUIRE(p.ha.wait([&] { return done.size() == kTotal; }));
      CHECK(std::ranges::all_of(done, [](auto& r) { return r.has_value(); }));
      std::map<std::pair<ConnId, int>, int> next;
      for (const Received& m : p.hb.messages) {
        int& n = next[{m.conn, static_cast<int>(m.header[0])}];
        REQUIRE(static_cast<int>(m.header[1]) == n);
        REQUIRE((m.payload == std::vector(data.begin(), data.begin() + n * 1400)));
        ++n;
      }
    }

    SECTION("close() delivers what was queued, then tells both sides once") {
      for (const bool caller_closes : {true, false}) {
        Pair p(net);
        auto& closer = caller_closes ? p.ha : p.hb;
        auto& other = caller_closes ? p.hb : p.ha;
        auto& t = caller_closes ? p.a : p.b;
        const ConnId conn = caller_closes ? p.ab : p.ba;
        const auto data = pattern(3 << 20, 9);
        std::vector<Result<>> done;
        for (int i = 0; i < 3; ++i) t->send(conn, {1, {}, data}, closer.done(done));
        t->close(conn);
        REQUIRE(closer.wait([&] { return closer.closed.contains(conn); }));
        REQUIRE(other.wait([&] { return other.closed.size() == 1; }));
        CHECK(done.size() == 3);
        CHECK(std::ranges::all_of(done, [](auto& r) { return r.has_value(); }));
        CHECK(other.messages.size() == 3);
        CHECK(closer.closed[conn].at(0).code == Errc::cancelled);
        CHECK(other.closed.begin()->second.at(0).code == Errc::unavailable);
        t->send(conn, {1, {}, data}, closer.done(done));
        REQUIRE(closer.wait([&] { return done.size() == 4; }));
        CHECK(done[3].error().code == Errc::unavailable);
        t->close(conn);  // harmless
        CHECK(closer.closed[conn].size() == 1);
        CHECK(other.closed.begin()->second.size() == 1);
      }
    }

    SECTION("both sides close at once") {
      Pair p(net);
      p.a->close(p.ab);
      p.b->close(p.ba);
      REQUIRE(p.ha.wait([&] { return p.ha.closed.size() == 1; }));
      REQUIRE(p.hb.wait([&] { return p.hb.closed.size() == 1; }));
    }

    SECTION("a connection that nobody answers is closed, and so are the sends on it") {
      RecordingHandler h;
      const auto t = net.make(h);
      const ConnId c = t->connect(net.nobody_there).value();
      std::vector<Result<>> done;
      t->send(c, {1, {}, {}}, h.done(done));
      REQUIRE(h.wait([&] { return h.closed.contains(c) && done.size() == 1; }));
      CHECK(h.closed[c].size() == 1);
      CHECK(h.closed[c][0].code == Errc::unavailable);
      CHECK(done[0].error().code == Errc::unavailable);
      CHECK(h.connected.empty());
    }

    SECTION("destroying a transport ends its sends and connections, and tells the peer") {
      Pair p(net);
      const auto data = pattern(kMaxMessagePayload, 1);
      std::vector<Result<>> done;
      constexpr std::size_t kSends = 6;
      for (std::size_t i = 0; i < kSends; ++i) p.a->send(p.ab, {1, {}, data}, p.ha.done(done));
      p.a.reset();
      CHECK(done.size() == kSends);
      for (const auto& r : done) CHECK((r.has_value() || r.error().code == Errc::cancelled));
      CHECK(p.ha.closed[p.ab].size() == 1);
      REQUIRE(p.hb.wait([&] { return p.hb.closed[p.ba].size() == 1; }));
      CHECK(p.hb.landing.empty());
    }

    SECTION("after a peer died a new one at the same address is reached by a new connect") {
      Pair p(net);
      p.b.reset();
      REQUIRE(p.ha.wait([&] { return p.ha.closed[p.ab].size() == 1; }));
      p.b = net.make(p.hb);
      REQUIRE(p.b->listen(p.address).value() == p.address);
      p.ab = p.connect();
      std::vector<Result<>> done;
      p.a->send(p.ab, {1, bytes_of("again"), {}}, p.ha.done(done));
      REQUIRE(p.hb.wait([&] { return p.hb.messages.size() == 1; }));
      REQUIRE(p.ha.wait([&] { return done.size() == 1; }));
    }

    SECTION("a handler may send from within a callback") {
      struct Echo : RecordingHandler {
        Transport* t = nullptr;
        void on_message(ConnId c, MessageId id, std::span<const std::byte> h, std::span<std::byte> p) override {
          t->send(c, {static_cast<MessageId>(id + 1), h, {}}, [](Result<>) {});
          RecordingHandler::on_message(c, id, h, p);
        }
      } echo;
      RecordingHandler h;
      const auto server = net.make(echo);
      echo.t = server.get();
      const auto client = net.make(h);
      const ConnId c = client->connect(server->listen(net.listen_at).value()).value();
      for (int i = 0; i < 20; ++i) client->send(c, {1, bytes_of("x"), {}}, [](Result<>) {});
      REQUIRE(h.wait([&] { return h.messages.size() == 20; }));
      CHECK(h.messages[0].id == 2);
    }
  }
}
