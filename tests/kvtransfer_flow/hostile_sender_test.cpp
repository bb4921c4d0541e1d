// Peers that do not keep to the protocol, speaking through a bare transport.
#include <catch2/catch.hpp>

#include "kvtransfer/flow/messages.h"
#include "tests/kvtransfer_flow/flow_fixture.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

constexpr ReceiverOptions kSmall{.staging_bytes = 1U << 20, .window_bytes = 256U << 10, .max_frame_bytes = 128U << 10};

struct Hostile {
  Hostile(const Network& n, const std::string& to) : transport(n.make(handler)) {
    conn = transport->connect(to).value();
  }
  void say(MessageId id, std::span<const std::byte> header, std::span<const std::byte> payload = {}) {
    transport->send(conn, {id, header, payload}, [](const Result<>&) {});
  }
  [[nodiscard]] bool was_cut_off() {
    return handler.wait([&] { return handler.closed.contains(conn); });
  }
  RecordingHandler handler;
  std::unique_ptr<Transport> transport;
  ConnId conn;
};

}  // namespace

TEST_CASE("a sender that breaks the protocol is cut off and nothing of it reaches the sink") {
  const Network net = loopback_network();
  ReceivingNode r(net, kSmall);
  r.sink.keep = true;
  const auto frame = pattern(128U << 10, 3), large = pattern((128U << 10) + 1, 3),
             probe = pattern(flow::kMaxProbe + 1, 1);
  const std::array head{std::byte{3}};
  int frames = 0;
  Hostile h(net, r.address);  // after the payloads it borrows

  SECTION("a note before hello") { h.say(flow::kNote, bytes_of("let me in")); }
  SECTION("a probe before hello") { h.say(flow::kProbe, bytes_of("12345678"), frame); }
  SECTION("a frame before hello") { h.say(flow::kFrame, head, frame); }
  SECTION("a second hello") {
    h.say(flow::kHello, bytes_of("friend"));
    h.say(flow::kHello, bytes_of("friend"));
  }
  SECTION("more than its credit") {
    h.say(flow::kHello, bytes_of("friend"));
    for (int i = 0; i < 3; ++i) h.say(flow::kFrame, head, frame);
    frames = 2;
  }
  SECTION("more frames of one byte than its credit has room for") {
    h.say(flow::kHello, bytes_of("friend"));
    frames = kSmall.window_bytes / flow::charge(1);
    for (int i = 0; i <= frames; ++i) h.say(flow::kFrame, head, std::span(frame).first(1));
  }
  SECTION("a frame over the limit") {
    h.say(flow::kHello, bytes_of("friend"));
    h.say(flow::kFrame, head, large);
  }
  SECTION("a frame without a payload") {
    h.say(flow::kHello, bytes_of("friend"));
    h.say(flow::kFrame, head);
  }
  SECTION("a probe over the limit") {
    h.say(flow::kHello, bytes_of("friend"));
    h.say(flow::kProbe, bytes_of("12345678"), probe);
  }
  REQUIRE(h.was_cut_off());
  REQUIRE(eventually(r.sink, [&] { return r.receiver.figures().connections == 0; }));
  REQUIRE(r.sink.wait([&] { return r.sink.downs == r.sink.hellos; }));
  CHECK(r.receiver.figures().violations >= 1);
  CHECK(r.sink.frames == frames);
  CHECK(r.sink.notes.empty());
  CHECK(r.sink.hellos <= 1);
  r.sink.free_all();
  CHECK(r.receiver.figures().staged_bytes == 0);
  CHECK(r.receiver.figures().granted_bytes == 0);
}

TEST_CASE("a receiver that gives back more than it got is left") {
  const Network net = loopback_network();
  struct Liar : RecordingHandler {
    Transport* t = nullptr;
    void on_message(ConnId c, MessageId id, std::span<const std::byte> h, std::span<std::byte> p) override {
      std::vector<std::byte> welcome, credit;
      flow::put_u64(welcome, 1U << 20);
      flow::put_u64(welcome, 1U << 20);
      flow::put_u64(credit, 2000);  // a frame is charged 1 KiB at least
      if (id == flow::kHello) t->send(c, {flow::kWelcome, welcome, {}}, [](const Result<>&) {});
      if (id == flow::kHello) t->send(c, {flow::kCredit, credit, {}}, [](const Result<>&) {});
      RecordingHandler::on_message(c, id, h, p);
    }
  } liar;
  const auto t = net.make(liar);
  liar.t = t.get();
  SendingNode s(net);
  s.send(t->listen(net.listen_at).value(), 100);
  REQUIRE(s.wait([&] { return s.downs.size() == 1 && s.done.size() == 1; }));
  CHECK(s.downs[0].code == Errc::data_corrupt);
}
