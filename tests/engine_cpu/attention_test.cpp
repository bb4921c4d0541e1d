#include "tests/engine_cpu/paged_sequence.h"

using namespace sluice::engine;
using namespace sluice::engine::test;

namespace {

const HeadShape kShapes[] = {
    {4, 4, 32, 16, 0},     // as many KV heads as heads
    {8, 2, 64, 1, 0},      // grouped queries, one token per block
    {6, 2, 80, 5, 0},      // head_dim no multiple of 32
    {4, 1, 96, 32, 0},     // one KV head
    {8, 4, 128, 16, 300},  // a window of more than a span
    {2, 1, 64, 7, 40},     // a window of less than a span
    {3, 3, 20, 16, 1},     // a short head; a window of one token: the value itself
};

}  // namespace

FOR_EACH_ISA("attention agrees with a softmax in double", attention_reference) {
  constexpr std::uint32_t length = 600;
  for (DType dtype : {DType::bf16, DType::f32})
    for (const HeadShape& s : kShapes) {
      auto ops = ops_for(isa, Precision::f32, 2);
      PagedSequence seq(s, dtype, length, 21);
      seq.write(*ops);
      const auto out = seq.attend(*ops, 0, length);
      for (std::uint32_t pos : {0U, 1U, 39U, 40U, 255U, 256U, 257U, 299U, 300U, 512U, 599U})
        for (std::uint32_t head = 0; head < s.heads; ++head) {
          const auto want = seq.reference(pos, head);
          for (std::uint32_t d = 0; d < s.head_dim; ++d) {
            INFO("heads " << s.heads << "/" << s.kv_heads << " dim " << s.head_dim << " pos " << pos);
            REQUIRE(out[pos * seq.row_width() + head * s.head_dim + d] == Approx(want[d]).margin(2e-5));
          }
        }
    }
}

FOR_EACH_ISA("an attention row does not depend on chunks or threads", attention_rows) {
  constexpr std::uint32_t length = 530;
  for (DType dtype : {DType::bf16, DType::f32})
    for (const HeadShape& s : kShapes) {
      PagedSequence seq(s, dtype, length, 22);
      auto whole_ops = ops_for(isa, Precision::f32, 1);
      seq.write(*whole_ops);
      const auto whole = seq.attend(*whole_ops, 0, length);
      for (std::uint32_t threads : {1U, 2U, 3U}) {
        auto ops = ops_for(isa, Precision::f32, threads);
        // Every cut on one thread; with more, one of each kind: decode, a few rows, many.
        for (std::uint32_t chunk :
             threads == 1 ? std::vector{1U, 3U, 16U, 33U, 64U, 200U, 530U} : std::vector{1U, 5U, 200U})
          for (std::uint32_t first = 0; first < length; first += chunk) {
            if (chunk < 16 && first % 37 != 0 && first < 500) continue;  // short chunks at some positions only
            const std::uint32_t rows = std::min(chunk, length - first);
            const auto out = seq.attend(*ops, first, rows);
            INFO("dim " << s.head_dim << " threads " << threads << " chunk " << chunk << " first " << first);
            REQUIRE(same_bits(out.data(), whole.data() + first * seq.row_width(), out.size()));
          }
      }
    }
}

FOR_EACH_ISA("an attention row does not depend on the sequences batched with it", attention_batch) {
  const HeadShape s{4, 2, 64, 16, 0};
  for (std::uint32_t threads : {1U, 3U}) {
    auto ops = ops_for(isa, Precision::bf16, threads);
    PagedSequence seq(s, DType::bf16, 900, 23);
    seq.write(*ops);
    // "Sequences" over one pool: prefixes of the same blocks, of different lengths and chunk sizes.
    const std::vector<AttentionSeq> batch{{0, 1, 899, seq.blocks.data()},
                                          {1, 100, 400, seq.blocks.data()},
                                          {101, 1, 0, seq.blocks.data()},
                                          {102, 3, 511, seq.blocks.data()},
                                          {105, 1, 256, seq.blocks.data()}};
    std::vector<float> q;
    for (const auto& b : batch) {
      const float* from = seq.q.data() + b.first_pos * seq.row_width();
      q.insert(q.end(), from, from + b.rows * seq.row_width());
    }
    std::vector<float> out(q.size());
    ops->attention(seq.args(q.data(), batch, out.data()));
    for (const auto& b : batch) {
      const auto alone = seq.attend(*ops, b.first_pos, b.rows);
      REQUIRE(same_bits(alone.data(), out.data() + b.first_row * seq.row_width(), alone.size()));
    }
  }
}

FOR_EACH_ISA("a group of more query heads than one item holds is attended to", attention_wide_group) {
  const HeadShape s{130, 1, 32, 16, 0};
  auto ops = ops_for(isa, Precision::f32, 2);
  PagedSequence seq(s, DType::bf16, 300, 24);
  seq.write(*ops);
  const auto out = seq.attend(*ops, 290, 10), last = seq.attend(*ops, 299, 1);
  REQUIRE(same_bits(last.data(), out.data() + 9 * seq.row_width(), last.size()));
  for (std::uint32_t head : {0U, 95U, 96U, 129U}) {
    const auto want = seq.reference(299, head);
    for (std::uint32_t d = 0; d < s.head_dim; ++d)
      REQUIRE(last[std::size_t{head} * s.head_dim + d] == Approx(want[d]).margin(2e-5));
  }
}

FOR_EACH_ISA("a head wider than a packed row is attended to", attention_wide_head) {
  const HeadShape s{2, 1, 320, 16, 0};
  auto ops = ops_for(isa, Precision::f32, 1);
  PagedSequence seq(s, DType::f32, 270, 25);
  seq.write(*ops);
  const auto out = seq.attend(*ops, 0, 270);
  const auto want = seq.reference(269, 1);
  for (std::uint32_t d = 0; d < s.head_dim; ++d)
    REQUIRE(out[269 * seq.row_width() + s.head_dim + d] == Approx(want[d]).margin(2e-5));
}
