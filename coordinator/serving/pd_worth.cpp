#include "coordinator/serving/pd_worth.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sluice::coordinator {
namespace {

using nlohmann::json;

constexpr double kClear = 1.05;  // medians closer than this are alike

double median(std::vector<double> v) {
  if (v.empty()) return 0;
  const auto mid = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  std::ranges::nth_element(v, mid);
  return *mid;
}

}  // namespace

void PdWorth::add(bool split, std::uint32_t prompt_tokens, double ttft_s, double tpot_s) {
  Length& l = lengths_[std::bit_width(std::max(prompt_tokens, 1U)) - 1];
  auto& kind = split ? l.split : l.local;
  kind.push_back({ttft_s, tpot_s});
  if (kind.size() > kKept) kind.pop_front();
}

json PdWorth::to_json() const {
  const auto figures = [](const std::deque<Sample>& all) {
    std::vector<double> ttft;
    std::vector<double> tpot;
    for (const Sample& s : all) {
      ttft.push_back(s.ttft_s);
      if (s.tpot_s > 0) tpot.push_back(s.tpot_s);
    }
    return json{{"requests", all.size()}, {"ttft_ms", median(ttft) * 1e3}, {"tpot_ms", median(tpot) * 1e3}};
  };
  json lengths = json::array();
  std::string verdict;
  std::size_t splits = 0;
  std::size_t locals = 0;
  for (const auto& [bits, l] : lengths_) {
    const std::uint64_t from = std::uint64_t{1} << static_cast<unsigned>(bits);
    json j{{"from", from}, {"below", 2 * from}, {"split", figures(l.split)}, {"local", figures(l.local)}};
    splits += l.split.size();
    locals += l.local.size();
    if (std::min(l.split.size(), l.local.size()) >= kEnough) {
      const double split = j["split"]["ttft_ms"];
      const double local = j["local"]["ttft_ms"];
      const char* says = split * kClear < local   ? "prefill nodes are worth it"
                         : local * kClear < split ? "computing them where they are decoded is faster"
                                                  : "there is no clear difference";
      verdict += fmt::format(
          "{}prompts of {} to {} tokens: {} (first token after {:.3g} ms of {} requests by a prefill "
          "node, {:.3g} ms of {} without)",
          verdict.empty() ? "" : "; ", from, 2 * from - 1, says, split, l.split.size(), local, l.local.size());
    }
    lengths.push_back(std::move(j));
  }
  if (verdict.empty())
    verdict = fmt::format(
        "not known yet: {} requests went by a prefill node and {} without, of no length {} each; "
        "`sluicectl doctor --pd` compares both",
        splits, locals, kEnough);
  return {{"lengths", std::move(lengths)}, {"verdict", std::move(verdict)}};
}

}  // namespace sluice::coordinator
