#include "coordinator/sim/transfer_side.h"

#include "common/transfer/tightening.h"
#include "coordinator/policy/transfer_offer.h"

namespace sluice::sim {

using namespace coordinator;

namespace {

/// After so many a sender's mean has come most of the way to a link's new speed.
constexpr double kNoticeBytes = 4 << 20;
constexpr double kLeastBurst = 64 << 10;  // bytes; as the sender's meter: smaller bursts tell of latency

}  // namespace

/// What the nodes' codecs do, whatever the tables say.
std::vector<double> TransferSide::truth(const Hardware& h, double CodecSpeed::* way) const {
  std::vector<double> out;
  for (const ProfileSpec& f : scene_.spec.profiles) {
    const CodecSpeed& s = *std::ranges::find(h.codecs, f.name, &CodecSpeed::profile);
    out.push_back(s.*way * (f.name == scene_.spec.liar ? scene_.spec.liar_factor : 1));
  }
  return out;
}

void TransferSide::add_encoder(const Hardware& h) {
  Encoder& n = encoders_.emplace_back();
  n.truth_bps = truth(h, &CodecSpeed::encode_bps);
  n.measured_bps.resize(n.truth_bps.size());
  n.links.resize(scene_.spec.decodes.size());
}

void TransferSide::add_decoder(const Hardware& h) {
  Decoder& n = decoders_.emplace_back();
  n.truth_bps = truth(h, &CodecSpeed::decode_bps);
  n.measured_bps.resize(n.truth_bps.size());
}

void TransferSide::begin(Active& a) {
  SharedLink& l = link_of(a).link;
  l.advance(scene_.now, rate_of(a.k.decode));
  a.link_bytes = l.sent_bytes();
  a.link_busy_s = l.busy_s();
}

void TransferSide::measure(Active& a) {
  a.m.exposed_s = scene_.now - a.computed_s;
  a.m.wire_s = a.wire_to_s - a.wire_from_s;
  SharedLink& l = link_of(a).link;
  l.advance(scene_.now, rate_of(a.k.decode));
  a.m.link_bytes = l.sent_bytes() - a.link_bytes;
  a.m.link_busy_s = l.busy_s() - a.link_busy_s;
}

/// A chunk's KV into encoder and link, layer by layer behind the pass of pass_s that begins now; without overlap a
/// prompt's, each stage when the one before is through.
void TransferSide::ship(std::size_t p, std::uint32_t id, double tokens, bool last, double pass_s) {
  Active& a = scene_.active[id];
  Encoder& n = encoders_[p];
  const std::size_t d = a.k.decode;
  const std::size_t f = a.sends;
  const double layer = 1.0 / scene_.spec.model.layers;
  const double behind = scene_.spec.overlap ? layer : 1;
  const double raw = tokens * scene_.spec.model.kv_bytes_per_token;
  a.shipped += raw;
  Chunk c{.id = id, .profile = static_cast<std::uint16_t>(f), .last = last, .raw = raw, .behind = behind};
  c.bytes = raw / scene_.spec.profiles[f].ratio;
  c.encode_s = scene_.vary(raw / n.truth_bps[f], scene_.spec.spread);
  c.decode_s = scene_.vary(raw / decoders_[d].truth_bps[f], scene_.spec.spread);
  const double from = std::max(n.free_s, scene_.now + pass_s * behind);
  c.encoded_s = n.free_s = std::max(from + c.encode_s, scene_.now + pass_s + c.encode_s * layer);
  scene_.push(from + c.encode_s * behind, What::onto_link, chunks_.take(c));
}

void TransferSide::end_link_at(std::size_t p, std::size_t d) {
  LinkSim& l = encoders_[p].links[d];
  l.event = scene_.push(std::max(scene_.now, l.link.next_end(rate_of(d))), What::off_link, pair(p, d));
}

void TransferSide::onto_link(std::uint32_t slot) {
  Chunk& c = chunks_.at(slot);
  Active& a = scene_.active[c.id];
  LinkSim& l = link_of(a);
  c.entered_s = scene_.now;
  if (a.wire_from_s < 0) a.wire_from_s = scene_.now;
  l.link.enter(scene_.now, {c.id, slot, scene_.vary(c.bytes, scene_.spec.spread)}, rate_of(a.k.decode));
  if (!l.to_tell) encoders_[a.k.prefill].links_to_tell.push_back(static_cast<std::uint32_t>(a.k.decode));
  l.to_tell = true;
  end_link_at(a.k.prefill, a.k.decode);
  const SharedLink::Rate r = rate_of(a.k.decode);
  if (r.timeline.at(scene_.now) * r.bps < kCollapsedShare * a.planned_bps) look_later(a.k.prefill, a.k.decode);
}

void TransferSide::off_link(std::size_t link, std::uint64_t event) {
  const std::size_t p = link / decoders_.size();
  const std::size_t d = link % decoders_.size();
  LinkSim& l = encoders_[p].links[d];
  if (l.event != event) return;
  const Chunk c = chunks_.give(l.link.leave(scene_.now, rate_of(d)).chunk);
  if (!l.link.idle()) end_link_at(p, d);
  // The last layer leaves no sooner than it is encoded.
  land(c, std::max(scene_.now, c.encoded_s + (scene_.now - c.entered_s) / scene_.spec.model.layers));
  if (!scene_.active[c.id].m.mixed) meter(encoders_[p].measured_bps[c.profile], c.raw / c.encode_s);
}

/// Links have another speed from now on.
void TransferSide::link_step() {
  for (std::size_t p = 0; p < encoders_.size(); ++p)
    for (std::size_t d = 0; d < decoders_.size(); ++d)
      if (!encoders_[p].links[d].link.idle()) look_later(p, d);
}

/// A sender knows a link's speed once some bytes have gone over it, or once those under way are overdue.
void TransferSide::look_later(std::size_t p, std::size_t d) {
  LinkSim& l = encoders_[p].links[d];
  if (!changes_ || l.look_due) return;
  const SharedLink::Rate r = rate_of(d);
  const double overdue_s = scene_.spec.encode_ahead_s / kCollapsedShare + kPatienceS;
  l.look_due = true;
  scene_.push(scene_.now + std::min(kNoticeBytes / (r.timeline.at(scene_.now) * r.bps), overdue_s), What::look,
              pair(p, d));
}

void TransferSide::look(std::size_t link) {
  const std::size_t p = link / decoders_.size();
  const std::size_t d = link % decoders_.size();
  LinkSim& l = encoders_[p].links[d];
  const SharedLink::Rate r = rate_of(d);
  l.look_due = false;
  l.link.advance(scene_.now, r);
  bool changed = false;
  for (const std::uint32_t id : l.link.requests()) changed |= tighten_one(id, r.timeline.at(scene_.now) * r.bps);
  if (changed) end_link_at(p, d);
}

/// As a prefill node: what is not encoded yet, all but a short while's bytes, goes on under the profile that tighten()
/// says.
bool TransferSide::tighten_one(std::uint32_t id, double link_bps) {
  Active& a = scene_.active[id];
  if (a.m.mixed || link_bps >= kCollapsedShare * a.planned_bps) return false;
  const auto [p, d] = std::pair(a.k.prefill, a.k.decode);
  const auto offered = transfer_ways(scene_.view, {.quality_budget = scene_.spec.slo.quality_kl}, a.k);
  std::vector<Way> ways;
  for (const TransferWay& w : offered) ways.push_back({std::min(w.encode_bps, w.decode_bps), w.ratio});
  Encoder& n = encoders_[p];
  SharedLink& l = n.links[d].link;
  const double own = l.backlog_bytes(id);
  const double all = l.backlog_bytes();
  const double ahead = std::min({all, scene_.spec.encode_ahead_s * a.planned_bps, scene_.spec.encode_ahead_bytes});
  const double keep = own * ahead / all;
  const double rate = scene_.prefill_rate[p];
  const double not_computed = a.k.raw_bytes - a.shipped;
  const std::size_t way =
      tighten({.planned_bps = a.planned_bps,
               .link_bps = link_bps,
               .ahead_bytes = ahead,
               .raw_left = not_computed + (own - keep) * ways[0].ratio,
               .compute_left_s = rate > 0 ? not_computed / scene_.spec.model.kv_bytes_per_token / rate : 0},
              ways);
  if (way == 0) return false;
  a.m.mixed = true;
  a.sends = offered[way].profile;
  ++scene_.result.tightened;
  for (const auto& s : l.shrink(scene_.now, id, keep, ways[0].ratio / ways[way].ratio, rate_of(d))) {
    Chunk& c = chunks_.at(s.chunk);
    const double share = std::min(1.0, s.bytes / c.bytes);
    const double encode_s = share * c.raw / n.truth_bps[a.sends];
    n.free_s = std::max(n.free_s, scene_.now) + encode_s;
    c.encoded_s = n.free_s;
    c.encode_s = (1 - share) * c.encode_s + encode_s;
    c.decode_s = (1 - share) * c.decode_s + share * c.raw / decoders_[d].truth_bps[a.sends];
    c.bytes -= s.bytes * (1 - ways[0].ratio / ways[way].ratio);
  }
  return true;
}

/// The decoder takes chunks of all links one after another, each from when its first layer is there.
void TransferSide::land(const Chunk& c, double sent_s) {
  Active& a = scene_.active[c.id];
  Decoder& n = decoders_[a.k.decode];
  const double first_s = c.entered_s + (sent_s - c.entered_s) * c.behind;
  n.free_s = std::max(n.free_s, first_s) + c.decode_s;
  a.ready_s = std::max({a.ready_s, n.free_s, sent_s + c.decode_s * c.behind});
  a.wire_to_s = sent_s;
  a.m.encode_s += c.encode_s;
  a.m.decode_s += c.decode_s;
  a.m.raw_bytes += c.raw;
  a.m.wire_bytes += c.bytes;
  if (!a.m.mixed) meter(n.measured_bps[c.profile], c.raw / c.decode_s);
  if (c.last) scene_.push(std::max(a.ready_s, scene_.now) + scene_.spec.rtt_s, What::arrived, c.id);
}

void TransferSide::report_prefill(std::size_t p) {
  Encoder& n = encoders_[p];
  PrefillView& v = scene_.view.prefills[p];
  for (std::size_t f = 0; f < n.measured_bps.size(); ++f)
    if (n.measured_bps[f] > 0) v.profiles[f].encode_bps = scene_.told(n.measured_bps[f]);
  std::erase_if(n.links_to_tell, [&](const std::uint32_t d) {
    LinkSim& link = n.links[d];
    LinkState& l = scene_.view.links[pair(p, d)];
    link.link.advance(scene_.now, rate_of(d));
    const double bytes = link.link.sent_bytes() - link.told_bytes;
    const double busy_s = link.link.busy_s() - link.told_busy_s;
    if (bytes >= kLeastBurst && busy_s > 0) {
      l.bandwidth_bps = scene_.told(bytes / busy_s);
      link.told_bytes += bytes;
      link.told_busy_s += busy_s;
    }
    l.backlog_bytes = static_cast<std::uint64_t>(link.link.backlog_bytes());
    link.to_tell = l.backlog_bytes > 0;  // a backlog that was told is told again until it is gone
    return !link.to_tell;
  });
}

void TransferSide::report_decode(std::size_t d) {
  const Decoder& n = decoders_[d];
  DecodeView& v = scene_.view.decodes[d];
  for (std::size_t f = 0; f < n.measured_bps.size(); ++f)
    if (n.measured_bps[f] > 0) v.profiles[f].decode_bps = scene_.told(n.measured_bps[f]);
}

}  // namespace sluice::sim
