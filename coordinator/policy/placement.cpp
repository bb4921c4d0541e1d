#include "coordinator/policy/placement.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace sluice::coordinator {
namespace {

/// Nodes whose costs differ by less are alike, and share: of equal nodes the one that chance made look better by a
/// little would get everything, and the other be known ever less.
constexpr float kAlikeShare = 0.05F;

/// Where quality comes first, how much more what a candidate costs others counts than its own time: its own objective
/// is as good as met, theirs may be near. Chosen by the registered scenarios (docs/evidence/controller.md): with 1
/// others miss theirs more often, with 3 a sixth more quality is spent than with 1.
constexpr float kOthers = 2;

/// What a decode node's speed costs, in units of a TTFT as long as its objective. Near and past the TPOT objective it
/// outweighs any faster start.
float tpot_cost(float tpot_s, double slo_s) {
  const auto share = static_cast<float>(tpot_s / std::max(slo_s, 1e-9));
  return 0.25F * share + 10.0F * std::max(0.0F, share - 0.9F);
}

/// How many standard deviations below its bound a normal quantity's mean must be to stay below it with this chance
/// (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.23; off by 4.5e-4 at most).
double deviations(double chance) {
  const double beyond = 1 - std::clamp(chance, 0.5, 0.9999);
  const double t = std::sqrt(-2 * std::log(beyond));
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

Refusal too_late(double soonest_s, double deadline_s) {
  return {Error{Errc::resource_exhausted,
                fmt::format("no pair of nodes can start answering within {:.0f} ms (the soonest would take {:.0f} ms); "
                            "retry later",
                            deadline_s * 1e3, soonest_s * 1e3),
                {}},
          std::max(1.0, std::ceil(soonest_s - deadline_s))};
}

}  // namespace

Result<> Placement::allow_profiles(const ClusterSnapshot& c, const RequestFeatures& r) {
  table_.profiles.clear();
  for (std::size_t i = 0; i < c.profiles.size(); ++i)
    if (r.profile ? c.profiles[i].name == *r.profile : c.profiles[i].kl <= r.quality_budget)
      table_.profiles.push_back(i);
  if (!table_.profiles.empty()) return {};
  if (r.profile)
    return std::unexpected(
        Error{Errc::not_found, fmt::format("KV profile '{}' is not offered here", *r.profile), "sluice.profile"});
  return std::unexpected(Error{Errc::invalid_argument,
                               fmt::format("no KV profile is within the quality budget of {} nats", r.quality_budget),
                               "sluice.quality_budget"});
}

/// Keeps the cheapest three quarters of the places, and fills the rest by chance.
void Placement::shorten(std::vector<Ranked>& all, std::vector<std::size_t>& out) {
  out.clear();
  constexpr std::size_t kMost = CandidateTable::kNodes;
  if (all.size() > kMost) {
    constexpr std::size_t kCheapest = kMost * 3 / 4;
    // The cheapest so far as a heap, the dearest of them at its top: of hundreds of nodes few get in.
    const std::ranges::subrange heap(all.begin(), all.begin() + kCheapest);
    std::ranges::make_heap(heap, {}, &Ranked::cost);
    for (std::size_t i = kCheapest; i < all.size(); ++i) {
      if (all[i].cost >= all[0].cost) continue;
      std::ranges::pop_heap(heap, {}, &Ranked::cost);
      std::swap(all[i], all[kCheapest - 1]);
      std::ranges::push_heap(heap, {}, &Ranked::cost);
    }
    // Those by chance stay for a few decisions: what is known of their pairs is in cache then.
    if (list_turn_++ % kSameList == 0) list_from_ = controller_.random().next();
    for (std::size_t i = kCheapest; i < kMost; ++i) std::swap(all[i], all[i + list_from_ % (all.size() - i)]);
    all.resize(kMost);
    std::ranges::sort(all, {}, &Ranked::index);
  }
  for (const Ranked& x : all) out.push_back(x.index);
}

void Placement::list_nodes(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now) {
  const double tokens = r.prompt_tokens > 0 ? r.prompt_tokens - 1.0 : 0.0;
  ranked_.clear();
  for (std::size_t p = 0; p < c.prefills.size(); ++p)
    if (holds(c.prefills[p], r))
      ranked_.push_back({static_cast<float>(latency_.queue_s(c, p, now) + latency_.prefill_s(c, p, tokens, now)), p});
  shorten(ranked_, table_.prefills);
  ranked_.clear();
  for (std::size_t d = 0; d < c.decodes.size(); ++d)
    if (room_on(c.decodes[d], r) == Room::now)
      ranked_.push_back({static_cast<float>(latency_.tpot_s(c, d, tokens, now)), d});
  shorten(ranked_, table_.decodes);
}

void Placement::fill(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now) {
  CandidateTable& t = table_;
  t.shape();
  const double tokens = r.prompt_tokens > 0 ? r.prompt_tokens - 1.0 : 0.0;
  const auto raw = static_cast<float>(tokens * static_cast<double>(c.kv_bytes_per_token));
  const std::size_t nf = t.profiles.size();
  t.size_share = raw > 0 ? static_cast<float>(latency_.mean_bytes()) / raw : 1;
  t.log_kilotokens = std::log(std::max(tokens, 1.0) * 1e-3);
  for (std::size_t i = 0; i < t.prefills.size(); ++i) {
    const std::size_t p = t.prefills[i];
    t.queue[i] = static_cast<float>(latency_.queue_s(c, p, now));
    const double compute = latency_.prefill_s(c, p, tokens, now);
    t.prefill[i] = static_cast<float>(compute);
    t.set_overlap(i, latency_.overlap(c, p, tokens, compute, now));
    t.prefill_rate[i] = static_cast<float>(latency_.prefill_rate(p, now));
    t.load[i] = t.queue[i] > 0 ? t.queue[i] / (t.queue[i] + t.prefill[i]) : 0;
    for (std::size_t j = 0; j < nf; ++j) {
      const Estimate& e = latency_.encode(c, p, t.profiles[j], now);
      t.encode[i * t.stride + j] = raw / e.value();
      t.encode_var[i * t.stride + j] = e.var();
      t.wire_bytes[i * t.stride + j] =
          raw / static_cast<float>(std::max(c.prefills[p].profiles[t.profiles[j]].ratio, 0.1));
    }
  }
  for (std::size_t i = 0; i < t.decodes.size(); ++i) {
    const std::size_t d = t.decodes[i];
    const DecodeView& view = c.decodes[d];
    const double context = static_cast<double>(view.total_blocks - view.free_blocks) * view.block_size + tokens;
    const double tpot = latency_.tpot_s(c, d, context, now);
    t.tpot[i] = static_cast<float>(tpot);
    t.decode_rate[i] = static_cast<float>(latency_.decode_rate(d, now));
    t.first[i] = static_cast<float>(latency_.first_s(d, tpot));
    t.fill[i] = static_cast<float>(view.seqs + 1.0) / static_cast<float>(std::max(view.max_seqs, 1U));
    for (std::size_t j = 0; j < nf; ++j) {
      const Estimate& e = latency_.decode(c, d, t.profiles[j], now);
      t.decode[i * t.stride + j] = raw / e.value();
      t.decode_var[i * t.stride + j] = e.var();
    }
  }
  latency_.fill_pairs(c, now, t);
  for (std::size_t j = 0; j < nf; ++j) {
    t.kl[j] = static_cast<float>(c.profiles[t.profiles[j]].kl);
    t.log_wire_mb[j] = std::log(std::max(t.wire_bytes[j], 1.0F) * 1e-6F);
  }
}

void Placement::limit(float limit_s, bool rest, TimePoint now) {
  CandidateTable& t = table_;
  std::ranges::fill(t.limit, limit_s);
  if (!rest || !controller_.any_resting(now)) return;
  for (std::size_t pair = 0; pair < t.pairs(); ++pair)
    if (controller_.resting(names_.prefill[t.prefills[pair / t.decodes.size()]],
                            names_.decode[t.decodes[pair % t.decodes.size()]], now))
      t.limit[pair] = -1;
}

/// Costs of all candidates, and the best of those that can start within the limit.
Placement::Best Placement::best(const RequestFeatures& r, double limit_s, TimePoint now) {
  CandidateTable& t = table_;
  const auto within = static_cast<float>(std::min(limit_s, 0.5 * CandidateTable::kNever));
  t.scale = static_cast<float>(1 / std::max(r.ttft_slo_s, 1e-6));
  for (std::size_t d = 0; d < t.decodes.size(); ++d)
    t.base[d] = tpot_cost(t.tpot[d], r.tpot_slo_s) + static_cast<float>(r.waited_s) * t.scale;
  Best out;
  limit(within, true, now);
  cost_all(t, costs_);
  if (costs_.in_time == 0 && controller_.any_resting(now)) {
    // Everything that could serve rests: serving slowly beats refusing.
    out.fallback = true;
    limit(within, false, now);
    cost_all(t, costs_);
  }
  out.considered = costs_.in_time;
  if (out.considered == 0) return out;
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

/// The same profile on the pair that got least of late, of those that cost no more than this.
std::size_t Placement::less_used(std::size_t best, float most_cost) const {
  const CandidateTable& t = table_;
  float least = CandidateTable::kNever;
  std::size_t index = best;
  for (std::size_t pair = 0; pair < t.pairs(); ++pair) {
    if (costs_.least[pair] > most_cost) continue;  // lies close together; the costs themselves do not
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
  const auto bound_s =
      static_cast<float>(r.ttft_slo_s / std::exp(deviations(r.attainment) * controller_.spread(fastest)) - r.waited_s);
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
std::size_t Placement::draw(const RequestFeatures& r, float limit_s, float most_kl, TimePoint now) {
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
  std::size_t index = costs_.cost.size();
  float least = CandidateTable::kNever;
  for (std::size_t pair = 0; pair < drawn_.pairs(); ++pair) {
    const float base = tpot_cost(drawn_.tpot[pair % drawn_.decodes.size()], r.tpot_slo_s);
    for (std::size_t i = pair * drawn_.stride; i < (pair + 1) * drawn_.stride; ++i) {
      if (costs_.cost[i] >= CandidateTable::kNever || costs_.ttft[i] > limit_s) continue;
      if (table_.kl[i % table_.stride] > most_kl) continue;
      const float cost = (drawn_ttft_[i] + price_[i]) * scale + base;
      if (cost >= least) continue;
      least = cost;
      index = i;
    }
  }
  return index;
}

Candidate Placement::candidate(const ClusterSnapshot& c, const RequestFeatures& r, std::size_t index, TimePoint now) {
  const std::size_t pair = index / table_.stride;
  Candidate k{.prefill = table_.prefills[pair / table_.decodes.size()],
              .decode = table_.decodes[pair % table_.decodes.size()],
              .profile = table_.profiles[index % table_.stride]};
  latency_.predict(c, r, now, k);
  k.features = ProfileController::features(k, c.decodes[k.decode].max_seqs,
                                           latency_.bandwidth(c, k.prefill, k.decode, now).value());
  k.kl = c.profiles[k.profile].kl;
  k.predicted_ttft_s = k.model_ttft_s * controller_.correction(k);
  k.predicted_tpot_s = k.stages.tpot_s;
  k.chance = controller_.chance(k, r);
  return k;
}

Candidate Placement::settle(const ClusterSnapshot& c, const RequestFeatures& r, Best& found, TimePoint now) {
  Candidate k = candidate(c, r, found.index, now);
  if (r.objective != Objective::quality || r.profile || found.fallback) return k;
  const auto better = least_lossy(r, k);
  if (!better) return k;
  found.most_kl = table_.kl[*better % table_.stride];
  if (*better == found.index) return k;
  found.index = *better;
  return candidate(c, r, found.index, now);
}

void Placement::bind(const ClusterSnapshot& c) {
  if (!names_.bind(c)) return;
  latency_.grow(c);
  controller_.grow();
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
  return best(r, limit_s, now);
}

std::optional<Candidate> Placement::preview(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now) {
  bind(c);
  if (check_prefill(c, r) || check_room(c, r) || !allow_profiles(c, r)) return std::nullopt;
  Best found = search(c, r, CandidateTable::kNever, now);
  if (found.considered == 0) return std::nullopt;
  return settle(c, r, found, now);
}

Placed Placement::decide(const ClusterSnapshot& c, const RequestFeatures& r, double deadline_s, TimePoint now) {
  bind(c);
  if (auto none = check_prefill(c, r)) return std::move(*none);
  if (auto full = check_room(c, r)) return std::visit([](auto x) -> Placed { return x; }, std::move(*full));
  if (auto ok = allow_profiles(c, r); !ok) return Refusal{std::move(ok).error(), 0};
  Best found = search(c, r, deadline_s - r.waited_s, now);
  if (found.considered == 0) return too_late(*std::ranges::min_element(costs_.ttft) + r.waited_s, deadline_s);
  Decision out{settle(c, r, found, now), ChoiceReason::best, found.considered};
  if (found.fallback) out.reason = ChoiceReason::cooled_fallback;
  if (found.considered == 1) out.reason = ChoiceReason::only;
  if (const auto other = out.reason == ChoiceReason::best ? sighting(found.index, now) : std::nullopt) {
    out.chosen = candidate(c, r, *other, now);
    out.reason = ChoiceReason::explore;
    return out;
  }
  if (out.reason != ChoiceReason::best || !r.may_explore || !controller_.may_explore()) return out;
  const std::size_t other_index =
      draw(r, costs_.ttft[found.index] * static_cast<float>(kExploreFactor), found.most_kl, now);
  if (other_index == costs_.cost.size() || other_index == found.index) return out;
  const Candidate other = candidate(c, r, other_index, now);
  if (other.chance < kSafeChance && other.chance < out.chosen.chance - 0.05) return out;
  out.chosen = other;
  out.reason = ChoiceReason::explore;
  return out;
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
  latency_.placed(k, now);
  prefill_sight_.chosen(k.prefill_slot, now);
  decode_sight_.chosen(k.decode_slot, now);
}

void Placement::finished(const Candidate& k, const Measured& m, TimePoint now) {
  // A transfer that had to change its profile would have taken longer still: bad news of the chosen one is true.
  if (!m.mixed || m.ttft_s > k.predicted_ttft_s) controller_.observe(k, m.ttft_s, now);
  latency_.finished(k, m, now);
}

std::variant<std::size_t, Wait, Refusal> Placement::decide_colocated(const ClusterSnapshot& c,
                                                                     const RequestFeatures& r) {
  if (auto full = check_room(c, r))
    return std::visit([](auto x) -> std::variant<std::size_t, Wait, Refusal> { return x; }, std::move(*full));
  std::size_t best = 0;
  std::uint32_t least = UINT32_MAX;
  // From another node on each time, so that idle ones share.
  const std::uint64_t from = colocated_turn_++;
  for (std::size_t i = 0; i < c.decodes.size(); ++i) {
    const std::size_t d = (from + i) % c.decodes.size();
    if (room_on(c.decodes[d], r) != Room::now || c.decodes[d].seqs >= least) continue;
    best = d;
    least = c.decodes[d].seqs;
  }
  return best;
}

}  // namespace sluice::coordinator
