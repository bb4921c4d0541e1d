// The part of a decision that concerns prompts computed where they are decoded: whole, or from a cut on.
#include <algorithm>
#include <cmath>

#include "coordinator/policy/placement.h"
#include "coordinator/policy/placement_costs.h"

namespace sluice::coordinator {
namespace {

constexpr std::uint32_t kUsualChunk = 512;  // of a node that does not state its own
constexpr double kShares[] = {0.25, 0.5, 0.75};
/// A cut in between must be cheaper than both ends by this share: its prediction adds two models' errors.
constexpr float kCutGain = 0.03F;

std::uint32_t chunk_of(const PrefillView& p) {
  const std::uint32_t chunk = p.pass_tokens > 0 ? std::min(p.chunk_tokens, p.pass_tokens) : p.chunk_tokens;
  return chunk > 0 ? chunk : kUsualChunk;
}

/// The step that a pass with a chunk holds besides: none where nobody decodes.
double running(const DecodeView& d, double step_s) { return d.seqs > 0 ? step_s : 0; }

Refusal bad_cut(std::string message) { return {Error{Errc::invalid_argument, std::move(message), "sluice.cut"}, 0}; }

/// A pinned cut that no node can make.
std::optional<Refusal> check_cut(const ClusterSnapshot& c, const RequestFeatures& r) {
  if (!r.cut || *r.cut == 0 || *r.cut == r.split_cut()) return std::nullopt;
  if (*r.cut > r.split_cut())
    return bad_cut(fmt::format("a prompt of {} tokens can be cut at {} at most", r.prompt_tokens, r.split_cut()));
  std::uint32_t chunk = 0;
  for (const PrefillView& p : c.prefills) {
    if (!holds(p, r)) continue;
    if (cuts_there(p, r)) return std::nullopt;
    chunk = chunk_of(p);
  }
  return bad_cut(fmt::format("prompts are cut where a prefill node's chunks end: at multiples of {}", chunk));
}

}  // namespace

bool cuts_there(const PrefillView& p, const RequestFeatures& r) {
  return !r.cut || r.cut_anywhere || *r.cut == r.split_cut() || *r.cut % chunk_of(p) == 0;
}

std::optional<Placed> Placement::open_ways(const ClusterSnapshot& c, const RequestFeatures& r) {
  const bool only_here = r.split_cut() == 0 || r.cut == 0U;
  const auto computes = [](const DecodeView& d) { return d.usable && LocalPrompts::computes(d); };
  split_ = !only_here;
  alone_ = only_here || (!r.cut && !r.profile && std::ranges::any_of(c.decodes, computes));
  table_.profiles.clear();
  if (split_) {
    auto none = check_prefill(c, r);
    if (!none) none = check_cut(c, r);
    if (none && !alone_) return Placed(std::move(*none));
    split_ = !none;
  }
  if (auto full = check_room(c, r)) return std::visit([](auto x) -> Placed { return x; }, std::move(*full));
  if (!split_) return std::nullopt;
  if (auto ok = allow_profiles(c, r); !ok) {
    if (!alone_) return Placed(Refusal{std::move(ok).error(), 0});
    split_ = false;
  }
  return std::nullopt;
}

float Placement::here_price(const DecodeView& d, const RequestFeatures& r, std::size_t row, double tokens,
                            double compute_s) const {
  const float step = table_.tpot[row];
  const auto each = static_cast<float>(LocalPrompts::delay_s(d, tokens, compute_s, step) / here_.mean_output());
  const float worse = tpot_cost(step + each, r.tpot_slo_s) - tpot_cost(step, r.tpot_slo_s);
  return static_cast<float>(d.seqs) * worse / table_.scale;
}

void Placement::list_here(const ClusterSnapshot& c, const RequestFeatures& r, float limit_s, bool rest, TimePoint now) {
  here_list_.clear();
  soonest_here_ = CandidateTable::kNever;
  if (!alone_) return;
  const bool asked = r.split_cut() == 0 || r.cut == 0U;
  for (std::size_t i = 0; i < table_.decodes.size(); ++i) {
    const std::size_t d = table_.decodes[i];
    if ((!asked && !LocalPrompts::computes(c.decodes[d])) || (rest && here_.resting(d, now))) continue;
    const double queue = here_.queue_s(c, d, now);
    const double compute = here_.compute_s(c, d, 0, r.prompt_tokens, now, running(c.decodes[d], table_.tpot[i]));
    Here h{.row = i};
    h.ttft = static_cast<float>((latency_.fixed_s() + queue + compute) * here_.correction(d, now));
    soonest_here_ = std::min(soonest_here_, h.ttft);
    if (h.ttft > limit_s) continue;
    const auto rate = static_cast<float>(here_.rate(d, now));
    h.use = rate + table_.decode_rate[i];
    h.price = here_price(c.decodes[d], r, i, r.prompt_tokens, compute) +
              delay_behind(rate, static_cast<float>(queue), static_cast<float>(compute), table_.size_share);
    h.cost = (h.ttft + h.price) * table_.scale + table_.base[i];
    here_list_.push_back(h);
  }
}

/// Of nodes that are alike the one that got least of late.
std::optional<std::size_t> Placement::best_here() const {
  if (here_list_.empty()) return std::nullopt;
  const float close = std::ranges::min(here_list_, {}, &Here::cost).cost * (1 + kAlikeShare);
  std::optional<std::size_t> found;
  float least = CandidateTable::kNever;
  for (std::size_t i = 0; i < here_list_.size(); ++i) {
    const float use = here_list_[i].use;
    if (here_list_[i].cost > close || use >= least) continue;
    least = use;
    found = i;
  }
  return found;
}

float Placement::split_cost(std::size_t index) const {
  const std::size_t p = index / table_.stride / table_.decodes.size();
  const float price = delay_behind(table_.prefill_rate[p], table_.queue[p], table_.prefill[p], table_.size_share);
  return costs_.cost[index] + table_.scale * (price - table_.prefill_price[p]);
}

Candidate Placement::alone(const ClusterSnapshot& c, const RequestFeatures& r, const Here& h, TimePoint now) {
  Candidate k{.decode = table_.decodes[h.row], .local = true};
  k.here_tokens = r.prompt_tokens;
  latency_.predict_step(c, r, now, k);
  k.stages.local_queue_s = here_.queue_s(c, k.decode, now);
  k.stages.local_s = here_.compute_s(c, k.decode, 0, k.here_tokens, now, running(c.decodes[k.decode], k.stages.tpot_s));
  k.model_ttft_s = k.stages.fixed_s + k.stages.local_queue_s + k.stages.local_s;
  k.predicted_ttft_s = k.model_ttft_s * here_.correction(k.decode, now);
  k.predicted_tpot_s = k.stages.tpot_s;
  k.chance = ProfileController::chance(k, r, here_.spread(k.decode));
  return k;
}

void Placement::add_here(const ClusterSnapshot& c, Candidate& k, TimePoint now) {
  StageTimes& t = k.stages;
  // The queue there passes while the KV before the cut is on its way.
  t.local_queue_s = std::max(0.0, here_.queue_s(c, k.decode, now) - k.model_ttft_s);
  t.local_s = here_.compute_s(c, k.decode, k.cut, k.cut + k.here_tokens, now, running(c.decodes[k.decode], t.tpot_s));
  k.model_ttft_s += t.local_queue_s + t.local_s;
}

double Placement::bound_s(const RequestFeatures& r, double spread) {
  return r.ttft_slo_s / std::exp(deviations(r.attainment) * spread) - r.waited_s;
}

Candidate Placement::cut_between(const ClusterSnapshot& c, const RequestFeatures& r, const Candidate& k,
                                 std::size_t index, float cost, double limit_s, TimePoint now) {
  const DecodeView& view = c.decodes[k.decode];
  const std::uint32_t chunk = chunk_of(c.prefills[k.prefill]);
  if (!LocalPrompts::computes(view) || r.split_cut() <= 2 * chunk) return k;
  const std::size_t pair = index / table_.stride;
  const std::size_t p = pair / table_.decodes.size();
  const std::size_t row = pair % table_.decodes.size();
  const float base = table_.base[row];
  const float codec_price = (costs_.cost[index] - base) / table_.scale - costs_.ttft[index] - table_.prefill_price[p];
  const double correction = k.predicted_ttft_s / k.model_ttft_s;
  float least = cost * (1 - kCutGain);
  Candidate out = k;
  std::uint32_t last = 0;
  for (const double share : kShares) {
    const auto cut = static_cast<std::uint32_t>(std::lround(share * r.split_cut() / chunk)) * chunk;
    if (cut == last || cut >= r.split_cut()) continue;
    last = cut;
    Candidate m{.prefill = k.prefill, .decode = k.decode, .profile = k.profile};
    m.cut = cut;
    m.here_tokens = r.prompt_tokens - cut;
    latency_.predict(c, r, now, m);
    add_here(c, m, now);
    m.predicted_ttft_s = m.model_ttft_s * correction;
    if (m.predicted_ttft_s > limit_s) continue;
    const auto part = static_cast<float>(cut / static_cast<double>(r.split_cut()));
    const auto here_s = static_cast<float>(m.stages.local_s);
    const float price = part * codec_price + here_price(view, r, row, m.here_tokens, here_s) +
                        delay_behind(table_.prefill_rate[p], table_.queue[p], static_cast<float>(m.stages.prefill_s),
                                     table_.size_share) +
                        delay_behind(static_cast<float>(here_.rate(k.decode, now)),
                                     static_cast<float>(here_.queue_s(c, k.decode, now)), here_s, table_.size_share);
    const float own = (static_cast<float>(m.predicted_ttft_s) + price) * table_.scale + base;
    if (own >= least) continue;
    least = own;
    m.features = k.features;
    m.kl = k.kl;
    m.predicted_tpot_s = m.stages.tpot_s;
    m.chance = controller_.chance(m, r);
    out = m;
  }
  return out;
}

}  // namespace sluice::coordinator
