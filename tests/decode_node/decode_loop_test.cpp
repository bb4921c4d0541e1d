#include "decode_node/decode_loop.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <optional>

#include "engine/policy/token_mask.h"
#include "tests/support/fake_model.h"

using namespace sluice;
using namespace sluice::decode;

namespace {

/// Gathers what the loop says; wait() blocks until a leg ended.
class Sink final : public DecodeSink {
 public:
  void on_token(RequestId id, std::uint32_t index, const engine::Sampled& s, bool) override {
    const std::lock_guard lock(mutex_);
    auto& t = tokens_[id];
    in_order_ = in_order_ && index == first_[id] + t.size();  // Catch may be asked by one thread only
    t.push_back(s.token);
  }
  void on_finished(const control::Finished& f) override {
    const std::lock_guard lock(mutex_);
    ended_[f.request] = f;
    changed_.notify_all();
  }
  void flush() override {}
  control::Finished wait(RequestId id) {
    std::unique_lock lock(mutex_);
    REQUIRE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return ended_.contains(id); }));
    REQUIRE(in_order_);
    return ended_[id];
  }
  std::vector<TokenId> tokens(RequestId id) {
    const std::lock_guard lock(mutex_);
    return tokens_[id];
  }
  void replayed(RequestId id, std::size_t n) { first_[id] = n; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, std::vector<TokenId>> tokens_;
  std::map<RequestId, std::size_t> first_;
  std::map<RequestId, control::Finished> ended_;
  bool in_order_ = true;
};

struct Rig {
  explicit Rig(std::uint32_t blocks = 64)
      : pool(*engine::KvPool::create(model.kv_shape(4, blocks, engine::DType::bf16))) {}
  test::FakeModel model;
  std::unique_ptr<engine::KvPool> pool;
  Sink sink;
  DecodeLoop loop{model, *pool, {.max_batch_tokens = 64, .max_seqs = 8, .prefill_chunk = 16}, {.max_legs = 16},
                  {},    sink};

  static LegStart leg(std::uint64_t id, std::uint32_t prompt, std::uint32_t max_new) {
    LegStart l;
    l.id = RequestId(id);
    for (std::uint32_t i = 0; i < prompt; ++i) l.tokens.push_back(static_cast<TokenId>(1 + (i * 5 + id) % 90));
    l.prompt_tokens = prompt;
    l.max_new_tokens = max_new;
    l.sampling.temperature = 0;
    l.sampling.ignore_eos = true;
    return l;
  }
  std::uint32_t free() { return loop.figures().counters.free_blocks; }
};

/// Every token of the answer is the one that the list says.
class Script final : public engine::TokenConstraint {
 public:
  explicit Script(std::vector<TokenId> tokens, std::size_t at = 0) : tokens_(std::move(tokens)), at_(at) {}
  void fill(std::span<std::uint64_t> bits) const override {
    std::ranges::fill(bits, 0);
    if (at_ < tokens_.size() && tokens_[at_] >= 0) engine::set_bit(bits, tokens_[at_], true);
  }
  bool accept(TokenId t) override {
    if (must_end() || tokens_[at_] != t) return false;
    ++at_;
    return true;
  }
  bool may_end() const override { return must_end(); }
  bool must_end() const override { return at_ == tokens_.size(); }

 private:
  std::vector<TokenId> tokens_;  // -1: nothing may come there
  std::size_t at_;
};

}  // namespace

TEST_CASE("a leg runs to its length and gives its blocks back") {
  Rig r;
  REQUIRE(r.loop.admit(Rig::leg(1, 20, 10)));
  CHECK(r.sink.wait(RequestId(1)).reason == "length");
  CHECK(r.sink.tokens(RequestId(1)).size() == 10);
  CHECK(r.free() == 64);
}

TEST_CASE("what computing a prompt here took is told with its end, and how fast that goes with the figures") {
  Rig r;
  REQUIRE(r.loop.admit(Rig::leg(1, 40, 4)));
  const auto f = r.sink.wait(RequestId(1));
  CHECK(f.local_tokens == 40);
  CHECK(f.local_s > 0);
  CHECK(f.local_queue_s >= 0);
  CHECK(f.local_queue_s + f.local_s == Approx(f.first_step_s));
  CHECK(r.loop.figures().prompt_tokens_per_s > 0);
  CHECK(r.loop.figures().prompt_tokens == 0);
  auto split = Rig::leg(2, 40, 4);
  split.kv_tokens = 39;
  const auto blocks = r.loop.admit(std::move(split));
  REQUIRE(blocks);
  CHECK(r.loop.figures().prompt_tokens == 0);
  r.loop.release_blocks(*blocks);
  r.loop.mark_ready(RequestId(2));
  CHECK(r.sink.wait(RequestId(2)).local_tokens == 0);
  auto cut = Rig::leg(3, 40, 4);
  cut.kv_tokens = 16;
  const auto some = r.loop.admit(std::move(cut));
  REQUIRE(some);
  CHECK(r.loop.figures().prompt_tokens == 24);
  CHECK(r.loop.held_by_others(control::LegSpace(7)).prompt_tokens == 24);
  r.loop.release_blocks(*some);
  r.loop.mark_ready(RequestId(3));
  CHECK(r.sink.wait(RequestId(3)).local_tokens == 24);
}

TEST_CASE("a stop token ends a leg and is reported") {
  Rig r;
  REQUIRE(r.loop.admit(Rig::leg(1, 5, 8)));
  r.sink.wait(RequestId(1));
  const auto all = r.sink.tokens(RequestId(1));
  auto l = Rig::leg(1, 5, 8);
  l.id = RequestId(2);
  l.sampling.stop_token_ids = {all[3]};
  REQUIRE(r.loop.admit(std::move(l)));
  CHECK(r.sink.wait(RequestId(2)).reason == "stop");
  const auto got = r.sink.tokens(RequestId(2));
  REQUIRE_FALSE(got.empty());
  CHECK(got.back() == all[3]);
  CHECK(got.size() <= 4);
}

TEST_CASE("a leg waits for its KV and reads exactly that") {
  Rig r;
  // What a leg computed alone gives, against one whose prompt KV was put in place by somebody else.
  REQUIRE(r.loop.admit(Rig::leg(7, 21, 12)));
  r.sink.wait(RequestId(7));
  auto l = Rig::leg(7, 21, 12);
  l.id = RequestId(8);
  l.kv_tokens = 20;
  const auto tokens = l.tokens;
  auto blocks = r.loop.admit(std::move(l));
  REQUIRE(blocks);
  std::vector<BlockId> ids;
  for (const auto& b : *blocks) ids.push_back(b.id);
  const engine::ForwardSeq prompt{std::span(tokens).first(20), 0, ids, false};
  REQUIRE(r.model.forward({&prompt, 1}, *r.pool, {}, nullptr));
  CHECK(r.sink.tokens(RequestId(8)).empty());
  r.loop.mark_ready(RequestId(8));
  r.sink.wait(RequestId(8));
  CHECK(r.sink.tokens(RequestId(8)) == r.sink.tokens(RequestId(7)));
  CHECK(r.free() < 64);  // the transfer still holds its references
  r.loop.release_blocks(*blocks);
  CHECK(r.free() == 64);
}

TEST_CASE("a resumed leg replays what was sent and goes on as if nothing happened") {
  Rig r;
  REQUIRE(r.loop.admit(Rig::leg(3, 17, 20)));
  r.sink.wait(RequestId(3));
  const auto whole = r.sink.tokens(RequestId(3));
  auto l = Rig::leg(3, 17, 20);
  l.id = RequestId(4);
  l.tokens.insert(l.tokens.end(), whole.begin(), whole.begin() + 9);
  r.sink.replayed(RequestId(4), 9);
  REQUIRE(r.loop.admit(std::move(l)));
  r.sink.wait(RequestId(4));
  CHECK(r.sink.tokens(RequestId(4)) == std::vector<TokenId>(whole.begin() + 9, whole.end()));
}

TEST_CASE("many legs at once give what each gives alone") {
  Rig alone;
  Rig together(256);
  for (std::uint64_t i = 1; i <= 12; ++i) {
    const auto n = static_cast<std::uint32_t>(3 + i * 2);
    REQUIRE(alone.loop.admit(Rig::leg(i, n, 15)));
    alone.sink.wait(RequestId(i));
    REQUIRE(together.loop.admit(Rig::leg(i, n, 15)));
  }
  for (std::uint64_t i = 1; i <= 12; ++i) {
    together.sink.wait(RequestId(i));
    CHECK(together.sink.tokens(RequestId(i)) == alone.sink.tokens(RequestId(i)));
  }
  CHECK(together.free() == 256);
}

TEST_CASE("what does not fit is refused and holds nothing") {
  Rig r(8);
  CHECK(r.loop.admit(Rig::leg(1, 20, 13)).error().code != Errc::internal);
  CHECK(r.loop.admit(Rig::leg(2, 5000, 1)).error().code == Errc::invalid_argument);
  auto bad = Rig::leg(3, 4, 4);
  bad.tokens[2] = test::FakeModel::kVocab;
  CHECK(r.loop.admit(std::move(bad)).error().param == "tokens");
  CHECK(r.free() == 8);
  CHECK(r.loop.figures().legs == 0);
}

TEST_CASE("cancel frees at once, twice is harmless") {
  Rig r;
  auto l = Rig::leg(1, 20, 10);
  l.kv_tokens = 19;
  auto blocks = r.loop.admit(std::move(l));
  REQUIRE(blocks);
  CHECK(r.loop.cancel(RequestId(1)) == std::optional<std::uint32_t>(8));
  CHECK_FALSE(r.loop.cancel(RequestId(1)));
  r.loop.release_blocks(*blocks);
  CHECK(r.free() == 64);
}

TEST_CASE("a failed pass ends its legs with the error and the loop goes on") {
  Rig r;
  r.model.fail_next = true;
  REQUIRE(r.loop.admit(Rig::leg(1, 4, 4)));
  const auto f = r.sink.wait(RequestId(1));
  REQUIRE(f.error);
  CHECK(f.error->message == "made to fail");
  REQUIRE(r.loop.admit(Rig::leg(2, 4, 4)));
  CHECK(r.sink.wait(RequestId(2)).reason == "length");
  CHECK(r.free() == 64);
}

TEST_CASE("a leg's end says of which attempt it is, however it ends") {
  Rig r;
  auto l = Rig::leg(1, 5, 8);
  l.attempt = 3;
  REQUIRE(r.loop.admit(std::move(l)));
  CHECK(r.sink.wait(RequestId(1)).attempt == 3);
  auto waits = Rig::leg(2, 20, 10);
  waits.kv_tokens = 19;
  waits.attempt = 4;
  const auto blocks = r.loop.admit(std::move(waits));
  REQUIRE(blocks);
  r.loop.fail(RequestId(2), Error{Errc::unavailable, "gone", {}});
  const auto f = r.sink.wait(RequestId(2));
  CHECK(f.attempt == 4);
  CHECK(f.error->message == "gone");
  r.loop.release_blocks(*blocks);
  CHECK(r.free() == 64);
}

TEST_CASE("a leg's first logits are shown once, as the model gave them, and change nothing") {
  Rig plain;
  REQUIRE(plain.loop.admit(Rig::leg(1, 20, 6)));
  plain.sink.wait(RequestId(1));
  Rig r;
  std::vector<std::vector<float>> shown;
  auto l = Rig::leg(1, 20, 6);
  l.sampling.logit_bias = {{TokenId(40), 0.0F}};
  l.on_first_logits = [&](std::span<const float> logits) { shown.emplace_back(logits.begin(), logits.end()); };
  REQUIRE(r.loop.admit(std::move(l)));
  r.sink.wait(RequestId(1));
  r.loop.stop();
  CHECK(r.sink.tokens(RequestId(1)) == plain.sink.tokens(RequestId(1)));
  REQUIRE(shown.size() == 1);
  const auto best = std::ranges::max_element(shown[0]) - shown[0].begin();
  CHECK(best == r.sink.tokens(RequestId(1))[0]);
}

TEST_CASE("a bound leg waits for what binds it, delays nobody, and ends with its text") {
  Rig r;
  auto l = Rig::leg(1, 20, 10);
  l.bound = true;
  l.attempt = 3;
  REQUIRE(r.loop.admit(std::move(l)));
  REQUIRE(r.loop.admit(Rig::leg(2, 20, 10)));
  CHECK(r.sink.wait(RequestId(2)).reason == "length");
  CHECK(r.sink.tokens(RequestId(1)).empty());
  CHECK(r.loop.figures().counters.awaiting_kv == 1);
  r.loop.bind(RequestId(1), 2, std::make_unique<Script>(std::vector<TokenId>{9}));  // of an attempt that is over
  r.loop.bind(RequestId(7), 3, std::make_unique<Script>(std::vector<TokenId>{9}));
  r.loop.bind(RequestId(1), 3, std::make_unique<Script>(std::vector<TokenId>{5, 6, 7}));
  CHECK(r.sink.wait(RequestId(1)).reason == "stop");
  CHECK(r.sink.tokens(RequestId(1)) == std::vector<TokenId>{5, 6, 7});
  CHECK(r.free() == 64);
}

TEST_CASE("a bound leg whose KV comes waits for both, in either order") {
  Rig r;
  for (const bool kv_first : {true, false}) {
    CAPTURE(kv_first);
    const RequestId id(kv_first ? 1 : 2);
    auto l = Rig::leg(id.value(), 21, 12);
    l.kv_tokens = 20;
    l.bound = true;
    const auto blocks = r.loop.admit(std::move(l));
    REQUIRE(blocks);
    const auto bind = [&] { r.loop.bind(id, 0, std::make_unique<Script>(std::vector<TokenId>{3, 4})); };
    kv_first ? r.loop.mark_ready(id) : bind();
    CHECK(r.loop.figures().counters.awaiting_kv == 1);
    kv_first ? bind() : r.loop.mark_ready(id);
    CHECK(r.sink.wait(id).reason == "stop");
    CHECK(r.sink.tokens(id) == std::vector<TokenId>{3, 4});
    r.loop.release_blocks(*blocks);
  }
  CHECK(r.free() == 64);
}

TEST_CASE("a bound answer that is whole when its leg begins ends without a token") {
  Rig r;
  auto l = Rig::leg(1, 20, 10);
  l.bound = true;
  l.tokens.push_back(5);  // sent by a node that died before it told the end
  l.tokens.push_back(6);
  r.sink.replayed(RequestId(1), 2);
  REQUIRE(r.loop.admit(std::move(l)));
  r.loop.bind(RequestId(1), 0, std::make_unique<Script>(std::vector<TokenId>{5, 6}, 2));
  CHECK(r.sink.wait(RequestId(1)).reason == "stop");
  CHECK(r.sink.tokens(RequestId(1)).empty());
  CHECK(r.free() == 64);
}

TEST_CASE("a bound answer that nothing continues is an error of its leg alone") {
  Rig r;
  auto l = Rig::leg(1, 20, 10);
  l.bound = true;
  REQUIRE(r.loop.admit(std::move(l)));
  REQUIRE(r.loop.admit(Rig::leg(2, 20, 10)));
  r.loop.bind(RequestId(1), 0, std::make_unique<Script>(std::vector<TokenId>{5, -1}));
  const auto end = r.sink.wait(RequestId(1));
  CHECK(end.reason == "error");
  REQUIRE(end.error);
  CHECK(end.error->code == Errc::unsupported);
  CHECK(r.sink.wait(RequestId(2)).reason == "length");
}

TEST_CASE("tokens that must come go through the model together, and change nothing after them") {
  // Every fifth token is the model's to choose, which depends on the KV of all before.
  class Partly final : public engine::TokenConstraint {
   public:
    void fill(std::span<std::uint64_t> bits) const override {
      std::ranges::fill(bits, at_ % 5 == 0 ? ~std::uint64_t{0} : 0);
      engine::set_bit(bits, 0, false);  // no end token
      if (at_ % 5 != 0) engine::set_bit(bits, static_cast<TokenId>(10 + at_), true);
    }
    bool accept(TokenId) override { return ++at_, true; }
    bool may_end() const override { return at_ == 31; }
    bool must_end() const override { return at_ == 31; }

   private:
    std::size_t at_ = 0;
  };
  std::vector<TokenId> one_by_one;
  std::uint64_t steps = 0;
  for (const bool logprobs : {true, false}) {
    Rig r;
    auto l = Rig::leg(1, 20, 60);
    l.bound = true;
    l.sampling.temperature = 1;
    l.sampling.seed = 3;
    if (logprobs) l.sampling.logprobs = 0;
    REQUIRE(r.loop.admit(std::move(l)));
    r.loop.bind(RequestId(1), 0, std::make_unique<Partly>());
    CHECK(r.sink.wait(RequestId(1)).reason == "stop");
    CHECK(r.sink.tokens(RequestId(1)).size() == 31);
    if (logprobs) {
      one_by_one = r.sink.tokens(RequestId(1));
      steps = r.loop.figures().steps;
    } else {
      CHECK(r.sink.tokens(RequestId(1)) == one_by_one);
      CHECK(r.loop.figures().steps + 20 <= steps);
    }
  }
}

TEST_CASE("who cannot leave, and what cannot come, is told why") {
  constexpr std::uint32_t kPrompt = 20;
  constexpr std::uint32_t kNew = 60;
  Rig r;
  const auto why = [&](RequestId id, std::uint32_t attempt, std::uint32_t stop) {
    const auto left = r.loop.leave(id, attempt, {.stop = stop});
    return left ? std::nullopt : std::optional(left.error().code);
  };
  CHECK(why(RequestId(1), 0, 100) == Errc::not_found);
  LegStart waits = Rig::leg(1, kPrompt, kNew);
  waits.kv_tokens = kPrompt - 1;
  const auto blocks = r.loop.admit(std::move(waits));
  REQUIRE(blocks);
  CHECK(why(RequestId(1), 0, 100) == Errc::not_found);  // its KV is not here
  CHECK(r.loop.go_on(RequestId(1), 0, std::vector<TokenId>{1}).error().code == Errc::already_exists);
  r.loop.release_blocks(*blocks);
  CHECK(r.loop.cancel(RequestId(1)));

  LegStart comes = Rig::leg(2, kPrompt, kNew);
  comes.continues = true;
  comes.kv_tokens = kPrompt - 2;  // fewer positions than its tokens have
  CHECK_FALSE(r.loop.admit(std::move(comes)));
  comes = Rig::leg(2, kPrompt, kNew);
  comes.continues = true;
  comes.kv_tokens = kPrompt + kNew;  // nothing would be left
  CHECK_FALSE(r.loop.admit(std::move(comes)));
  CHECK(r.free() == 64);
}
