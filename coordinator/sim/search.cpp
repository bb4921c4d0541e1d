#include "coordinator/sim/search.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace sluice::sim {
namespace {

constexpr double kPrecision = 1.05;
constexpr int kMostDoublings = 16;
constexpr std::size_t kSplits = 16;  // of one pair of hardware, before the best is looked at closely

struct Kind {
  const Offer* prefill;
  const Offer* decode;
  std::string policy;
};

double price_of(const Kind& k, std::size_t p, std::size_t d) {
  return static_cast<double>(p) * k.prefill->price + static_cast<double>(d) * k.decode->price;
}

/// As many decode nodes as the budget leaves beside p prefill nodes.
std::size_t decodes_beside(const SearchSpec& s, const Kind& k, std::size_t p) {
  if (p >= s.nodes) return 0;
  const std::size_t left = s.nodes - p;
  if (s.budget <= 0) return left;
  const double money = s.budget - static_cast<double>(p) * k.prefill->price;
  return money <= 0 ? 0 : std::min(left, static_cast<std::size_t>(money / k.decode->price * (1 + 1e-9)));
}

Result<Found> judge(const SearchSpec& s, const Kind& k, std::size_t p, std::size_t d) {
  ClusterSpec c = s.base;
  c.prefills.assign(p, k.prefill->hardware);
  c.decodes.assign(d, k.decode->hardware);
  Found best{.prefill = p,
             .decode = d,
             .prefill_hardware = k.prefill->hardware.name,
             .decode_hardware = k.decode->hardware.name,
             .policy = k.policy,
             .price = price_of(k, p, d)};
  Result<> trouble;
  auto meets = [&](double rate) {
    const auto requests = std::max(s.least_requests, static_cast<std::size_t>(rate * s.duration_s));
    auto policy = make_policy(k.policy, {.seed = c.seed});
    if (!policy) trouble = std::unexpected(policy.error());
    if (!trouble) return false;
    const auto r = simulate(c, s.load(rate, requests), **policy);
    if (!r) trouble = std::unexpected(r.error());
    if (!trouble) return false;
    const Summary found = summarize(*r, p + d);
    if (found.attainment < s.attainment) return false;
    if (rate > best.rate) {
      best.rate = rate;
      best.summary = found;
    }
    return true;
  };
  (void)highest(static_cast<double>(p + d) * 0.5, kPrecision, meets);
  SLUICE_TRY(trouble);
  // The load's own rate, since the tail after its last arrival belongs to no rate.
  const double goodput = best.rate * best.summary.attainment;
  best.goodput_per_node_s = goodput / static_cast<double>(p + d);
  best.goodput_per_price = goodput / best.price;
  return best;
}

/// Every split, or of many nodes some of them and then those beside the best.
Result<> judge_kind(const SearchSpec& s, const Kind& k, std::vector<Found>& out,
                    const std::function<void(const std::string&)>& progress) {
  std::set<std::size_t> done;
  std::size_t best_p = 0;
  double best = -1;
  auto visit = [&](std::size_t p) -> Result<> {
    const std::size_t d = decodes_beside(s, k, p);
    if (p == 0 || d == 0 || !done.insert(p).second) return {};
    SLUICE_ASSIGN(Found f, judge(s, k, p, d));
    progress(fmt::format("{}P {} + {}D {}, {}: {:.3g} requests/s", p, f.prefill_hardware, d, f.decode_hardware,
                         k.policy, f.rate));
    if (f.goodput_per_price > best) {
      best = f.goodput_per_price;
      best_p = p;
    }
    out.push_back(std::move(f));
    return {};
  };
  std::size_t step = std::max<std::size_t>(1, s.nodes / kSplits);
  for (std::size_t p = 1; p < s.nodes; p += step) SLUICE_TRY(visit(p));
  for (; step > 1; step = (step + 1) / 2) {
    const std::size_t centre = best_p;
    const std::size_t half = step / 2;
    SLUICE_TRY(visit(centre > half ? centre - half : 1));
    SLUICE_TRY(visit(centre + half));
    if (step == 2) break;
  }
  return {};
}

}  // namespace

double highest(double first, double precision, const std::function<bool(double)>& ok) {
  double low = 0;
  double high = 0;
  double x = first;
  for (int i = 0; i < kMostDoublings && (low == 0 || high == 0); ++i) {
    const bool met = ok(x);
    (met ? low : high) = x;
    x = met ? x * 2 : x / 2;
  }
  if (low == 0 || high == 0) return low;
  while (high / low > precision) {
    const double middle = std::sqrt(low * high);
    (ok(middle) ? low : high) = middle;
  }
  return low;
}

std::size_t most_nodes(const SearchSpec& s) {
  if (s.nodes > 0) return s.nodes;
  if (s.budget <= 0 || s.offers.empty()) return kFewNodes;
  const double cheapest = std::ranges::min_element(s.offers, {}, &Offer::price)->price;
  return std::clamp<std::size_t>(static_cast<std::size_t>(s.budget / cheapest * (1 + 1e-9)), 2, kManyNodes);
}

Result<std::vector<Found>> search(const SearchSpec& asked, const std::function<void(const std::string&)>& progress) {
  SearchSpec s = asked;
  s.nodes = most_nodes(asked);
  if (s.offers.empty() || !s.load) return fail(Errc::invalid_argument, "a search needs hardware and a load");
  if (s.nodes < 2) return fail(Errc::invalid_argument, "a search needs two nodes at least");
  for (const Offer& o : s.offers)
    if (!(o.price > 0)) return fail(Errc::invalid_argument, "the price of {} must be above 0", o.hardware.name);
  std::vector<Found> out;
  for (const Offer& p : s.offers)
    for (const Offer& d : s.offers)
      for (const std::string& policy : s.policies) SLUICE_TRY(judge_kind(s, {&p, &d, policy}, out, progress));
  if (out.empty()) return fail(Errc::invalid_argument, "the budget buys no pair of nodes");
  std::ranges::stable_sort(out, std::greater<>(), &Found::goodput_per_price);
  return out;
}

nlohmann::json to_json(const Found& f) {
  return {{"prefill", f.prefill},
          {"decode", f.decode},
          {"prefill_hardware", f.prefill_hardware},
          {"decode_hardware", f.decode_hardware},
          {"policy", f.policy},
          {"price", f.price},
          {"rate", f.rate},
          {"goodput_per_node_s", f.goodput_per_node_s},
          {"goodput_per_price_s", f.goodput_per_price},
          {"summary", to_json(f.summary)}};
}

}  // namespace sluice::sim
