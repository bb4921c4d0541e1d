// A resumed request replays its tokens in another batch, cut at other places, maybe on more threads, and must get the
// same bits: tokens already sent cannot be taken back.
#include <algorithm>
#include <catch2/catch.hpp>
#include <utility>

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

struct Case {
  std::string model, isa;
  Precision precision;
  DType kv;
  std::size_t prompt_size;
  std::uint32_t steps;
};

class Reference {
 public:
  explicit Reference(Answer a) : a_(std::move(a)) {}
  [[nodiscard]] bool equals(const Answer& b) const { return a_.tokens == b.tokens && same_bits(a_.logits, b.logits); }

 private:
  Answer a_;
};

void check_chunks(Model& model, const Case& c, Prompt p, const Reference& want) {
  for (const std::uint32_t chunk : {1U, 7U, 16U, 64U}) {
    INFO("chunks of " << chunk);
    p.chunk = chunk;
    CHECK(want.equals(serve_one(model, c.kv, p)));
  }
}

// Mates prefill and decode beside it, join and leave while it runs; the sequence is first or last of the batch.
void check_mates(Model& model, const Case& c, Prompt p, const Reference& want, bool first) {
  const std::uint32_t vocab = model.config().vocab_size;
  p.chunk = first ? 7 : 0;
  p.start = first ? 0 : 3;
  std::vector<Prompt> batch;
  for (std::uint32_t i = 0; i < 6; ++i)
    batch.push_back({made_up_prompt(3 + 11 * i, vocab, 100 + i), i % 3 == 0 ? 0 : 4 * i, 2 + 3 * i, 2 * i});
  batch.insert(first ? batch.begin() : batch.end(), p);
  const auto answers = serve(model, c.kv, batch);
  INFO("among mates, " << (first ? "first" : "last"));
  CHECK(want.equals(first ? answers.front() : answers.back()));
}

void check_all_ways(const Case& c) {
  INFO(c.model << " on " << c.isa << ", precision " << (c.precision == Precision::f32 ? "f32" : "bf16") << ", KV "
               << (c.kv == DType::f32 ? "f32" : "bf16"));
  const auto one = load(c.model, {.precision = c.precision, .isa = c.isa, .threads = 1});
  const Prompt p{.tokens = made_up_prompt(c.prompt_size, one->config().vocab_size, 7), .steps = c.steps};
  const Reference want(serve_one(*one, c.kv, p));
  CHECK(want.equals(serve_one(*one, c.kv, p, /*block_size=*/5)));
  check_chunks(*one, c, p, want);
  check_mates(*one, c, p, want, /*first=*/true);
  for (const std::uint32_t threads : {2U, 3U}) {
    INFO(threads << " threads");
    const auto more = load(c.model, {.precision = c.precision, .isa = c.isa, .threads = threads});
    CHECK(want.equals(serve_one(*more, c.kv, p)));
    check_mates(*more, c, p, want, /*first=*/threads == 3);
  }
}

}  // namespace

TEST_CASE("bits do not depend on batch, chunks, block size or threads: f32", "[determinism]") {
  for (const std::string& name : kGoldenModels)
    for (const std::string& isa : instruction_sets())
      for (const DType kv : {DType::f32, DType::bf16}) check_all_ways({name, isa, Precision::f32, kv, 75, 5});
}

TEST_CASE("bits do not depend on batch, chunks, block size or threads: bf16", "[determinism]") {
  for (const std::string& name : kGoldenModels)
    for (const std::string& isa : instruction_sets()) check_all_ways({name, isa, Precision::bf16, DType::bf16, 75, 5});
}

// Long enough that attention walks more than one span of keys.
TEST_CASE("bits do not depend on batch, chunks, block size or threads: the bundled model", "[determinism]") {
  for (const std::string& isa : instruction_sets())
    for (const Precision precision : {Precision::f32, Precision::bf16})
      check_all_ways({"sluice-tiny", isa, precision, DType::bf16, isa == "scalar" ? 20U : 270U, 2});
}
