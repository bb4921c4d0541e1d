#include "prefill_node/prefill_loop.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <semaphore>
#include <set>

#include "tests/support/fake_model.h"

using namespace sluice;
using namespace sluice::prefill;

namespace {

/// Checks the order of events per prompt and keeps the blocks it was given until told to return them.
class Sink final : public PrefillSink {
 public:
  struct Seen {
    std::vector<engine::BlockHandle> blocks;
    std::map<std::uint32_t, std::uint32_t> next;  // layer -> next position
    bool computed = false;
    std::uint32_t cached = 0;
    std::optional<Error> error;
  };
  bool on_admitted(RequestId id, const std::vector<engine::BlockHandle>& blocks, double) override {
    const std::lock_guard lock(mutex);
    if (unwanted.contains(id)) return false;
    seen[id].blocks = blocks;
    changed.notify_all();
    return true;
  }
  void on_layer(RequestId id, std::uint32_t first, std::uint32_t count, std::uint32_t layer) override {
    const std::lock_guard lock(mutex);
    ordered = ordered && !seen[id].blocks.empty() && seen[id].next[layer] == first;
    chunked = chunked && first % 8 == 0 && count <= 8;
    seen[id].next[layer] = first + count;
  }
  void on_rated(RequestId id, std::uint32_t first, std::span<const engine::RatedToken> tokens) override {
    const std::lock_guard lock(mutex);
    auto& all = rated[id];
    ordered = ordered && !seen[id].computed && first == all.size() + 1;
    all.insert(all.end(), tokens.begin(), tokens.end());
    changed.notify_all();
  }
  void on_computed(RequestId id, const PromptTimes& t) override {
    const std::lock_guard lock(mutex);
    timed = timed && t.compute_s >= 0 && t.queue_s >= 0;
    seen[id].computed = true;
    seen[id].cached = t.cached;
    changed.notify_all();
  }
  void on_failed(RequestId id, const Error& e) override {
    const std::lock_guard lock(mutex);
    seen[id].error = e;
    changed.notify_all();
  }
  void on_probed(RequestId id, Result<std::span<const float>> logits) override {
    const std::lock_guard lock(mutex);
    if (logits)
      said[id] = {logits->begin(), logits->end()};
    else
      probe_errors[id] = logits.error();
    changed.notify_all();
  }
  void forget(std::uint64_t id) {
    const std::lock_guard lock(mutex);
    seen.erase(RequestId(id));
  }
  template <class P>
  bool until(P p) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), p);
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::map<RequestId, Seen> seen;
  std::set<RequestId> unwanted;
  std::map<RequestId, std::vector<float>> said;
  std::map<RequestId, std::vector<engine::RatedToken>> rated;
  std::map<RequestId, Error> probe_errors;
  bool ordered = true, timed = true, chunked = true;
};

/// Once on, stops the loop at the end of every pass until told to go on.
class Halt {
 public:
  explicit Halt(test::FakeModel& model) {
    model.at_end = [this] {
      if (!on_) return;
      reached_.release();
      go_.acquire();
    };
  }
  void on() { on_ = true; }
  void wait() { reached_.acquire(); }
  void next() {
    go_.release();
    wait();
  }
  void off() {
    if (on_.exchange(false)) go_.release();
  }

 private:
  std::atomic<bool> on_ = false;
  std::binary_semaphore reached_{0}, go_{0};
};

struct Rig {
  explicit Rig(std::uint32_t blocks = 32)
      : pool(*engine::KvPool::create(model.kv_shape(4, blocks, engine::DType::bf16))) {}
  ~Rig() { pass.off(); }
  test::FakeModel model;
  std::unique_ptr<engine::KvPool> pool;
  Sink sink;
  Halt pass{model};
  PrefillLoop loop{model, *pool, {.max_batch_tokens = 32, .max_seqs = 8, .prefill_chunk = 8}, {.max_waiting = 4}, sink};
  static Prompt prompt(std::uint64_t id, std::size_t n) {
    return {RequestId(id), std::vector<TokenId>(n, static_cast<TokenId>(id)), 0};
  }
  static Prompt named(std::uint64_t id, std::size_t n, TokenId first = 1) {
    Prompt p{RequestId(id), {}, 0};
    for (std::size_t i = 0; i < n; ++i)
      p.tokens.push_back(static_cast<TokenId>((first + i * i) % test::FakeModel::kVocab));
    p.root = prefix::PrefixKey::parse("000102030405060708090a0b0c0d0e0f").value();
    return p;
  }
  static Prompt probed(std::uint64_t id, std::size_t n, TokenId token) {
    Prompt p = prompt(id, n);
    p.probe = token;
    return p;
  }
  static Prompt rated(std::uint64_t id, std::size_t n, TokenId last, std::uint32_t top) {
    Prompt p = prompt(id, n);
    for (std::size_t i = 0; i < n; ++i) p.tokens[i] = static_cast<TokenId>((id + i * 5) % test::FakeModel::kVocab);
    p.rating = control::PromptRating{.top = top, .last = last};
    return p;
  }
  /// What the model says after each token, one by one in a pool of its own.
  static std::vector<engine::RatedToken> by_hand(const Prompt& p) {
    Rig other;
    std::vector<TokenId> tokens = p.tokens;
    tokens.push_back(p.rating->last);
    std::vector<BlockId> fresh;
    for (std::uint32_t b = 0; b * 4 < tokens.size(); ++b) fresh.emplace_back(b);
    std::vector<engine::RatedToken> out;
    for (std::uint32_t i = 0; i + 1 < tokens.size(); ++i) {
      std::vector<float> logits(test::FakeModel::kVocab);
      const engine::ForwardSeq one{std::span(tokens).subspan(i, 1), i, fresh, true};
      REQUIRE(other.model.forward({&one, 1}, *other.pool, logits, nullptr));
      out.push_back(engine::rate(logits, tokens[i + 1], p.rating->top).value());
    }
    return out;
  }
  /// Whether the prompt is computed, and its loop's references are there still.
  bool computed(std::uint64_t id) {
    return sink.until([&] { return sink.seen[RequestId(id)].computed; });
  }
  std::uint32_t free() { return loop.figures().counters.free_blocks; }
  std::vector<engine::BlockHandle> admitted(std::uint64_t id) {
    std::vector<engine::BlockHandle> out;
    REQUIRE(sink.until([&] {
      out = sink.seen[RequestId(id)].blocks;
      return !out.empty();
    }));
    return out;
  }
};

}  // namespace

TEST_CASE("a prompt is computed in chunks, every layer of every position told once and in order") {
  Rig r;
  REQUIRE(r.loop.submit(Rig::prompt(1, 61)));
  REQUIRE(r.sink.until([&] { return r.sink.seen[RequestId(1)].computed; }));
  CHECK(r.sink.ordered);
  CHECK(r.sink.timed);
  CHECK(r.sink.chunked);  // though a pass holds several chunks
  for (std::uint32_t l = 0; l < 3; ++l) CHECK(r.sink.seen[RequestId(1)].next[l] == 61);
  CHECK(r.loop.figures().queued_tokens == 0);
  CHECK(r.free() == 32 - 16);  // the export still holds its references
  r.loop.release_blocks(r.sink.seen[RequestId(1)].blocks);
  CHECK(r.free() == 32);
}

TEST_CASE("prompts wait for blocks and go on when they come back") {
  Rig r;
  REQUIRE(r.loop.submit(Rig::prompt(1, 100)));
  REQUIRE(r.loop.submit(Rig::prompt(2, 100)));
  REQUIRE(r.sink.until([&] { return r.sink.seen[RequestId(1)].computed; }));
  CHECK(r.loop.figures().waiting == 1);
  r.loop.release_blocks(r.sink.seen[RequestId(1)].blocks);
  REQUIRE(r.sink.until([&] { return r.sink.seen[RequestId(2)].computed; }));
  r.loop.release_blocks(r.sink.seen[RequestId(2)].blocks);
  CHECK(r.free() == 32);
}

TEST_CASE("what can never fit, repeats or overfills the queue is refused") {
  Rig r;
  CHECK(r.loop.submit(Rig::prompt(1, 129)).error().code == Errc::invalid_argument);
  CHECK(r.loop.submit({RequestId(1), {5, -1}, 0}).error().param == "tokens");
  REQUIRE(r.loop.submit(Rig::prompt(1, 128)));
  (void)r.admitted(1);
  for (std::uint64_t i = 2; i <= 5; ++i) REQUIRE(r.loop.submit(Rig::prompt(i, 128)));
  CHECK(r.loop.submit(Rig::prompt(6, 4)).error().code == Errc::resource_exhausted);
  CHECK(r.loop.cancel(RequestId(2)));
  CHECK(r.loop.submit(Rig::prompt(5, 4)).error().code == Errc::already_exists);
  REQUIRE(r.sink.until([&] { return r.sink.seen[RequestId(1)].computed; }));
}

TEST_CASE("cancel takes a waiting prompt away and a running one's blocks back") {
  Rig r;
  REQUIRE(r.loop.submit(Rig::prompt(1, 128)));
  REQUIRE(r.loop.submit(Rig::prompt(2, 128)));
  CHECK(r.loop.cancel(RequestId(2)));
  CHECK_FALSE(r.loop.cancel(RequestId(2)));
  REQUIRE(r.sink.until([&] { return r.sink.seen[RequestId(1)].computed; }));
  CHECK_FALSE(r.loop.cancel(RequestId(1)));  // done: only the export holds it now
  r.loop.release_blocks(r.sink.seen[RequestId(1)].blocks);
  CHECK(r.free() == 32);
  CHECK(r.loop.figures().queued_tokens == 0);
}

TEST_CASE("a prompt that comes again while its cancelled run is in a pass is computed after that pass") {
  Rig r;
  r.pass.on();
  REQUIRE(r.loop.submit(Rig::prompt(1, 61)));
  r.pass.wait();
  const auto blocks = r.admitted(1);
  CHECK(r.loop.cancel(RequestId(1)));
  r.loop.release_blocks(blocks);
  r.sink.forget(1);
  REQUIRE(r.loop.submit(Rig::prompt(1, 61)));
  REQUIRE(r.loop.submit(Rig::prompt(2, 61)));  // nor do those behind it wait for ever
  r.pass.off();
  REQUIRE(r.computed(1));
  REQUIRE(r.computed(2));
  CHECK(r.sink.ordered);
  for (const std::uint64_t id : {1, 2}) r.loop.release_blocks(r.admitted(id));
  CHECK(r.free() == 32);
  CHECK(r.loop.figures().queued_tokens == 0);
}

TEST_CASE("prompts that wait go on when the loop itself is the last to make room") {
  Rig r;
  r.pass.on();
  REQUIRE(r.loop.submit(Rig::prompt(9, 4)));
  r.pass.wait();
  REQUIRE(r.loop.submit(Rig::prompt(1, 64)));
  REQUIRE(r.loop.submit(Rig::prompt(2, 60)));
  r.pass.next();  // the first of prompt 1
  CHECK(r.free() == 0);
  std::uint64_t waits = 3;
  SECTION("a prompt is cancelled in mid-pass, its export gone already") {
    REQUIRE(r.loop.submit(Rig::prompt(3, 60)));
    r.loop.release_blocks(r.admitted(1));
    CHECK(r.loop.cancel(RequestId(1)));
  }
  SECTION("a prompt is cancelled before its turn, its export gone already") {
    REQUIRE(r.loop.submit(Rig::prompt(3, 60)));
    r.loop.release_blocks(r.admitted(2));
    CHECK(r.loop.cancel(RequestId(2)));
  }
  SECTION("the first in the queue leaves it, and the next would fit") {
    REQUIRE(r.loop.submit(Rig::prompt(3, 128)));
    REQUIRE(r.loop.submit(Rig::prompt(4, 4)));
    r.loop.release_blocks(r.admitted(9));
    CHECK(r.loop.cancel(RequestId(3)));
    waits = 4;
  }
  r.pass.off();
  CHECK(r.computed(waits));
}

TEST_CASE("a prompt that nobody wants any more once it is its turn takes nothing") {
  Rig r;
  r.sink.unwanted = {RequestId(1)};
  REQUIRE(r.loop.submit(Rig::prompt(1, 128)));
  REQUIRE(r.loop.submit(Rig::prompt(2, 128)));
  REQUIRE(r.computed(2));
  CHECK_FALSE(r.sink.seen.contains(RequestId(1)));
  r.loop.release_blocks(r.admitted(2));
  CHECK(r.free() == 32);
  CHECK(r.loop.figures().queued_tokens == 0);
}

TEST_CASE("a failed pass fails its prompts and the loop goes on") {
  Rig r;
  r.model.fail_next = true;
  REQUIRE(r.loop.submit(Rig::prompt(1, 10)));
  REQUIRE(r.sink.until([&] { return r.sink.seen[RequestId(1)].error.has_value(); }));
  REQUIRE(r.loop.submit(Rig::prompt(2, 10)));
  REQUIRE(r.sink.until([&] { return r.sink.seen[RequestId(2)].computed; }));
  CHECK(r.loop.figures().queued_tokens == 0);
}

TEST_CASE("a probe says what the exact KV and its token make the model say, and leaves the exported rows alone") {
  for (const std::uint32_t n : {61U, 64U}) {  // within a block, and at its edge
    Rig r;
    REQUIRE(r.loop.submit(Rig::probed(1, n, 5)));
    REQUIRE(r.computed(1));
    const auto blocks = r.sink.seen[RequestId(1)].blocks;
    CHECK(blocks.size() == (n + 3) / 4);
    CHECK(r.sink.said.empty());  // not before it is asked for
    std::vector<BlockId> ids;
    for (const auto& b : blocks) ids.push_back(b.id);
    std::vector<std::byte> before;
    const auto& s = r.pool->shape();
    auto rows = [&] {
      std::vector<std::byte> out;
      for (std::uint32_t layer = 0; layer < 3; ++layer)
        for (std::uint32_t pos = 0; pos < n; ++pos) {
          const auto* row = r.pool->block(layer, false, ids[pos / 4]) + std::size_t{pos % 4} * s.row_bytes();
          out.insert(out.end(), row, row + s.row_bytes());
        }
      return out;
    };
    const auto exported = rows();
    REQUIRE(r.loop.run_probe(RequestId(1)));
    REQUIRE(r.sink.until([&] { return r.sink.said.contains(RequestId(1)); }));
    CHECK(rows() == exported);
    r.loop.release_blocks(blocks);
    CHECK(r.free() == 32);
    CHECK_FALSE(r.loop.run_probe(RequestId(1)));

    // The same tokens in one go, in a pool of their own.
    auto tokens = Rig::prompt(1, n).tokens;
    tokens.push_back(5);
    std::vector<BlockId> fresh;
    for (std::uint32_t b = 0; b * 4 < tokens.size(); ++b) fresh.emplace_back(b);
    Rig other;
    std::vector<float> want(test::FakeModel::kVocab);
    const engine::ForwardSeq whole{tokens, 0, fresh, true};
    REQUIRE(other.model.forward({&whole, 1}, *other.pool, want, nullptr));
    CHECK(r.sink.said[RequestId(1)] == want);
  }
}

TEST_CASE("a probe's blocks come back whatever becomes of it") {
  Rig r;
  REQUIRE(r.loop.submit(Rig::probed(1, 60, 5)));
  REQUIRE(r.computed(1));
  r.loop.release_blocks(r.sink.seen[RequestId(1)].blocks);
  CHECK(r.free() == 32 - 16);  // the loop keeps its own
  SECTION("cancelled before it ran") {
    CHECK_FALSE(r.loop.cancel(RequestId(1)));
    CHECK_FALSE(r.loop.run_probe(RequestId(1)));
  }
  SECTION("everything is cancelled") { r.loop.cancel_all({}); }
  SECTION("its pass fails") {
    r.model.fail_next = true;
    REQUIRE(r.loop.run_probe(RequestId(1)));
    REQUIRE(r.sink.until([&] { return r.sink.probe_errors.contains(RequestId(1)); }));
  }
  SECTION("others wait for its room") {
    REQUIRE(r.loop.submit(Rig::prompt(2, 128)));
    CHECK(r.loop.figures().waiting == 1);
    REQUIRE(r.loop.run_probe(RequestId(1)));
    REQUIRE(r.computed(2));
    r.loop.release_blocks(r.sink.seen[RequestId(2)].blocks);
  }
  CHECK(r.free() == 32);
}

TEST_CASE("a prompt with no room for a probe, or with a token that does not exist, runs without") {
  Rig r;
  REQUIRE(r.loop.submit(Rig::probed(1, 128, 5)));
  REQUIRE(r.computed(1));
  CHECK_FALSE(r.loop.run_probe(RequestId(1)));
  r.loop.release_blocks(r.sink.seen[RequestId(1)].blocks);
  REQUIRE(r.loop.submit(Rig::probed(2, 20, test::FakeModel::kVocab)));
  REQUIRE(r.computed(2));
  CHECK_FALSE(r.loop.run_probe(RequestId(2)));
  r.loop.release_blocks(r.sink.seen[RequestId(2)].blocks);
  CHECK(r.free() == 32);
}

TEST_CASE("a rated prompt's tokens are told by position, whatever shares its passes, and the token after it too") {
  Rig r;
  const Prompt a = Rig::rated(1, 61, 9, 3);  // several chunks, two passes
  const Prompt b = Rig::rated(2, 3, 4, 0);   // joins
  r.pass.on();
  REQUIRE(r.loop.submit(Rig::prompt(3, 4)));
  r.pass.wait();
  REQUIRE(r.loop.submit(b));
  REQUIRE(r.loop.submit(Rig::prompt(4, 3)));
  REQUIRE(r.loop.submit(a));
  r.pass.off();
  for (const std::uint64_t id : {1, 2, 3, 4}) REQUIRE(r.computed(id));
  CHECK(r.sink.ordered);
  CHECK(r.sink.rated.size() == 2);  // of the others nothing
  CHECK(r.sink.rated[RequestId(1)] == Rig::by_hand(a));
  CHECK(r.sink.rated[RequestId(2)] == Rig::by_hand(b));
  CHECK(r.sink.rated[RequestId(1)].size() == 61);
  CHECK(r.sink.rated[RequestId(1)].back().token == 9);
  CHECK(r.sink.rated[RequestId(1)].front().top.size() == 3);
}

TEST_CASE("a prompt whose logits cannot be read fails, and those beside it do not") {
  Rig r;
  r.model.poison = true;
  r.pass.on();
  REQUIRE(r.loop.submit(Rig::prompt(3, 4)));
  r.pass.wait();
  REQUIRE(r.loop.submit(Rig::rated(1, 3, 9, 1)));
  REQUIRE(r.loop.submit(Rig::prompt(2, 3)));
  r.pass.off();
  REQUIRE(r.computed(2));
  REQUIRE(r.sink.until([&] { return r.sink.seen[RequestId(1)].error.has_value(); }));
  CHECK(r.sink.seen[RequestId(1)].error->code == Errc::data_corrupt);
  CHECK(r.sink.rated.empty());
  for (const std::uint64_t id : {1, 2, 3}) r.loop.release_blocks(r.admitted(id));
  CHECK(r.free() == 32);
  CHECK(r.loop.figures().queued_tokens == 0);
}

TEST_CASE("of a prompt that is cancelled in mid-pass nothing is told") {
  Rig r;
  r.pass.on();
  REQUIRE(r.loop.submit(Rig::rated(1, 61, 9, 1)));
  r.pass.wait();
  r.loop.release_blocks(r.admitted(1));
  CHECK(r.loop.cancel(RequestId(1)));
  REQUIRE(r.loop.submit(Rig::prompt(2, 3)));
  r.pass.off();
  REQUIRE(r.computed(2));
  CHECK(r.sink.rated.empty());
}

TEST_CASE("a last token that does not exist cannot be rated") {
  Rig r;
  CHECK(r.loop.submit(Rig::rated(1, 5, test::FakeModel::kVocab, 1)).error().param == "prompt_logprobs");
}

TEST_CASE("a prompt that is cancelled leaves behind the passes that were over before") {
  Rig r;
  r.pass.on();
  REQUIRE(r.loop.submit(Rig::named(1, 61)));
  r.pass.wait();
  SECTION("none was") {
    CHECK(r.loop.cancel(RequestId(1)));
    r.loop.release_blocks(r.admitted(1));
    r.pass.off();
    REQUIRE(r.loop.submit(Rig::named(2, 61)));
    REQUIRE(r.computed(2));
    CHECK(r.sink.seen[RequestId(2)].cached == 0);
  }
  SECTION("the first of 32 positions") {
    r.pass.next();
    CHECK(r.loop.cancel(RequestId(1)));
    r.loop.release_blocks(r.admitted(1));
    r.pass.off();
    REQUIRE(r.loop.submit(Rig::named(2, 61)));
    REQUIRE(r.computed(2));
    CHECK(r.sink.seen[RequestId(2)].cached == 32);
  }
  CHECK(r.sink.ordered);
  CHECK(r.sink.chunked);
  r.loop.release_blocks(r.admitted(2));
  CHECK(r.free() == 32);
  CHECK(r.loop.figures().queued_tokens == 0);
}

TEST_CASE("a second prompt uses what the first has computed so far") {
  Rig r(64);
  r.pass.on();
  REQUIRE(r.loop.submit(Rig::named(1, 125)));
  r.pass.wait();
  r.pass.next();
  REQUIRE(r.loop.submit(Rig::named(2, 125)));
  r.pass.off();
  for (const std::uint64_t id : {1, 2}) REQUIRE(r.computed(id));
  CHECK(r.sink.seen[RequestId(2)].cached >= 32);
  CHECK(r.sink.ordered);
  for (std::uint32_t l = 0; l < 3; ++l) CHECK(r.sink.seen[RequestId(2)].next[l] == 125);
  for (const std::uint64_t id : {1, 2}) r.loop.release_blocks(r.admitted(id));
  CHECK(r.free() == 64);
}

TEST_CASE("cached blocks make room for prompts, and a prompt's own hit is not what makes room for it") {
  Rig r;
  for (std::uint64_t id = 1; id <= 20; ++id) {
    REQUIRE(r.loop.submit(Rig::named(id, 61, static_cast<TokenId>(id % 5))));
    REQUIRE(r.computed(id));
    r.loop.release_blocks(r.admitted(id));
    CHECK(r.free() == 32);
  }
  CHECK(r.loop.figures().cache.evicted_blocks > 0);
  CHECK(r.loop.figures().cache.blocks <= 32);
  REQUIRE(r.loop.submit(Rig::named(21, 125, 0)));  // all of the pool but one block, its beginning is there
  REQUIRE(r.computed(21));
  CHECK(r.sink.seen[RequestId(21)].cached > 0);
  r.loop.release_blocks(r.admitted(21));
  CHECK(r.free() == 32);
}

TEST_CASE("a probe over KV that was there says what it says over KV just computed") {
  std::vector<std::vector<float>> said;
  for (const bool again : {false, true}) {
    Rig r;
    if (again) {
      REQUIRE(r.loop.submit(Rig::named(1, 64)));
      REQUIRE(r.computed(1));
      r.loop.release_blocks(r.admitted(1));
    }
    Prompt p = Rig::named(2, 64);
    p.probe = 5;
    REQUIRE(r.loop.submit(p));
    REQUIRE(r.computed(2));
    CHECK(r.sink.seen[RequestId(2)].cached == (again ? 60 : 0));
    REQUIRE(r.loop.run_probe(RequestId(2)));
    REQUIRE(r.sink.until([&] { return r.sink.said.contains(RequestId(2)); }));
    said.push_back(r.sink.said[RequestId(2)]);
    r.loop.release_blocks(r.admitted(2));
    CHECK(r.free() == 32);
  }
  CHECK(said[0] == said[1]);
}
