#pragma once
// A decoder-only transformer loaded from a Hugging Face directory, run one batch at a time.
//
// Threading: forward() is called by one thread at a time; config() and hash() from any.
// Failure: load() refuses unknown or unsupported configurations and checkpoints by name before any weight is read, and
// logs what it ignores.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "common/ids.h"
#include "common/result.h"
#include "engine/kv_pool.h"
#include "engine/model/model_config.h"
#include "engine/ops.h"

namespace sluice::engine {

/// Told the logits of every row of a sequence, block by block in order, once the last layer is computed.
class RowLogits {
 public:
  virtual ~RowLogits() = default;
  /// The rows of positions first_pos and following: [count, vocab_size], valid during the call. On the forward thread,
  /// which it holds up.
  virtual void on_rows(std::uint32_t first_pos, std::span<const float> logits) = 0;
};

/// Rows handed to RowLogits at once: bounds the memory that their logits take, whatever the batch.
inline constexpr std::uint32_t kLogitRows = 32;

/// Consecutive tokens of one sequence whose earlier KV is already in the pool.
struct ForwardSeq {
  std::span<const TokenId> tokens;  // tokens to compute now
  std::uint32_t first_pos = 0;      // position of tokens[0]
  std::span<const BlockId> blocks;  // covers [0, first_pos + tokens.size())
  bool wants_logits = false;        // logits of the last token
  RowLogits* rows = nullptr;        // logits of every token, with the same bits; null: nobody asks
};

/// Told when a layer's K and V of the whole batch are in the pool, while later layers still compute.
class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  /// Called on the forward thread; must not block for long (hand the work to another thread).
  virtual void on_layer(std::uint32_t layer) = 0;
};

struct ModelOptions {
  Precision precision = Precision::bf16;
  std::string isa = "auto";   // auto, scalar, avx2, avx512
  std::uint32_t threads = 0;  // 0: all cores
  /// Called on the loading thread after each tensor: bytes of weights read so far, bytes in all.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};
};

class Model {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Model>> load(const std::filesystem::path& dir, const ModelOptions& o);
  virtual ~Model() = default;

  [[nodiscard]] virtual const ModelConfig& config() const noexcept = 0;
  /// Digest over config and weights (hex); nodes that differ in it never exchange KV.
  [[nodiscard]] virtual const std::string& hash() const noexcept = 0;
  [[nodiscard]] virtual std::string_view backend() const noexcept = 0;

  /// Shape of a pool for this model with the given block size, count and element type.
  [[nodiscard]] virtual KvPoolShape kv_shape(std::uint32_t block_size, std::uint32_t num_blocks, DType dtype) const = 0;

  /// Computes the batch, writes K and V into the pool, and puts the logits of every sequence with wants_logits
  /// (in batch order) into logits: [count, vocab_size] f32. Rows that nobody asks about cost no logits.
  /// invalid_argument when a token id or position is out of range or a block table is too short; nothing is computed
  /// then.
  [[nodiscard]] virtual Result<> forward(std::span<const ForwardSeq> batch, KvPool& pool, std::span<float> logits,
                                         LayerObserver* observer) = 0;
};

}  // namespace sluice::engine
