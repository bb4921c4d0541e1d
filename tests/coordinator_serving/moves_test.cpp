// A leg moves between decode nodes: the tokens that its client reads, and what is held where, in every state and end.
#include "tests/coordinator_serving/moving_leg.h"

using namespace sluice;
using namespace sluice::test;
using namespace std::chrono_literals;

TEST_CASE("a leg moves, and its client reads one stream") {
  MovingLeg l;
  l.until_copying();
  REQUIRE(l.d1->reserves.size() == 1);
  const ctl::ReserveRequest& r = l.d1->reserves[0];
  CHECK(r.continues);
  CHECK(r.kv_tokens == l.stop());
  CHECK(r.profile == "raw");  // lossless, whatever the KV came under
  CHECK(r.prefill_node == NodeId("d0"));
  CHECK(r.prefill_incarnation == l.b.serving.view().find(NodeId("d0"))->info.incarnation);
  CHECK(r.tokens.size() == 43);
  CHECK(l.d0.moves[0].attempt == l.d0.reserves[0].attempt);
  CHECK(r.attempt != l.d0.reserves[0].attempt);
  CHECK(l.stop() >= 42 + 2);
  CHECK(l.blocks("d1") == l.blocks("d0"));
  l.halt();
  CHECK(l.d1->go_ons[0].attempt == r.attempt);
  CHECK(l.d1->go_ons[0].tokens.size() + r.tokens.size() == l.stop() + 1);
  CHECK(l.d0.cancels.empty());  // until the target has begun
  l.token(*l.d1);
  REQUIRE(l.b.until([&] { return l.said.has_value() && l.d0.cancels.size() == 1 && l.blocks("d0") == 0; }));
  REQUIRE(l.said->has_value());
  CHECK(l.said->value()["legs"][0]["moved"] == true);
  CHECK(l.said->value()["legs"][0]["from"] == "d0");
  CHECK(l.said->value()["legs"][0]["stall_ms"].is_number());
  l.end_on(*l.d1);
  CHECK(l.heard->stats.decode_node == NodeId("d1"));
  REQUIRE(l.heard->stats.extra.contains("moves"));
  CHECK(l.heard->stats.extra["moves"][0]["reason"] == "asked");
  CHECK(l.b.decision()["moves"][0]["to"] == "d1");
  CHECK(l.b.decision()["resumes"] == 0);
  CHECK(l.count("asked", "moved") == 1);
  CHECK(l.d1->cancels.empty());
  l.check_given_back();
}

TEST_CASE("of a move it is told what its stream waited for, whenever the source's report of the copy comes") {
  MovingLeg l;
  l.until_copying();
  const bool early = GENERATE(true, false);
  CAPTURE(early);
  const std::uint32_t attempt = l.d0.moves[0].attempt;
  const auto report = [&] {
    l.d0.moved({.request = l.id, .attempt = attempt, .wall_s = 1, .exposed_s = 0.25, .wire_bytes = 1000});
  };
  l.halt();
  l.d1->kv_ready(l.id, std::nullopt);
  if (early) report();
  l.spin(30);
  l.token(*l.d1);
  if (!early) {
    l.said.reset();
    l.order("d0");  // the next move has begun by then
    REQUIRE(l.b.until([&] { return l.d1->moves.size() == 1; }));
    report();
    l.spin(30);
  }
  l.end_on(*l.d1);
  const auto& m = l.heard->stats.extra["moves"][0];
  CHECK(m["last_block_ms"] == 250);
  const double gap = m["halt_ms"].get<double>() + m["kv_ms"].get<double>() + m["first_ms"].get<double>();
  CHECK(m["first_ms"] >= 20);
  CHECK(gap >= m["stall_ms"].get<double>());
}

TEST_CASE("a leg may move back") {
  MovingLeg l;
  l.until_copying();
  l.halt();
  l.token(*l.d1);
  REQUIRE(l.b.until([&] { return l.blocks("d0") == 0; }));
  l.said.reset();
  l.order("d0");
  REQUIRE(l.b.until([&] { return l.d1->moves.size() == 1; }));
  const std::uint32_t stop = l.d1->moves[0].stop;
  CHECK(l.d1->moves[0].attempt == l.d1->reserves[0].attempt);
  while (40 + l.made < stop + 1) l.token(*l.d1);
  l.d1->halted(l.id, l.d1->moves[0].attempt, stop + 1);
  REQUIRE(l.b.until([&] { return l.d0.go_ons.size() == 1; }));
  l.token(l.d0);
  l.end_on(l.d0);
  CHECK(l.heard->stats.extra["moves"].size() == 2);
  l.check_given_back();
}

TEST_CASE("an answer that ends before the stop ends as ever") {
  MovingLeg l;
  l.until_copying();
  l.end_on(l.d0);
  REQUIRE(l.b.until([&] { return l.said.has_value(); }));
  CHECK(l.said->error().message == "its answer ended first");
  CHECK(l.b.until([&] { return l.d1->cancels.size() == 1; }));
  CHECK(l.count("asked", "ended") == 1);
  l.check_given_back();
}

TEST_CASE("tokens come from one node at a time, whatever nodes send") {
  MovingLeg l;
  l.until_copying();
  l.d1->tokens(l.id, l.made, {99});  // before its turn
  l.make_until_halt();
  l.d1->tokens(l.id, l.made, {99});
  l.spin(30);
  l.check_tokens();
  l.halt();
  l.d0.tokens(l.id, l.made, {98});       // it has halted
  l.d1->tokens(l.id, l.made - 1, {97});  // the client has that one
  l.spin(30);
  l.check_tokens();
  l.token(*l.d1);
  l.d0.tokens(l.id, l.made, {96});
  l.d0.halted(l.id, 1, 44);
  l.d0.failed(l.id, 1);
  l.spin(30);
  l.token(*l.d1);
  l.end_on(*l.d1);
  l.check_given_back();
}

TEST_CASE("a target that fails leaves the leg where it is") {
  MovingLeg l;
  SECTION("it has no room") {
    l.d1->refusals = 1;
    l.order();
    REQUIRE(l.b.until([&] { return l.said.has_value(); }));
    CHECK(l.said->error().code == Errc::resource_exhausted);
    CHECK(l.d0.stays.empty());  // it never heard of it
    CHECK(l.count("asked", "no_room") == 1);
  }
  SECTION("it is lost while the copy goes") {
    l.until_copying();
    l.b.lose("d1");
    REQUIRE(l.b.until([&] { return l.d0.stays.size() == 1; }));
  }
  SECTION("the copy fails") {
    l.until_copying();
    l.spin(20);  // the source has said yes
    l.d0.moved({.request = l.id, .attempt = 1, .error = Error{Errc::data_corrupt, "a seal", {}}});
    REQUIRE(l.b.until([&] { return l.d0.stays.size() == 1; }));
    CHECK(l.b.until([&] { return l.d1->cancels.size() == 1; }));
  }
  SECTION("it says that the leg has failed") {
    l.until_copying();
    l.d1->failed(l.id, l.d1->reserves[0].attempt);
    REQUIRE(l.b.until([&] { return l.d0.stays.size() == 1; }));
  }
  SECTION("it is lost after the source has halted") {
    l.until_copying();
    l.halt();
    l.b.lose("d1");
    REQUIRE(l.b.until([&] { return l.d0.stays.size() == 1; }));
  }
  SECTION("it does not go on") {
    l.d1->refuses_go_on = Error{Errc::not_found, "who?", {}};
    l.until_copying();
    l.halt();
    REQUIRE(l.b.until([&] { return l.d0.stays.size() == 1; }));
  }
  SECTION("it leaves a token out") {
    l.until_copying();
    l.halt();
    l.d1->tokens(l.id, l.made + 1, {99});
    REQUIRE(l.b.until([&] { return l.d0.stays.size() == 1; }));
  }
  SECTION("it ends the leg without a token") {
    l.until_copying();
    l.halt();
    l.d1->finished({.request = l.id, .attempt = l.d1->reserves[0].attempt, .reason = "length", .error = {}});
    REQUIRE(l.b.until([&] { return l.d0.stays.size() == 1; }));
  }
  SECTION("it does not begin in time") {
    l.until_copying();
    if (GENERATE(true, false)) l.halt();
    l.b.clock.advance(11s);  // a move has ten seconds at least
    REQUIRE(l.b.until([&] { return l.d0.stays.size() == 1; }));
    CHECK(l.said->error().code == Errc::deadline_exceeded);
    CHECK(l.count("asked", "timed_out") == 1);
    CHECK(l.b.until([&] { return l.d1->cancels.size() == 1; }));
  }
  REQUIRE(l.b.until([&] { return l.said.has_value() && l.blocks("d1") == 0; }));
  CHECK_FALSE(l.said->has_value());
  CHECK_FALSE(l.heard->over());
  l.token(l.d0);
  l.end_on(l.d0);
  CHECK(l.d0.reserves.size() == 1);  // never placed again
  CHECK_FALSE(l.heard->stats.extra.contains("moves"));
  l.check_given_back();
}

TEST_CASE("a source that cannot stay halted has the leg placed again") {
  MovingLeg l;
  l.until_copying();
  l.halt();
  l.d0.refuses_stay = Error{Errc::not_found, "it is not here", {}};
  l.b.lose("d1");
  REQUIRE(l.b.until([&] { return l.p0.prefills.size() == 2; }));
  l.p0.prefill_done(l.id);
  l.token(l.d0);
  l.end_on(l.d0);
  CHECK(l.heard->stats.extra["resumes"] == 1);
  l.check_given_back();
}

TEST_CASE("a lost source") {
  MovingLeg l;
  l.until_copying();
  SECTION("before the target has the KV: placed again, as after any crash") {
    const bool halted = GENERATE(true, false);
    if (halted) l.halt();
    l.b.lose("d0");
    REQUIRE(l.b.until([&] { return l.p0.prefills.size() == 2; }));
    CHECK(l.p0.prefills[1].profile == "q8");
    REQUIRE(l.d1->reserves.size() == 2);
    CHECK_FALSE(l.d1->reserves[1].continues);
    CHECK(l.d1->cancels.size() == 1);
    CHECK(l.count("asked", "source_failed") == 1);
    l.p0.prefill_done(l.id);
    l.token(*l.d1);
    l.end_on(*l.d1);
    CHECK(l.heard->stats.extra["resumes"] == 1);
  }
  SECTION("when the target has it all: it goes on there") {
    l.halt();
    l.d1->kv_ready(l.id, std::nullopt);
    l.spin(30);
    if (GENERATE(true, false))
      l.b.lose("d0");
    else
      l.d0.failed(l.id, 1);
    l.spin(30);
    l.token(*l.d1);
    l.end_on(*l.d1);
    CHECK(l.p0.prefills.size() == 1);
    CHECK(l.heard->stats.extra.count("resumes") == 0);
    CHECK(l.count("asked", "moved") == 1);
  }
  l.check_given_back();
}

TEST_CASE("both nodes lost in mid-move: the leg is placed again where there is a node") {
  MovingLeg l;
  FakeNode& d2 = l.b.join(mover_node("d2"));
  l.until_copying();
  l.halt();
  l.b.lose("d1");
  l.b.lose("d0");
  REQUIRE(l.b.until([&] { return d2.reserves.size() == 1; }));
  l.p0.prefill_done(l.id);
  l.token(d2);
  l.end_on(d2);
}

TEST_CASE("the target is lost after it has begun: placed again with what was sent") {
  MovingLeg l;
  l.until_copying();
  l.halt();
  l.token(*l.d1);
  l.b.lose("d1");
  REQUIRE(l.b.until([&] { return l.p0.prefills.size() == 2 && l.d0.reserves.size() == 2; }));
  CHECK(l.d0.reserves[1].tokens.size() == 40 + l.made);
  CHECK(l.d0.reserves[1].attempt > l.d1->reserves[0].attempt);
  l.p0.prefill_done(l.id);
  l.token(l.d0);
  l.end_on(l.d0);
  l.check_given_back();
}

TEST_CASE("a client that goes in mid-move leaves nothing behind") {
  MovingLeg l;
  const int state = GENERATE(0, 1, 2, 3);
  if (state == 0) l.order();
  if (state > 0) l.until_copying();
  if (state > 1) l.halt();
  if (state > 2) l.token(*l.d1);
  l.b.serving.cancel(l.id, CancelReason::client_gone);
  REQUIRE(l.b.until([&] { return l.heard->over() && l.said.has_value(); }));
  CHECK(l.heard->end == LegEnd::cancelled);
  CHECK(l.b.until([&] { return l.d0.cancels.size() == 1 && l.d1->cancels.size() == 1; }));
  l.check_given_back();
}

TEST_CASE("a sequence that was beyond its stop gets one more, further ahead") {
  MovingLeg l;
  l.d0.refuses_move = Error{Errc::stale, "it is beyond that", {}};
  l.order();
  REQUIRE(l.b.until([&] { return l.said.has_value(); }));
  REQUIRE(l.d0.moves.size() == 2);
  CHECK(l.d0.moves[1].stop - 42 >= 2 * (l.d0.moves[0].stop - 42));
  REQUIRE(l.d1->reserves.size() == 2);
  CHECK(l.d1->reserves[1].attempt > l.d1->reserves[0].attempt);
  CHECK(l.said->error().code == Errc::stale);
  CHECK(l.d0.stays.empty());  // it goes nowhere
  CHECK(l.count("asked", "too_late") == 1);
  l.token(l.d0);
  l.end_on(l.d0);
  l.check_given_back();
}

TEST_CASE("a halt with other tokens than came has the leg placed again") {
  MovingLeg l;
  l.until_copying();
  l.spin(20);
  l.d0.halted(l.id, 1, l.stop() + 1);  // but its tokens did not come
  REQUIRE(l.b.until([&] { return l.p0.prefills.size() == 2; }));
  CHECK(l.heard->tokens.size() == 3);
}

// A source that was told to stay may have halted in that moment: it must hear so once more.
TEST_CASE("a halt that nobody waits for is answered with stay") {
  MovingLeg l;
  l.d0.halted(l.id, 1, 44);
  REQUIRE(l.b.until([&] { return l.d0.stays.size() == 1; }));
  l.token(l.d0);
  l.end_on(l.d0);
}

TEST_CASE("orders that cannot be followed say why") {
  MovingLeg l;
  auto other = mover_node("other");
  other.model.backend = "avx512";
  l.b.join(other);
  l.b.join(node_info(ctl::Role::decode, "old"));
  auto small = mover_node("small");
  small.total_blocks = 2;
  l.b.join(small);
  const auto why = [&](const std::string& request, const std::string& node) {
    l.said.reset();
    l.b.serving.migrate(request, NodeId(node), [&](Result<nlohmann::json> r) { l.said = std::move(r); });
    REQUIRE(l.said.has_value());
    REQUIRE_FALSE(l.said->has_value());
    return l.said->error();
  };
  CHECK(why("nobody", "d1").code == Errc::not_found);
  CHECK(why("req-1", "d9").message == "node 'd9' is not registered");
  CHECK(why("req-1", "p0").code == Errc::invalid_argument);
  CHECK(why("req-1", "d0").code == Errc::already_exists);
  CHECK(why("req-1", "old").code == Errc::unsupported);
  CHECK(why("req-1", "other").message.find("--isa (backend)") != std::string::npos);
  CHECK(why("req-1", "small").code == Errc::resource_exhausted);
  CHECK(why(std::to_string(l.id.value()), "small").code == Errc::resource_exhausted);
  l.until_copying();
  CHECK(why("req-1", "d1").message == "it moves already, to 'd1'");
}

TEST_CASE("a leg that does not decode yet does not move") {
  Bench b;
  FakeNode& p0 = b.join(node_info(ctl::Role::prefill, "p0"));
  b.join(mover_node("d0"));
  const auto heard = b.start({.request_id = "r"});
  REQUIRE(b.until([&] { return p0.prefills.size() == 1; }));
  b.join(mover_node("d1"));
  std::optional<Error> why;
  b.serving.migrate("r", NodeId("d1"), [&](const Result<nlohmann::json>& r) { why = r.error(); });
  REQUIRE(why);
  CHECK(why->code == Errc::unavailable);
}
