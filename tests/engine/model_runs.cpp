#include "tests/engine/model_runs.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>

#include "engine/cpu/cpu_ops.h"
#include "engine/model/safetensors.h"

namespace sluice::test {
namespace {

using namespace sluice::engine;

struct Sequence {
  const Prompt* prompt = nullptr;
  std::vector<TokenId> tokens;  // prompt and answer so far
  std::uint32_t done = 0;       // tokens whose KV is in the pool
  std::vector<BlockId> blocks;
  Answer answer;

  [[nodiscard]] bool finished() const { return answer.tokens.size() == prompt->steps; }
  [[nodiscard]] ForwardSeq next() const {
    const auto left = static_cast<std::uint32_t>(tokens.size()) - done;
    const std::uint32_t n = prompt->chunk == 0 ? left : std::min(left, prompt->chunk);
    return {std::span(tokens).subspan(done, n), done, blocks, n == left};
  }
};

std::vector<Sequence> plan(const std::vector<Prompt>& prompts, std::uint32_t block_size, std::uint32_t& blocks) {
  std::vector<Sequence> out;
  blocks = 0;
  for (const Prompt& p : prompts) {
    Sequence s;
    s.prompt = &p;
    s.tokens = p.tokens;
    s.blocks.resize((p.tokens.size() + p.steps + block_size - 1) / block_size);
    blocks += static_cast<std::uint32_t>(s.blocks.size());
    out.push_back(std::move(s));
  }
  // Deal ids from the top, one to each in turn, so that no table is contiguous or ascending.
  std::uint32_t id = blocks;
  for (std::size_t i = 0; id > 0; ++i)
    for (Sequence& s : out)
      if (i < s.blocks.size()) s.blocks[i] = BlockId(--id);
  return out;
}

void take_logits(Sequence& s, std::span<const float> logits) {
  s.answer.logits.insert(s.answer.logits.end(), logits.begin(), logits.end());
  s.answer.tokens.push_back(static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
  s.tokens.push_back(s.answer.tokens.back());
}

template <class T>
std::vector<T> values(const TensorMap& tensors, const char* name) {
  const auto bytes = tensors.at(name).data;
  std::vector<T> out(bytes.size() / sizeof(T));
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::vector<TokenId> tokens_of(const TensorMap& tensors, const char* name) {
  const auto wide = values<std::int64_t>(tensors, name);
  return {wide.begin(), wide.end()};
}

}  // namespace

std::vector<Answer> serve(Model& model, DType kv_dtype, const std::vector<Prompt>& prompts, std::uint32_t block_size) {
  std::uint32_t blocks = 0;
  auto seqs = plan(prompts, block_size, blocks);
  auto pool = KvPool::create(model.kv_shape(block_size, blocks, kv_dtype));
  REQUIRE(pool);
  const std::size_t vocab = model.config().vocab_size;
  for (std::uint32_t step = 0; !std::ranges::all_of(seqs, &Sequence::finished); ++step) {
    std::vector<Sequence*> running;
    std::vector<ForwardSeq> batch;
    for (Sequence& s : seqs) {
      if (s.finished() || s.prompt->start > step) continue;
      running.push_back(&s);
      batch.push_back(s.next());
    }
    std::vector<float> logits(vocab * std::ranges::count_if(batch, &ForwardSeq::wants_logits));
    const auto r = model.forward(batch, **pool, logits, nullptr);
    if (!r) FAIL(r.error().message);
    std::size_t row = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      running[i]->done += static_cast<std::uint32_t>(batch[i].tokens.size());
      if (batch[i].wants_logits) take_logits(*running[i], std::span(logits).subspan(vocab * row++, vocab));
    }
  }
  std::vector<Answer> out;
  for (Sequence& s : seqs) out.push_back(std::move(s.answer));
  return out;
}

Answer serve_one(Model& model, DType kv_dtype, const Prompt& prompt, std::uint32_t block_size) {
  return serve(model, kv_dtype, {prompt}, block_size).front();
}

std::filesystem::path model_dir(const std::string& name) {
  const std::filesystem::path root(SLUICE_SOURCE_DIR);
  return name == "sluice-tiny" ? root / "models" / name : root / "tests/engine/golden" / name;
}

std::unique_ptr<Model> load(const std::string& name, const ModelOptions& options) {
  auto model = Model::load(model_dir(name), options);
  if (!model) FAIL(model.error().message);
  return std::move(*model);
}

std::vector<std::string> instruction_sets() {
  std::vector<std::string> out;
  for (const char* isa : {"scalar", "avx2", "avx512_nobf16", "avx512"})
    if (make_cpu_ops(Precision::f32, isa, 1)) out.emplace_back(isa);
  return out;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

Expected expected(const std::string& name) {
  std::ifstream in(model_dir(name) / "expected.safetensors", std::ios::binary);
  const std::string file{std::istreambuf_iterator<char>(in), {}};
  const auto tensors = parse_safetensors(std::as_bytes(std::span(file)));
  if (!tensors) FAIL(tensors.error().message);
  return {tokens_of(*tensors, "prompt"), tokens_of(*tensors, "tokens"), values<std::int64_t>(*tensors, "positions"),
          values<float>(*tensors, "prompt_logits"), values<float>(*tensors, "step_logits")};
}

}  // namespace sluice::test
