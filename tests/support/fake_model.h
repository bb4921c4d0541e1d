#pragma once
// A model without arithmetic: its KV is a function of (token, position, layer) and its next token of the KV it reads,
// so a test sees at once whether the right KV reached the right place.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "engine/model/model.h"

namespace sluice::test {

class FakeModel final : public engine::Model {
 public:
  static constexpr std::uint32_t kVocab = 97;

  FakeModel() {
    config_.layers = 3;
    config_.heads = config_.kv_heads = 2;
    config_.head_dim = 16;
    config_.vocab_size = kVocab;
    config_.max_position = 4096;
    config_.eos = {0};
  }
  const engine::ModelConfig& config() const noexcept override { return config_; }
  const std::string& hash() const noexcept override { return hash_; }
  std::string_view backend() const noexcept override { return "fake"; }
  engine::KvPoolShape kv_shape(std::uint32_t block_size, std::uint32_t blocks, engine::DType t) const override {
    return {config_.layers, config_.kv_heads, config_.head_dim, block_size, blocks, t};
  }

  /// The first value of a KV row.
  static std::uint16_t mark(TokenId token, std::uint32_t pos, std::uint32_t layer, bool value) {
    return static_cast<std::uint16_t>((static_cast<std::uint32_t>(token) * 31 + pos * 7 + layer * 3 + (value ? 1 : 0)) &
                                      0x3fffU);
  }

  Result<> forward(std::span<const engine::ForwardSeq> batch, engine::KvPool& pool, std::span<float> logits,
                   engine::LayerObserver* observer) override {
    if (fail_next) {
      fail_next = false;
      return fail(Errc::internal, "made to fail");
    }
    for (std::uint32_t layer = 0; layer < config_.layers; ++layer) {
      for (const auto& seq : batch)
        for (std::uint32_t i = 0; i < seq.tokens.size(); ++i)
          for (const bool value : {false, true}) put(pool, seq, layer, value, seq.first_pos + i, seq.tokens[i]);
      if (observer != nullptr) observer->on_layer(layer);
    }
    std::size_t at = 0;
    for (const auto& seq : batch) {
      const auto rows = static_cast<std::uint32_t>(seq.tokens.size());
      if (seq.rows != nullptr) {
        std::vector<float> block;
        for (std::uint32_t i = 0; i < rows; ++i) {
          const auto said = say(pool, seq, seq.first_pos + i);
          block.insert(block.end(), said.begin(), said.end());
          if ((i + 1) % engine::kLogitRows != 0 && i + 1 != rows) continue;
          const auto count = static_cast<std::uint32_t>(block.size() / kVocab);
          seq.rows->on_rows(seq.first_pos + i + 1 - count, block);
          block.clear();
        }
      }
      if (!seq.wants_logits) continue;
      std::ranges::copy(say(pool, seq, seq.first_pos + rows - 1), logits.begin() + static_cast<std::ptrdiff_t>(at));
      at += kVocab;
    }
    if (at_end) at_end();
    return {};
  }

  bool fail_next = false;
  std::atomic<bool> poison = false;  // logits hold NaN from now on
  std::function<void()> at_end;      // called when a pass is computed, before forward() returns

 private:
  /// The logits at a position, from the KV up to it.
  std::vector<float> say(engine::KvPool& pool, const engine::ForwardSeq& seq, std::uint32_t last) const {
    std::uint32_t sum = 0;
    for (std::uint32_t pos = 0; pos <= last; ++pos)
      for (std::uint32_t layer = 0; layer < config_.layers; ++layer)
        for (const bool value : {false, true}) {
          std::uint16_t m = 0;
          std::memcpy(&m, row(pool, seq, layer, value, pos, pool.shape()), sizeof m);
          sum = sum * 33 + m;
        }
    std::vector<float> out(kVocab, 0.0F);
    out[1 + sum % (kVocab - 1)] = poison ? std::numeric_limits<float>::quiet_NaN() : 10.0F;
    return out;
  }
  static std::byte* row(engine::KvPool& pool, const engine::ForwardSeq& seq, std::uint32_t layer, bool value,
                        std::uint32_t pos, const engine::KvPoolShape& s) {
    return pool.block(layer, value, seq.blocks[pos / s.block_size]) + std::size_t{pos % s.block_size} * s.row_bytes();
  }
  void put(engine::KvPool& pool, const engine::ForwardSeq& seq, std::uint32_t layer, bool value, std::uint32_t pos,
           TokenId token) {
    const std::uint16_t m = mark(token, pos, layer, value);
    std::byte* r = row(pool, seq, layer, value, pos, pool.shape());
    for (std::size_t i = 0; i < pool.shape().row_bytes(); i += 2) std::memcpy(r + i, &m, sizeof m);
  }

  engine::ModelConfig config_;
  std::string hash_ = "fa4e";
};

}  // namespace sluice::test
