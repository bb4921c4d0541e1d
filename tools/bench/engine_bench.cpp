// The engine on a CPU: whole models of random weights through Model::forward, and the two heavy operations alone.
//
// Prefill is held against the GEMM speed of oneDNN, decode against the speed of reading memory; both are measured
// between our own repetitions, so that a busy machine slows both sides alike. Figures of one thread count its CPU time.
#include <functional>
#include <random>

#include "engine/cpu/cpu_ops.h"
#include "engine/kv_pool.h"
#include "engine/model/model.h"
#include "tools/bench/bench_util.h"
#include "tools/bench/engine_gemm.h"
#include "tools/bench/engine_model.h"

namespace sluice::bench {
namespace {

using engine::AttentionSeq;
using engine::DType;
using engine::Precision;

constexpr std::uint32_t kBlockSize = 16, kContext = 512;

struct Medians {
  double ours = 0, reference = 0;
};

/// Medians of `rounds` samples of each side, taken in turns after one round to warm up.
Medians in_turns(std::size_t rounds, const std::function<double()>& ours, const std::function<double()>& reference) {
  std::vector<double> a, b;
  for (std::size_t r = 0; r <= rounds; ++r) {
    const double x = ours(), y = reference();
    if (r == 0) continue;
    a.push_back(x);
    b.push_back(y);
  }
  return {median(std::move(a)), median(std::move(b))};
}

/// What every figure is held against, for one number of threads.
struct Limits {
  explicit Limits(std::uint32_t threads_, bool quick_)
      : threads(threads_),
        quick(quick_),
        gemm(Precision::bf16, {1024, 2048, 2048}, threads_),
        memory(threads_, quick_) {}

  Figure against_gemm(std::string name, double flops, const std::function<double()>& seconds) {
    const auto m = in_turns(rounds(), seconds, [&] { return gemm.run(); });
    return {std::move(name), flops / m.ours * 1e-9, "GFLOP/s",
            Measured{gemm.name(), gemm.flops() / m.reference * 1e-9, "GFLOP/s"}};
  }
  Figure against_memory(std::string name, double bytes, const std::function<double()>& seconds) {
    const auto m = in_turns(2 * rounds(), seconds, [&] { return memory.read(); });
    return {std::move(name), bytes / m.ours * 1e-9, "GB/s", Measured{"memory read", m.reference * 1e-9, "GB/s"}};
  }
  [[nodiscard]] std::size_t rounds() const { return quick ? 2 : 7; }

  std::uint32_t threads;
  bool quick;
  ReferenceGemm gemm;
  MemoryProbe memory;
};

/// Ordinary values in every slot of a bf16 pool.
void fill_with_noise(engine::KvPool& pool) {
  std::mt19937 gen(1);
  std::normal_distribution<float> normal;
  std::vector<std::uint16_t> values(4099);
  for (auto& v : values) v = engine::f32_to_bf16(normal(gen));
  const auto& shape = pool.shape();
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer)
    for (std::byte* plane : {pool.keys(layer), pool.values(layer)})
      for (std::size_t i = 0; i < shape.block_bytes() * shape.num_blocks / 2; ++i)
        reinterpret_cast<std::uint16_t*>(plane)[i] = values[i % values.size()];
}

/// A pool and `count` sequences of consecutive blocks in it, each long enough for `length` tokens.
class Sequences {
 public:
  [[nodiscard]] static Result<Sequences> create(const engine::Model& model, std::uint32_t threads, std::uint32_t count,
                                                std::uint32_t length) {
    const std::uint32_t each = (length + kBlockSize - 1) / kBlockSize;
    Sequences s;
    s.threads_ = threads;
    SLUICE_ASSIGN(s.pool_, engine::KvPool::create(model.kv_shape(kBlockSize, count * each, DType::bf16)));
    fill_with_noise(*s.pool_);
    for (std::uint32_t b = 0; b < count * each; ++b) s.blocks_.emplace_back(b);
    for (std::uint32_t t = 0; t < length; ++t) s.tokens_.push_back(static_cast<TokenId>(t * 7 % 1000));
    for (std::uint32_t i = 0; i < count; ++i) {
      s.seqs_.emplace_back();
      s.seqs_.back().blocks = std::span(s.blocks_).subspan(std::size_t{i} * each, each);
    }
    s.logits_.resize(std::size_t{count} * model.config().vocab_size);
    return s;
  }

  /// Seconds of one forward pass over `tokens` tokens of each sequence from position `first`.
  double forward(engine::Model& model, std::uint32_t first, std::uint32_t tokens) {
    for (auto& s : seqs_) {
      s.first_pos = first;
      s.tokens = std::span(tokens_).first(tokens);
      s.wants_logits = true;
    }
    Result<> done;
    const double seconds = seconds_of(threads_, [&] { done = model.forward(seqs_, *pool_, logits_, nullptr); });
    if (!done) throw std::logic_error(done.error().message);  // our own arguments were wrong
    return seconds;
  }

 private:
  std::uint32_t threads_ = 0;
  std::unique_ptr<engine::KvPool> pool_;
  std::vector<BlockId> blocks_;
  std::vector<TokenId> tokens_;
  std::vector<engine::ForwardSeq> seqs_;
  std::vector<float> logits_;
};

/// Floating-point operations of a prefill of `tokens` tokens with the last token's logits. The last layer's work past
/// its keys and values is done for one row only, and counted so.
double prefill_flops(const SyntheticShape& s, double tokens) {
  const double q = double{1} * s.heads * s.head_dim, kv = double{1} * s.kv_heads * s.head_dim;
  const double layer = s.layer_weights() / s.layers, last_rows = s.hidden * (q + 2 * kv);
  const double products = tokens * (layer * (s.layers - 1) + last_rows) + (layer - last_rows) + s.head_weights();
  const double pairs = (s.layers - 1) * tokens * (tokens + 1) / 2 + tokens;
  return 2 * products + 4 * pairs * q;
}

/// Bytes a decode step must read: the weights once, and every sequence's keys and values.
double decode_bytes(const SyntheticShape& s, double batch) {
  const double kv = 2.0 * s.kv_heads * s.head_dim * 2 * kContext * s.layers;
  return 2 * (s.layer_weights() + s.head_weights()) + batch * kv;
}

/// One model at one number of threads.
Result<> bench_model(const SyntheticShape& shape, const SyntheticModel& files, Limits& limits,
                     std::vector<Figure>& figures) {
  SLUICE_ASSIGN(auto model, engine::Model::load(files.dir(), {Precision::bf16, "auto", limits.threads}));
  const auto label = [&](std::string_view what) {
    return fmt::format("hidden {} {} threads {}", shape.hidden, what, limits.threads);
  };
  const auto add = [&](Figure speed, double per_second) {
    figures.push_back({speed.name, per_second, "tokens/s", {}});
    speed.name += ", hardware use";
    figures.push_back(std::move(speed));
  };
  const std::vector<std::uint32_t> prompts =
      limits.quick ? std::vector<std::uint32_t>{512} : std::vector<std::uint32_t>{512, 1024, 2048};
  for (const std::uint32_t tokens : prompts) {
    SLUICE_ASSIGN(auto one, Sequences::create(*model, limits.threads, 1, tokens));
    const double flops = prefill_flops(shape, tokens);
    auto speed = limits.against_gemm(label(fmt::format("prefill {}", tokens)), flops,
                                     [&] { return one.forward(*model, 0, tokens); });
    const double per_second = tokens * speed.value * 1e9 / flops;
    add(std::move(speed), per_second);
  }
  for (const std::uint32_t batch : {1U, 4U, 16U}) {
    SLUICE_ASSIGN(auto many, Sequences::create(*model, limits.threads, batch, kContext));
    const double bytes = decode_bytes(shape, batch);
    auto speed = limits.against_memory(label(fmt::format("decode batch {}", batch)), bytes,
                                       [&] { return many.forward(*model, kContext - 1, 1); });
    const double per_second = batch * speed.value * 1e9 / bytes;
    add(std::move(speed), per_second);
  }
  return {};
}

/// One product, in copies that together outgrow the caches.
Result<> bench_matmul(Limits& limits, std::vector<Figure>& figures) {
  constexpr std::uint32_t n = 2048, k = 2048, copies = 16;
  SLUICE_ASSIGN(auto ops, engine::make_cpu_ops(Precision::bf16, "auto", limits.threads));
  std::vector<std::uint16_t> weights(std::size_t{n} * k);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = engine::f32_to_bf16(0.5F + static_cast<float>(i % 61));
  const engine::WeightView view[] = {{weights.data(), DType::bf16, n, k}};
  std::vector<std::unique_ptr<engine::PackedMatrix>> packed;
  for (std::uint32_t c = 0; c < copies; ++c) packed.push_back(ops->pack(view));
  std::vector<float> x(std::size_t{1024} * k, 0.75F), y(std::size_t{1024} * n);
  figures.push_back(limits.against_gemm(
      fmt::format("matmul 1024 x {} x {} threads {}", n, k, limits.threads), 2.0 * 1024 * n * k,
      [&] { return seconds_of(limits.threads, [&] { ops->matmul(x.data(), *packed[0], nullptr, y.data(), 1024); }); }));
  for (const std::uint32_t m : {1U, 4U, 16U}) {
    const auto name = fmt::format("matmul {} x {} x {} threads {}", m, n, k, limits.threads);
    const double bytes = 2.0 * copies * n * k;
    const auto all = [&] {
      return seconds_of(limits.threads, [&] {
        for (const auto& w : packed) ops->matmul(x.data(), *w, nullptr, y.data(), m);
      });
    };
    figures.push_back(limits.against_memory(name, bytes, all));
    ReferenceGemm library(Precision::bf16, {m, n, k, copies}, limits.threads);
    const auto turns = in_turns(2 * limits.rounds(), all, [&] { return library.run(); });
    figures.push_back({name + ", beside oneDNN", bytes / turns.ours * 1e-9, "GB/s",
                       Measured{library.name(), bytes / turns.reference * 1e-9, "GB/s"}});
  }
  return {};
}

/// Attention of 32 heads of 64 over 8 KV heads in bf16.
Result<> bench_attention(Limits& limits, std::vector<Figure>& figures) {
  constexpr std::uint32_t heads = 32, kv_heads = 8, dim = 64, width = kv_heads * dim;
  SLUICE_ASSIGN(auto ops, engine::make_cpu_ops(Precision::bf16, "auto", limits.threads));
  const auto run = [&](std::uint32_t seqs, std::uint32_t length, std::uint32_t rows) -> Result<> {
    const std::uint32_t each = length / kBlockSize;
    const std::size_t bytes = std::size_t{seqs} * length * width * 2;
    SLUICE_ASSIGN(const auto pool, engine::KvPool::create({1, kv_heads, dim, kBlockSize, seqs * each, DType::bf16}));
    fill_with_noise(*pool);
    std::vector<BlockId> blocks;
    for (std::uint32_t b = 0; b < seqs * each; ++b) blocks.emplace_back(b);
    std::vector<AttentionSeq> list;
    for (std::uint32_t s = 0; s < seqs; ++s)
      list.push_back({s * rows, rows, length - rows, blocks.data() + std::size_t{s} * each});
    std::vector<float> q(std::size_t{seqs} * rows * heads * dim, 0.1F), out(q.size());
    const engine::AttentionArgs args{.q = q.data(),
                                     .q_stride = heads * dim,
                                     .k = pool->keys(0),
                                     .v = pool->values(0),
                                     .kv_dtype = DType::bf16,
                                     .heads = heads,
                                     .kv_heads = kv_heads,
                                     .head_dim = dim,
                                     .block_size = kBlockSize,
                                     .window = 0,
                                     .scale = 0.125F,
                                     .seqs = list,
                                     .out = out.data()};
    const auto seconds = [&] { return seconds_of(limits.threads, [&] { ops->attention(args); }); };
    const auto name = [&](std::string_view what) {
      return fmt::format("attention {} threads {}", what, limits.threads);
    };
    figures.push_back(
        rows > 1 ? limits.against_gemm(name("prefill 2048"), 2.0 * heads * dim * double{1} * rows * (rows + 1), seconds)
                 : limits.against_memory(name("decode batch 16 context 2048"), 2.0 * bytes, seconds));
    return {};
  };
  SLUICE_TRY(run(1, 2048, 2048));
  return run(16, 2048, 1);
}

SuiteResult run_engine_suite(const BenchOptions& options) {
  const std::vector<SyntheticShape> shapes = {
      {.hidden = 1024, .ffn = 2816, .heads = 16, .kv_heads = 4, .layers = options.quick ? 4U : 12U},
      {.hidden = 2048, .ffn = 5632, .heads = 32, .kv_heads = 8, .layers = options.quick ? 2U : 4U}};
  std::vector<std::uint32_t> thread_counts{options.threads};
  if (options.threads == 0) thread_counts = {1, core_count()};
  if (thread_counts.back() == 1) thread_counts = {1};
  std::vector<Figure> figures;
  for (const std::uint32_t threads : thread_counts) {
    Limits limits(threads, options.quick);
    SLUICE_TRY(bench_matmul(limits, figures));
    SLUICE_TRY(bench_attention(limits, figures));
  }
  for (const auto& shape : shapes) {
    SLUICE_ASSIGN(const auto files, SyntheticModel::create(shape));
    for (const std::uint32_t threads : thread_counts) {
      Limits limits(threads, options.quick);
      SLUICE_TRY(bench_model(shape, files, limits, figures));
    }
  }
  return figures;
}

const SuiteRegistration registration{"engine", "CPU prefill and decode against GEMM and memory speed",
                                     run_engine_suite};

}  // namespace
}  // namespace sluice::bench
