#include "coordinator/policy/placement.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "coordinator/policy/placement_costs.h"

namespace sluice::coordinator {
namespace {

Refusal too_late(double soonest_s, double deadline_s) {
  return {Error{Errc::resource_exhausted,
                fmt::format("no pair of nodes can start answering within {:.0f} ms (the soonest would take {:.0f} ms); "
                            "retry later",
                            deadline_s * 1e3, soonest_s * 1e3),
                {}},
          std::max(1.0, std::ceil(soonest_s - deadline_s))};
}

}  // namespace

/// Costs of all candidates, and the best of those that can start within the limit.
Placement::Best Placement::best(const ClusterSnapshot& c, const RequestFeatures& r, double limit_s, TimePoint now) {
  CandidateTable& t = table_;
  const auto within = static_cast<float>(std::min(limit_s, 0.5 * CandidateTable::kNever));
  t.scale = static_cast<float>(1 / std::max(r.ttft_slo_s, 1e-6));
  for (std::size_t d = 0; d < t.decodes.size(); ++d)
    t.base[d] = tpot_cost(t.tpot[d], r.tpot_slo_s) + static_cast<float>(r.waited_s) * t.scale;
  Best out;
  limit(within, true, now);
  cost_all(t, costs_);
  list_here(c, r, within, true, now);
  if (costs_.in_time == 0 && here_list_.empty()) {
    // Everything that could serve may rest: serving slowly beats refusing.
    out.fallback = true;
    limit(within, false, now);
    cost_all(t, costs_);
    list_here(c, r, within, false, now);
  }
  out.splits = costs_.in_time;
  out.considered = out.splits + here_list_.size();
  out.here = best_here();
  if (out.splits == 0) return out;
  const float close = *std::ranges::min_element(costs_.least) * static_cast<float>(1 + controller_.options().tie_share);
  float kl = CandidateTable::kNever;
  out.cost = CandidateTable::kNever;
  for (std::size_t pair = 0; pair < t.pairs(); ++pair) {
    if (costs_.least[pair] > close) continue;
    for (std::size_t f = 0; f < t.stride; ++f) {
      const std::size_t i = pair * t.stride + f;
      if (costs_.cost[i] > close || t.kl[f] > kl || (t.kl[f] == kl && costs_.cost[i] >= out.cost)) continue;
      kl = t.kl[f];
      out.cost = costs_.cost[i];
      out.index = i;
    }
  }
  out.index = less_used(out.index, out.cost * (1 + kAlikeShare));
  return out;
}

/// The same profile on the pair that got least of late, of those that cost no more than this. What a node has is not
/// computed elsewhere for the sake of sharing.
std::size_t Placement::less_used(std::size_t best, float most_cost) const {
  const CandidateTable& t = table_;
  float least = CandidateTable::kNever;
  std::size_t index = best;
  const float most_compute = t.prefill[best / t.stride / t.decodes.size()] * (1 + kAlikeShare);
  for (std::size_t pair = 0; pair < t.pairs(); ++pair) {
    if (costs_.least[pair] > most_cost) continue;  // lies close together; the costs themselves do not
    if (t.some_have && t.prefill[pair / t.decodes.size()] > most_compute) continue;
    const std::size_t i = pair * t.stride + best % t.stride;
    const float use = t.prefill_rate[pair / t.decodes.size()] + t.decode_rate[pair % t.decodes.size()];
    if (costs_.cost[i] > most_cost || use >= least) continue;
    least = use;
    index = i;
  }
  return index;
}

std::optional<std::size_t> Placement::least_lossy(const RequestFeatures& r, const Candidate& fastest) const {
  const CandidateTable& t = table_;
  const auto bound_s = static_cast<float>(this->bound_s(r, controller_.spread(fastest)));
  // Where no decode node is fast enough, loss would not make one faster.
  const auto tpot_s = static_cast<float>(std::max(r.tpot_slo_s, fastest.predicted_tpot_s));
  float kl = CandidateTable::kNever;
  float cost = CandidateTable::kNever;
  std::optional<std::size_t> found;
  for (std::size_t pair = 0; pair < t.pairs(); ++pair) {
    const std::size_t d = pair % t.decodes.size();
    if (t.tpot[d] > tpot_s) continue;
    for (std::size_t f = 0; f < t.profiles.size(); ++f) {
      const std::size_t i = pair * t.stride + f;
      const float own = costs_.cost[i];  // (TTFT + what it costs others) * scale + base
      if (own >= CandidateTable::kNever || t.kl[f] > kl || (t.kl[f] == kl && own >= cost)) continue;
      const float ttft_s = costs_.ttft[i];
      const float others_s = (own - t.base[d]) / t.scale - ttft_s;
      if (ttft_s + kOthers * others_s > bound_s) continue;
      kl = t.kl[f];
      cost = own;
      found = i;
    }
  }
  return found ? std::optional(less_used(*found, cost * (1 + kAlikeShare))) : std::nullopt;
}

/// The best candidate of one draw from the posterior, among those expected to take limit_s and to lose most_kl at most.
Placement::Draw Placement::draw(const RequestFeatures& r, float limit_s, float most_kl, TimePoint now) {
  drawn_ = table_;
  FastRandom& z = controller_.random();
  auto shake = [&](std::vector<float>& times, const std::vector<float>& var) {
    for (std::size_t i = 0; i < times.size(); ++i)
      if (var[i] > 0) times[i] *= std::exp(std::sqrt(var[i]) * z.normal());
  };
  shake(drawn_.encode, drawn_.encode_var);
  shake(drawn_.decode, drawn_.decode_var);
  shake(drawn_.byte_s, drawn_.byte_var);
  controller_.weigh(drawn_, true, now);
  predict_all(drawn_, drawn_ttft_);
  price_all(table_, price_);
  const float scale = table_.scale;
  Draw out{costs_.cost.size(), {}};
  float least = CandidateTable::kNever;
  for (std::size_t pair = 0; pair < drawn_.pairs(); ++pair) {
    const float base = tpot_cost(drawn_.tpot[pair % drawn_.decodes.size()], r.tpot_slo_s);
    for (std::size_t i = pair * drawn_.stride; i < (pair + 1) * drawn_.stride; ++i) {
      if (costs_.cost[i] >= CandidateTable::kNever || costs_.ttft[i] > limit_s) continue;
      if (table_.kl[i % table_.stride] > most_kl) continue;
      const float cost = (drawn_ttft_[i] + price_[i]) * scale + base;
      if (cost >= least) continue;
      least = cost;
      out.index = i;
    }
  }
  if (out.index < costs_.cost.size()) least += split_cost(out.index) - costs_.cost[out.index];
  for (std::size_t i = 0; i < here_list_.size(); ++i) {
    const Here& h = here_list_[i];
    const auto sd = static_cast<float>(here_.spread(table_.decodes[h.row]));
    const float cost = h.cost + h.ttft * (std::exp(sd * z.normal()) - 1) * scale;
    if (h.ttft > limit_s || cost >= least) continue;
    least = cost;
    out.here = i;
  }
  return out;
}

Candidate Placement::candidate(const ClusterSnapshot& c, const RequestFeatures& r, std::size_t index, TimePoint now) {
  const std::size_t pair = index / table_.stride;
  Candidate k{.prefill = table_.prefills[pair / table_.decodes.size()],
              .decode = table_.decodes[pair % table_.decodes.size()],
              .profile = table_.profiles[index % table_.stride],
              .cut = r.cut.value_or(r.split_cut())};
  if (k.cut < r.split_cut()) k.here_tokens = r.prompt_tokens - k.cut;
  latency_.predict(c, r, now, k);
  if (k.here_tokens > 0) add_here(c, k, now);
  k.features = ProfileController::features(k, c.decodes[k.decode].max_seqs,
                                           latency_.bandwidth(c, k.prefill, k.decode, now).value());
  k.kl = c.profiles[k.profile].kl;
  k.predicted_ttft_s = k.model_ttft_s * controller_.correction(k);
  k.predicted_tpot_s = k.stages.tpot_s;
  k.chance = controller_.chance(k, r);
  return k;
}

Candidate Placement::settle(const ClusterSnapshot& c, const RequestFeatures& r, Best& found, TimePoint now) {
  if (found.splits == 0) return alone(c, r, here_list_[*found.here], now);
  Candidate k = candidate(c, r, found.index, now);
  const bool quality = r.objective == Objective::quality && !r.profile && !found.fallback;
  const auto better = quality ? least_lossy(r, k) : std::nullopt;
  if (better) found.most_kl = table_.kl[*better % table_.stride];
  if (better && *better != found.index) {
    found.index = *better;
    k = candidate(c, r, found.index, now);
  }
  const float cost = alone_ ? split_cost(found.index) : 0;
  if (found.here) {
    const Here& h = here_list_[*found.here];
    const bool keeps = quality && h.ttft + kOthers * h.price <= bound_s(r, here_.spread(table_.decodes[h.row])) &&
                       table_.tpot[h.row] <= std::max(r.tpot_slo_s, k.predicted_tpot_s);
    // Nothing of its quality is lost: among those that meet the objectives that decides, else the cost.
    const bool alike = k.kl > 0 && h.cost <= cost * static_cast<float>(1 + controller_.options().tie_share);
    const bool cheaper = h.cost < cost || alike;
    if (keeps || better ? keeps && (!better || k.kl > 0 || h.cost < cost) : cheaper) {
      if (keeps) found.most_kl = 0;
      if (keeps && k.kl > 0) return alone(c, r, h, now);
      Candidate m = cut_between(c, r, k, found.index, std::min(cost, h.cost), INFINITY, now);
      if (m.here_tokens <= 0) return alone(c, r, h, now);
      found.here.reset();
      return m;
    }
  }
  found.here.reset();
  if (!alone_) return k;
  return cut_between(c, r, k, found.index, cost, better ? bound_s(r, controller_.spread(k)) : INFINITY, now);
}

void Placement::bind(const ClusterSnapshot& c) {
  if (!names_.bind(c)) return;
  latency_.grow(c);
  controller_.grow();
  here_.grow(c);
  prefill_sight_.grow(names_.prefills.size());
  decode_sight_.grow(names_.decodes.size());
}

Placement::Best Placement::search(const ClusterSnapshot& c, const RequestFeatures& r, double limit_s, TimePoint now) {
  list_nodes(c, r, now);
  if (c.links.size() > CandidateTable::kNodes * CandidateTable::kNodes)
    for (const std::size_t p : table_.prefills)
      for (const std::size_t d : table_.decodes) {
        latency_.touch(c, p, d);
        controller_.touch(names_.prefill[p], names_.decode[d]);
      }
  fill(c, r, now);
  controller_.weigh(table_, false, now);
  return best(c, r, limit_s, now);
}

std::optional<Candidate> Placement::preview(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now) {
  bind(c);
  if (open_ways(c, r)) return std::nullopt;
  Best found = search(c, r, CandidateTable::kNever, now);
  if (found.considered == 0) return std::nullopt;
  return settle(c, r, found, now);
}

Placed Placement::decide(const ClusterSnapshot& c, const RequestFeatures& r, double deadline_s, TimePoint now) {
  bind(c);
  if (auto no = open_ways(c, r)) return std::move(*no);
  Best found = search(c, r, deadline_s - r.waited_s, now);
  if (found.considered == 0) {
    const float split_s = costs_.ttft.empty() ? CandidateTable::kNever : *std::ranges::min_element(costs_.ttft);
    return too_late(std::min(split_s, soonest_here_) + r.waited_s, deadline_s);
  }
  Decision out{settle(c, r, found, now), ChoiceReason::best, found.considered};
  if (found.fallback) out.reason = ChoiceReason::cooled_fallback;
  if (found.considered == 1) out.reason = ChoiceReason::only;
  if (out.reason != ChoiceReason::best) return out;
  if (auto other = tried(c, r, out.chosen, found, now)) {
    out.chosen = *other;
    out.reason = ChoiceReason::explore;
  }
  return out;
}

std::optional<Candidate> Placement::tried(const ClusterSnapshot& c, const RequestFeatures& r, const Candidate& best,
                                          const Best& found, TimePoint now) {
  const auto safe = [&](const Candidate& k) { return k.chance >= kSafeChance || k.chance >= best.chance - 0.05; };
  if (found.splits > 0)
    if (const auto other = sighting(found.index, now)) {
      Candidate k = candidate(c, r, *other, now);
      // A decode node that computes the prompt may serve it much faster than any pair.
      if (!best.local || safe(k)) return k;
    }
  if (!r.may_explore || !controller_.may_explore()) return std::nullopt;
  const float own_s = best.local ? here_list_[*found.here].ttft : costs_.ttft[found.index];
  const Draw other = draw(r, own_s * static_cast<float>(kExploreFactor), found.most_kl, now);
  if (other.here ? other.here == found.here : other.index == costs_.cost.size()) return std::nullopt;
  if (!other.here && !best.local && other.index == found.index) return std::nullopt;
  Candidate k = other.here ? alone(c, r, here_list_[*other.here], now) : candidate(c, r, other.index, now);
  if (!safe(k)) return std::nullopt;
  return k;
}

std::optional<std::size_t> Placement::sighting(std::size_t best, TimePoint now) {
  const CandidateTable& t = table_;
  const std::size_t pair = best / t.stride;
  std::size_t p = pair / t.decodes.size();
  std::size_t d = pair % t.decodes.size();
  if (const auto i = decode_sight_.overdue(t.decodes, names_.decode, now))
    d = *i;
  else if (const auto j = prefill_sight_.overdue(t.prefills, names_.prefill, now))
    p = *j;
  else
    return std::nullopt;
  if (controller_.resting(names_.prefill[t.prefills[p]], names_.decode[t.decodes[d]], now)) return std::nullopt;
  const std::size_t index = (p * t.decodes.size() + d) * t.stride + best % t.stride;
  return index == best ? std::nullopt : std::optional(index);
}

void Placement::placed(Candidate& k, TimePoint now) {
  decode_sight_.chosen(k.decode_slot, now);
  if (k.here_tokens > 0) here_.placed(k, now);
  if (k.local) return;
  latency_.placed(k, now);
  prefill_sight_.chosen(k.prefill_slot, now);
}

void Placement::finished(const Candidate& k, const Measured& m, TimePoint now) {
  // A transfer that had to change its profile would have taken longer still: bad news of the chosen one is true. So is
  // it where more of a prompt was there than was known; that it came sooner says nothing of what was predicted. Where
  // less was there, it is no news of pair and profile.
  const bool as_chosen = !m.mixed && m.had_tokens == k.had;
  const bool sooner = m.mixed || m.had_tokens > k.had;
  if (k.here_tokens <= 0 && (as_chosen || (sooner && m.ttft_s > k.predicted_ttft_s)))
    controller_.observe(k, m.ttft_s, now);
  here_.finished(k, m, now);
  latency_.finished(k, m, now);
}

void Placement::failed(const Candidate& k, TimePoint now) {
  if (k.local)
    here_.failed(k, now + from_seconds(controller_.options().cooldown_s));
  else
    controller_.observe_failure(k, now);
}

}  // namespace sluice::coordinator
