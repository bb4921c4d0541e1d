// Sequences that move between decode nodes: services, KV over the network, calls as a coordinator makes them. Whatever
// happens, an answer is the one that an undisturbed run gives, and nobody keeps blocks.
#include "decode_node/moves.h"

#include <catch2/catch.hpp>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <thread>
#include <tuple>

#include "tests/decode_node/moving_nodes.h"
#include "tests/support/fake_model.h"
#include "tests/support/metrics_lint.h"
#include "text/grammar/vocabulary.h"
#include "text/tokenizer/tokenizer.h"

using namespace sluice;
using namespace sluice::decode;
using namespace sluice::decode::test;
using namespace std::chrono_literals;

namespace {

const std::string kModel = std::string(SLUICE_SOURCE_DIR) + "/models/sluice-tiny";

std::unique_ptr<engine::Model> tiny() {
  auto m = engine::Model::load(kModel, {.threads = 1});
  REQUIRE(m);
  return std::move(*m);
}

std::unique_ptr<engine::Model> fake(Duration step = 1ms) {
  auto m = std::make_unique<sluice::test::FakeModel>();
  if (step > 0ms) m->at_end = [step] { std::this_thread::sleep_for(step); };
  return m;
}

VocabularyPtr vocabulary() {
  const auto model = tiny();
  const auto tokenizer = text::Tokenizer::load(kModel);
  REQUIRE(tokenizer);
  return vocabulary_of(*tokenizer, model->config().vocab_size, model->config().eos);
}

control::ReserveRequest request(std::uint64_t id, std::uint32_t max_new, control::SamplingSpec sampling = {}) {
  control::ReserveRequest r;
  r.request = RequestId(id);
  r.attempt = 1;
  r.prompt_tokens = static_cast<std::uint32_t>(24 + id % 9);
  for (std::uint32_t i = 0; i < r.prompt_tokens; ++i) r.tokens.push_back(static_cast<TokenId>(3 + (i * 5 + id) % 90));
  r.max_new_tokens = max_new;
  r.sampling = std::move(sampling);
  r.profile = "raw";
  r.prefill_node = NodeId("p");
  r.prefill_incarnation = Incarnation(7);
  return r;
}

/// Every way to draw a token, for answers of some hundred.
std::vector<control::SamplingSpec> kinds() {
  std::vector<control::SamplingSpec> k(6);
  k[0].temperature = 0;
  k[1] = {.temperature = 0.9, .seed = 7};
  k[2] = {.temperature = 0.8, .top_p = 0.9, .top_k = 40, .presence_penalty = 0.4, .frequency_penalty = 0.2, .seed = 8};
  k[3] = {.temperature = 0.7, .repetition_penalty = 1.2, .seed = 9, .logprobs = 3};
  k[4] = {.temperature = 1.1, .seed = 10};
  k[4].stop_token_ids = {40, 41, 42};
  k[4].min_tokens = 120;
  for (auto& s : k) s.ignore_eos = true;
  k[4].ignore_eos = false;
  // Much of it is what must come: tokens without a pass of their own.
  k[5] = {.temperature = 1, .seed = 11};
  k[5].grammar = SharedText(R"(root ::= line{25}
line ::= "The next number is " [0-9]{1,4} " and then " [a-z]{2,6} ".\n")");
  return k;
}

void begin(World& w, Prompts& prompts, Moving& m, Node& at) {
  m.at = &at;
  const auto ticket = at.reserve(m.call);
  REQUIRE(ticket);
  if (*ticket) prompts.send(**ticket, at.address, m.call.tokens);
  (void)w;
}

/// Requests of each kind, with KV that was computed there, came as it is, and came under a lossy profile.
std::vector<Moving> all_kinds(const kv::CodecRegistry& codecs) {
  const auto lossy = std::ranges::find_if(codecs.profiles(), [](const kv::Profile& p) { return !p.codec->lossless(); });
  REQUIRE(lossy != codecs.profiles().end());
  std::vector<Moving> out;
  std::uint64_t id = 0;
  for (const control::SamplingSpec& s : kinds())
    for (const std::string& profile : {std::string(), std::string("raw"), lossy->name}) {
      Moving m{.call = request(++id, 400, s)};
      if (!profile.empty()) {
        m.call.kv_tokens = m.call.prompt_tokens - 1;
        m.call.profile = profile;
      }
      out.push_back(std::move(m));
    }
  return out;
}

bool ended(Heard& h, const Moving& m) { return !h.finished(m.here()).empty(); }

/// What each gives that nobody moves.
std::map<RequestId, std::pair<std::vector<Told>, std::string>> undisturbed(const VocabularyPtr& vocabulary) {
  World w;
  w.vocabulary = vocabulary;
  Prompts prompts(w, tiny());
  Node n(w, "d", tiny());
  std::map<RequestId, std::pair<std::vector<Told>, std::string>> out;
  auto all = all_kinds(*w.codecs);
  for (Moving& m : all) begin(w, prompts, m, n);
  REQUIRE(
      w.heard.wait([&](Heard& h) { return std::ranges::all_of(all, [&](const Moving& m) { return ended(h, m); }); }));
  for (const Moving& m : all) out[m.id()] = {w.heard.answer(m.id()), w.heard.finished(m.here())[0].reason};
  CHECK(n.empty());
  return out;
}

/// Two nodes of the model without arithmetic, and a sequence that decodes at the first.
struct Rig {
  World world;
  Heard& heard = world.heard;
  Prompts prompts{world, fake(0ms)};
  Node a{world, "a", fake()}, b{world, "b", fake()};
  Moving m;

  explicit Rig(std::uint32_t max_new = 200, control::SamplingSpec sampling = greedy()) {
    m.call = request(1, max_new, std::move(sampling));
    begin(world, prompts, m, a);
    REQUIRE(heard.wait([&](Heard& h) { return h.answers[m.id()].size() > 5; }));
  }
  static control::SamplingSpec greedy() {
    control::SamplingSpec s;
    s.temperature = 0;
    s.ignore_eos = true;
    return s;
  }
  [[nodiscard]] At there() const { return {b.name, m.id()}; }
  std::vector<TokenId> expected() const {
    World w;
    Node n(w, "d", fake(0ms));
    REQUIRE(n.reserve(m.call));
    REQUIRE(w.heard.wait([&](Heard& h) { return !h.finished({"d", m.id()}).empty(); }));
    return w.heard.tokens(m.id());
  }
  Handover begun(std::uint32_t ahead) {
    auto h = plan_move(heard, m, ahead);
    REQUIRE(h);
    REQUIRE(begin_move(*h, m, b));
    return *h;
  }
  void halts(const Handover& h) {
    REQUIRE(heard.wait([&](Heard& e) { return e.halted(m.here(), h.move.stop + 1); }));
  }
  control::Moved moved() {
    REQUIRE(heard.wait([&](Heard& h) { return !h.moved(m.here()).empty(); }));
    return heard.moved(m.here()).back();
  }
  /// The answer is whole, the one that it should be, and came from `at`.
  void goes_well(const Node& at) {
    REQUIRE(heard.wait([&](Heard& h) { return !h.finished({at.name, m.id()}).empty(); }));
    CHECK_FALSE(heard.finished({at.name, m.id()})[0].error);
    CHECK(heard.tokens(m.id()) == expected());
    CHECK_FALSE(heard.contradicted);
  }
  void nothing_is_left() {
    CHECK(a.empty());
    CHECK(b.empty());
  }
};

std::optional<Errc> code_of(const auto& r) { return r ? std::nullopt : std::optional(r.error().code); }

}  // namespace

TEST_CASE("answers that move back and forth at random are the answers") {
  const VocabularyPtr words = vocabulary();
  const auto expected = undisturbed(words);
  World w;
  w.vocabulary = words;
  Prompts prompts(w, tiny());
  Node a(w, "a", tiny()), b(w, "b", tiny());
  auto all = all_kinds(*w.codecs);
  std::mt19937 random(17);
  for (Moving& m : all) begin(w, prompts, m, random() % 2 == 0 ? a : b);
  const auto running = [&] {
    std::vector<Moving*> out;
    (void)w.heard.wait([&](Heard& h) {
      for (Moving& m : all)
        if (!ended(h, m) && !h.answers[m.id()].empty()) out.push_back(&m);
      return !out.empty() || std::ranges::all_of(all, [&](const Moving& m) { return ended(h, m); });
    });
    return out;
  };
  for (auto now = running(); !now.empty(); now = running()) {
    std::ranges::shuffle(now, random);
    std::ranges::sort(now, {}, &Moving::moves);
    now.resize(std::min<std::size_t>(now.size(), 6));
    std::vector<std::tuple<Moving*, Node*, Handover>> under_way;
    for (Moving* m : now) {
      Node& to = m->at == &a ? b : a;
      auto h = plan_move(w.heard, *m, 1 + random() % 30);
      if (h && begin_move(*h, *m, to)) under_way.emplace_back(m, &to, std::move(*h));
    }
    for (auto& [m, to, h] : under_way) (void)end_move(w.heard, *m, *to, h);
    if (under_way.empty()) std::this_thread::sleep_for(1ms);
  }
  CHECK_FALSE(w.heard.contradicted);
  unsigned moves = 0;
  for (const Moving& m : all) {
    CAPTURE(m.id().value(), m.moves, m.call.profile, m.call.kv_tokens);
    CHECK(w.heard.answer(m.id()) == expected.at(m.id()).first);
    CHECK(w.heard.finished(m.here())[0].reason == expected.at(m.id()).second);
    moves += m.moves;
  }
  CHECK(moves >= all.size());
  CHECK(a.empty());
  CHECK(b.empty());
}

TEST_CASE("a move, call by call: what is told, and when") {
  Rig r;
  const Handover h = r.begun(20);
  r.halts(h);
  const control::Moved m = r.moved();
  CHECK_FALSE(m.error);
  CHECK(m.raw_bytes == std::uint64_t{h.move.stop} * 3 * 2 * 2 * 16 * 2);
  CHECK(m.wire_bytes > 0);
  CHECK(m.wall_s >= m.exposed_s);
  REQUIRE(r.heard.wait([&](Heard& e) { return e.ready(r.there()) == 1; }));
  // Everything is there but its tokens. The source makes no more of them.
  std::this_thread::sleep_for(30ms);
  const auto told = r.heard.tokens(r.m.id());
  REQUIRE(r.m.call.prompt_tokens + told.size() == h.move.stop + 1);
  CHECK(r.heard.indexes[r.there()].empty());
  const auto good = h.go_on(told);
  auto bad = good;
  bad.tokens.pop_back();
  CHECK(r.b.go_on(bad).error().param == "tokens");
  bad = good;
  bad.tokens.back() = sluice::test::FakeModel::kVocab;
  CHECK(r.b.go_on(bad).error().param == "tokens");
  bad = good;
  bad.attempt = 1;
  CHECK(code_of(r.b.go_on(bad)) == Errc::not_found);
  REQUIRE(r.b.go_on(good));
  CHECK(code_of(r.b.go_on(good)) == Errc::already_exists);
  r.goes_well(r.b);
  CHECK(r.heard.indexes[r.there()].front() == told.size());
  CHECK(r.a.cancel(r.m.id()));
  CHECK(r.heard.finished(r.m.here()).empty());
  r.nothing_is_left();
  CHECK(r.a.metrics.text().find("sluice_sequence_copies_total{outcome=\"ok\"} 1") != std::string::npos);
  CHECK(sluice::test::metrics_faults(r.a.metrics.text()) == std::vector<std::string>{});
}

TEST_CASE("what a copy came to is told after its source has let go, too") {
  Rig r;
  const Handover h = r.begun(20);
  r.halts(h);
  REQUIRE(r.b.go_on(h.go_on(r.heard.tokens(r.m.id()))));
  CHECK(r.a.cancel(r.m.id()));  // before anything is known of the last row
  CHECK_FALSE(r.moved().error);
  r.goes_well(r.b);
  r.nothing_is_left();
  CHECK(r.a.open_work() == 0);
  CHECK(r.heard.moved(r.m.here()).size() == 1);
}

TEST_CASE("a sequence whose move is called off goes on, whatever has happened until then") {
  Rig r;
  const Handover h = r.begun(20);
  const bool halted = GENERATE(false, true);
  CAPTURE(halted);
  if (halted) {
    r.halts(h);
    CHECK_FALSE(r.moved().error);
  }
  CHECK(r.b.cancel(r.m.id()));
  CHECK(code_of(r.a.stay(r.m.id(), 2)) == Errc::not_found);
  REQUIRE(r.a.stay(r.m.id(), 1));
  REQUIRE(r.a.stay(r.m.id(), 1));  // without effect
  // It can move once more.
  Handover again = r.begun(20);
  CHECK(end_move(r.heard, r.m, r.b, again) == true);
  r.goes_well(r.b);
  r.nothing_is_left();
}

TEST_CASE("the target gives up before the source has halted: the source goes on by itself") {
  Rig r;
  SECTION("it is told to, in the middle of the copy") {
    (void)r.begun(60);
    std::this_thread::sleep_for(10ms);  // some frames are there: it knows whom to tell
    CHECK(r.b.cancel(r.m.id()));
    CHECK(r.moved().error);
  }
  SECTION("it dies") {
    (void)r.begun(60);
    std::this_thread::sleep_for(10ms);
    r.b.unplug();
    CHECK(r.moved().error->code == Errc::unavailable);
    r.b.cancel_all();
  }
  SECTION("it cannot read what comes") {
    auto h = plan_move(r.heard, r.m, 60);
    const auto ticket = r.b.reserve(h->room);
    REQUIRE(ticket);
    kv::Ticket wrong = **ticket;
    wrong.key[3] ^= 1U;
    h->move.ticket = kv::to_json(wrong);
    h->move.data_address = r.b.address;
    REQUIRE(r.a.move(h->move));
    CHECK(r.moved().error->code == Errc::data_corrupt);
    REQUIRE(r.heard.wait([&](Heard& e) { return !e.finished(r.there()).empty(); }));
    CHECK(r.heard.finished(r.there())[0].error->code == Errc::data_corrupt);
    CHECK(code_of(r.b.go_on({r.m.id(), 2, {}})) == Errc::not_found);
  }
  SECTION("nobody is there") {
    auto h = plan_move(r.heard, r.m, 60);
    const auto ticket = r.b.reserve(h->room);
    REQUIRE(ticket);
    h->move.ticket = kv::to_json(**ticket);
    h->move.data_address = "nobody:1";
    REQUIRE(r.a.move(h->move));
    CHECK(r.moved().error->code == Errc::unavailable);
    CHECK(r.b.cancel(r.m.id()));
  }
  r.goes_well(r.a);
  CHECK(r.heard.halts(r.m.here()) == 0);
  r.nothing_is_left();
}

TEST_CASE("a copy that is not there in time fails, and the sequence goes on") {
  Rig r(2000);
  auto h = plan_move(r.heard, r.m, 1500);
  h->move.timeout_ms = 50;
  REQUIRE(begin_move(*h, r.m, r.b));
  REQUIRE(r.a.keeps_house([&](Heard& e) { return !e.moved(r.m.here()).empty(); }));
  CHECK(r.moved().error->code == Errc::deadline_exceeded);
  CHECK(r.b.cancel(r.m.id()));
  const std::size_t then = r.heard.tokens(r.m.id()).size();
  REQUIRE(r.heard.wait([&](Heard& e) { return e.answers[r.m.id()].size() > then + 20; }));
  CHECK(r.a.cancel(r.m.id()));
  r.nothing_is_left();
}

TEST_CASE("tokens that do not come in time end the leg at its target, and the source can stay") {
  Rig r;
  auto h = plan_move(r.heard, r.m, 20);
  h->room.timeout_ms = 400;
  REQUIRE(begin_move(*h, r.m, r.b));
  r.halts(*h);
  CHECK_FALSE(r.moved().error);
  REQUIRE(r.b.keeps_house([&](Heard& e) { return !e.finished(r.there()).empty(); }));
  CHECK(r.heard.finished(r.there())[0].error->code == Errc::deadline_exceeded);
  CHECK(r.heard.finished(r.there())[0].attempt == 2);
  CHECK(code_of(r.b.go_on(h->go_on(r.heard.tokens(r.m.id())))) == Errc::not_found);
  REQUIRE(r.a.stay(r.m.id(), 1));
  r.goes_well(r.a);
  r.nothing_is_left();
}

TEST_CASE("an answer that ends before its sequence would halt ends as ever") {
  const auto expected = Rig().expected();
  auto sampling = Rig::greedy();
  const TokenId last = expected[90];
  sampling.stop_token_ids = {last};
  Rig r(200, sampling);
  const auto h = plan_move(r.heard, r.m, 150);
  REQUIRE(h);
  Handover begun = *h;
  REQUIRE(begin_move(begun, r.m, r.b));
  REQUIRE(r.heard.wait([&](Heard& e) { return !e.finished(r.m.here()).empty(); }));
  CHECK(r.heard.finished(r.m.here())[0].reason == "stop");
  CHECK(r.heard.tokens(r.m.id()).back() == last);
  CHECK(r.b.cancel(r.m.id()));
  CHECK(r.heard.halts(r.m.here()) == 0);
  r.nothing_is_left();
}

TEST_CASE("a sequence that is cancelled leaves nothing on either node, whatever its move has come to") {
  Rig r;
  const Handover h = r.begun(20);
  const int until = GENERATE(0, 1, 2, 3);
  CAPTURE(until);
  if (until >= 1) r.halts(h);
  if (until >= 2) CHECK_FALSE(r.moved().error);
  if (until >= 3) {
    REQUIRE(r.b.go_on(h.go_on(r.heard.tokens(r.m.id()))));
    REQUIRE(r.heard.wait([&](Heard& e) { return !e.indexes[r.there()].empty(); }));
  }
  SECTION("both") {
    CHECK(r.a.cancel(r.m.id()));
    CHECK(r.b.cancel(r.m.id()));
  }
  SECTION("their coordinator is gone") {
    r.b.cancel_all();
    r.a.cancel_all();
  }
  r.nothing_is_left();
  CHECK_FALSE(r.a.cancel(r.m.id()));
  CHECK_FALSE(r.b.cancel(r.m.id()));
}

TEST_CASE("a move that cannot be is refused, and nothing is changed by it") {
  Rig r;
  auto h = plan_move(r.heard, r.m, 60);
  h->room.max_new_tokens = 400;
  const auto ticket = r.b.reserve(h->room);
  REQUIRE(ticket);
  h->move.ticket = kv::to_json(**ticket);
  h->move.data_address = r.b.address;
  const auto refused = [&](const std::function<void(control::MoveRequest&, kv::Ticket&)>& change) {
    control::MoveRequest q = h->move;
    kv::Ticket t = **ticket;
    change(q, t);
    q.ticket = kv::to_json(t);
    return code_of(r.a.move(q));
  };
  CHECK(refused([](auto& q, auto&) { q.request = RequestId(9); }) == Errc::not_found);
  CHECK(refused([](auto& q, auto&) { q.attempt = 5; }) == Errc::not_found);
  CHECK(refused([](auto&, auto& t) { t.prefill_incarnation = Incarnation(3); }) == Errc::stale);
  CHECK(refused([](auto&, auto& t) { t.prefill_node = NodeId("c"); }) == Errc::stale);
  CHECK(refused([](auto&, auto& t) { t.model_hash = 1; }) == Errc::invalid_argument);
  CHECK(refused([](auto& q, auto&) { q.stop += 1; }) == Errc::invalid_argument);
  CHECK(refused([](auto& q, auto&) { q.profile = "raw"; }) == Errc::invalid_argument);
  CHECK(refused([](auto& q, auto& t) {
          q.stop = 3;
          t.tokens.count = 3;
          t.blocks.resize(1);
        }) == Errc::stale);
  const auto lossy =
      std::ranges::find_if(r.world.codecs->profiles(), [](const auto& p) { return !p.codec->lossless(); });
  CHECK(refused([&](auto& q, auto& t) { q.profile = t.profile = lossy->name; }) == Errc::invalid_argument);
  CHECK(r.b.cancel(r.m.id()));
  h->room.profile = lossy->name;
  CHECK(code_of(r.b.reserve(h->room)) == Errc::invalid_argument);
  SECTION("one whose KV is on its way, or comes from elsewhere, does not decode") {
    auto waits = request(2, 50, Rig::greedy());
    waits.kv_tokens = waits.prompt_tokens - 1;
    REQUIRE(r.a.reserve(waits));
    CHECK(refused([](auto& q, auto&) { q.request = RequestId(2); }) == Errc::not_found);
    CHECK(r.a.cancel(RequestId(2)));
  }
  SECTION("twice at a time") {
    (void)r.begun(60);
    CHECK(refused([](auto&, auto&) {}) == Errc::already_exists);
    CHECK(r.b.cancel(r.m.id()));
    REQUIRE(r.a.stay(r.m.id(), 1));
  }
  r.goes_well(r.a);
  r.nothing_is_left();
}

TEST_CASE("how long a stream stalls when it moves", "[.][bench]") {
  World w;
  Prompts prompts(w, tiny());
  Node a(w, "a", tiny()), b(w, "b", tiny());
  Moving m{.call = request(1, 1500, Rig::greedy())};
  begin(w, prompts, m, a);
  REQUIRE(w.heard.wait([&](Heard& h) { return h.answers[m.id()].size() > 20; }));
  std::vector<double> stalls, beyond;
  std::map<std::string, std::size_t> copies;
  while (true) {
    Node& from = *m.at;
    Node& to = m.at == &a ? b : a;
    auto h = plan_move(w.heard, m, 24);
    if (!h) break;
    const std::size_t before = w.heard.times[{to.name, m.id()}].size();
    if (!begin_move(*h, m, to) || !end_move(w.heard, m, to, *h)) break;
    (void)w.heard.wait([&](Heard& e) {
      stalls.push_back(seconds(e.times[{to.name, m.id()}][before] - e.times[{from.name, m.id()}].back()));
      const auto& told = e.moved({from.name, m.id()});  // not where it was let go first
      if (told.size() > copies[from.name]) beyond.push_back(stalls.back() - told.back().exposed_s);
      copies[from.name] = told.size();
      return true;
    });
  }
  std::vector<double> gaps;
  for (const Node* n : {&a, &b}) {
    const auto& t = w.heard.times[{n->name, m.id()}];
    for (std::size_t i = 1; i < t.size(); ++i) gaps.push_back(seconds(t[i] - t[i - 1]));
  }
  REQUIRE(!beyond.empty());
  std::ranges::sort(stalls);
  std::ranges::sort(gaps);
  const double token = gaps[gaps.size() / 2];
  std::ranges::sort(beyond);
  const auto in_tokens = [token](const std::vector<double>& sorted, double at) {
    return sorted[static_cast<std::size_t>(at * static_cast<double>(sorted.size() - 1))] / token;
  };
  std::cout << fmt::format(
      "{} moves, a token {:.2f} ms. From the source's last token to the target's first, in token times: p50 {:.1f}, "
      "p95 {:.1f}; of that not the copy's last rows: p50 {:.1f}, p95 {:.1f}\n",
      stalls.size(), token * 1e3, in_tokens(stalls, .5), in_tokens(stalls, .95), in_tokens(beyond, .5),
      in_tokens(beyond, .95));
}
