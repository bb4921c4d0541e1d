#include "node/node_model.h"

#include <algorithm>
#include <filesystem>

#include "common/clock.h"
#include "common/log.h"
#include "engine/kv_sizing.h"
#include "node/machine_memory.h"

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
  id.backend = m.backend();
  id.precision = o.precision;
  id.version = SLUICE_VERSION;
  return id;
}

/// How many blocks of `one`'s kind the node has; `one` is a pool of one block.
Result<engine::KvSizing> size_pool(const NodeOptions& o, const engine::KvPoolShape& one, std::uint32_t context,
                                   std::uint32_t max_seqs) {
  engine::KvDemand d;
  d.available = static_cast<std::uint64_t>(static_cast<double>(free_memory()) * o.memory_share);
  d.token_bytes = 2ULL * one.layers * one.row_bytes();
  d.block_size = one.block_size;
  d.context = context;
  d.max_seqs = max_seqs;
  if (o.kv_memory_mib > 0) d.requested = std::uint64_t{o.kv_memory_mib} << 20U;
  SLUICE_ASSIGN(engine::KvSizing s, engine::size_kv_pool(d));
  if (!s.note.empty()) log::warn("KV memory", {{"note", s.note}});
  return s;
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

Result<NodeModel> load_node_model(const NodeOptions& o, std::uint32_t max_seqs) {
  engine::ModelOptions mo;
  mo.precision = o.precision == "f32" ? engine::Precision::f32 : engine::Precision::bf16;
  mo.isa = o.isa;
  mo.threads = o.threads;
  NodeModel n;
  SLUICE_ASSIGN(n.model, engine::Model::load(o.model_dir, mo));
  const engine::DType dtype = o.kv_dtype == "f32" ? engine::DType::f32 : engine::DType::bf16;
  engine::KvPoolShape shape = n.model->kv_shape(o.block_size, 1, dtype);
  SLUICE_ASSIGN(const engine::KvSizing size, size_pool(o, shape, n.model->config().max_position, max_seqs));
  shape.num_blocks = size.blocks;
  SLUICE_ASSIGN(n.pool, engine::KvPool::create(shape));
  n.identity = identity_of(*n.model, o);
  n.identity.max_context = size.longest;
  n.hash_prefix = prefix_of(n.model->hash());
  n.limits = {.max_batch_tokens = o.max_batch_tokens, .prefill_chunk = o.prefill_chunk};
  SLUICE_TRY(time_passes(n));
  log::info("model loaded", {{"model", n.identity.name},
                             {"hash", n.identity.hash},
                             {"backend", n.identity.backend},
                             {"kv_mib", size.bytes >> 20U},
                             {"kv_blocks", shape.num_blocks},
                             {"kv_tokens", std::uint64_t{shape.num_blocks} * shape.block_size}});
  return n;
}

}  // namespace sluice::node
