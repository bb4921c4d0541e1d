// What a model is worth under each KV profile, measured by this engine: perplexity and recall of the model itself, and
// for each profile the KL to unchanged KV, teacher-forced over real text, after the prompt's KV went through the codec.
//   sluice-bench quality [--quick] -- MODEL_DIR [f32]   (default models/sluice-tiny, bf16; texts are read from
//   MODEL_DIR/eval)
// Definitions, as tools/train_tiny/evaluate.py: a window is the beginning token and the next 1,023 tokens of text, all
// scored; perplexity = exp(mean NLL). For KL the first 768 tokens of a window are the prompt, encoded in segments of
// 256 tokens; the other 256 are forced on both, and KL(p_unchanged || p_profile) is taken at each.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/text/tokenizer.h"
#include "engine/node_model.h"
#include "kvtransfer/codec/codec.h"
#include "tools/bench/bench_util.h"

namespace sluice::bench {
namespace {

constexpr std::uint32_t kWindow = 1024, kPrompt = 768, kSegment = 256, kBlock = 16;

/// One sequence with its own blocks.
struct Row {
  std::vector<BlockId> blocks;
  std::uint32_t pos = 0;
};

class Lab {
 public:
  static Result<Lab> open(const std::string& dir, const BenchOptions& o) {
    control::NodeOptions n;
    n.model_dir = dir;
    n.threads = o.threads;
    if (o.arguments.size() > 1) n.precision = o.arguments[1];
    n.block_size = kBlock;
    n.kv_memory_mib = 256;
    SLUICE_ASSIGN(auto node, engine::load_node_model(n));
    SLUICE_ASSIGN(auto tokenizer, text::Tokenizer::load(dir));
    return Lab(std::move(node), std::move(tokenizer));
  }

  engine::NodeModel node;
  text::Tokenizer tokenizer;
  std::unique_ptr<kv::CodecRegistry> codecs = kv::make_registry();

  [[nodiscard]] Row row(std::uint32_t index, std::uint32_t tokens) const {
    Row r;
    const std::uint32_t each = (tokens + kBlock - 1) / kBlock;
    for (std::uint32_t b = 0; b < each; ++b) r.blocks.emplace_back(index * each + b);
    return r;
  }
  Result<> run(Row& r, std::span<const TokenId> tokens, std::span<float> logits) {
    const engine::ForwardSeq s{tokens, r.pos, r.blocks, !logits.empty()};
    SLUICE_TRY(node.model->forward({&s, 1}, *node.pool, logits, nullptr));
    r.pos += static_cast<std::uint32_t>(tokens.size());
    return {};
  }
  /// The same token on every row: logits [rows, vocab].
  Result<> step(std::vector<Row>& rows, TokenId token, std::span<float> logits) {
    std::vector<engine::ForwardSeq> batch;
    for (const Row& r : rows) batch.push_back({{&token, 1}, r.pos, r.blocks, true});
    SLUICE_TRY(node.model->forward(batch, *node.pool, logits, nullptr));
    for (Row& r : rows) ++r.pos;
    return {};
  }
  /// Puts `from`'s KV of [0, tokens) through a profile into `to`.
  Result<> pass(const kv::Profile& p, const Row& from, const Row& to, std::uint32_t tokens) {
    const auto& s = node.pool->shape();
    std::vector<std::byte> blob;
    kv::CodecScratch scratch;
    for (std::uint32_t layer = 0; layer < s.layers; ++layer)
      for (const auto kind : {kv::KvKind::key, kv::KvKind::value})
        for (std::uint32_t first = 0; first < tokens; first += kSegment) {
          const kv::SegmentShape shape{.tokens = std::min(kSegment, tokens - first),
                                       .kv_heads = s.kv_heads,
                                       .head_dim = s.head_dim,
                                       .kind = kind,
                                       .layer = layer,
                                       .first_token = first,
                                       .layers = s.layers,
                                       .end_token = tokens};
          std::vector<const std::byte*> in;
          std::vector<std::byte*> out;
          for (std::uint32_t b = first / kBlock; b * kBlock < first + shape.tokens; ++b) {
            in.push_back(node.pool->block(layer, kind == kv::KvKind::value, from.blocks[b]));
            out.push_back(node.pool->block(layer, kind == kv::KvKind::value, to.blocks[b]));
          }
          const kv::Codec& c = *p.codec;
          blob.resize(c.max_encoded_size(shape));
          SLUICE_ASSIGN(const std::size_t n, c.encode(shape, {in, kBlock, 0, shape.row_bytes()}, blob, scratch));
          SLUICE_TRY(c.decode(shape, std::span(blob).first(n), {out, kBlock, 0, shape.row_bytes()}, scratch));
          encoded_bytes += n;
        }
    return {};
  }
  std::uint64_t encoded_bytes = 0;

 private:
  Lab(engine::NodeModel n, text::Tokenizer t) : node(std::move(n)), tokenizer(std::move(t)) {}
};

std::vector<double> log_softmax(std::span<const float> logits) {
  const double top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float l : logits) sum += std::exp(l - top);
  std::vector<double> out;
  for (const float l : logits) out.push_back(l - top - std::log(sum));
  return out;
}

std::size_t argmax(std::span<const float> v) {
  return static_cast<std::size_t>(std::ranges::max_element(v) - v.begin());
}

Result<std::vector<TokenId>> heldout(const Lab& lab, const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return fail(Errc::not_found, "cannot read {}", file.string());
  const std::string all{std::istreambuf_iterator<char>(in), {}};
  SLUICE_ASSIGN(const auto text, lab.tokenizer.encode(all, false));
  std::vector<TokenId> windows;
  for (std::size_t i = 0; i + kWindow - 1 <= text.size(); i += kWindow - 1) {
    windows.push_back(lab.tokenizer.bos_id().value_or(text[i]));
    windows.insert(windows.end(), text.begin() + static_cast<std::ptrdiff_t>(i),
                   text.begin() + static_cast<std::ptrdiff_t>(i + kWindow - 1));
  }
  return windows;
}

struct ProfileScore {
  std::vector<double> kl;
  double same_top = 0, nll = 0;
  std::uint64_t bytes = 0;
};

/// KL, top-1 agreement and NLL of every profile; index 0 is unchanged KV.
Result<std::vector<ProfileScore>> score_profiles(Lab& lab, std::span<const TokenId> text, std::size_t windows) {
  const auto profiles = lab.codecs->profiles();
  const std::size_t rows_count = profiles.size() + 1;
  const std::uint32_t vocab = lab.node.model->config().vocab_size;
  std::vector<ProfileScore> scores(rows_count);
  std::vector<float> logits(rows_count * vocab);
  for (std::size_t w = 0; w < windows; ++w) {
    const auto window = text.subspan(w * kWindow, kWindow);
    std::vector<Row> rows;
    for (std::uint32_t i = 0; i < rows_count; ++i) rows.push_back(lab.row(i, kWindow));
    SLUICE_TRY(lab.run(rows[0], window.first(kPrompt), {}));
    for (std::size_t i = 0; i < profiles.size(); ++i) {
      const std::uint64_t before = lab.encoded_bytes;
      SLUICE_TRY(lab.pass(profiles[i], rows[0], rows[i + 1], kPrompt));
      scores[i + 1].bytes += lab.encoded_bytes - before;
      rows[i + 1].pos = kPrompt;
    }
    for (std::uint32_t t = kPrompt; t + 1 < kWindow; ++t) {
      SLUICE_TRY(lab.step(rows, window[t], logits));
      const auto reference = log_softmax(std::span(logits).first(vocab));
      for (std::size_t i = 0; i < rows_count; ++i) {
        const auto own = std::span(logits).subspan(i * vocab, vocab);
        const auto lp = log_softmax(own);
        double kl = 0;
        for (std::uint32_t v = 0; v < vocab; ++v) kl += std::exp(reference[v]) * (reference[v] - lp[v]);
        scores[i].kl.push_back(std::max(kl, 0.0));
        scores[i].same_top += argmax(own) == argmax(std::span(logits).first(vocab)) ? 1 : 0;
        scores[i].nll -= lp[static_cast<std::size_t>(window[t + 1])];
      }
    }
  }
  return scores;
}

/// Mean NLL over windows, every token but a window's first.
Result<double> perplexity(Lab& lab, std::span<const TokenId> text, std::size_t windows) {
  std::vector<float> logits(lab.node.model->config().vocab_size);
  double nll = 0;
  std::size_t count = 0;
  for (std::size_t w = 0; w < windows; ++w) {
    const auto window = text.subspan(w * kWindow, kWindow);
    Row r = lab.row(0, kWindow);
    for (std::uint32_t t = 0; t + 1 < kWindow; ++t) {
      SLUICE_TRY(lab.run(r, window.subspan(t, 1), logits));
      nll -= log_softmax(logits)[static_cast<std::size_t>(window[t + 1])];
      ++count;
    }
  }
  return std::exp(nll / static_cast<double>(count));
}

/// Share of prompts whose greedy continuation equals the answer's tokens; the prompt's KV through `profile` if given.
Result<double> recall(Lab& lab, const std::filesystem::path& file, const kv::Profile* profile, std::size_t most) {
  std::ifstream in(file);
  if (!in) return fail(Errc::not_found, "cannot read {}", file.string());
  std::vector<float> logits(lab.node.model->config().vocab_size);
  std::size_t right = 0;
  std::size_t count = 0;
  for (std::string line; count < most && std::getline(in, line); ++count) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (j.is_discarded() || !j.contains("prompt") || !j.contains("answer"))
      return fail(Errc::invalid_argument, "{}: not a recall file", file.string());
    SLUICE_ASSIGN(auto prompt, lab.tokenizer.encode(j["prompt"].get<std::string>(), false));
    if (const auto bos = lab.tokenizer.bos_id()) prompt.insert(prompt.begin(), *bos);
    SLUICE_ASSIGN(const auto answer, lab.tokenizer.encode(j["answer"].get<std::string>(), false));
    const auto n = static_cast<std::uint32_t>(prompt.size());
    Row r = lab.row(0, n + static_cast<std::uint32_t>(answer.size()) + 1);
    SLUICE_TRY(lab.run(r, std::span(prompt).first(n - 1), {}));
    if (profile != nullptr) SLUICE_TRY(lab.pass(*profile, r, r, n - 1));
    TokenId next = prompt.back();
    bool same = true;
    for (const TokenId want : answer) {
      SLUICE_TRY(lab.run(r, {&next, 1}, logits));
      next = static_cast<TokenId>(argmax(logits));
      same = same && next == want;
      if (!same) break;
    }
    right += same ? 1 : 0;
  }
  if (count == 0) return fail(Errc::invalid_argument, "{} is empty", file.string());
  return static_cast<double>(right) / static_cast<double>(count);
}

SuiteResult run_quality_suite(const BenchOptions& options) {
  const std::string dir = options.arguments.empty() ? "models/sluice-tiny" : options.arguments.front();
  SLUICE_ASSIGN(Lab lab, Lab::open(dir, options));
  const std::filesystem::path eval = std::filesystem::path(dir) / "eval";
  SLUICE_ASSIGN(const auto text, heldout(lab, eval / "heldout.txt"));
  const std::size_t all = text.size() / kWindow;
  const std::size_t windows = options.quick ? std::min<std::size_t>(2, all) : all;
  std::vector<Figure> out;
  SLUICE_ASSIGN(const double ppl, perplexity(lab, text, windows));
  out.push_back({fmt::format("perplexity, {} windows of {} tokens", windows, kWindow), ppl, ""});
  SLUICE_ASSIGN(auto scores, score_profiles(lab, text, windows));
  const double raw = static_cast<double>(windows) * kPrompt * 2 * lab.node.pool->shape().layers *
                     static_cast<double>(lab.node.pool->shape().row_bytes());
  for (std::size_t i = 0; i < lab.codecs->profiles().size(); ++i) {
    const kv::Profile& p = lab.codecs->profiles()[i];
    ProfileScore& s = scores[i + 1];
    const auto n = static_cast<double>(s.kl.size());
    double mean = 0;
    for (const double k : s.kl) mean += k / n;
    std::ranges::sort(s.kl);
    out.push_back({p.name + " ratio", raw / static_cast<double>(s.bytes), "x"});
    out.push_back({p.name + " KL mean", mean, "nats/token", Measured{"stated", p.stated_kl, "nats/token"}});
    out.push_back({p.name + " KL p99", s.kl[static_cast<std::size_t>(0.99 * (n - 1))], "nats/token"});
    out.push_back({p.name + " top-1 agreement", s.same_top / n, ""});
    out.push_back({p.name + " perplexity change", std::exp((s.nll - scores[0].nll) / n) - 1, ""});
  }
  for (const int length : {256, 512, 1024, 2048, 4096}) {
    if (options.quick && length > 512) break;
    const auto file = eval / fmt::format("recall_{}.jsonl", length);
    SLUICE_ASSIGN(const double exact, recall(lab, file, nullptr, options.quick ? 20 : 100));
    out.push_back({fmt::format("recall {}", length), exact, ""});
    SLUICE_ASSIGN(const double h4, recall(lab, file, lab.codecs->profile("h4"), options.quick ? 20 : 100));
    out.push_back({fmt::format("recall {}, h4", length), h4, "", Measured{"unchanged KV", exact, ""}});
  }
  return out;
}

const SuiteRegistration registration{"quality", "perplexity, recall and KL of every KV profile on real text",
                                     run_quality_suite};

}  // namespace
}  // namespace sluice::bench
