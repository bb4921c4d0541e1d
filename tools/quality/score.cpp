#include "tools/quality/score.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

namespace sluice::quality {
namespace {

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

/// What is added up for one codec.
struct Sums {
  Damage damage;
  std::vector<double> kl;
  std::vector<double> same_top;  // by window
  double nll = 0;
};

/// 95% interval of the mean of `by_window`, resampling windows. Seeded: the same figures give the same interval.
Interval bootstrap(const std::vector<double>& by_window) {
  std::mt19937_64 gen(1);
  std::uniform_int_distribution<std::size_t> pick(0, by_window.size() - 1);
  std::vector<double> means(1000);
  for (double& m : means) {
    for (std::size_t i = 0; i < by_window.size(); ++i) m += by_window[pick(gen)];
    m /= static_cast<double>(by_window.size());
  }
  std::ranges::sort(means);
  return {means[25], means[974]};
}

Score finish(Sums& s, double reference_nll) {
  const auto n = static_cast<double>(s.kl.size());
  std::ranges::sort(s.kl);
  auto& ratios = s.damage.segment_ratios;
  std::ranges::sort(ratios);
  return {.ratio = static_cast<double>(s.damage.raw_bytes) / static_cast<double>(s.damage.wire_bytes),
          .ratio_p50 = ratios[ratios.size() / 2],
          .ratio_worst = ratios.front(),
          .key_error = s.damage.worst(false),
          .value_error = s.damage.worst(true),
          .kl_mean = std::accumulate(s.kl.begin(), s.kl.end(), 0.0) / n,
          .kl_p99 = s.kl[static_cast<std::size_t>(0.99 * (n - 1))],
          .top1 = std::accumulate(s.same_top.begin(), s.same_top.end(), 0.0) / static_cast<double>(s.same_top.size()),
          .top1_95 = bootstrap(s.same_top),
          .perplexity_change = std::exp((s.nll - reference_nll) / n) - 1};
}

std::size_t windows_of(std::span<const TokenId> tokens, const ScoreOptions& o) {
  const std::size_t all = tokens.size() / o.window;
  return o.windows == 0 ? all : std::min(o.windows, all);
}

struct Question {
  std::vector<TokenId> prompt, answer;
};

Result<std::vector<Question>> questions(const Lab& lab, const std::filesystem::path& file, std::size_t most) {
  std::ifstream in(file);
  if (!in) return fail(Errc::not_found, "cannot read {}", file.string());
  std::vector<Question> out;
  for (std::string line; out.size() < most && std::getline(in, line);) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    if (j.is_discarded() || !j.contains("prompt") || !j.contains("answer"))
      return fail(Errc::invalid_argument, "{}: not a recall file", file.string());
    Question q;
    SLUICE_ASSIGN(q.prompt, lab.tokenizer().encode(j["prompt"].get<std::string>(), false));
    if (const auto bos = lab.tokenizer().bos_id()) q.prompt.insert(q.prompt.begin(), *bos);
    SLUICE_ASSIGN(q.answer, lab.tokenizer().encode(j["answer"].get<std::string>(), false));
    if (q.prompt.size() < 2 || q.answer.empty())
      return fail(Errc::invalid_argument, "{}: an empty prompt or answer", file.string());
    out.push_back(std::move(q));
  }
  if (out.empty()) return fail(Errc::invalid_argument, "{} is empty", file.string());
  return out;
}

}  // namespace

Result<std::vector<Score>> score(Lab& lab, std::span<const kv::Codec* const> codecs, std::span<const TokenId> windows,
                                 const ScoreOptions& o) {
  const std::size_t count = codecs.size() + 1;
  if (count > lab.rows_that_fit(o.window))
    return fail(Errc::invalid_argument, "{} codecs at once need more KV memory", codecs.size());
  const std::uint32_t vocab = lab.vocab();
  std::vector<Sums> sums(count);  // 0: unchanged KV
  std::vector<float> logits(count * vocab);
  const std::size_t n = windows_of(windows, o);
  for (std::size_t w = 0; w < n; ++w) {
    const auto window = windows.subspan(w * o.window, o.window);
    std::vector<Row> rows;
    for (std::uint32_t i = 0; i < count; ++i) rows.push_back(lab.row(i, o.window));
    SLUICE_TRY(lab.run(rows[0], window.first(o.prompt), {}));
    for (std::size_t i = 1; i < count; ++i) {
      SLUICE_TRY(lab.pass(*codecs[i - 1], rows[0], rows[i], o.prompt, &sums[i].damage));
      rows[i].pos = o.prompt;
    }
    std::vector<double> same(count);
    for (std::uint32_t t = o.prompt; t + 1 < o.window; ++t) {
      SLUICE_TRY(lab.step(rows, std::vector<TokenId>(count, window[t]), logits));
      const auto best = argmax(std::span(logits).first(vocab));
      const auto reference = log_softmax(std::span(logits).first(vocab));
      for (std::size_t i = 0; i < count; ++i) {
        const auto own = std::span(logits).subspan(i * vocab, vocab);
        const auto lp = log_softmax(own);
        double kl = 0;
        for (std::uint32_t v = 0; v < vocab; ++v) kl += std::exp(reference[v]) * (reference[v] - lp[v]);
        sums[i].kl.push_back(std::max(kl, 0.0));
        same[i] += argmax(own) == best ? 1 : 0;
        sums[i].nll -= lp[static_cast<std::size_t>(window[t + 1])];
      }
    }
    for (std::size_t i = 0; i < count; ++i) sums[i].same_top.push_back(same[i] / (o.window - o.prompt - 1));
    if (o.progress) o.progress(w + 1, n);
  }
  std::vector<Score> out;
  for (std::size_t i = 1; i < count; ++i) out.push_back(finish(sums[i], sums[0].nll));
  return out;
}

Result<double> perplexity(Lab& lab, std::span<const TokenId> windows, const ScoreOptions& o) {
  std::vector<float> logits(lab.vocab());
  double nll = 0;
  std::size_t count = 0;
  for (std::size_t w = 0; w < windows_of(windows, o); ++w) {
    const auto window = windows.subspan(w * o.window, o.window);
    Row r = lab.row(0, o.window);
    for (std::uint32_t t = 0; t + 1 < o.window; ++t, ++count) {
      SLUICE_TRY(lab.run(r, window.subspan(t, 1), logits));
      nll -= log_softmax(logits)[static_cast<std::size_t>(window[t + 1])];
    }
  }
  return std::exp(nll / static_cast<double>(count));
}

Result<std::vector<Recall>> recall(Lab& lab, std::span<const kv::Codec* const> codecs,
                                   const std::filesystem::path& file, std::size_t most) {
  SLUICE_ASSIGN(const auto all, questions(lab, file, most));
  const std::size_t count = codecs.size() + 1;
  std::vector<double> right(count);
  std::vector<float> logits(count * lab.vocab());
  for (const Question& q : all) {
    const auto prompt = static_cast<std::uint32_t>(q.prompt.size()) - 1;  // the last token is fed to every row
    const auto room = static_cast<std::uint32_t>(q.prompt.size() + q.answer.size());
    if (count > lab.rows_that_fit(room))
      return fail(Errc::invalid_argument, "{} codecs at once need more KV memory", codecs.size());
    std::vector<Row> rows;
    for (std::uint32_t i = 0; i < count; ++i) rows.push_back(lab.row(i, room));
    SLUICE_TRY(lab.run(rows[0], std::span(q.prompt).first(prompt), {}));
    for (std::size_t i = 1; i < count; ++i) {
      SLUICE_TRY(lab.pass(*codecs[i - 1], rows[0], rows[i], prompt, nullptr));
      rows[i].pos = prompt;
    }
    // As long as an answer is right its next token is the answer's; one that went wrong no longer counts.
    std::vector<bool> same(count, true);
    TokenId next = q.prompt.back();
    for (const TokenId want : q.answer) {
      SLUICE_TRY(lab.step(rows, std::vector<TokenId>(count, next), logits));
      for (std::size_t i = 0; i < count; ++i)
        if (argmax(std::span(logits).subspan(i * lab.vocab(), lab.vocab())) != static_cast<std::size_t>(want))
          same[i] = false;
      next = want;
    }
    for (std::size_t i = 0; i < count; ++i) right[i] += same[i] ? 1 : 0;
  }
  std::vector<Recall> out;
  const auto n = static_cast<double>(all.size());
  for (const double r : right) out.push_back({r / n, std::sqrt(r / n * (1 - r / n) / n)});
  return out;
}

}  // namespace sluice::quality
