// Sequences that take KV blocks as they go and give them up for a while: their answers are the undisturbed ones.
#include "tests/decode_node/preemption_rig.h"

#include <atomic>
#include <random>
#include <thread>

using namespace sluice;
using namespace sluice::decode;
using namespace sluice::decode::test::preemption;

namespace {

constexpr std::uint64_t kPlenty = std::uint64_t{16} << 20;

std::vector<Asked> many(std::size_t n, bool lossy, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<Asked> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(some_request(i + 1, 3 + rng() % 18, 20 + rng() % 40, lossy));
  return out;
}

std::map<RequestId, AnswerTold> undisturbed(const std::vector<Asked>& all) {
  PreemptionRig r(4096, {.max_legs = 64, .grows = false});
  auto served = r.serve(all);
  CHECK(r.counters().preemptions == 0);
  return served.answers;
}

/// Compared outside of assertions, of which there would be too many.
bool same(const std::map<RequestId, AnswerTold>& a, const std::map<RequestId, AnswerTold>& b) { return a == b; }

/// All blocks come back, those of copies under way included.
bool all_free(PreemptionRig& r, std::uint32_t blocks) {
  for (int i = 0; i < 6000; ++i) {
    if (r.counters().free_blocks == blocks) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

TEST_CASE("answers over preemptions are the undisturbed ones, whatever way their KV comes back") {
  struct Case {
    const char* name;
    bool lossy;
    std::uint64_t swap;
  };
  const auto c = GENERATE(Case{"swap", false, kPlenty}, Case{"swap, lossy", true, kPlenty}, Case{"no swap", false, 0},
                          Case{"no swap, lossy", true, 0}, Case{"little swap", false, 12000},
                          Case{"little swap, lossy", true, 12000});
  CAPTURE(c.name);
  const auto all = many(40, c.lossy, 3);
  const auto plain = undisturbed(all);
  PreemptionRig r(26, {.max_legs = 16, .swap_bytes = c.swap});
  const auto served = r.serve(all);
  CHECK(same(served.answers, plain));
  CHECK(r.counters().preemptions > 5);
  CHECK(r.times(WayBack::swap) + r.times(WayBack::recompute) + r.times(WayBack::give_back) == r.counters().preemptions);
  CHECK(r.times(WayBack::give_back) == served.returns);
  CHECK((r.times(WayBack::swap) > 0) == (c.swap > 0));
  CHECK((r.times(WayBack::recompute) > 0) <= !c.lossy);
  CHECK((r.times(WayBack::give_back) > 0) == (c.lossy && c.swap < kPlenty));
  if (c.swap == 0 && !c.lossy) CHECK(r.times(WayBack::recompute) > 5);
  std::uint32_t told = 0;
  double parked_s = 0;
  for (const auto& [id, f] : served.ends) {
    told += f.swapped + f.recomputed;
    parked_s += f.parked_s;
  }
  if (served.returns == 0) {
    CHECK(told == r.counters().preemptions);
    CHECK(parked_s == Approx(r.loop.figures().preempted.parked_s));
  }
  CHECK(all_free(r, 26));
  CHECK(r.loop.figures().preempted.swap.swap_used == 0);
  CHECK(r.counters().parked == 0);
}

TEST_CASE("off, or for a coordinator that does not know of it, all blocks are taken at once") {
  const bool off = GENERATE(false, true);
  auto all = many(20, false, 4);
  if (!off)
    for (Asked& a : all) a.leg.grows = false;
  const auto plain = undisturbed(all);
  PreemptionRig r(26, {.max_legs = 16, .grows = !off, .swap_bytes = kPlenty});
  CHECK(same(r.serve(all).answers, plain));
  CHECK(r.counters().preemptions == 0);
}

TEST_CASE("legs are cancelled while they are parked, copied out and copied in") {
  const auto swap = GENERATE(kPlenty, std::uint64_t{0});
  const auto all = many(12, false, 5);
  const auto plain = undisturbed(all);
  for (std::uint32_t round = 0; round < 12; ++round) {
    PreemptionRig r(26, {.max_legs = 16, .swap_bytes = swap});
    std::vector<const Asked*> here;
    for (const Asked& a : all)
      if (r.start(a)) here.push_back(&a);
    REQUIRE(here.size() > 4);
    REQUIRE(r.sink.wait([&] { return r.sink.tokens(here[0]->leg.id) > round; }));
    std::set<RequestId> gone;
    for (std::size_t i = round % 2; i < here.size(); i += 2)
      if (r.loop.cancel(here[i]->leg.id)) gone.insert(here[i]->leg.id);
    std::set<RequestId> ended;
    while (ended.size() + gone.size() < here.size())
      if (const auto end = r.sink.take_end()) {
        ended.insert(end->request);
        gone.erase(end->request);
      }
    bool right = true;
    for (const Asked* a : here) {
      const auto got = r.sink.answer(a->leg.id);
      const auto& whole = plain.at(a->leg.id);
      right &= got.size() <= whole.size() && std::ranges::equal(got, std::span(whole).first(got.size()));
      if (ended.contains(a->leg.id)) right &= got.size() == whole.size();
    }
    CHECK(right);
    CHECK(all_free(r, 26));
    CHECK(r.loop.figures().preempted.swap.swap_used == 0);
  }
}

TEST_CASE("a leg that leaves keeps its blocks, and may be parked again once it stays") {
  const auto all = many(10, false, 6);
  const auto plain = undisturbed(all);
  std::mutex mutex;
  std::condition_variable halted;
  std::optional<LegRows> last;
  std::optional<Leaving> leaving;
  std::uint32_t stop = 0;
  std::atomic<std::uint64_t> leaves = 0;
  PreemptionRig r(26, {.max_legs = 16, .swap_bytes = kPlenty});
  // Ordered from the engine's thread, between two passes.
  r.model.at_end = [&] {
    while (leaves == 0) std::this_thread::yield();
    const Asked& a = all[leaves - 1];
    const auto sent = static_cast<std::uint32_t>(r.sink.answer(a.leg.id).size());
    if (leaving || sent == 0 || sent + 6 >= a.leg.max_new_tokens) return;
    stop = a.leg.prompt_tokens + sent + 6;
    auto left = r.loop.leave(a.leg.id, a.leg.attempt, {.stop = stop, .every = 2, .on_rows = [&](const LegRows& rows) {
                                                         const std::lock_guard lock(mutex);
                                                         last = rows;
                                                         halted.notify_all();
                                                       }});
    if (left) leaving = std::move(*left);  // else it is parked, or there are no blocks for it now
  };
  std::vector<RequestId> here;
  for (const Asked& a : all)
    if (r.start(a)) here.push_back(a.leg.id);
  REQUIRE(here.size() > 4);
  const RequestId id = here.back();  // the least urgent
  leaves = id.value();
  {
    std::unique_lock lock(mutex);
    REQUIRE(halted.wait_for(lock, std::chrono::seconds(30), [&] { return last && last->halted; }));
  }
  CHECK(leaving->blocks.size() == (stop + 3) / 4);
  r.loop.release_blocks(leaving->blocks);
  REQUIRE(r.loop.stay(id, all[id.value() - 1].leg.attempt));
  std::set<RequestId> ended;
  while (ended.size() < here.size())
    if (const auto end = r.sink.take_end()) ended.insert(end->request);
  bool right = true;
  for (const RequestId h : here) right &= r.sink.answer(h) == plain.at(h);
  CHECK(right);
  CHECK(r.counters().preemptions > 0);
  CHECK(all_free(r, 26));
}

TEST_CASE("a leg that comes takes blocks as it goes on, too") {
  const bool lossy = GENERATE(false, true);
  const auto all = many(10, lossy, 7);
  const auto plain = undisturbed(all);
  PreemptionRig r(26, {.max_legs = 16, .swap_bytes = kPlenty});
  std::vector<RequestId> here;
  for (const Asked& a : all) {
    if (!a.allowed.empty()) continue;
    // It was made elsewhere up to its fifth token.
    const auto& whole = plain.at(a.leg.id);
    LegStart leg = a.leg;
    leg.continues = true;
    leg.tokens.push_back(whole[0].token);
    leg.kv_tokens = leg.prompt_tokens + 4;
    const auto blocks = r.loop.admit(leg);
    if (!blocks) continue;
    here.push_back(leg.id);
    std::vector<TokenId> first;
    for (std::size_t i = 0; i < 5; ++i) first.push_back(whole[i].token);
    std::vector<TokenId> all_tokens = a.leg.tokens;
    all_tokens.insert(all_tokens.end(), first.begin(), first.begin() + 4);
    // What came of the prompt was lossy; what was made of it was computed.
    r.write(*blocks, all_tokens, false);
    if (a.leg.kv_tokens > 0) r.write(*blocks, std::span(all_tokens).first(a.leg.kv_tokens), lossy);
    r.loop.release_blocks(*blocks);
    r.loop.mark_ready(leg.id);
    REQUIRE(r.loop.go_on(leg.id, leg.attempt, std::span(first).subspan(1)));
  }
  REQUIRE(here.size() > 3);
  std::set<RequestId> ended;
  while (ended.size() < here.size())
    if (const auto end = r.sink.take_end()) {
      CHECK(end->reason == "length");
      ended.insert(end->request);
    }
  bool right = true;
  for (const RequestId h : here) {
    const auto& whole = plain.at(h);
    right &= std::ranges::equal(r.sink.answer(h), std::span(whole).subspan(5));
  }
  CHECK(right);
  CHECK(r.counters().preemptions > 0);
  CHECK(all_free(r, 26));
}

TEST_CASE("the loop ends while legs are parked and copied") {
  for (std::uint32_t round = 0; round < 20; ++round) {
    const auto all = many(12, round % 2 == 0, round);
    PreemptionRig r(26, {.max_legs = 16, .swap_bytes = kPlenty});
    const Asked* first = nullptr;
    for (const Asked& a : all)
      if (r.start(a) && first == nullptr) first = &a;
    REQUIRE(r.sink.wait([&] { return r.sink.tokens(first->leg.id) >= round; }));
  }
  SUCCEED();
}
