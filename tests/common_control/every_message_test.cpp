// What holds of every message, whatever its fields: it survives the wire, an older or newer peer's is understood, and a
// hostile one is refused by the name of the field.
#include <catch2/catch.hpp>
#include <cmath>
#include <set>
#include <string>

#include "common/control/encoded.h"
#include "common/control/messages.h"
#include "common/control/move_messages.h"
#include "common/control/rpc.h"

using namespace sluice;
using namespace sluice::control;
using nlohmann::json;

namespace {

std::string kind(const json& v) { return v.is_number() ? "number" : v.type_name(); }

/// `full` has no field at its default; `required` are those that a peer of any version sends.
template <class T>
void holds(const T& full, const std::set<std::string>& required, const std::set<std::string>& opaque = {}) {
  const json j = to_json(full);
  const auto bytes = decode_cbor(json::to_cbor(j));
  REQUIRE(bytes);
  const auto back = parse<T>(*bytes);
  REQUIRE(back);
  CHECK(to_json(*back) == j);
  if constexpr (requires { encode(full); }) {
    CHECK(decode_cbor(encode(full).cbor) == j);
    CHECK(decode_cbor(encode(T{}).cbor) == to_json(T{}));
  }

  json newer = j;
  newer["from_the_future"] = {1, 2};
  REQUIRE(parse<T>(newer));
  CHECK(to_json(*parse<T>(newer)) == j);

  const json defaults = to_json(T{});
  for (const auto& [key, value] : j.items()) {
    INFO(key);
    if (defaults.contains(key)) CHECK(value != defaults[key]);
    json older = j;
    older.erase(key);
    const auto without = parse<T>(older);
    if (required.contains(key)) {
      REQUIRE_FALSE(without);
      CHECK(without.error().param == key);
      CHECK(without.error().message.find(key) != std::string::npos);
    } else if (without) {
      const json now = to_json(*without);
      CHECK((now.contains(key) ? now[key] : json()) == (defaults.contains(key) ? defaults[key] : json()));
    } else {
      FAIL("an older peer without '" << key << "' is refused: " << without.error().message);
    }
    if (opaque.contains(key)) continue;
    for (const json& wrong : {json(true), json("word"), json(7), json::array({json::array()}),
                              json{{"x", json::object()}}, json::binary({1})}) {
      if (kind(wrong) == kind(value)) continue;
      INFO(wrong);
      json hostile = j;
      hostile[key] = wrong;
      const auto r = parse<T>(hostile);
      REQUIRE_FALSE(r);
      CHECK(r.error().param.starts_with(key));
    }
  }
  for (const auto& key : required) CHECK(j.contains(key));
  for (const json& none : {json(), json(1), json("x"), json::array()}) CHECK_FALSE(parse<T>(none));
}

const Error kError{Errc::data_corrupt, "bad seal", "frame"};
const ProfileChange kChange{"q4", {{0, 2}, {512, 1}}};

}  // namespace

TEST_CASE("registration and heartbeats") {
  RegisterRequest r;
  r.protocol_min = 2;
  r.protocol_max = 3;
  r.role = Role::decode;
  r.node = NodeId("d0");
  r.incarnation = Incarnation(~0ULL);
  r.model = {"m", "h", 1, 2, 3, "f16", 4, 5, 6, "cpu", "f32"};
  r.data_address = "h:1";
  r.admin_address = "h:2";
  r.admin_tls = true;
  r.block_size = 1;
  r.total_blocks = 2;
  r.max_seqs = 3;
  r.prefill_chunk = 4;
  r.max_batch_tokens = 5;
  r.frame_kib = 6;
  r.profiles = {{"ll", 0.1, 1.4, 1e9, 2e9}};
  r.cluster_token = "secret";
  r.data_key = "key";
  r.grammars = true;
  r.grows = true;
  r.moves = true;
  r.changes_role = true;
  r.host = "m0";
  r.cores = 7;
  r.threads = 8;
  holds(r, {"protocol_min", "protocol_max", "role", "node", "incarnation", "model"});
  holds(RegisterReply{7, 8, 9, true, LegSpace(10)}, {"protocol", "heartbeat_ms", "lease_ms"});
  const LinkReport link{"h:1", 1e9, 1e-4, 5, 6};
  holds(link, {"address"});
  holds(Heartbeat{1,
                  2,
                  3,
                  4,
                  5,
                  6,
                  7,
                  8,
                  true,
                  9,
                  10,
                  11,
                  {link},
                  r.profiles,
                  true,
                  12,
                  13,
                  14,
                  PrefixReport{true, "aa", "bb"}},
        {"waiting", "running", "free_blocks", "total_blocks"});

  json j = to_json(r);
  j["role"] = "both";
  CHECK(parse<RegisterRequest>(j).error().message == "register: 'role' must be one of prefill, decode, not 'both'");
  j = to_json(r);
  j["profiles"][0].erase("name");
  CHECK(parse<RegisterRequest>(j).error().param == "profiles[0].name");
  j = to_json(r);
  j["model"]["layers"] = 1.5;
  CHECK(parse<RegisterRequest>(j).error().param == "model.layers");
  j = to_json(r);
  j["profiles"] = std::vector<json>(5000, {{"name", "x"}});
  CHECK(parse<RegisterRequest>(j).error().param == "profiles");
}

TEST_CASE("reservations") {
  SamplingSpec s;
  s = {.max_tokens = 9,
       .min_tokens = 1,
       .ignore_eos = true,
       .temperature = 0.5,
       .top_p = 0.5,
       .top_k = 3,
       .min_p = 0.1,
       .repetition_penalty = 1.1,
       .presence_penalty = 0.1,
       .frequency_penalty = 0.2,
       .logit_bias = {{3, -1.5}},
       .seed = ~0ULL,
       .stop_token_ids = {4},
       .grammar = SharedText(R"(root ::= "a")"),
       .logprobs = 2};
  holds(s, {});
  ReserveRequest r{RequestId(1),   2, "t", {1, 2, 3, 4}, 3,      2,      9,    s, "q8", {"q4"}, NodeId("p0"),
                   Incarnation(5), 7, -1,  true,         "acme", "00-1", "v=1"};
  r.grows = r.exact = true;
  holds(r, {"request", "tokens", "prompt_tokens", "kv_tokens", "max_new_tokens", "sampling"});
  holds(ReserveReply{{{"id", 1}}, "h:1", "key"}, {}, {"ticket"});

  json j = to_json(r);
  j["sampling"]["temperature"] = "hot";
  CHECK(parse<ReserveRequest>(j).error().message == "reserve: 'sampling.temperature' must be a number, not a string");
  j["sampling"]["temperature"] = 9;
  CHECK(parse<ReserveRequest>(j).error().param == "sampling.temperature");
  j = to_json(r);
  j["traceparent"] = std::string(129, 'a');
  CHECK(parse<ReserveRequest>(j).error().param == "traceparent");
  r.traceparent.clear();
  CHECK_FALSE(to_json(r).contains("traceparent"));  // most requests are not traced
  r.kv_tokens = 3;
  CHECK(parse<ReserveRequest>(to_json(r)).error().param == "kv_tokens");
  j = to_json(r);
  j["sampling"]["grammar"] = std::string(kMaxGrammarBytes + 1, 'a');
  CHECK(parse<ReserveRequest>(j).error().param == "sampling.grammar");
  j = to_json(r);
  j["sampling"]["logit_bias"] = {{3}};
  CHECK(parse<ReserveRequest>(j).error().param == "sampling.logit_bias[0]");
}

TEST_CASE("sequences that move, and nodes that change their role") {
  holds(MoveRequest{RequestId(1), 2, {{"id", 1}}, "h:1", "key", "ll", 3, 4, "t", "00-1", "v=1"},
        {"request", "attempt", "ticket", "data_address", "profile", "stop"}, {"ticket"});
  holds(MoveReply{5}, {"computed"});
  holds(Halted{RequestId(1), 2, 3}, {"request", "attempt", "tokens"});
  holds(GoOnRequest{RequestId(1), 2, {3, 4}}, {"request", "attempt", "tokens"});
  holds(StayRequest{RequestId(1), 2}, {"request", "attempt"});
  holds(Moved{RequestId(1), 2, kError, 1, 2, 3, 4}, {"request", "attempt"});
  holds(RoleRequest{Role::decode}, {"to"});

  json j = to_json(MoveRequest{});
  CHECK(parse<MoveRequest>(j).error().param == "stop");
  j = to_json(RoleRequest{});
  j["to"] = "both";
  CHECK(parse<RoleRequest>(j).error().param == "to");

  // Where it stops is at or beyond the tokens that it comes with, and before its last.
  ReserveRequest r;
  r.tokens = {1, 2, 3};
  r.prompt_tokens = 2;
  r.max_new_tokens = 4;
  r.continues = true;
  for (const std::uint32_t stop : {2U, 5U}) {
    r.kv_tokens = stop;
    CHECK(parse<ReserveRequest>(to_json(r)));
  }
  for (const std::uint32_t stop : {1U, 6U}) {
    r.kv_tokens = stop;
    CHECK(parse<ReserveRequest>(to_json(r)).error().param == "kv_tokens");
  }
}

TEST_CASE("prefills and transfers") {
  PrefillRequest p{RequestId(1),
                   2,
                   "t",
                   {1, 2},
                   {{"id", 1}},
                   "h:1",
                   "q8",
                   -1,
                   7,
                   5,
                   1e9,
                   {{"q8", 2, 3e9, 4e9}, {"q4", 4, 1e9, 2e9}},
                   kChange,
                   PromptRating{3, 9},
                   "key",
                   "00-1",
                   "v=1",
                   "5f"};
  holds(p, {"request", "tokens", "ticket", "data_address", "profile"}, {"ticket"});
  holds(PrefillDone{RequestId(1), 2, kError, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, "q4", 12}, {"request"});
  const PromptLogprobs l{RequestId(1), 2, 3, {{17, -0.5F, 1, {{17, -0.5F}}}, {4, -INFINITY, 9, {}}}};
  holds(l, {"request", "attempt", "first", "tokens"});
  holds(KvReady{RequestId(1), 2, 3, 4, kChange}, {"request"});
  holds(ProbePathRequest{"h:1", 5, NodeId("d0"), "key"}, {"data_address"});
  holds(ProbeResult{RequestId(1), "q8", 0.5, true}, {"request", "profile", "kl", "top1"});
  holds(kError, {"code", "message"});

  json j = to_json(p);
  j["change"]["from"] = {{1, 2, 3}};
  const auto r = parse<PrefillRequest>(j);
  CHECK(r.error().message == "prefill: 'change.from[0]' must be [token, layer], not a list");
  j["change"]["from"] = {{4, 0}, {4, 1}};
  CHECK(parse<PrefillRequest>(j).error().param == "change.from");

  j = to_json(p);
  j["prompt_logprobs"]["top"] = 21;
  CHECK(parse<PrefillRequest>(j).error().param == "prompt_logprobs.top");
  j["prompt_logprobs"] = {{"top", 1}, {"last", -1}};
  CHECK(parse<PrefillRequest>(j).error().param == "prompt_logprobs.last");
  j["prompt_logprobs"] = nullptr;
  CHECK_FALSE(parse<PrefillRequest>(j)->prompt_logprobs);

  j = to_json(l);
  j["first"] = 0;
  CHECK(parse<PromptLogprobs>(j).error().param == "first");
  j = to_json(l);
  j["tokens"] = json::array();
  CHECK(parse<PromptLogprobs>(j).error().param == "tokens");
  j["tokens"] = std::vector<json>(kMaxRatedTokens, to_json(l)["tokens"][0]);
  CHECK(parse<PromptLogprobs>(j));
  j["tokens"].push_back(to_json(l)["tokens"][0]);
  CHECK(parse<PromptLogprobs>(j).error().param == "tokens");
  j = to_json(l);
  j["tokens"][1][3] = std::vector<json>(21, json{4, -1.0});
  CHECK(parse<PromptLogprobs>(j).error().param.starts_with("tokens[1]"));
  j["tokens"][1] = {4, -1.0, -1, json::array()};
  CHECK(parse<PromptLogprobs>(j).error().param == "tokens[1][2]");
}

TEST_CASE("tokens and ends") {
  Tokens t;
  t.items.push_back({RequestId(1), 4, {.id = 17, .stop = true, .logprob = -0.5F, .top = {{17, -0.5F}, {3, -2.0F}}}});
  holds(t, {});
  holds(Finished{RequestId(1), 2, "stop", kError, 0.5, 0.125, 0.25, 100, 2, 1, 0.75}, {"request", "reason"});
  holds(CancelRequest{RequestId(1)}, {"request"});
  holds(CancelReply{true, 3}, {"found"});

  json j = to_json(t);
  j["items"][0][5][1] = {3};
  CHECK(parse<Tokens>(j).error().message == "tokens: 'items[0][5][1]' must be [id, logprob], not a list");
}

TEST_CASE("a log-probability of minus infinity travels") {
  Tokens t;
  t.items.push_back({RequestId(1), 0, {.id = 1, .stop = false, .logprob = -INFINITY, .top = {}}});
  CHECK(parse<Tokens>(*decode_cbor(json::to_cbor(to_json(t))))->items[0].token.logprob == -INFINITY);
}
