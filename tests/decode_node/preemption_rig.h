#pragma once
// A decode loop with a small pool, and answers that are compared with undisturbed ones.
//
// The fake model's tokens depend on all of the KV that they are made over. KV that came from elsewhere differs from
// what this node would compute (`lossy`), so that an answer shows whether the right one was used.
#include <algorithm>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "decode_node/decode_loop.h"
#include "engine/policy/token_mask.h"
#include "tests/support/fake_model.h"

namespace sluice::decode::test::preemption {

using sluice::test::FakeModel;

struct Told {
  TokenId token = 0;
  std::optional<float> logprob;
  std::vector<std::pair<TokenId, float>> top;
  friend bool operator==(const Told&, const Told&) = default;
};
using AnswerTold = std::vector<Told>;

class Listener final : public DecodeSink {
 public:
  void on_token(RequestId id, std::uint32_t index, const engine::Sampled& s, bool) override {
    Told t{s.token, s.logprob, {}};
    for (const auto& top : s.top_logprobs) t.top.emplace_back(top.token, top.logprob);
    const std::lock_guard lock(mutex_);
    auto& a = answers_[id];
    in_order_ = in_order_ && index == a.size();
    a.push_back(std::move(t));
    changed_.notify_all();
  }
  void on_finished(const control::Finished& f) override {
    const std::lock_guard lock(mutex_);
    ended_.emplace(f.request, f);
    changed_.notify_all();
  }
  void flush() override {}

  /// Waits until `holds` of what was told so far.
  template <class P>
  bool wait(P holds) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return holds(); });
  }
  /// An end that was not taken yet; waits a moment for one.
  std::optional<control::Finished> take_end() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::milliseconds(5), [&] { return !ended_.empty(); })) return std::nullopt;
    auto node = ended_.extract(ended_.begin());
    return std::move(node.mapped());
  }
  AnswerTold answer(RequestId id) {
    const std::lock_guard lock(mutex_);
    return answers_[id];
  }
  /// Within wait().
  std::size_t tokens(RequestId id) { return answers_[id].size(); }
  bool in_order() {
    const std::lock_guard lock(mutex_);
    return in_order_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, AnswerTold> answers_;
  std::multimap<RequestId, control::Finished> ended_;
  bool in_order_ = true;
};

/// What is asked of a loop, with all that makes its answer.
struct Asked {
  LegStart leg;
  bool lossy = false;                           // of KV that comes
  std::vector<std::vector<TokenId>> allowed{};  // bound: the tokens that each place may have
};

/// Each token of the answer is one of those of its place.
class Places final : public engine::TokenConstraint {
 public:
  Places(std::vector<std::vector<TokenId>> allowed, std::size_t at) : allowed_(std::move(allowed)), at_(at) {}
  void fill(std::span<std::uint64_t> bits) const override {
    std::ranges::fill(bits, 0);
    if (at_ < allowed_.size())
      for (const TokenId t : allowed_[at_]) engine::set_bit(bits, t, true);
  }
  bool accept(TokenId t) override {
    if (must_end() || std::ranges::find(allowed_[at_], t) == allowed_[at_].end()) return false;
    ++at_;
    return true;
  }
  bool may_end() const override { return must_end(); }
  bool must_end() const override { return at_ == allowed_.size(); }

 private:
  std::vector<std::vector<TokenId>> allowed_;
  std::size_t at_;
};

struct PreemptionRig {
  PreemptionRig(std::uint32_t blocks, const LoopOptions& o)
      : pool(*engine::KvPool::create(model.kv_shape(4, blocks, engine::DType::bf16))),
        loop(model, *pool, {.max_batch_tokens = 64, .max_seqs = 32, .prefill_chunk = 16, .most_prompt_rows = 16}, o, {},
             sink) {}

  static std::uint16_t mark(TokenId token, std::uint32_t pos, std::uint32_t layer, bool value, bool lossy) {
    return static_cast<std::uint16_t>(FakeModel::mark(token, pos, layer, value) ^ (lossy ? 0x11U : 0U));
  }
  /// What a sender would have sent.
  void write(std::span<const engine::BlockHandle> blocks, std::span<const TokenId> tokens, bool lossy) {
    const auto& s = pool->shape();
    for (std::uint32_t pos = 0; pos < tokens.size(); ++pos)
      for (std::uint32_t layer = 0; layer < s.layers; ++layer)
        for (const bool value : {false, true}) {
          const std::uint16_t m = mark(tokens[pos], pos, layer, value, lossy);
          std::byte* row = pool->block(layer, value, blocks[pos / s.block_size].id) +
                           std::size_t{pos % s.block_size} * s.row_bytes();
          for (std::size_t i = 0; i < s.row_bytes(); i += 2) std::memcpy(row + i, &m, sizeof m);
        }
  }
  /// resource_exhausted where there is no room now. `sent`: the answer's tokens so far.
  Result<> start(const Asked& a, std::span<const Told> sent = {}) {
    LegStart leg = a.leg;
    leg.bound = !a.allowed.empty();
    leg.grows = a.leg.grows && returned[leg.id] < 2;  // as coordinators have it
    for (const Told& t : sent) leg.tokens.push_back(t.token);
    SLUICE_ASSIGN(const auto blocks, loop.admit(leg));
    if (leg.kv_tokens > 0) {
      write(blocks, std::span(a.leg.tokens).first(leg.kv_tokens), a.lossy);
      loop.release_blocks(blocks);
      loop.mark_ready(leg.id);
    }
    if (leg.bound) {
      auto bind = std::make_unique<Places>(a.allowed, sent.size());
      loop.bind(leg.id, leg.attempt, std::move(bind));
    }
    return {};
  }
  /// Serves them all as a coordinator would: who finds no room waits, who is given back is resumed.
  struct Served {
    std::map<RequestId, AnswerTold> answers;
    std::map<RequestId, control::Finished> ends;
    std::uint32_t returns = 0;
  };
  Served serve(const std::vector<Asked>& all) {
    Served out;
    std::map<RequestId, const Asked*> by_id;
    std::set<std::pair<std::int32_t, std::size_t>> waiting;
    std::map<RequestId, std::size_t> place;
    for (std::size_t i = 0; i < all.size(); ++i) {
      place[all[i].leg.id] = i;
      waiting.insert({all[i].leg.priority, i});
    }
    while (out.ends.size() < all.size()) {
      for (auto w = waiting.begin(); w != waiting.end(); w = waiting.begin()) {
        const Asked& a = all[w->second];
        const auto started = start(a, sink.answer(a.leg.id));
        if (!started && started.error().code != Errc::resource_exhausted) FAIL(started.error().message);
        if (!started) break;
        waiting.erase(w);
      }
      const auto end = sink.take_end();
      if (!end) continue;
      if (end->reason == "preempted") {
        ++out.returns;
        ++returned[end->request];
        const std::size_t at = place.at(end->request);
        waiting.insert({all[at].leg.priority, at});
      } else {
        out.ends[end->request] = *end;
      }
    }
    for (const Asked& a : all) out.answers[a.leg.id] = sink.answer(a.leg.id);
    REQUIRE(sink.in_order());
    return out;
  }
  engine::SchedulerCounters counters() { return loop.figures().counters; }
  std::uint64_t times(WayBack w) { return loop.figures().preempted.ways[static_cast<std::size_t>(w)]; }

  FakeModel model;
  std::map<RequestId, int> returned;
  std::unique_ptr<engine::KvPool> pool;
  Listener sink;
  DecodeLoop loop;
};

/// Of many kinds: greedy, seeded, with log-probabilities, bound, computed here or sent.
inline Asked some_request(std::uint64_t id, std::uint32_t prompt, std::uint32_t max_new, bool lossy) {
  Asked a{.lossy = lossy};
  LegStart& l = a.leg;
  l.id = RequestId(id);
  for (std::uint32_t i = 0; i < prompt; ++i) l.tokens.push_back(static_cast<TokenId>(1 + (i * 5 + id * 3) % 90));
  l.prompt_tokens = prompt;
  l.max_new_tokens = max_new;
  l.sampling.temperature = id % 2 == 0 ? 0 : 3;
  l.sampling.seed = 100 + id;
  l.sampling.ignore_eos = true;
  if (id % 3 == 0) l.sampling.logprobs = 3;
  if (lossy || id % 4 == 1) l.kv_tokens = prompt - 1;
  l.priority = id % 5 == 0 ? -1 : 0;
  l.grows = true;
  l.exact = !lossy;
  if (id % 7 == 2)
    for (std::uint32_t i = 0; i < max_new; ++i) {
      auto& place = a.allowed.emplace_back();
      for (TokenId t = 1; t < (i % 4 == 3 ? 2 : 60); ++t) place.push_back(static_cast<TokenId>(t + i % 30));
    }
  return a;
}

}  // namespace sluice::decode::test::preemption
