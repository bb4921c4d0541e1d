#include "engine/model/llama.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "engine/model/llama_batch.h"

namespace sluice::engine {
namespace {

/// Grows and never shrinks; contents are lost on growth.
class FloatBuffer {
 public:
  FloatBuffer() = default;
  ~FloatBuffer() { ::operator delete[](data_, kAlign); }
  FloatBuffer(const FloatBuffer&) = delete;
  FloatBuffer& operator=(const FloatBuffer&) = delete;

  float* reserve(std::size_t count) {
    if (count > capacity_) {
      ::operator delete[](std::exchange(data_, nullptr), kAlign);
      capacity_ = 0;
      data_ = static_cast<float*>(::operator new[](count * sizeof(float), kAlign));
      capacity_ = count;
    }
    return data_;
  }
  [[nodiscard]] float* data() noexcept { return data_; }

 private:
  static constexpr std::align_val_t kAlign{64};
  float* data_ = nullptr;
  std::size_t capacity_ = 0;
};

const float* bias_or_null(const std::vector<float>& bias) { return bias.empty() ? nullptr : bias.data(); }

// Rows of the MLP computed at once: bounds its buffers (2 * ffn floats a row) whatever the batch.
constexpr std::uint32_t kMlpRows = 512;

class LlamaModel final : public Model {
 public:
  LlamaModel(ModelConfig config, Weights weights, std::unique_ptr<Ops> ops)
      : c_(std::move(config)),
        w_(std::move(weights)),
        ops_(std::move(ops)),
        qkv_width_(c_.q_size() + 2 * c_.kv_size()) {}

  const ModelConfig& config() const noexcept override { return c_; }
  const std::string& hash() const noexcept override { return w_.hash; }
  std::string_view backend() const noexcept override { return ops_->backend(); }
  KvPoolShape kv_shape(std::uint32_t block_size, std::uint32_t num_blocks, DType dtype) const override {
    return {c_.layers, c_.kv_heads, c_.head_dim, block_size, num_blocks, dtype};
  }

  Result<> forward(std::span<const ForwardSeq> batch, KvPool& pool, std::span<float> logits,
                   LayerObserver* observer) override {
    SLUICE_TRY(check_batch(c_, batch, pool.shape(), logits.size()));
    if (batch.empty()) return {};
    rows_.assign(batch);
    reserve(rows_.count());
    embed(batch);
    std::uint32_t rows = rows_.count();
    std::span<const AttentionSeq> seqs = rows_.seqs();
    for (std::uint32_t layer = 0; layer < c_.layers; ++layer) {
      write_kv(layer, pool);
      if (observer) observer->on_layer(layer);
      if (layer + 1 == c_.layers) {
        // Past the last KV, only the wanted rows matter; a prefill node may want none.
        if (rows_.wanted().empty()) return {};
        keep_wanted_rows();
        rows = static_cast<std::uint32_t>(rows_.wanted().size());
        seqs = rows_.wanted_seqs();
      }
      attend(layer, pool, seqs, rows);
      mlp(w_.layers[layer], rows);
    }
    ops_->rms_norm(x_.data(), w_.final_norm.data(), c_.rms_eps, normed_.data(), rows, c_.hidden_size, c_.hidden_size,
                   c_.hidden_size);
    head(logits.data());
    return {};
  }

 private:
  // normed_ -> logits of the wanted rows, to whoever reads them.
  void head(float* logits) {
    for (const HeadRows& h : rows_.heads()) {
      const float* x = normed_.data() + std::size_t{h.first} * c_.hidden_size;
      if (h.rows == nullptr) {
        ops_->matmul(x, *w_.head, nullptr, logits, h.count);
        logits += std::size_t{h.count} * c_.vocab_size;
        continue;
      }
      for (std::uint32_t done = 0; done < h.count; done += kLogitRows) {
        const std::uint32_t m = std::min(kLogitRows, h.count - done);
        float* block = row_logits_.reserve(std::size_t{m} * c_.vocab_size);
        ops_->matmul(x + std::size_t{done} * c_.hidden_size, *w_.head, nullptr, block, m);
        h.rows->on_rows(h.first_pos + done, {block, std::size_t{m} * c_.vocab_size});
      }
    }
  }

  void reserve(std::size_t rows) {
    const std::size_t mlp_rows = std::min<std::size_t>(rows, kMlpRows);
    x_.reserve(rows * c_.hidden_size);
    normed_.reserve(rows * c_.hidden_size);
    delta_.reserve(rows * c_.hidden_size);
    qkv_.reserve(rows * qkv_width_);
    attended_.reserve(rows * c_.q_size());
    gate_up_.reserve(mlp_rows * 2 * c_.ffn_size);
    ffn_.reserve(mlp_rows * c_.ffn_size);
  }

  void embed(std::span<const ForwardSeq> batch) {
    float* x = x_.data();
    for (const ForwardSeq& s : batch)
      for (const TokenId t : s.tokens) {
        w_.embedding.row(t, x);
        x += c_.hidden_size;
      }
  }

  // x -> q, k, v of every row; k and v into the pool, q stays in qkv_.
  void write_kv(std::uint32_t layer, KvPool& pool) {
    const LayerWeights& w = w_.layers[layer];
    const std::uint32_t m = rows_.count();
    ops_->rms_norm(x_.data(), w.input_norm.data(), c_.rms_eps, normed_.data(), m, c_.hidden_size, c_.hidden_size,
                   c_.hidden_size);
    ops_->matmul(normed_.data(), *w.qkv, bias_or_null(w.qkv_bias), qkv_.data(), m);
    if (c_.qk_norm) {
      norm_heads(qkv_.data(), w.q_norm.data(), c_.heads, m);
      norm_heads(qkv_.data() + c_.q_size(), w.k_norm.data(), c_.kv_heads, m);
    }
    // q and k lie side by side, so one call turns the heads of both.
    ops_->rope(qkv_.data(), qkv_width_, c_.heads + c_.kv_heads, c_.head_dim, rows_.positions(), c_.inv_freq.data(),
               static_cast<float>(c_.rope.attention_factor), m);
    ops_->kv_write({.k = qkv_.data() + c_.q_size(),
                    .v = qkv_.data() + c_.q_size() + c_.kv_size(),
                    .stride = qkv_width_,
                    .k_pool = pool.keys(layer),
                    .v_pool = pool.values(layer),
                    .kv_dtype = pool.shape().dtype,
                    .row_values = c_.kv_size(),
                    .block_size = pool.shape().block_size,
                    .seqs = rows_.seqs()});
  }

  // Qwen3: each head of each row is normed by itself. Heads are head_dim apart within a row and qkv_width_ apart
  // between rows, so a call covers either one row's heads or one head's rows; take whichever makes fewer calls.
  void norm_heads(float* x, const float* weight, std::uint32_t heads, std::uint32_t m) {
    const std::uint32_t d = c_.head_dim;
    if (m <= heads) {
      for (std::size_t r = 0; r < m; ++r)
        ops_->rms_norm(x + r * qkv_width_, weight, c_.rms_eps, x + r * qkv_width_, heads, d, d, d);
    } else {
      for (std::size_t h = 0; h < heads; ++h)
        ops_->rms_norm(x + h * d, weight, c_.rms_eps, x + h * d, m, d, qkv_width_, qkv_width_);
    }
  }

  // Moves the wanted rows of x and q to the front. Row i comes from a row >= i, so ascending order is safe.
  void keep_wanted_rows() {
    const std::span<const std::uint32_t> wanted = rows_.wanted();
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i] == i) continue;
      std::memcpy(x_.data() + i * c_.hidden_size, x_.data() + std::size_t{wanted[i]} * c_.hidden_size,
                  c_.hidden_size * sizeof(float));
      std::memcpy(qkv_.data() + i * qkv_width_, qkv_.data() + std::size_t{wanted[i]} * qkv_width_,
                  c_.q_size() * sizeof(float));
    }
  }

  // x += W_o attention(q, pool)
  void attend(std::uint32_t layer, KvPool& pool, std::span<const AttentionSeq> seqs, std::uint32_t rows) {
    ops_->attention({.q = qkv_.data(),
                     .q_stride = qkv_width_,
                     .k = pool.keys(layer),
                     .v = pool.values(layer),
                     .kv_dtype = pool.shape().dtype,
                     .heads = c_.heads,
                     .kv_heads = c_.kv_heads,
                     .head_dim = c_.head_dim,
                     .block_size = pool.shape().block_size,
                     .window = c_.window[layer],
                     .scale = 1.0F / std::sqrt(static_cast<float>(c_.head_dim)),
                     .seqs = seqs,
                     .out = attended_.data()});
    const LayerWeights& w = w_.layers[layer];
    ops_->matmul(attended_.data(), *w.out, bias_or_null(w.out_bias), delta_.data(), rows);
    ops_->add(x_.data(), delta_.data(), std::size_t{rows} * c_.hidden_size);
  }

  // x += W_down (silu(W_gate n) * W_up n), n = norm(x)
  void mlp(const LayerWeights& w, std::uint32_t rows) {
    for (std::uint32_t begin = 0; begin < rows; begin += kMlpRows) {
      const std::uint32_t m = std::min(kMlpRows, rows - begin);
      float* x = x_.data() + std::size_t{begin} * c_.hidden_size;
      ops_->rms_norm(x, w.post_norm.data(), c_.rms_eps, normed_.data(), m, c_.hidden_size, c_.hidden_size,
                     c_.hidden_size);
      ops_->matmul(normed_.data(), *w.gate_up, bias_or_null(w.gate_up_bias), gate_up_.data(), m);
      ops_->silu_mul(gate_up_.data(), ffn_.data(), m, c_.ffn_size);
      ops_->matmul(ffn_.data(), *w.down, bias_or_null(w.down_bias), delta_.data(), m);
      ops_->add(x, delta_.data(), std::size_t{m} * c_.hidden_size);
    }
  }

  const ModelConfig c_;
  const Weights w_;
  const std::unique_ptr<Ops> ops_;
  const std::uint32_t qkv_width_;  // one row of qkv_: q, k, v
  BatchRows rows_;
  FloatBuffer x_, normed_, delta_;  // [rows, hidden]
  FloatBuffer qkv_;                 // [rows, qkv_width_]
  FloatBuffer attended_;            // [rows, q_size]
  FloatBuffer gate_up_, ffn_;       // [kMlpRows, 2 * ffn], [kMlpRows, ffn]
  FloatBuffer row_logits_;          // [kLogitRows, vocab], once somebody asks
};

}  // namespace

std::unique_ptr<Model> make_llama(ModelConfig config, Weights weights, std::unique_ptr<Ops> ops) {
  return std::make_unique<LlamaModel>(std::move(config), std::move(weights), std::move(ops));
}

}  // namespace sluice::engine
