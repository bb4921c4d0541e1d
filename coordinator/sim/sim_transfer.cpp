// KV on its way: encoder, shared link, decoder, and a sender's change to a tighter profile.
#include "common/transfer/tightening.h"
#include "coordinator/policy/transfer_offer.h"
#include "coordinator/sim/sim.h"

namespace sluice::sim {

using namespace coordinator;

namespace {

/// After so many a sender's mean has come most of the way to a link's new speed.
constexpr double kNoticeBytes = 4 << 20;

}  // namespace

/// A chunk's KV into encoder and link, layer by layer behind the pass of pass_s that begins now; without overlap a
/// prompt's, each stage when the one before is through.
void Sim::ship(std::size_t p, std::uint32_t id, double tokens, bool last, double pass_s) {
  Active& a = active_[id];
  PrefillSim& n = prefills_[p];
  const std::size_t d = a.k.decode;
  const std::size_t f = a.sends;
  const double layer = 1.0 / spec_.model.layers;
  const double behind = spec_.overlap ? layer : 1;
  const double raw = tokens * spec_.model.kv_bytes_per_token;
  a.shipped += raw;
  Chunk c{.id = id, .profile = static_cast<std::uint16_t>(f), .last = last, .raw = raw, .behind = behind};
  c.bytes = raw / spec_.profiles[f].ratio;
  c.encode_s = vary(raw / encode_truth_[p][f], spec_.spread);
  c.decode_s = vary(raw / decode_truth_[d][f], spec_.spread);
  const double from = std::max(n.encoder_free_s, now_ + pass_s * behind);
  c.encoded_s = n.encoder_free_s = std::max(from + c.encode_s, now_ + pass_s + c.encode_s * layer);
  push(from + c.encode_s * behind, What::onto_link, chunks_.take(c));
}

void Sim::end_link_at(std::size_t p, std::size_t d) {
  LinkSim& l = prefills_[p].links[d];
  l.event = order_;
  push(std::max(now_, l.link.next_end(rate_of(d))), What::off_link, p * decodes_.size() + d);
}

void Sim::onto_link(std::uint32_t slot) {
  Chunk& c = chunks_.at(slot);
  Active& a = active_[c.id];
  LinkSim& l = link_of(a);
  c.entered_s = now_;
  if (a.wire_from_s < 0) a.wire_from_s = now_;
  l.link.enter(now_, {c.id, slot, vary(c.bytes, spec_.spread)}, rate_of(a.k.decode));
  if (!l.to_tell) prefills_[a.k.prefill].links_to_tell.push_back(static_cast<std::uint32_t>(a.k.decode));
  l.to_tell = true;
  end_link_at(a.k.prefill, a.k.decode);
  const SharedLink::Rate r = rate_of(a.k.decode);
  if (r.timeline.at(now_) * r.bps < kCollapsedShare * a.planned_bps) look_later(a.k.prefill, a.k.decode);
}

void Sim::off_link(std::size_t pair, std::uint64_t event) {
  const std::size_t p = pair / decodes_.size();
  const std::size_t d = pair % decodes_.size();
  LinkSim& l = prefills_[p].links[d];
  if (l.event != event) return;
  const Chunk c = chunks_.give(l.link.leave(now_, rate_of(d)).chunk);
  if (!l.link.idle()) end_link_at(p, d);
  // The last layer leaves no sooner than it is encoded.
  land(c, std::max(now_, c.encoded_s + (now_ - c.entered_s) / spec_.model.layers));
  if (!active_[c.id].m.mixed) meter(prefills_[p].encode_bps[c.profile], c.raw / c.encode_s);
}

/// Links have another speed from now on.
void Sim::link_step() {
  for (std::size_t p = 0; p < prefills_.size(); ++p)
    for (std::size_t d = 0; d < decodes_.size(); ++d)
      if (!prefills_[p].links[d].link.idle()) look_later(p, d);
}

/// A sender knows a link's speed once some bytes have gone over it, or once those under way are overdue.
void Sim::look_later(std::size_t p, std::size_t d) {
  LinkSim& l = prefills_[p].links[d];
  if (!policy_.changes_in_transfer() || l.look_due) return;
  const SharedLink::Rate r = rate_of(d);
  const double overdue_s = spec_.encode_ahead_s / kCollapsedShare + kPatienceS;
  l.look_due = true;
  push(now_ + std::min(kNoticeBytes / (r.timeline.at(now_) * r.bps), overdue_s), What::look, p * decodes_.size() + d);
}

void Sim::look(std::size_t pair) {
  const std::size_t p = pair / decodes_.size();
  const std::size_t d = pair % decodes_.size();
  LinkSim& l = prefills_[p].links[d];
  const SharedLink::Rate r = rate_of(d);
  l.look_due = false;
  l.link.advance(now_, r);
  bool changed = false;
  for (const std::uint32_t id : l.link.requests()) changed |= tighten_one(id, r.timeline.at(now_) * r.bps);
  if (changed) end_link_at(p, d);
}

/// As a prefill node: what is not encoded yet, all but a short while's bytes, goes on under the profile that tighten()
/// says.
bool Sim::tighten_one(std::uint32_t id, double link_bps) {
  Active& a = active_[id];
  if (a.m.mixed || link_bps >= kCollapsedShare * a.planned_bps) return false;
  const auto [p, d] = std::pair(a.k.prefill, a.k.decode);
  const auto offered = transfer_ways(view_, {.quality_budget = spec_.slo.quality_kl}, a.k);
  std::vector<Way> ways;
  for (const TransferWay& w : offered) ways.push_back({std::min(w.encode_bps, w.decode_bps), w.ratio});
  PrefillSim& n = prefills_[p];
  SharedLink& l = n.links[d].link;
  const double own = l.backlog_bytes(id);
  const double all = l.backlog_bytes();
  const double ahead = std::min({all, spec_.encode_ahead_s * a.planned_bps, spec_.encode_ahead_bytes});
  const double keep = own * ahead / all;
  const double not_computed = a.k.raw_bytes - a.shipped;
  const std::size_t way =
      tighten({.planned_bps = a.planned_bps,
               .link_bps = link_bps,
               .ahead_bytes = ahead,
               .raw_left = not_computed + (own - keep) * ways[0].ratio,
               .compute_left_s = n.rate > 0 ? not_computed / spec_.model.kv_bytes_per_token / n.rate : 0},
              ways);
  if (way == 0) return false;
  a.m.mixed = true;
  a.sends = offered[way].profile;
  ++result_.tightened;
  for (const auto& s : l.shrink(now_, id, keep, ways[0].ratio / ways[way].ratio, rate_of(d))) {
    Chunk& c = chunks_.at(s.chunk);
    const double share = std::min(1.0, s.bytes / c.bytes);
    const double encode_s = share * c.raw / encode_truth_[p][a.sends];
    n.encoder_free_s = std::max(n.encoder_free_s, now_) + encode_s;
    c.encoded_s = n.encoder_free_s;
    c.encode_s = (1 - share) * c.encode_s + encode_s;
    c.decode_s = (1 - share) * c.decode_s + share * c.raw / decode_truth_[d][a.sends];
    c.bytes -= s.bytes * (1 - ways[0].ratio / ways[way].ratio);
  }
  return true;
}

/// The decoder takes chunks of all links one after another, each from when its first layer is there.
void Sim::land(const Chunk& c, double sent_s) {
  Active& a = active_[c.id];
  DecodeSim& n = decodes_[a.k.decode];
  const double first_s = c.entered_s + (sent_s - c.entered_s) * c.behind;
  n.decoder_free_s = std::max(n.decoder_free_s, first_s) + c.decode_s;
  a.ready_s = std::max({a.ready_s, n.decoder_free_s, sent_s + c.decode_s * c.behind});
  a.wire_to_s = sent_s;
  a.m.encode_s += c.encode_s;
  a.m.decode_s += c.decode_s;
  a.m.raw_bytes += c.raw;
  a.m.wire_bytes += c.bytes;
  if (!a.m.mixed) meter(n.decode_bps[c.profile], c.raw / c.decode_s);
  if (c.last) push(std::max(a.ready_s, now_) + spec_.rtt_s, What::arrived, c.id);
}

}  // namespace sluice::sim
