#pragma once
// A model under a microscope: runs it, puts the KV of a prompt through a codec, and says what that does to the KV.
//
// Threading: one thread at a time; the engine uses its own.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kvtransfer/codec/codec.h"
#include "node/node_model.h"
#include "text/tokenizer/tokenizer.h"

namespace sluice::quality {

/// One sequence with its own blocks.
struct Row {
  std::vector<BlockId> blocks;
  std::uint32_t pos = 0;
};

/// What a codec did to the KV that went through it.
struct Damage {
  std::uint64_t raw_bytes = 0, wire_bytes = 0;
  std::vector<double> segment_ratios;
  /// Squared error and power by [layer][0 K, 1 V].
  std::vector<std::array<double, 2>> error, power;
  void grow(std::uint32_t layers);
  /// Squared error over power of the layer where it is largest.
  [[nodiscard]] double worst(bool value) const;
};

struct LabOptions {
  std::string precision = "bf16";  // of weights and KV: bf16 or f32; codecs but raw and ll carry bf16
  std::uint32_t threads = 0;       // 0: all cores
  std::uint32_t kv_memory_mib = 512;
  std::uint32_t segment_tokens = 256;  // of a transfer's segments
};

class Lab {
 public:
  /// Fails as load_node_model() does.
  [[nodiscard]] static Result<Lab> open(const std::string& model_dir, const LabOptions& o);

  /// Blocks of row `index` of rows that hold `tokens` each. Rows with other indices or sizes may share blocks.
  [[nodiscard]] Row row(std::uint32_t index, std::uint32_t tokens) const;
  /// How many rows of `tokens` fit.
  [[nodiscard]] std::uint32_t rows_that_fit(std::uint32_t tokens) const;
  /// Appends tokens to a row; logits [vocab] of the last one, or empty.
  [[nodiscard]] Result<> run(Row& r, std::span<const TokenId> tokens, std::span<float> logits);
  /// One token on each row; logits [rows, vocab].
  [[nodiscard]] Result<> step(std::span<Row> rows, std::span<const TokenId> tokens, std::span<float> logits);
  /// Puts the KV of positions [0, tokens) of `from` through a codec into `to`; damage, if any, is added to. end: tokens
  /// of the sequence.
  [[nodiscard]] Result<> pass(const kv::Codec& c, const Row& from, const Row& to, std::uint32_t tokens, Damage* damage);
  /// KV values of [0, tokens): calls fn(layer, value?, head, position, head_dim bf16 values).
  template <class Fn>
  void each_vector(const Row& r, std::uint32_t tokens, Fn&& fn) {
    const auto& s = node_.pool->shape();
    for (std::uint32_t layer = 0; layer < s.layers; ++layer)
      for (const bool value : {false, true})
        for (std::uint32_t t = 0; t < tokens; ++t)
          for (std::uint32_t h = 0; h < s.kv_heads; ++h) fn(layer, value, h, t, vector(r, layer, value, t, h));
  }

  [[nodiscard]] const text::Tokenizer& tokenizer() const noexcept { return tokenizer_; }
  [[nodiscard]] std::uint32_t vocab() const { return node_.model->config().vocab_size; }
  [[nodiscard]] const engine::KvPoolShape& shape() const { return node_.pool->shape(); }
  [[nodiscard]] std::string model_hash() const { return node_.identity.hash; }
  [[nodiscard]] std::uint32_t segment_tokens() const noexcept { return options_.segment_tokens; }

 private:
  Lab(node::NodeModel n, text::Tokenizer t, const LabOptions& o)
      : node_(std::move(n)), tokenizer_(std::move(t)), options_(o) {}
  [[nodiscard]] const std::byte* vector(const Row& r, std::uint32_t layer, bool value, std::uint32_t t,
                                        std::uint32_t head);

  node::NodeModel node_;
  text::Tokenizer tokenizer_;
  LabOptions options_;
  std::vector<std::byte> blob_, decoded_;
  kv::CodecScratch scratch_;
};

/// Windows of `window` tokens from a text: the beginning token, then consecutive text; none if it is too short.
[[nodiscard]] Result<std::vector<TokenId>> windows_of_text(const Lab& lab, const std::string& text,
                                                           std::uint32_t window);
/// The same from a file; invalid_argument if it is too short.
[[nodiscard]] Result<std::vector<TokenId>> text_windows(const Lab& lab, const std::filesystem::path& file,
                                                        std::uint32_t window);

}  // namespace sluice::quality
