#include "tools/quality/score.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tools/quality/sums.h"

namespace sluice::quality {
namespace {

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
    std::vector<double> same(count), kl(count);
    for (std::uint32_t t = o.prompt; t + 1 < o.window; ++t) {
      SLUICE_TRY(lab.step(rows, std::vector<TokenId>(count, window[t]), logits));
      const auto reference = std::span(logits).first(vocab);
      const auto best = argmax(reference);
      const double offset = log_offset(reference);
      for (std::size_t i = 0; i < count; ++i) {
        const TokenFigures f =
            compare(reference, offset, best, std::span(logits).subspan(i * vocab, vocab), window[t + 1]);
        sums[i].kl.push_back(f.kl);
        if (t == o.prompt) sums[i].kl_first.push_back(f.kl);
        kl[i] += f.kl;
        same[i] += f.same_top ? 1 : 0;
        sums[i].nll += f.nll;
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      sums[i].kl_by_window.push_back(kl[i] / (o.window - o.prompt - 1));
      sums[i].same_top.push_back(same[i] / (o.window - o.prompt - 1));
    }
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
      nll += log_offset(logits) - logits[static_cast<std::size_t>(window[t + 1])];
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
