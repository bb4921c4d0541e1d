#include "common/control/rpc.h"

#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::control;
using boost::asio::ip::tcp;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

/// Both ends of one connection in one io_context.
struct Pair {
  boost::asio::io_context io;
  std::shared_ptr<Connection> a, b;
  std::vector<Error> a_closed, b_closed;

  explicit Pair(Connection::Handlers on_a = {}, Connection::Handlers on_b = {}) {
    tcp::acceptor acceptor(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    tcp::socket left(io);
    left.connect(acceptor.local_endpoint());
    tcp::socket right = acceptor.accept();
    if (!on_a.on_close) on_a.on_close = [this](const Error& e) { a_closed.push_back(e); };
    if (!on_b.on_close) on_b.on_close = [this](const Error& e) { b_closed.push_back(e); };
    a = std::make_shared<Connection>(std::move(left), std::move(on_a));
    b = std::make_shared<Connection>(std::move(right), std::move(on_b));
    a->start();
    b->start();
  }
  ~Pair() {
    a->close(Error{Errc::cancelled, "test over", {}});
    b->close(Error{Errc::cancelled, "test over", {}});
    io.run_for(100ms);
  }
  template <class Pred>
  bool until(Pred p) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!p() && std::chrono::steady_clock::now() < end) io.run_one_for(50ms);
    return p();
  }
};

}  // namespace

TEST_CASE("calls are answered, with a value or an error") {
  Pair p({}, {.on_call = [](const std::string& type, json body, Connection::Reply reply) {
           if (type == "add") return reply(json(body["x"].get<int>() + 1));
           reply(fail(Errc::not_found, "no '{}'", type));
         }});
  std::optional<Result<json>> good, bad;
  p.a->call("add", {{"x", 41}}, 5s, [&](Result<json> r) { good = std::move(r); });
  p.a->call("nope", {}, 5s, [&](Result<json> r) { bad = std::move(r); });
  REQUIRE(p.until([&] { return good && bad; }));
  REQUIRE(*good);
  CHECK(**good == 42);
  REQUIRE_FALSE(*bad);
  CHECK(bad->error().code == Errc::not_found);
}

TEST_CASE("notifications keep their order, large ones too") {
  std::vector<std::size_t> sizes;
  Pair p({},
         {.on_notify = [&](const std::string&, const json& body) { sizes.push_back(body.get<std::string>().size()); }});
  std::vector<std::size_t> sent{0, 1, 300000, 5, 4000000, 7};
  for (const std::size_t n : sent) p.a->notify("blob", std::string(n, 'x'));
  REQUIRE(p.until([&] { return sizes.size() == sent.size(); }));
  CHECK(sizes == sent);
}

// The incident: a message of 789 bytes was taken for a TLS record, whose first bytes its length has.
TEST_CASE("messages may be of any length, also of those that read as a record of TLS") {
  std::vector<std::size_t> sizes, sent;
  Pair p({},
         {.on_notify = [&](const std::string&, const json& body) { sizes.push_back(body.get<std::string>().size()); }});
  for (const std::size_t frame : {0x0316U, 0x10316U, 0x30316U})
    for (std::size_t n = frame - 40; n <= frame; ++n) sent.push_back(n);  // what is around the text takes less
  for (const std::size_t n : sent) p.a->notify("blob", std::string(n, 'x'));
  REQUIRE(p.until([&] { return sizes.size() == sent.size(); }));
  CHECK(sizes == sent);
}

TEST_CASE("an unanswered call times out; the connection lives on") {
  Connection::Reply kept;
  Pair p({}, {.on_call = [&](const std::string&, json, Connection::Reply r) { kept = std::move(r); }});
  std::optional<Errc> code;
  p.a->call("slow", {}, 20ms, [&](Result<json> r) { code = r.error().code; });
  REQUIRE(p.until([&] { return code.has_value(); }));
  CHECK(*code == Errc::deadline_exceeded);
  kept(json(1));  // late: dropped
  std::optional<Result<json>> next;
  p.a->call("again", {}, 5s, [&](Result<json> r) { next = std::move(r); });
  REQUIRE(p.until([&] { return p.b->open() && kept != nullptr; }));
  CHECK(p.a->open());
}

TEST_CASE("closing fails every open call and tells both sides once") {
  Pair p({}, {.on_call = [](const std::string&, json, Connection::Reply) {}});
  int failed = 0;
  for (int i = 0; i < 3; ++i) p.a->call("never", {}, 60s, [&](Result<json> r) { failed += r ? 0 : 1; });
  p.b->close(Error{Errc::cancelled, "enough", {}});
  REQUIRE(p.until([&] { return failed == 3 && p.a_closed.size() == 1 && p.b_closed.size() == 1; }));
  CHECK(p.b_closed[0].message == "enough");
  std::optional<Errc> after;
  p.a->call("x", {}, 1s, [&](Result<json> r) { after = r.error().code; });
  CHECK(after == Errc::unavailable);
}

TEST_CASE("garbage, oversized and malformed frames close the connection") {
  const std::vector<std::vector<std::uint8_t>> attacks{
      {0, 0, 0, 0},                              // empty frame
      {0xff, 0xff, 0xff, 0xff},                  // 4 GiB
      {1, 0, 0, 0, 0xff},                        // not CBOR
      {1, 0, 0, 0, 0x01},                        // not a map
      {3, 0, 0, 0, 0xa1, 0x61, 'x'},             // truncated map
      {'G', 'E', 'T', ' ', '/', ' ', 'H', 'T'},  // another protocol
  };
  for (const auto& bytes : attacks) {
    boost::asio::io_context io;
    tcp::acceptor acceptor(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    tcp::socket raw(io);
    raw.connect(acceptor.local_endpoint());
    std::optional<Error> why;
    auto c = std::make_shared<Connection>(acceptor.accept(),
                                          Connection::Handlers{.on_close = [&](const Error& e) { why = e; }});
    c->start();
    boost::asio::write(raw, boost::asio::buffer(bytes));
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!why && std::chrono::steady_clock::now() < end) io.run_one_for(50ms);
    REQUIRE(why);
    CHECK(why->code == Errc::data_corrupt);
  }
}

TEST_CASE("messages are handled in order however the bytes come, and bytes are asked about first") {
  boost::asio::io_context io;
  tcp::acceptor acceptor(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  tcp::socket raw(io);
  raw.connect(acceptor.local_endpoint());
  std::vector<int> as_json, as_bytes;
  bool closes = false;
  std::shared_ptr<Connection> c;
  Connection::Handlers h;
  h.on_notify = [&](const std::string&, const json& body) {
    as_json.push_back(body.get<int>());
    if (closes) c->close(Error{Errc::cancelled, "enough", {}});
  };
  h.on_raw = [&](std::span<const std::uint8_t> message) {
    const int n = json::from_cbor(message.begin(), message.end())["b"].get<int>();
    if (n % 2 == 0) return false;
    as_bytes.push_back(n);
    return true;
  };
  c = std::make_shared<Connection>(acceptor.accept(), std::move(h));
  c->start();
  const auto run_until = [&](auto pred) {
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!pred() && std::chrono::steady_clock::now() < end) io.run_one_for(50ms);
    return pred();
  };
  std::vector<std::uint8_t> bytes;
  const auto add = [&](int n) {
    const auto m = json::to_cbor({{"t", "x"}, {"b", n}});
    bytes.insert(bytes.end(), {static_cast<std::uint8_t>(m.size()), 0, 0, 0});
    bytes.insert(bytes.end(), m.begin(), m.end());
  };
  for (int n = 0; n < 6; ++n) add(n);
  boost::asio::write(raw, boost::asio::buffer(bytes));
  REQUIRE(run_until([&] { return as_json.size() + as_bytes.size() == 6; }));
  CHECK(as_json == std::vector<int>{0, 2, 4});
  CHECK(as_bytes == std::vector<int>{1, 3, 5});

  // A byte at a time, and each read by itself.
  bytes.clear();
  add(6);
  add(8);
  for (const std::uint8_t b : bytes) {
    boost::asio::write(raw, boost::asio::buffer(&b, 1));
    io.run_one_for(50ms);
  }
  REQUIRE(run_until([&] { return as_json.size() == 5; }));
  CHECK(as_json.back() == 8);

  // Who closes has heard enough, whatever the same read brought besides.
  closes = true;
  bytes.clear();
  add(10);
  add(12);
  boost::asio::write(raw, boost::asio::buffer(bytes));
  REQUIRE(run_until([&] { return !c->open(); }));
  io.run_for(20ms);
  CHECK(as_json.back() == 10);
}
