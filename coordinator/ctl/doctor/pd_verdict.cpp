// What the figures of pd.h say, in words and with how sure that is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "coordinator/ctl/doctor/pd.h"
#include "coordinator/ctl/table.h"

namespace sluice::ctl::doctor {
namespace {

using nlohmann::json;

constexpr double kEqual = 0.05;  // medians that differ by less are alike
constexpr double kDoubt =
    0.25;  // chance of a count by luck alone, above which nobody has won: 4 of 5 rounds are not enough
constexpr const char* kArea = "Prefill apart from decode";

enum class Winner { unclear, split, colocated };

/// Split against colocated, round by round.
struct Contest {
  double split = 0, colocated = 0;  // medians
  double ratio = 1;                 // split / colocated
  std::size_t split_slower = 0, rounds = 0;
  double chance = 1;  // that so one-sided a count comes by chance (sign test, two-sided)
  double spread = 0;  // of the rounds' ratios: (largest - smallest) / 2, relative to the median
  [[nodiscard]] Winner winner() const {
    if (std::abs(ratio - 1) < kEqual || chance > kDoubt) return Winner::unclear;
    return ratio > 1 ? Winner::colocated : Winner::split;
  }
};

double sign_test(std::size_t k, std::size_t n) {
  const std::size_t few = std::min(k, n - k);
  double p = 0, term = std::pow(0.5, static_cast<double>(n));
  for (std::size_t i = 0; i <= few; ++i) {
    p += term;
    term *= static_cast<double>(n - i) / static_cast<double>(i + 1);
  }
  return std::min(1.0, 2 * p);
}

Contest contest(const std::vector<double>& split, const std::vector<double>& colocated) {
  Contest c;
  c.rounds = std::min(split.size(), colocated.size());
  if (c.rounds == 0) return c;
  c.split = median(split);
  c.colocated = median(colocated);
  c.ratio = c.colocated > 0 ? c.split / c.colocated : 1;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < c.rounds; ++i) {
    if (split[i] > colocated[i]) ++c.split_slower;
    if (colocated[i] > 0) ratios.push_back(split[i] / colocated[i]);
  }
  c.chance = sign_test(c.split_slower, c.rounds);
  if (!ratios.empty() && median(ratios) > 0) {
    const auto [low, high] = std::ranges::minmax(ratios);
    c.spread = (high - low) / 2 / median(ratios);
  }
  return c;
}

std::string sure_text(const Contest& c) {
  return fmt::format("split was slower in {} of {} rounds, ratios spread by {:.0f}%{}", c.split_slower, c.rounds,
                     100 * c.spread, c.chance > 0.1 ? ", so not sure" : "");
}

std::string verdict_text(const Contest& c) {
  switch (c.winner()) {
    case Winner::unclear:
      return "no clear difference";
    case Winner::split:
      return fmt::format("split is {:.2f}x faster", 1 / c.ratio);
    case Winner::colocated:
      return fmt::format("split is {:.2f}x slower", c.ratio);
  }
  return {};
}

/// Where the winner changes with the prompt's length.
std::string summary(const std::vector<std::pair<std::uint64_t, Contest>>& all) {
  std::string out;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t j = i;
    double least = all[i].second.ratio, most = least;
    while (j + 1 < all.size() && all[j + 1].second.winner() == all[i].second.winner()) {
      ++j;
      least = std::min(least, all[j].second.ratio);
      most = std::max(most, all[j].second.ratio);
    }
    const std::string where = i == 0 && j + 1 == all.size() ? std::string("at every length measured")
                              : i == 0                      ? fmt::format("up to {} prompt tokens", all[j].first)
                                                            : fmt::format("from {} prompt tokens", all[i].first);
    const Winner w = all[i].second.winner();
    const std::string what = w == Winner::unclear ? std::string("there is no clear difference")
                             : w == Winner::split
                                 ? fmt::format("split is faster (up to {:.2f}x)", 1 / least)
                                 : fmt::format("colocated is faster (split takes up to {:.2f}x as long)", most);
    out += fmt::format("{}{} {}", out.empty() ? "" : "; ", where, what);
    i = j + 1;
  }
  return out;
}

json figures(const std::vector<double>& v) { return {{"median", median(v)}, {"rounds", v}}; }

}  // namespace

Findings judge_pd(const PdFacts& f) {
  Notebook n(kArea, "");
  if (f.error) {
    n.warning("pd", fmt::format("could not be measured: {}", f.error->message),
              "the comparison needs a prefill and a decode node that answer", "what the message says");
    return n.take();
  }
  std::vector<std::pair<std::uint64_t, Contest>> all;
  for (const auto& l : f.lengths) {
    const Contest ttft = contest(l.split_ttft_ms, l.colocated_ttft_ms);
    const Contest tpot = contest(l.split_tpot_ms, l.colocated_tpot_ms);
    n.about(fmt::format("{} prompt tokens", l.prompt_tokens));
    n.ok("pd-length", fmt::format("first token split {}, colocated {}: {} ({}); per token {} and {}",
                                  millis_text(ttft.split), millis_text(ttft.colocated), verdict_text(ttft),
                                  sure_text(ttft), millis_text(tpot.split), millis_text(tpot.colocated)));
    all.emplace_back(l.prompt_tokens, ttft);
  }
  const PdBeside& b = f.beside;
  const Contest worst = contest(b.split_worst_ms, b.colocated_worst_ms);
  const bool felt = worst.rounds > 0;
  if (felt) {
    n.about("a running answer");
    n.ok("pd-beside", fmt::format("{} a token alone; while a prompt of {} tokens is computed {} split, {} colocated; "
                                  "its longest pause {} and {} ({})",
                                  millis_text(b.alone_ms), b.prompt_tokens, millis_text(median(b.split_mean_ms)),
                                  millis_text(median(b.colocated_mean_ms)), millis_text(worst.split),
                                  millis_text(worst.colocated), sure_text(worst)));
  } else {
    n.about("a running answer");
    n.note("pd-beside", "another decode node computed each colocated prompt",
           "what others feel can only be told when the prompt is computed where they run");
  }
  n.about("is it worth it here?");
  std::string says = "for an idle cluster's time to first token " + summary(all);
  if (felt)
    says +=
        worst.winner() == Winner::split
            ? fmt::format("; and split spares running answers: their longest pause is {:.1f}x shorter", 1 / worst.ratio)
        : worst.winner() == Winner::colocated
            ? fmt::format("; and split does not spare running answers here: their longest pause is {:.1f}x longer",
                          worst.ratio)
            : std::string("; running answers feel no clear difference");
  const bool some = std::ranges::any_of(all, [](const auto& l) { return l.second.winner() == Winner::colocated; });
  n.note("pd", says,
         "splitting costs a transfer and spares running answers the pauses of other prompts; requests are split unless "
         "they say otherwise",
         some
             ? "\"sluice\": {\"mode\": \"colocated\"} in requests whose own first token counts more than others' pauses"
             : "");
  return n.take();
}

json pd_json(const PdFacts& f) {
  if (f.error) return {{"error", f.error->message}};
  json lengths = json::array();
  for (const auto& l : f.lengths) {
    const Contest c = contest(l.split_ttft_ms, l.colocated_ttft_ms);
    lengths.push_back({{"prompt_tokens", l.prompt_tokens},
                       {"split_ttft_ms", figures(l.split_ttft_ms)},
                       {"colocated_ttft_ms", figures(l.colocated_ttft_ms)},
                       {"split_tpot_ms", figures(l.split_tpot_ms)},
                       {"colocated_tpot_ms", figures(l.colocated_tpot_ms)},
                       {"ttft_ratio", c.ratio},
                       {"split_slower_rounds", c.split_slower},
                       {"rounds", c.rounds},
                       {"chance", c.chance},
                       {"verdict", verdict_text(c)}});
  }
  const PdBeside& b = f.beside;
  return {{"lengths", std::move(lengths)},
          {"beside",
           {{"prompt_tokens", b.prompt_tokens},
            {"alone_ms", b.alone_ms},
            {"split_longest_ms", figures(b.split_worst_ms)},
            {"colocated_longest_ms", figures(b.colocated_worst_ms)},
            {"split_mean_ms", figures(b.split_mean_ms)},
            {"colocated_mean_ms", figures(b.colocated_mean_ms)},
            {"elsewhere", b.elsewhere}}}};
}

}  // namespace sluice::ctl::doctor
