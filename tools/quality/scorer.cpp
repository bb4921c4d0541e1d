#include "tools/quality/scorer.h"

#include <algorithm>

#include "tools/quality/sums.h"

namespace sluice::quality {

std::span<float> Scorer::kept(std::size_t w, std::size_t t) {
  const std::size_t vocab = lab_->vocab();
  return std::span(logits_).subspan((w * forced() + t) * vocab, vocab);
}

/// Feeds every window's rest to its row; each(window, forced token, logits, next token).
template <class Fn>
Result<> Scorer::force(std::vector<Row>& rows, Fn&& each) {
  const std::size_t vocab = lab_->vocab();
  std::vector<float> logits(rows.size() * vocab);
  std::vector<TokenId> feed(rows.size());
  for (std::size_t t = 0; t < forced(); ++t) {
    const auto at = [&](std::size_t w, std::size_t ahead) { return tokens_[w * o_.window + o_.prompt + t + ahead]; };
    for (std::size_t w = 0; w < rows.size(); ++w) feed[w] = at(w, 0);
    SLUICE_TRY(lab_->step(rows, feed, logits));
    for (std::size_t w = 0; w < rows.size(); ++w) each(w, t, std::span(logits).subspan(w * vocab, vocab), at(w, 1));
  }
  return {};
}

Result<Scorer> Scorer::make(Lab& lab, std::span<const TokenId> windows, const ScoreOptions& o) {
  Scorer s(lab, o);
  std::size_t n = windows.size() / o.window;
  if (o.windows > 0) n = std::min(n, o.windows);
  if (n == 0 || o.prompt < 1 || o.prompt + 2 > o.window)
    return fail(Errc::invalid_argument, "needs a window of text with tokens after its prompt");
  if (2 * n > lab.rows_that_fit(o.window))
    return fail(Errc::invalid_argument, "{} windows of {} tokens, twice, need more KV memory", n, o.window);
  s.tokens_.assign(windows.begin(), windows.begin() + static_cast<std::ptrdiff_t>(n * o.window));
  s.logits_.resize(n * s.forced() * lab.vocab());
  s.offset_.resize(n * s.forced());
  s.best_.resize(n * s.forced());
  for (std::uint32_t w = 0; w < n; ++w) {
    s.reference_.push_back(lab.row(w, o.window));
    SLUICE_TRY(lab.run(s.reference_.back(), std::span(s.tokens_).subspan(w * o.window, o.prompt), {}));
    if (o.progress) o.progress(w + 1, n);
  }
  SLUICE_TRY(s.force(s.reference_, [&s](std::size_t w, std::size_t t, std::span<const float> l, TokenId next) {
    std::ranges::copy(l, s.kept(w, t).begin());
    const std::size_t i = w * s.forced() + t;
    s.offset_[i] = log_offset(l);
    s.best_[i] = argmax(l);
    s.nll_ += s.offset_[i] - l[static_cast<std::size_t>(next)];
  }));
  return s;
}

Result<Score> Scorer::score(const kv::Codec& codec) {
  Sums sums;
  const auto n = static_cast<std::uint32_t>(reference_.size());
  std::vector<Row> rows;
  for (std::uint32_t w = 0; w < n; ++w) {
    rows.push_back(lab_->row(n + w, o_.window));
    SLUICE_TRY(lab_->pass(codec, reference_[w], rows[w], o_.prompt, &sums.damage));
    rows[w].pos = o_.prompt;
  }
  sums.kl_by_window.resize(n);
  sums.same_top.resize(n);
  SLUICE_TRY(force(rows, [&](std::size_t w, std::size_t t, std::span<const float> own, TokenId next) {
    const std::size_t i = w * forced() + t;
    const TokenFigures f = compare(kept(w, t), offset_[i], best_[i], own, next);
    sums.kl.push_back(f.kl);
    if (t == 0) sums.kl_first.push_back(f.kl);
    sums.kl_by_window[w] += f.kl / static_cast<double>(forced());
    sums.same_top[w] += (f.same_top ? 1.0 : 0.0) / static_cast<double>(forced());
    sums.nll += f.nll;
  }));
  return finish(sums, nll_);
}

}  // namespace sluice::quality
