// KvSender and KvReceiver together, over every transport.
#include <catch2/catch.hpp>
#include <optional>

#include "kvtransfer/flow/messages.h"
#include "tests/kvtransfer_flow/flow_fixture.h"

using namespace sluice;
using namespace sluice::kv;
using namespace sluice::kv::test;

namespace {

constexpr ReceiverOptions kSmall{.staging_bytes = 1U << 20, .window_bytes = 512U << 10, .max_frame_bytes = 256U << 10};
constexpr std::size_t kFrameBytes = 128U << 10;

}  // namespace

TEST_CASE("flow over every transport") {
  const Network net = GENERATE(from_range(all_networks()));
  CAPTURE(net.name);
  DYNAMIC_SECTION(net.name) {
    SECTION("two senders, one receiver: everything arrives whole and every byte of credit comes back") {
      ReceivingNode r(net, kSmall);
      SendingNode a(net), b(net);
      for (int i = 0; i < 40; ++i) {
        a.send(r.address, kFrameBytes, 1, 5);
        b.send(r.address, kFrameBytes - 7, 1, 6);
      }
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 80; }));
      for (SendingNode* s : {&a, &b}) {
        REQUIRE(s->wait([&] { return s->done.size() == 40; }));
        CHECK(s->failed() == 0);
        CHECK(s->all_credit_back());
      }
      CHECK(r.sink.intact);
      CHECK(r.sink.senders.size() == 2);
      CHECK(r.receiver.figures().staged_bytes == 0);
      CHECK(r.receiver.figures().violations == 0);
    }

    SECTION("a sender's note needs no credit, but a connection that is ready") {
      ReceivingNode r(net, kSmall);
      r.sink.keep = true;
      SendingNode s(net);
      CHECK(s.sender.send_note(r.address, bytes_of("too soon")).error().code == Errc::unavailable);
      for (int i = 0; i < 8; ++i) s.send(r.address, kFrameBytes);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 4; }));  // the window is full
      CHECK(s.sender.send_note(r.address, bytes_of("hear this")));
      REQUIRE(r.sink.wait([&] { return r.sink.notes.size() == 1; }));
      CHECK(r.sink.notes[0] == bytes_of("hear this"));
      const std::vector<std::byte> long_one(kMaxMessageHeader + 1);
      CHECK(s.sender.send_note(r.address, long_one).error().code == Errc::invalid_argument);
      r.sink.keep = false;
      r.sink.free_all();
    }

    SECTION("tiny frames fill the window by their number") {
      ReceivingNode r(net, kSmall);
      r.sink.keep = true;
      SendingNode s(net);
      const int most = kSmall.window_bytes / flow::charge(1);
      for (int i = 0; i < most + 40; ++i) s.send(r.address, 1);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == most; }));
      CHECK(s.sender.stats().at(0).second.queue_bytes == 40);
      CHECK(r.receiver.figures().staged_bytes == static_cast<std::uint64_t>(most));
      r.sink.free_all();
      REQUIRE(r.sink.wait([&] { return r.sink.frames == most + 40; }));
      r.sink.free_all();
      REQUIRE(s.wait([&] { return s.done.size() == static_cast<std::size_t>(most) + 40; }));
      CHECK(s.failed() == 0);
      CHECK(s.all_credit_back());
      CHECK(r.receiver.figures().violations == 0);
    }

    SECTION("a slow consumer stalls its sender; staged memory never passes the window") {
      ReceivingNode r(net, kSmall);
      r.sink.keep = true;
      SendingNode s(net);
      for (int i = 0; i < 20; ++i) s.send(r.address, kFrameBytes);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 4; }));  // 4 x 128 KiB fill the 512 KiB window
      for (int got = 4; got < 20; got += 4) {
        CHECK(r.receiver.figures().staged_bytes == kSmall.window_bytes);
        CHECK(s.sender.stats().at(0).second.queue_bytes == static_cast<std::size_t>(20 - got) * kFrameBytes);
        r.sink.free_all();
        REQUIRE(r.sink.wait([&] { return r.sink.frames == got + 4; }));
      }
      r.sink.free_all();
      CHECK(r.receiver.figures().staged_bytes == 0);
    }

    SECTION("requests that wait for credit take turns") {
      ReceivingNode r(net, kSmall);
      r.sink.keep = true;
      SendingNode s(net);
      for (int i = 0; i < 4; ++i) s.send(r.address, kFrameBytes, 1, 1);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 4; }));  // the window is full
      for (int i = 0; i < 6; ++i) s.send(r.address, kFrameBytes, 1, 1);
      s.send(r.address, kFrameBytes, 2, 2);
      s.send(r.address, kFrameBytes, 3, 3);
      r.sink.free_all();
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 8; }));  // 1, 2, 3 and 1 again
      r.sink.keep = false;
      r.sink.free_all();
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 12; }));
      CHECK(std::vector(r.sink.order.begin() + 4, r.sink.order.begin() + 8) == std::vector{1, 2, 3, 1});
    }

    SECTION("cancel drops the tag's queued frames and nothing else") {
      ReceivingNode r(net, kSmall);
      r.sink.keep = true;
      SendingNode s(net);
      for (int i = 0; i < 4; ++i) s.send(r.address, kFrameBytes, 1);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 4; }));
      for (int i = 0; i < 3; ++i) s.send(r.address, kFrameBytes, 2, 8);
      for (int i = 0; i < 3; ++i) s.send(r.address, kFrameBytes, 3, 9);
      s.sender.cancel(r.address, 2);
      REQUIRE(s.wait([&] { return s.failed() == 3; }));
      r.sink.free_all();
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 7; }));
      REQUIRE(s.wait([&] { return s.done.size() == 10; }));
      CHECK(std::ranges::all_of(s.done, [](auto& d) { return d || d.error().code == Errc::cancelled; }));
      CHECK(r.sink.last_header == std::vector{std::byte{9}});
      CHECK(s.sender.stats().at(0).second.queue_bytes == 0);
    }

    SECTION("a dead sender's buffers stay counted until freed, then all memory is back") {
      ReceivingNode r(net, kSmall);
      r.sink.keep = true;
      {
        SendingNode dead(net);
        for (int i = 0; i < 10; ++i) dead.send(r.address, kFrameBytes);
        REQUIRE(r.sink.wait([&] { return r.sink.frames == 4; }));
      }
      REQUIRE(r.sink.wait([&] { return r.sink.downs == 1; }));
      CHECK(r.receiver.figures().connections == 0);
      CHECK(r.receiver.figures().granted_bytes == kSmall.window_bytes);  // still in the sink's hands
      SendingNode b(net), c(net);
      b.send(r.address, kFrameBytes);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 5; }));
      c.send(r.address, kFrameBytes);  // 512 KiB held by the dead, 512 KiB granted to b: nothing is left
      REQUIRE(c.wait([&] { return c.failed() == 1 && c.downs.size() == 1; }));
      CHECK(c.done[0].error().code == Errc::resource_exhausted);
      r.sink.free_all();
      CHECK(r.receiver.figures().staged_bytes == 0);
      CHECK(r.receiver.figures().granted_bytes == kSmall.window_bytes);  // b's
      c.send(r.address, kFrameBytes);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 6; }));
      r.sink.free_all();
    }

    SECTION("a dead receiver fails every frame once, in flight or queued; a new one is reached by the same address") {
      auto r = std::make_unique<ReceivingNode>(net, kSmall);
      const std::string address = r->address;
      r->sink.keep = true;
      SendingNode s(net);
      for (int i = 0; i < 10; ++i) s.send(address, kFrameBytes);
      REQUIRE(r->sink.wait([&] { return r->sink.frames == 4; }));
      r->stop();
      REQUIRE(s.wait([&] { return s.done.size() == 10 && s.downs.size() == 1; }));
      CHECK(s.failed() >= 6);
      CHECK(s.sender.stats().empty());
      r->sink.free_all();  // after the transport is gone: harmless
      CHECK(r->receiver.figures().staged_bytes == 0);
      CHECK(r->receiver.figures().granted_bytes == 0);
      r.reset();
      Network same = net;
      same.listen_at = address;
      ReceivingNode again(same, kSmall);
      s.send(address, kFrameBytes);
      REQUIRE(again.sink.wait([&] { return again.sink.frames == 1; }));
    }

    SECTION("staging memory is used again, bounded by the windows, and goes when its peer goes") {
      ReceivingNode r(net, kSmall);
      {
        SendingNode s(net);
        for (int i = 0; i < 40; ++i) s.send(r.address, kFrameBytes);
        REQUIRE(r.sink.wait([&] { return r.sink.frames == 40; }));
        CHECK(r.receiver.figures().mapped_bytes > 0);
        CHECK(r.receiver.figures().mapped_bytes <= kSmall.window_bytes);
      }
      REQUIRE(r.sink.wait([&] { return r.sink.downs == 1; }));
      CHECK(r.receiver.figures().mapped_bytes == 0);
    }

    SECTION("a refused hello fails what was queued, with the receiver's reason") {
      ReceivingNode r(net, kSmall);
      SendingNode s(net, "stranger");
      s.send(r.address, kFrameBytes);
      REQUIRE(s.wait([&] { return s.done.size() == 1 && s.downs.size() == 1; }));
      CHECK(s.done[0].error().code == Errc::permission_denied);
      CHECK(s.downs[0].message.find("we do not know you") != std::string::npos);
      CHECK(r.sink.frames == 0);
      CHECK(r.sink.downs == 0);
    }

    SECTION("a frame header that cannot travel is refused and takes no credit") {
      ReceivingNode r(net, kSmall);
      SendingNode s(net);
      s.sender.send_frame(r.address, 1, pattern(kMaxMessageHeader + 1, 1), s.pool.take(100),
                          [&](Result<> x) { s.change([&] { s.done.push_back(std::move(x)); }); });
      REQUIRE(s.wait([&] { return s.done.size() == 1; }));
      CHECK(s.done[0].error().code == Errc::invalid_argument);
      s.send(r.address, kFrameBytes);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 1; }));
      CHECK(s.all_credit_back());
    }

    SECTION("a hello that cannot travel fails what was queued") {
      ReceivingNode r(net, kSmall);
      SendingNode s(net, std::string(kMaxMessageHeader + 1, 'x'));
      s.send(r.address, kFrameBytes);
      REQUIRE(s.wait([&] { return s.done.size() == 1 && s.downs.size() == 1; }));
      CHECK(s.done[0].error().code == Errc::invalid_argument);
    }

    SECTION("too large a frame, a full queue: refused, and the rest goes on") {
      ReceivingNode r(net, kSmall);
      r.sink.keep = true;
      SendingNode s(net, "friend", {.max_queue_bytes = 3 * kFrameBytes});
      s.send(r.address, kSmall.max_frame_bytes);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 1; }));
      s.send(r.address, kSmall.max_frame_bytes + 1);
      REQUIRE(s.wait([&] { return s.failed() == 1; }));
      for (int i = 0; i < 12; ++i) s.send(r.address, kFrameBytes);
      REQUIRE(s.wait([&] { return s.failed() > 1; }));
      CHECK(std::ranges::any_of(s.done, [](auto& d) { return !d && d.error().code == Errc::resource_exhausted; }));
      CHECK(s.sender.stats().at(0).second.queue_bytes <= 3 * kFrameBytes);
    }

    SECTION("notes reach the sender; a probe measures the link") {
      ReceivingNode r(net, kSmall);
      SendingNode s(net);
      std::optional<Result<LinkStats>> stats;
      s.sender.probe(r.address, 0, [&](Result<LinkStats> x) { s.change([&] { stats = std::move(x); }); });
      REQUIRE(s.wait([&] { return stats.has_value(); }));
      REQUIRE(stats->has_value());
      CHECK((*stats)->rtt_s > 0);
      CHECK((*stats)->bandwidth_bytes_per_s > 0);
      s.send(r.address, kFrameBytes);
      REQUIRE(r.sink.wait([&] { return r.sink.frames == 1; }));
      const ConnId conn = r.sink.senders.begin()->first;
      REQUIRE(r.receiver.send_note(conn, bytes_of("committed")));
      REQUIRE(s.wait([&] { return s.notes.size() == 1; }));
      CHECK(s.notes[0] == bytes_of("committed"));
      // A note over the limit was dropped without a word, and its request waited until its ticket ran out.
      CHECK(r.receiver.send_note(conn, pattern(kMaxMessageHeader + 1, 1)).error().code == Errc::invalid_argument);
      REQUIRE(r.receiver.send_note(conn, pattern(kMaxMessageHeader, 2)));
      REQUIRE(s.wait([&] { return s.notes.size() == 2; }));
      CHECK(s.notes[1] == pattern(kMaxMessageHeader, 2));
      CHECK(r.receiver.send_note(ConnId{999999}, bytes_of("hm")).error().code == Errc::unavailable);
    }
  }
}

TEST_CASE("a link that is slowed on purpose shows as slow to probes and to transfers") {
  constexpr double kLimit = 10e6;
  const Network net = ucx_network("ucx slowed", "tcp,self", kLimit);
  ReceivingNode r(net, {});
  SendingNode s(net);
  std::optional<Result<LinkStats>> stats;
  s.sender.probe(r.address, 256U << 10, [&](Result<LinkStats> x) { s.change([&] { stats = std::move(x); }); });
  REQUIRE(s.wait([&] { return stats.has_value(); }));
  REQUIRE(stats->has_value());
  // A busy machine makes it slower, nothing makes it faster but what an idle link has saved up: 2 ms of 26.
  CHECK((*stats)->bandwidth_bytes_per_s < 1.1 * kLimit);
  CHECK((*stats)->bandwidth_bytes_per_s > 0.2 * kLimit);

  const auto before = s.clock.now();
  for (int i = 0; i < 4; ++i) s.send(r.address, 256U << 10);
  REQUIRE(s.all_credit_back());
  REQUIRE(r.sink.wait([&] { return r.sink.frames == 4; }));
  CHECK(seconds(s.clock.now() - before) > 0.95 * (1U << 20) / kLimit);
}

TEST_CASE("a probe sends blocks of the size it was asked for, and of 1 MiB at most") {
  const Network net = loopback_network();
  struct Counting : RecordingHandler {
    Transport* t = nullptr;
    void on_message(ConnId c, MessageId id, std::span<const std::byte> h, std::span<std::byte> p) override {
      RecordingHandler::on_message(c, id, h, p);
      std::vector<std::byte> welcome;
      flow::put_u64(welcome, 1U << 20);
      flow::put_u64(welcome, 1U << 20);
      if (id == flow::kHello) t->send(c, {flow::kWelcome, welcome, {}}, [](const Result<>&) {});
      if (id == flow::kProbe) t->send(c, {flow::kProbed, h, {}}, [](const Result<>&) {});
    }
  };
  for (const auto& [asked, sent] :
       {std::pair<std::size_t, std::size_t>{0, 1U << 20}, {64U << 10, 64U << 10}, {16U << 20, 1U << 20}}) {
    CAPTURE(asked);
    Counting counting;
    const auto t = net.make(counting);
    counting.t = t.get();
    SendingNode s(net);
    const std::string address = t->listen(net.listen_at).value();
    bool over = false;
    s.sender.probe(address, asked, [&](const Result<LinkStats>& x) { s.change([&] { over = x.has_value(); }); });
    REQUIRE(s.wait([&] { return over; }));
    std::size_t most = 0;
    std::size_t all = 0;
    for (const auto& m : counting.messages) {
      most = std::max(most, m.payload.size());
      all += m.payload.size();
    }
    CHECK(most == sent);
    CHECK(all == 4 * sent);
  }
}
