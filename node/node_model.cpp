#include "node/node_model.h"

#include <algorithm>
#include <filesystem>

#include "common/clock.h"
#include "common/log.h"

namespace sluice::node {
namespace {

std::uint64_t prefix_of(const std::string& hex) {
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(hex.size(), 16); ++i)
    v = v << 4U | static_cast<std::uint64_t>(hex[i] <= '9' ? hex[i] - '0' : (hex[i] | 0x20) - 'a' + 10);
  return v;
}

control::ModelIdentity identity_of(const engine::Model& m, const NodeOptions& o) {
  const engine::ModelConfig& c = m.config();
  control::ModelIdentity id;
  const auto dir = std::filesystem::weakly_canonical(o.model_dir).lexically_normal();
  id.name = o.model_name.empty() ? dir.filename().string() : o.model_name;
  id.hash = m.hash();
  id.layers = c.layers;
  id.kv_heads = c.kv_heads;
  id.head_dim = c.head_dim;
  id.kv_dtype = o.kv_dtype;
  id.vocab_size = c.vocab_size;
  id.max_context = c.max_position;
  id.backend = m.backend();
  id.precision = o.precision;
  return id;
}

/// Times a chunk of a made-up prompt and a step after it, in blocks that nobody owns yet.
Result<> time_passes(NodeModel& n) {
  constexpr std::uint32_t kChunk = 256;
  constexpr int kRounds = 3;
  const engine::KvPoolShape& shape = n.pool->shape();
  const engine::ModelConfig& c = n.model->config();
  const std::uint64_t room =
      std::min<std::uint64_t>(std::uint64_t{shape.num_blocks} * shape.block_size, c.max_position);
  const auto chunk = static_cast<std::uint32_t>(std::min<std::uint64_t>(kChunk, room - 1));
  if (chunk == 0) return {};
  std::vector<TokenId> tokens(chunk);
  for (std::uint32_t i = 0; i < chunk; ++i) tokens[i] = static_cast<TokenId>(i % c.vocab_size);
  std::vector<BlockId> blocks;
  for (std::uint32_t b = 0; b * shape.block_size <= chunk; ++b) blocks.emplace_back(b);
  std::vector<float> logits(c.vocab_size);
  const SteadyClock clock;
  for (int i = 0; i < kRounds; ++i) {
    const engine::ForwardSeq prompt{tokens, 0, blocks, false};
    const TimePoint t0 = clock.now();
    SLUICE_TRY(n.model->forward({&prompt, 1}, *n.pool, {}, nullptr));
    const TimePoint t1 = clock.now();
    const engine::ForwardSeq step{std::span(tokens).first(1), chunk, blocks, true};
    SLUICE_TRY(n.model->forward({&step, 1}, *n.pool, logits, nullptr));
    const double step_s = seconds(clock.now() - t1);
    n.prefill_tokens_per_s = std::max(n.prefill_tokens_per_s, chunk / std::max(seconds(t1 - t0), 1e-9));
    n.step_s = i == 0 ? step_s : std::min(n.step_s, step_s);
  }
  return {};
}

}  // namespace

Result<NodeModel> load_node_model(const NodeOptions& o) {
  engine::ModelOptions mo;
  mo.precision = o.precision == "f32" ? engine::Precision::f32 : engine::Precision::bf16;
  mo.isa = o.isa;
  mo.threads = o.threads;
  NodeModel n;
  SLUICE_ASSIGN(n.model, engine::Model::load(o.model_dir, mo));
  const engine::DType dtype = o.kv_dtype == "f32" ? engine::DType::f32 : engine::DType::bf16;
  engine::KvPoolShape shape = n.model->kv_shape(o.block_size, 1, dtype);
  const std::uint64_t per_block = 2ULL * shape.layers * shape.block_bytes();
  const std::uint64_t blocks = (std::uint64_t{o.kv_memory_mib} << 20U) / per_block;
  if (blocks == 0)
    return fail(Errc::invalid_argument, "--kv-memory-mib {} holds no block of {} bytes; raise it or lower --block-size",
                o.kv_memory_mib, per_block);
  shape.num_blocks = static_cast<std::uint32_t>(std::min<std::uint64_t>(blocks, UINT32_MAX));
  SLUICE_ASSIGN(n.pool, engine::KvPool::create(shape));
  n.identity = identity_of(*n.model, o);
  n.hash_prefix = prefix_of(n.model->hash());
  n.limits = {.max_batch_tokens = o.max_batch_tokens, .prefill_chunk = o.prefill_chunk};
  SLUICE_TRY(time_passes(n));
  log::info("model loaded", {{"model", n.identity.name},
                             {"hash", n.identity.hash},
                             {"backend", n.identity.backend},
                             {"kv_blocks", shape.num_blocks},
                             {"kv_tokens", std::uint64_t{shape.num_blocks} * shape.block_size}});
  return n;
}

}  // namespace sluice::node
