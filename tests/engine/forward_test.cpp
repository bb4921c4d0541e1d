#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/engine/model_runs.h"

using namespace sluice;
using namespace sluice::engine;
using namespace sluice::test;

namespace {

class Layers final : public LayerObserver {
 public:
  void on_layer(std::uint32_t layer) override { seen.push_back(layer); }
  std::vector<std::uint32_t> seen;
};

struct Setup {
  std::unique_ptr<Model> model = load("llama3_rope", {.threads = 2});
  std::unique_ptr<KvPool> pool = std::move(*KvPool::create(model->kv_shape(16, 8, DType::bf16)));
  std::vector<TokenId> tokens = expected("llama3_rope").prompt;
  std::vector<BlockId> blocks{BlockId(5), BlockId(0), BlockId(7), BlockId(2), BlockId(3), BlockId(1)};
  std::vector<float> logits = std::vector<float>(model->config().vocab_size);

  std::vector<std::byte> pool_bytes() {
    const std::size_t n = pool->shape().num_blocks * pool->shape().block_bytes() * 2 * pool->shape().layers;
    return {pool->keys(0), pool->keys(0) + n};
  }
  std::string refused(const ForwardSeq& s, std::size_t room) {
    const auto before = pool_bytes();
    const auto r = model->forward({&s, 1}, *pool, std::span(logits).first(room), nullptr);
    REQUIRE_FALSE(r);
    CHECK(r.error().code == Errc::invalid_argument);
    CHECK(pool_bytes() == before);
    return r.error().message;
  }
};

}  // namespace

TEST_CASE("a batch that cannot be computed is refused whole") {
  Setup s;
  const std::size_t vocab = s.logits.size();
  const ForwardSeq good{s.tokens, 0, s.blocks, true};
  ForwardSeq bad = good;
  CHECK_THAT(s.refused(good, vocab - 1), Catch::Contains("logits"));
  bad.blocks = std::span(s.blocks).first(5);
  CHECK_THAT(s.refused(bad, vocab), Catch::Contains("needs 6 KV blocks and has 5"));
  bad = good;
  bad.tokens = {};
  CHECK_THAT(s.refused(bad, vocab), Catch::Contains("no tokens"));
  bad = good;
  bad.first_pos = 500;
  CHECK_THAT(s.refused(bad, vocab), Catch::Contains("position"));
  bad.first_pos = UINT32_MAX;
  CHECK_THAT(s.refused(bad, vocab), Catch::Contains("position"));
  for (const TokenId t : {-1, 320, INT32_MAX, INT32_MIN}) {
    auto tokens = s.tokens;
    tokens[40] = t;
    bad = good;
    bad.tokens = tokens;
    CHECK_THAT(s.refused(bad, vocab), Catch::Contains("token"));
  }
  s.blocks[3] = BlockId(8);
  CHECK_THAT(s.refused(good, vocab), Catch::Contains("block 8 of 8"));
}

TEST_CASE("a pool made for another model is refused") {
  Setup s;
  KvPoolShape shape = s.pool->shape();
  shape.layers += 1;
  s.pool = std::move(*KvPool::create(shape));
  CHECK_THAT(s.refused({s.tokens, 0, s.blocks, true}, s.logits.size()), Catch::Contains("another model"));
}

TEST_CASE("an empty batch is nothing to do") {
  Setup s;
  Layers layers;
  CHECK(s.model->forward({}, *s.pool, {}, &layers));
  CHECK(layers.seen.empty());
}

TEST_CASE("the observer hears of each layer once its KV is final, also when no logits are wanted") {
  Setup s;
  class Keeper final : public LayerObserver {
   public:
    Keeper(KvPool& pool, std::vector<std::vector<std::byte>>& seen) : pool_(pool), seen_(seen) {}
    void on_layer(std::uint32_t layer) override {
      const std::size_t n = 2 * pool_.shape().num_blocks * pool_.shape().block_bytes();
      seen_.emplace_back(pool_.keys(layer), pool_.keys(layer) + n);
    }

   private:
    KvPool& pool_;
    std::vector<std::vector<std::byte>>& seen_;
  };
  std::vector<std::vector<std::byte>> seen;
  Keeper keeper(*s.pool, seen);
  const ForwardSeq seq{s.tokens, 0, s.blocks, false};
  REQUIRE(s.model->forward({&seq, 1}, *s.pool, {}, &keeper));
  REQUIRE(seen.size() == s.model->config().layers);
  const auto all = s.pool_bytes();
  for (std::size_t i = 0; i < seen.size(); ++i)
    CHECK(std::memcmp(seen[i].data(), all.data() + i * seen[i].size(), seen[i].size()) == 0);

  // The same KV as when logits are wanted.
  const ForwardSeq wanting{s.tokens, 0, s.blocks, true};
  REQUIRE(s.model->forward({&wanting, 1}, *s.pool, s.logits, nullptr));
  CHECK(s.pool_bytes() == all);
}

TEST_CASE("logits come in batch order, for those who want them only") {
  Setup s;
  const std::size_t vocab = s.logits.size();
  const std::span<const TokenId> a = std::span(s.tokens).first(20), b = std::span(s.tokens).subspan(20, 15);
  const std::span<const BlockId> blocks_a = std::span(s.blocks).first(2), blocks_b = std::span(s.blocks).subspan(2, 1),
                                 blocks_c = std::span(s.blocks).subspan(3, 1);
  const auto alone = [&](std::span<const TokenId> tokens, std::span<const BlockId> blocks) {
    std::vector<float> out(vocab);
    const ForwardSeq seq{tokens, 0, blocks, true};
    REQUIRE(s.model->forward({&seq, 1}, *s.pool, out, nullptr));
    return out;
  };
  const auto want_a = alone(a, blocks_a), want_c = alone(b.first(9), blocks_c);
  std::vector<float> got(2 * vocab + 1, -7.0F);
  const ForwardSeq batch[] = {{b, 0, blocks_b, false}, {a, 0, blocks_a, true}, {b.first(9), 0, blocks_c, true}};
  REQUIRE(s.model->forward(batch, *s.pool, got, nullptr));
  CHECK(std::equal(want_a.begin(), want_a.end(), got.begin()));
  CHECK(std::equal(want_c.begin(), want_c.end(), got.begin() + static_cast<std::ptrdiff_t>(vocab)));
  CHECK(got.back() == -7.0F);  // room beyond what was wanted stays untouched
}

TEST_CASE("every row of a sequence has its logits when asked for, with the bits of one row alone") {
  class Rows final : public RowLogits {
   public:
    void on_rows(std::uint32_t first_pos, std::span<const float> logits) override {
      firsts.push_back(first_pos);
      blocks.push_back(logits.size());
      all.insert(all.end(), logits.begin(), logits.end());
    }
    std::vector<std::uint32_t> firsts;
    std::vector<std::size_t> blocks;
    std::vector<float> all;
  };
  for (const std::string& name : kGoldenModels)
    for (const std::string& isa : instruction_sets()) {
      INFO(name << " on " << isa);
      const auto model = load(name, {.isa = isa, .threads = 2});
      const auto pool = std::move(*KvPool::create(model->kv_shape(16, 16, DType::bf16)));
      const std::size_t vocab = model->config().vocab_size;
      const std::vector<TokenId> tokens = expected(name).prompt;
      const auto n = static_cast<std::uint32_t>(tokens.size());
      REQUIRE(n > kLogitRows);
      std::vector<BlockId> here, there;
      for (std::uint32_t b = 0; b < 8; ++b) {
        here.emplace_back(b);
        there.emplace_back(8 + b);
      }
      std::vector<float> one_by_one;
      for (std::uint32_t i = 0; i < n; ++i) {
        std::vector<float> row(vocab);
        const ForwardSeq seq{std::span(tokens).subspan(i, 1), i, here, true};
        REQUIRE(model->forward({&seq, 1}, *pool, row, nullptr));
        one_by_one.insert(one_by_one.end(), row.begin(), row.end());
      }
      // In two chunks, between mates that want nothing or their last row; the second chunk's last row has two readers.
      Rows rows;
      const std::uint32_t cut = n - kLogitRows - 1;
      const ForwardSeq first[] = {{std::span(tokens).first(3), 0, std::span(here).subspan(1), true},
                                  {std::span(tokens).first(cut), 0, there, false, &rows},
                                  {std::span(tokens).first(5), 0, std::span(here).subspan(2), false}};
      std::vector<float> mate(vocab);
      REQUIRE(model->forward(first, *pool, mate, nullptr));
      const ForwardSeq second[] = {{std::span(tokens).subspan(cut), cut, there, true, &rows},
                                   {std::span(tokens).first(3), 0, here, true}};
      std::vector<float> last(2 * vocab);
      REQUIRE(model->forward(second, *pool, last, nullptr));
      CHECK(same_bits(rows.all, one_by_one));
      CHECK(*std::ranges::max_element(rows.blocks) == kLogitRows * vocab);
      CHECK(rows.firsts.front() == 0);
      CHECK(rows.firsts.back() == n - 1);
      CHECK(std::equal(last.begin(), last.begin() + static_cast<std::ptrdiff_t>(vocab),
                       one_by_one.end() - static_cast<std::ptrdiff_t>(vocab)));
      CHECK(std::equal(mate.begin(), mate.end(), one_by_one.begin() + static_cast<std::ptrdiff_t>(2 * vocab)));
      CHECK(std::equal(mate.begin(), mate.end(), last.begin() + static_cast<std::ptrdiff_t>(vocab)));
    }
}

TEST_CASE("a batch larger than one MLP tile gives the same bits") {
  const auto model = load("llama_mqa_tied", {.threads = 2});
  std::vector<Prompt> prompts;
  for (int i = 0; i < 6; ++i) {
    Prompt p{.tokens = expected("llama_mqa_tied").prompt, .steps = 2};
    while (p.tokens.size() < 200) p.tokens.push_back(static_cast<TokenId>((p.tokens.size() * 7 + i) % 509));
    prompts.push_back(p);
  }
  const auto together = serve(*model, DType::bf16, prompts);  // 1200 rows
  for (std::size_t i = 0; i < prompts.size(); ++i)
    CHECK(same_bits(together[i].logits, serve_one(*model, DType::bf16, prompts[i]).logits));
}
