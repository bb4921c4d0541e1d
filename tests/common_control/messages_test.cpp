#include "common/control/messages.h"

#include <catch2/catch.hpp>

#include "common/control/rpc.h"

using namespace sluice;
using namespace sluice::control;
using nlohmann::json;

namespace {

/// Through the bytes, as on the wire.
template <class T>
T round_trip(const T& m) {
  const auto bytes = json::to_cbor(to_json(m));
  auto j = decode_cbor(bytes);
  REQUIRE(j);
  auto back = parse<T>(*j);
  REQUIRE(back);
  return *back;
}

ReserveRequest reserve() {
  ReserveRequest m;
  m.request = RequestId(0xffffffffffffffffULL);
  m.trace_id = "abc";
  m.tokens = {1, 2, 3, 40000};
  m.prompt_tokens = 3;
  m.kv_tokens = 2;
  m.max_new_tokens = 9;
  m.sampling.seed = 0xfedcba9876543210ULL;
  m.sampling.logit_bias = {{3, -1.5}};
  m.sampling.logprobs = 2;
  m.profile = "q8";
  m.prefill_node = NodeId("p0");
  m.prefill_incarnation = Incarnation(0x8000000000000001ULL);
  return m;
}

}  // namespace

TEST_CASE("every message survives the wire") {
  const auto m = reserve();
  const auto r = round_trip(m);
  CHECK(r.request == m.request);
  CHECK(r.tokens == m.tokens);
  CHECK(r.sampling == m.sampling);
  CHECK(r.prefill_incarnation == m.prefill_incarnation);

  Heartbeat h;
  h.free_blocks = 7;
  h.links.push_back({"127.0.0.1:9", 1e9, 1e-4, 5, 6});
  h.profiles.push_back({"ll", 0, 1.4, 1e9, 2e9});
  const auto hb = round_trip(h);
  CHECK(hb.free_blocks == 7);
  REQUIRE(hb.links.size() == 1);
  CHECK(hb.links[0].bytes_in_flight == 5);
  REQUIRE(hb.profiles.size() == 1);
  CHECK(hb.profiles[0].decode_bps == 2e9);

  Tokens t;
  t.items.push_back({RequestId(1), 4, {.id = 17, .stop = true, .logprob = -0.5F, .top = {{17, -0.5F}, {3, -2.0F}}}});
  const auto tk = round_trip(t);
  REQUIRE(tk.items.size() == 1);
  CHECK(tk.items[0].token.stop);
  CHECK(tk.items[0].token.top[1].id == 3);

  PrefillDone d;
  d.request = RequestId(2);
  d.error = Error{Errc::data_corrupt, "bad", "x"};
  const auto pd = round_trip(d);
  REQUIRE(pd.error);
  CHECK(pd.error->code == Errc::data_corrupt);
  CHECK(pd.error->message == "bad");
}

TEST_CASE("a report says of which attempt it is, and one that does not is read too") {
  auto m = reserve();
  m.attempt = 3;
  CHECK(round_trip(m).attempt == 3);
  PrefillRequest p;
  p.tokens = {1};
  p.attempt = 4;
  CHECK(round_trip(p).attempt == 4);
  PrefillDone d;
  d.attempt = 5;
  CHECK(round_trip(d).attempt == 5);
  Finished f;
  f.attempt = 6;
  CHECK(round_trip(f).attempt == 6);
  json older = to_json(f);
  older.erase("attempt");
  CHECK(parse<Finished>(older)->attempt == 0);
}

TEST_CASE("readers name what is wrong and never throw") {
  const json good = to_json(reserve());
  auto broken = [&](const char* key, json v) {
    json j = good;
    if (v.is_discarded())
      j.erase(key);
    else
      j[key] = std::move(v);
    const auto r = parse<ReserveRequest>(j);
    REQUIRE_FALSE(r);
    CHECK(r.error().message.find(key) != std::string::npos);
  };
  broken("request", json(json::value_t::discarded));
  broken("request", -1);
  broken("request", "7");
  broken("tokens", json::array({1, 2}));
  broken("tokens", json::binary({1, 2, 3}));
  broken("prompt_tokens", 1e9);
  broken("prompt_tokens", 0);
  broken("prompt_tokens", 99);
  broken("kv_tokens", 3);
  broken("sampling", json::array());
  broken("sampling", {{"temperature", "hot"}});
  CHECK_FALSE(parse<ReserveRequest>(json::array()));
  CHECK_FALSE(parse<RegisterRequest>(json::object()));
  CHECK_FALSE(parse<Tokens>({{"items", {{1, 2, 3}}}}));
}

TEST_CASE("a registration carries what decides a node's bits, and one without is read too") {
  RegisterRequest m;
  m.node = NodeId("p0");
  m.model.precision = "f32";
  m.model.version = "1.2";
  m.prefill_chunk = 256;
  m.max_batch_tokens = 1024;
  m.frame_kib = 64;
  const auto r = round_trip(m);
  CHECK(r.model.precision == "f32");
  CHECK(r.model.version == "1.2");
  CHECK(r.prefill_chunk == 256);
  CHECK(r.max_batch_tokens == 1024);
  CHECK(r.frame_kib == 64);

  json older = to_json(m);
  for (const char* key : {"prefill_chunk", "max_batch_tokens", "frame_kib"}) older.erase(key);
  older["model"].erase("precision");
  older["model"].erase("version");
  const auto o = parse<RegisterRequest>(older);
  REQUIRE(o);
  CHECK(o->prefill_chunk == 0);
  CHECK(o->model.precision.empty());
  CHECK(o->model.version.empty());
}

TEST_CASE("quality probes are asked for and answered, and older peers are read without") {
  auto m = reserve();
  m.probe = true;
  CHECK(round_trip(m).probe);
  PrefillRequest p;
  p.request = RequestId(3);
  p.tokens = {1, 2};
  p.probe_token = 77;
  CHECK(round_trip(p).probe_token == 77);
  json older = to_json(m);
  older.erase("probe");
  CHECK_FALSE(parse<ReserveRequest>(older)->probe);
  older = to_json(p);
  older.erase("probe_token");
  CHECK(parse<PrefillRequest>(older)->probe_token == -1);

  const auto r = round_trip(ProbeResult{RequestId(4), "h4", 0.25, true});
  CHECK(r.request == RequestId(4));
  CHECK(r.profile == "h4");
  CHECK(r.kl == 0.25);
  CHECK(r.top1);
  json bad = to_json(r);
  bad["kl"] = -1;
  CHECK_FALSE(parse<ProbeResult>(bad));
  bad["kl"] = nullptr;
  CHECK_FALSE(parse<ProbeResult>(bad));
}

TEST_CASE("unknown fields are ignored and missing optional ones keep their defaults") {
  json j{{"waiting", 1}, {"running", 2}, {"free_blocks", 3}, {"total_blocks", 4}, {"from_the_future", {1, 2}}};
  const auto h = parse<Heartbeat>(j);
  REQUIRE(h);
  CHECK(h->prefill_tokens_per_s == 0);
  CHECK_FALSE(h->draining);
}

TEST_CASE("hostile CBOR is refused before it is decoded") {
  auto refused = [](std::vector<std::uint8_t> b) { return !decode_cbor(b); };
  CHECK(refused({}));
  CHECK(refused(std::vector<std::uint8_t>(1U << 20, 0x81)));               // a million nested arrays
  CHECK(refused({0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));  // array of 2^64 - 1
  CHECK(refused({0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0}));                       // map of 2^63: twice that overflows
  CHECK(refused({0x7b, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 'x'}));         // string longer than the message
  CHECK(refused({0x9f, 0x01, 0xff}));                                      // indefinite length
  CHECK(refused({0xc1, 0x01}));                                            // tag
  CHECK(refused({0x01, 0x02}));                                            // bytes after the value
  CHECK(refused({0x19, 0x01}));                                            // truncated head
  const auto j = decode_cbor(json::to_cbor({{"a", {1, 2, {{"b", nullptr}}}}}));
  REQUIRE(j);
  CHECK((*j)["a"][1] == 2);
}

TEST_CASE("a profile change is asked for, ordered and reported, and older peers are read without") {
  auto m = reserve();
  m.fallbacks = {"q4", "h4"};
  CHECK(round_trip(m).fallbacks == m.fallbacks);
  PrefillRequest p;
  p.request = RequestId(3);
  p.tokens = {1, 2};
  p.profile = "q8";
  p.link_bps = 1e9;
  p.ways = {{"q8", 2, 3e9, 4e9}, {"q4", 4, 1e9, 2e9}};
  p.change = ProfileChange{"q4", {{0, 2}, {512, 0}}};
  const auto back = round_trip(p);
  CHECK(back.link_bps == 1e9);
  REQUIRE(back.ways.size() == 2);
  CHECK(back.ways[1].profile == "q4");
  CHECK(back.ways[1].ratio == 4);
  CHECK(back.ways[1].encode_bps == 1e9);
  CHECK(back.ways[1].decode_bps == 2e9);
  CHECK(back.change == p.change);
  PrefillDone d;
  d.changed_to = "q4";
  CHECK(round_trip(d).changed_to == "q4");
  KvReady k;
  CHECK_FALSE(round_trip(k).change);
  k.change = p.change;
  CHECK(round_trip(k).change == p.change);

  json older = to_json(p);
  for (const char* key : {"link_bps", "ways", "change"}) older.erase(key);
  CHECK(parse<PrefillRequest>(older)->ways.empty());
  older = to_json(m);
  older.erase("fallbacks");
  CHECK(parse<ReserveRequest>(older)->fallbacks.empty());

  const auto refused = [&](const char* key, const json& v) {
    json j = to_json(p);
    j[key] = v;
    CHECK_FALSE(parse<PrefillRequest>(j));
  };
  refused("link_bps", "fast");
  refused("ways", json::array({{{"ratio", 2}}}));
  refused("ways", json::array({{{"profile", "q4"}}}));  // not the request's own
  refused("ways", json(std::vector<json>(kMaxFallbacks + 2, {{"profile", "q8"}})));
  refused("change", 7);
  refused("change", {{"from", json::array()}});
  for (const json& from : {json::array({1}), json::array({{1}}), json::array({{1, -1}}), json::array({{1, 1ULL << 32}}),
                           json::array({{4, 0}, {4, 1}}), json(std::vector<json>(kMaxChangeSteps + 1, {1, 1}))})
    refused("change", {{"to", "q4"}, {"from", from}});
  json many = to_json(m);
  many["fallbacks"] = std::vector<std::string>(kMaxFallbacks + 1, "q4");
  CHECK_FALSE(parse<ReserveRequest>(many));
  many["fallbacks"] = json::array({1});
  CHECK_FALSE(parse<ReserveRequest>(many));
}
