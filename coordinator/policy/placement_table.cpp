// The table of a decision: which nodes and profiles stand in it, and what is known of each.
#include <algorithm>
#include <cmath>

#include "coordinator/policy/placement.h"
#include "coordinator/policy/placement_costs.h"

namespace sluice::coordinator {

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
  const std::uint32_t cut = r.cut.value_or(r.split_cut());
  ranked_.clear();
  for (std::size_t p = 0; split_ && p < c.prefills.size(); ++p)
    if (holds(c.prefills[p], r) && cuts_there(c.prefills[p], r))
      ranked_.push_back(
          {static_cast<float>(latency_.queue_s(c, p, now) + latency_.prefill_s(c, p, r.had(p, cut), cut, now)), p});
  shorten(ranked_, table_.prefills);
  ranked_.clear();
  for (std::size_t d = 0; d < c.decodes.size(); ++d)
    if (room_on(c.decodes[d], r) == Room::now)
      ranked_.push_back({static_cast<float>(latency_.tpot_s(c, d, r.split_cut(), now)), d});
  shorten(ranked_, table_.decodes);
}

void Placement::fill(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now) {
  CandidateTable& t = table_;
  t.shape();
  t.some_have = r.hits != nullptr;
  const std::uint32_t cut = r.cut.value_or(r.split_cut());
  const double tokens = cut;
  const auto raw = static_cast<float>(tokens * static_cast<double>(c.kv_bytes_per_token));
  const std::size_t nf = t.profiles.size();
  t.size_share = raw > 0 ? static_cast<float>(latency_.mean_bytes()) / raw : 1;
  t.log_kilotokens = std::log(std::max(tokens, 1.0) * 1e-3);
  for (std::size_t i = 0; i < t.prefills.size(); ++i) {
    const std::size_t p = t.prefills[i];
    t.queue[i] = static_cast<float>(latency_.queue_s(c, p, now));
    const double had = r.had(p, cut);
    const double compute = latency_.prefill_s(c, p, had, tokens, now);
    t.prefill[i] = static_cast<float>(compute);
    t.set_overlap(i, latency_.overlap(c, p, had, tokens, compute, now));
    t.encode_wait[i] = static_cast<float>(latency_.encode_wait_s(p, now));
    t.prefill_rate[i] = static_cast<float>(latency_.prefill_rate(p, now));
    if (r.hits != nullptr) t.prefill_price[i] = delay_behind(t.prefill_rate[i], t.queue[i], t.prefill[i], t.size_share);
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
    const double context = static_cast<double>(view.total_blocks - view.free_blocks) * view.block_size + r.split_cut();
    const double tpot = latency_.tpot_s(c, d, context, now);
    t.tpot[i] = static_cast<float>(tpot);
    t.decode_rate[i] = static_cast<float>(latency_.decode_rate(d, now));
    t.decode_wait[i] = static_cast<float>(latency_.decode_wait_s(d, now));
    t.first[i] =
        static_cast<float>(split_ && tokens < r.split_cut() ? here_.compute_s(c, d, tokens, r.prompt_tokens, now)
                                                            : latency_.first_s(d, tpot));
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

}  // namespace sluice::coordinator
