// A resumed request replays its tokens in another batch, cut at other places, maybe on more threads, and must get the
// same bits: tokens already sent cannot be taken back.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/engine/model_runs.h"

using namespace sluice;
using namespace sluice::test;

namespace {

std::vector<TokenId> made_up_prompt(std::size_t n, std::uint32_t vocab, std::uint32_t salt) {
  std::vector<TokenId> out;
  for (std::size_t i = 0; i < n; ++i) {
    salt = salt * 1664525U + 1013904223U;
    out.push_back(static_cast<TokenId>((salt >> 8) % vocab));
  }
  return out;
}

void check_all_ways(const std::string& name, const std::string& isa, Precision precision, DType kv,
                    std::size_t prompt_size, std::uint32_t steps) {
  Answer first;
  for (const std::uint32_t threads : {1U, 2U, 3U}) {
    const auto model = load(name, {.precision = precision, .isa = isa, .threads = threads});
    const std::uint32_t vocab = model->config().vocab_size;
    Prompt p{.tokens = made_up_prompt(prompt_size, vocab, 7), .steps = steps};
    if (threads == 1) first = serve_one(*model, kv, p);
    INFO(name << " on " << isa << ", precision " << (precision == Precision::f32 ? "f32" : "bf16") << ", KV "
              << (kv == DType::f32 ? "f32" : "bf16") << ", " << threads << " threads");
    const auto same = [&first](const Answer& a) {
      return a.tokens == first.tokens && same_bits(a.logits, first.logits);
    };
    CHECK(same(serve_one(*model, kv, p)));
    CHECK(same(serve_one(*model, kv, p, /*block_size=*/5)));
    for (const std::uint32_t chunk : {1U, 7U, 16U, 64U}) {
      INFO("chunks of " << chunk);
      p.chunk = chunk;
      CHECK(same(serve_one(*model, kv, p)));
    }
    // Mates that prefill and decode beside it, joining and leaving while it runs; the sequence at either end.
    for (const bool in_front : {true, false}) {
      p.chunk = in_front ? 7 : 0;
      p.start = in_front ? 0 : 3;
      std::vector<Prompt> batch;
      for (std::uint32_t i = 0; i < 6; ++i)
        batch.push_back({made_up_prompt(3 + 11 * i, vocab, 100 + i), i % 3 == 0 ? 0 : 4 * i, 2 + 3 * i, 2 * i});
      batch.insert(in_front ? batch.begin() : batch.end(), p);
      const auto answers = serve(*model, kv, batch);
      INFO("among mates, " << (in_front ? "first" : "last"));
      CHECK(same(in_front ? answers.front() : answers.back()));
    }
  }
}

}  // namespace

TEST_CASE("bits do not depend on batch, chunks, block size or threads", "[determinism]") {
  for (const std::string& name : kGoldenModels)
    for (const std::string& isa : instruction_sets())
      for (const Precision precision : {Precision::f32, Precision::bf16})
        for (const DType kv : {DType::f32, DType::bf16}) check_all_ways(name, isa, precision, kv, 75, 6);
}

TEST_CASE("bits do not depend on batch, chunks, block size or threads: the bundled model", "[determinism]") {
  for (const std::string& isa : instruction_sets())
    for (const Precision precision : {Precision::f32, Precision::bf16})
      check_all_ways("sluice-tiny", isa, precision, DType::bf16, isa == "scalar" ? 20 : 300, 3);
}
