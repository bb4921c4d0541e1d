#include "tools/quality/lab.h"

#include <algorithm>
#include <fstream>

#include "kvtransfer/bytes.h"
#include "kvtransfer/codec/kernels/bf16.h"

namespace sluice::quality {
namespace {

constexpr std::uint32_t kBlock = 16;

kv::KvDType dtype_of(const engine::KvPoolShape& s) {
  return s.dtype == engine::DType::f32 ? kv::KvDType::f32 : kv::KvDType::bf16;
}

/// Adds squared error and power of `n` bf16 values.
void add_error(const std::byte* a, const std::byte* b, std::size_t n, double& error, double& power) {
  double e = 0, p = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = kv::bf16_to_f32(kv::load_le<std::uint16_t>(a + 2 * i));
    const double y = kv::bf16_to_f32(kv::load_le<std::uint16_t>(b + 2 * i));
    e += (x - y) * (x - y);
    p += x * x;
  }
  error += e;
  power += p;
}

}  // namespace

void Damage::grow(std::uint32_t layers) {
  if (error.size() < layers) error.resize(layers), power.resize(layers);
}

double Damage::worst(bool value) const {
  double most = 0;
  for (std::size_t l = 0; l < error.size(); ++l)
    if (power[l][value] > 0) most = std::max(most, error[l][value] / power[l][value]);
  return most;
}

Result<Lab> Lab::open(const std::string& model_dir, const LabOptions& o) {
  node::NodeOptions n;
  n.model_dir = model_dir;
  n.threads = o.threads;
  n.precision = o.precision;
  n.block_size = kBlock;
  n.kv_memory_mib = o.kv_memory_mib;
  SLUICE_ASSIGN(auto node, node::load_node_model(n));
  SLUICE_ASSIGN(auto tokenizer, text::Tokenizer::load(model_dir));
  return Lab(std::move(node), std::move(tokenizer), o);
}

Row Lab::row(std::uint32_t index, std::uint32_t tokens) const {
  Row r;
  const std::uint32_t each = (tokens + kBlock - 1) / kBlock;
  for (std::uint32_t b = 0; b < each; ++b) r.blocks.emplace_back(index * each + b);
  return r;
}

std::uint32_t Lab::rows_that_fit(std::uint32_t tokens) const {
  return shape().num_blocks / ((tokens + kBlock - 1) / kBlock);
}

Result<> Lab::run(Row& r, std::span<const TokenId> tokens, std::span<float> logits) {
  const engine::ForwardSeq s{tokens, r.pos, r.blocks, !logits.empty()};
  SLUICE_TRY(node_.model->forward({&s, 1}, *node_.pool, logits, nullptr));
  r.pos += static_cast<std::uint32_t>(tokens.size());
  return {};
}

Result<> Lab::step(std::span<Row> rows, std::span<const TokenId> tokens, std::span<float> logits) {
  std::vector<engine::ForwardSeq> batch;
  for (std::size_t i = 0; i < rows.size(); ++i)
    batch.push_back({tokens.subspan(i, 1), rows[i].pos, rows[i].blocks, true});
  SLUICE_TRY(node_.model->forward(batch, *node_.pool, logits, nullptr));
  for (Row& r : rows) ++r.pos;
  return {};
}

Result<> Lab::pass(const kv::Codec& c, const Row& from, const Row& to, std::uint32_t tokens, Damage* damage) {
  const auto& s = shape();
  const bool measured = damage != nullptr && s.dtype == engine::DType::bf16;
  if (damage != nullptr) damage->grow(s.layers);
  for (std::uint32_t layer = 0; layer < s.layers; ++layer)
    for (const bool value : {false, true})
      for (std::uint32_t first = 0; first < tokens; first += options_.segment_tokens) {
        const kv::SegmentShape shape{.tokens = std::min(options_.segment_tokens, tokens - first),
                                     .kv_heads = s.kv_heads,
                                     .head_dim = s.head_dim,
                                     .dtype = dtype_of(s),
                                     .kind = value ? kv::KvKind::value : kv::KvKind::key,
                                     .layer = layer,
                                     .first_token = first,
                                     .layers = s.layers,
                                     .end_token = tokens};
        std::vector<const std::byte*> in;
        std::vector<std::byte*> out;
        for (std::uint32_t b = first / kBlock; b * kBlock < first + shape.tokens; ++b) {
          in.push_back(node_.pool->block(layer, value, from.blocks[b]));
          out.push_back(node_.pool->block(layer, value, to.blocks[b]));
        }
        const std::uint32_t skip = first % kBlock;
        const kv::ConstRows source{in, kBlock, skip, shape.row_bytes()};
        blob_.resize(c.max_encoded_size(shape));
        SLUICE_ASSIGN(const std::size_t n, c.encode(shape, source, blob_, scratch_));
        // Decoded beside first, so that `to` may be `from`.
        decoded_.resize(shape.raw_bytes());
        std::byte* page = decoded_.data();
        SLUICE_TRY(
            c.decode(shape, std::span(blob_).first(n), {{&page, 1}, shape.tokens, 0, shape.row_bytes()}, scratch_));
        const kv::MutRows target{out, kBlock, skip, shape.row_bytes()};
        for (std::uint32_t r = 0; r < shape.tokens; ++r) {
          const std::byte* row = page + r * shape.row_bytes();
          if (measured)
            add_error(source.row(r), row, shape.row_bytes() / 2, damage->error[layer][value],
                      damage->power[layer][value]);
          std::copy_n(row, shape.row_bytes(), target.row(r));
        }
        if (damage == nullptr) continue;
        damage->raw_bytes += shape.raw_bytes();
        damage->wire_bytes += n;
        damage->segment_ratios.push_back(static_cast<double>(shape.raw_bytes()) / static_cast<double>(n));
      }
  return {};
}

const std::byte* Lab::vector(const Row& r, std::uint32_t layer, bool value, std::uint32_t t, std::uint32_t head) {
  const auto& s = shape();
  return node_.pool->block(layer, value, r.blocks[t / kBlock]) + t % kBlock * s.row_bytes() +
         std::size_t{head} * s.head_dim * engine::size_of(s.dtype);
}

Result<std::vector<TokenId>> windows_of_text(const Lab& lab, const std::string& all, std::uint32_t window) {
  SLUICE_ASSIGN(const auto text, lab.tokenizer().encode(all, false));
  std::vector<TokenId> windows;
  for (std::size_t i = 0; i + window - 1 <= text.size(); i += window - 1) {
    windows.push_back(lab.tokenizer().bos_id().value_or(text[i]));
    windows.insert(windows.end(), text.begin() + static_cast<std::ptrdiff_t>(i),
                   text.begin() + static_cast<std::ptrdiff_t>(i + window - 1));
  }
  return windows;
}

Result<std::vector<TokenId>> text_windows(const Lab& lab, const std::filesystem::path& file, std::uint32_t window) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(Errc::not_found, "cannot read {}", file.string());
  const std::string all{std::istreambuf_iterator<char>(in), {}};
  SLUICE_ASSIGN(auto windows, windows_of_text(lab, all, window));
  if (windows.empty()) return fail(Errc::invalid_argument, "{} has fewer than {} tokens", file.string(), window);
  return windows;
}

}  // namespace sluice::quality
