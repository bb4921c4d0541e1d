#include "coordinator/policy/latency_model.h"

#include <algorithm>
#include <cmath>

namespace sluice::coordinator {
namespace {

constexpr EstimateTuning kCodec{.prior_var = 0.09F, .report_var = 0.04F, .drift_per_s = 2e-4F, .memory_s = 600};
constexpr EstimateTuning kBandwidth{.prior_var = 0.16F, .report_var = 0.04F, .drift_per_s = 4e-3F, .memory_s = 600};
constexpr EstimateTuning kFixed{.prior_var = 1.0F, .drift_per_s = 1e-3F, .memory_s = 1e6F};
constexpr EstimateTuning kFirst{.prior_var = 0.25F, .drift_per_s = 1e-3F, .memory_s = 600};
constexpr double kDiscount = 0.99;  // of the fits, per sample
constexpr double kFreshS = 10;      // a fit with a sample this young does not listen to reports
constexpr double kStaleS = 10;      // a fit without a sample for so long takes the next one for what it is
constexpr double kReportFactor = 1.5;
constexpr double kMeanBytesWeight = 0.02;
constexpr double kLeastWireBytes = 64 * 1024;  // below, a transfer tells latency, not bandwidth

double or_default(double measured, double fallback) { return measured > 0 ? measured : fallback; }

bool tells_a_change(double before, double after) {
  return std::max(before, after) > kReportFactor * std::min(before, after);
}

/// Tokens that a decode node reads a step, this request's prompt included.
double context_with(const DecodeView& d, const RequestFeatures& r) {
  return static_cast<double>(d.total_blocks - d.free_blocks) * d.block_size + r.split_cut();
}

/// Variance of a measured time: a share of it, and what a timer and a waking thread add.
double time_noise(double predicted_s) { return std::pow(0.1 * predicted_s + 3e-4, 2); }

}  // namespace

void LatencyModel::size_up() {
  const std::size_t profiles = names_.profiles.size();
  while (prefills_.size() < names_.prefills.size()) prefills_.emplace_back().load = hosts_.add();
  while (decodes_.size() < names_.decodes.size()) decodes_.emplace_back().load = hosts_.add();
  links_.resize(prefills_.size());
  for (auto& n : prefills_) n.encode.resize(profiles);
  for (auto& n : decodes_) n.decode.resize(profiles);
  for (auto& row : links_) row.resize(decodes_.size());
}

void LatencyModel::grow(const ClusterSnapshot& c) {
  size_up();
  seat(c);
  for (std::size_t i = 0; i < c.prefills.size(); ++i) {
    PrefillNode& n = prefills_[names_.prefill[i]];
    if (n.incarnation == c.prefills[i].incarnation) continue;
    // A new process under an old name: nothing is queued, and its speeds are a guess again.
    n.incarnation = c.prefills[i].incarnation;
    n.work.clear();
    n.last_end = {};
    n.pool = {};
    n.pool_s = 0;
    n.compute.doubt();
    hosts_.busy(n.load, false, {});
    for (auto& e : n.encode) e.loosen(kCodec);
    for (auto& l : links_[names_.prefill[i]]) l.account.clear();
    n.encoder.clear();
  }
  for (std::size_t i = 0; i < c.decodes.size(); ++i) {
    DecodeNode& n = decodes_[names_.decode[i]];
    if (n.incarnation == c.decodes[i].incarnation) continue;
    n.incarnation = c.decodes[i].incarnation;
    n.arriving = n.decoding = 0;
    n.decoder.clear();
    if (n.step.ready()) n.step.reset_covariance();
    for (auto& e : n.decode) e.loosen(kCodec);
  }
}

/// Who is not listed has left, and computes nowhere.
void LatencyModel::seat(const ClusterSnapshot& c) {
  hosts_.clear_seats();
  const auto sit = [&](HostLoad::Id id, std::uint32_t host, double threads) {
    if (host < c.hosts.size()) hosts_.place(id, c.hosts[host], threads);
  };
  for (std::size_t i = 0; i < c.prefills.size(); ++i)
    sit(prefills_[names_.prefill[i]].load, c.prefills[i].host, c.prefills[i].threads);
  for (std::size_t i = 0; i < c.decodes.size(); ++i)
    sit(decodes_[names_.decode[i]].load, c.decodes[i].host, c.decodes[i].threads);
}

double LatencyModel::prefill_s(const ClusterSnapshot& c, std::size_t p, double had, double to, TimePoint now) {
  PrefillNode& n = prefills_[names_.prefill[p]];
  n.compute.report(or_default(c.prefills[p].tokens_per_s, kDefaultTokensPerS), now);
  if (had >= to) return 0;
  const double alone = n.compute.predict(PromptTime::terms(had, to));
  if (!hosts_.shares(n.load)) return alone;
  const double after = n.work.idle() ? 0 : n.work.wait_s(now);
  return alone * hosts_.slowdown(n.load, hosts_.ahead(n.load, now, after, alone));
}

void LatencyModel::decodes(DecodeNode& n, std::uint32_t seqs, TimePoint now) {
  n.decoding = seqs;
  hosts_.busy(n.load, seqs > 0, now);
}

/// One prompt less is before it.
void LatencyModel::prefill_left(PrefillNode& n, TimePoint now) {
  if (n.work.idle()) return hosts_.busy(n.load, false, now);
  hosts_.until(n.load, n.work.until());
}

double LatencyModel::queue_s(const ClusterSnapshot& c, std::size_t p, TimePoint now) {
  const PrefillView& view = c.prefills[p];
  // Nothing tells the order of theirs and ours, so theirs are all in front.
  const double others = view.others_tokens == 0 ? 0 : prefill_s(c, p, 0, static_cast<double>(view.others_tokens), now);
  if (view.queued_tokens == 0) return others;
  const double by_tokens = prefill_s(c, p, 0, static_cast<double>(view.queued_tokens), now);
  const WorkAccount& work = prefills_[names_.prefill[p]].work;
  return others + (work.idle() ? by_tokens : std::min(by_tokens, work.wait_s(now)));
}

Overlap LatencyModel::overlap(const ClusterSnapshot& c, std::size_t p, double had, double to, double prefill_s,
                              TimePoint now) {
  const PrefillView& view = c.prefills[p];
  const double first = first_pass_tokens(view, to - had);
  const double share = had + first < to ? std::min(1.0, this->prefill_s(c, p, had, had + first, now) / prefill_s) : 1;
  return overlap_of(view, c.layers, c.kv_bytes_per_token, to - had, share, had);
}

const Estimate& LatencyModel::encode(const ClusterSnapshot& c, std::size_t p, std::size_t f, TimePoint now) {
  Estimate& e = prefills_[names_.prefill[p]].encode[names_.profile[f]];
  e.report(or_default(c.prefills[p].profiles[f].encode_bps, kDefaultCodecBps), kCodec);
  e.age(now, kCodec);
  return e;
}

const Estimate& LatencyModel::decode(const ClusterSnapshot& c, std::size_t d, std::size_t f, TimePoint now) {
  Estimate& e = decodes_[names_.decode[d]].decode[names_.profile[f]];
  e.report(or_default(c.decodes[d].profiles[f].decode_bps, kDefaultCodecBps), kCodec);
  e.age(now, kCodec);
  return e;
}

const Estimate& LatencyModel::bandwidth(Link& l, const LinkState& told, TimePoint now) {
  l.bandwidth.report(or_default(told.bandwidth_bps, kDefaultLinkBps), kBandwidth);
  l.bandwidth.age(now, kBandwidth);
  return l.bandwidth;
}

double LatencyModel::link_wait_s(const Link& l, const LinkState& told, TimePoint now) {
  const double rate = or_default(l.bandwidth.value(), kDefaultLinkBps);
  if (!l.account.idle()) return l.account.wait_s(now, rate);
  return static_cast<double>(told.backlog_bytes) / rate;
}

double LatencyModel::fixed_s(const Link& l) const {
  if (l.fixed.count() > 0) return l.fixed.value();
  return fixed_s();
}

void LatencyModel::fill_pairs(const ClusterSnapshot& c, TimePoint now, CandidateTable& t) {
  std::size_t pair = 0;
  for (const std::size_t p : t.prefills) {
    Link* const row = links_[names_.prefill[p]].data();
    for (const std::size_t d : t.decodes) {
      Link& l = row[names_.decode[d]];
      const LinkState& told = c.link(p, d);
      const Estimate& e = bandwidth(l, told, now);
      t.byte_s[pair] = 1 / e.value();
      t.byte_var[pair] = e.var();
      t.log_bandwidth[pair] = e.log_value() - 20.7232658F;  // log of 1e9 bytes per second
      t.rtt[pair] = static_cast<float>(told.rtt_s);
      t.wait[pair] = static_cast<float>(link_wait_s(l, told, now));
      t.sharers[pair] = static_cast<float>(sharers(l));
      t.link_rate[pair] = static_cast<float>(rates_.rate(l.placed, now));
      t.fixed[pair] = static_cast<float>(fixed_s(l));
      ++pair;
    }
  }
}

double LatencyModel::step_s(const ClusterSnapshot& c, std::size_t d, double seqs, double context, TimePoint now) {
  DecodeNode& n = decodes_[names_.decode[d]];
  const DecodeView& view = c.decodes[d];
  decodes(n, view.seqs - std::min(view.seqs, n.arriving), now);
  const double step = or_default(view.step_s, kDefaultStepS);
  const double batch = std::max(view.step_batch, 1.0);
  if (step != n.step_s || batch != n.step_batch) {
    const double one = kBatchSlope * step / batch;
    if (!n.step.ready() || n.learned == TimePoint{})
      n.step.set_prior({(1 - kBatchSlope) * step, one, 0}, {0.5 * step, 2 * one, 0.002 * step});
    else if (batch == n.step_batch && tells_a_change(n.step_s, step) && seconds(now - n.learned) > kFreshS)
      n.step.scale(step / n.step_s);
    n.step_s = step;
    n.step_batch = batch;
  }
  return std::max(0.2 * step / batch, n.step.predict({1, seqs, context * 1e-3}));
}

double LatencyModel::first_s(std::size_t d, double tpot_s) const {
  const Estimate& e = decodes_[names_.decode[d]].first;
  return e.known() ? tpot_s * e.value() : tpot_s;
}

void LatencyModel::predict(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now, Candidate& k) {
  const auto [p, d, f] = std::tuple(k.prefill, k.decode, k.profile);
  k.prefill_slot = names_.prefill[p];
  k.decode_slot = names_.decode[d];
  k.profile_slot = names_.profile[f];
  // The last prompt token is computed on the decode node, so its KV never travels.
  if (k.cut == 0) k.cut = r.split_cut();
  k.had = r.had(p, k.cut);
  k.tokens = k.cut;
  k.raw_bytes = k.tokens * static_cast<double>(c.kv_bytes_per_token);
  k.wire_bytes = k.raw_bytes / std::max(c.prefills[p].profiles[f].ratio, 0.1);
  predict_step(c, r, now, k);
  StageTimes& t = k.stages;
  t.queue_s = queue_s(c, p, now);
  t.prefill_s = prefill_s(c, p, k.had, k.tokens, now);
  if (k.had > 0) k.saved_s = prefill_s(c, p, 0, k.tokens, now) - t.prefill_s;
  t.encode_s = k.raw_bytes / encode(c, p, f, now).value();
  k.link_bps = bandwidth(c, p, d, now).value();
  t.wire_s = k.wire_bytes / k.link_bps + c.link(p, d).rtt_s;
  t.decode_s = k.raw_bytes / decode(c, d, f, now).value();
  t.link_wait_s = std::min(link_wait_s(c, p, d, now), sharers(link(p, d)) * t.wire_s);
  t.encode_wait_s = encode_wait_s(p, now);
  t.decode_wait_s = decode_wait_s(d, now);
  t.fixed_s = fixed_s(p, d);
  t.first_s = k.here_tokens > 0 ? 0 : first_s(d, t.tpot_s);
  k.overlap = overlap(c, p, k.had, k.tokens, t.prefill_s, now);
  k.model_ttft_s = pipeline_ttft(t, k.overlap);
}

void LatencyModel::predict_step(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now, Candidate& k) {
  k.decode_slot = names_.decode[k.decode];
  const DecodeView& view = c.decodes[k.decode];
  k.seqs = view.seqs + 1.0;
  k.context_tokens = context_with(view, r);
  k.stages.tpot_s = tpot_s(c, k.decode, k.context_tokens, now);
  k.stages.fixed_s = fixed_s();
}

void LatencyModel::placed(Candidate& k, TimePoint now) {
  PrefillNode& n = prefills_[k.prefill_slot];
  if (n.work.idle()) hosts_.mark(n.load, now);
  const WorkAccount::Place place = n.work.place(now, k.stages.prefill_s);
  hosts_.busy(n.load, true, now);
  hosts_.until(n.load, place.end);
  ++decodes_[k.decode_slot].arriving;
  k.prefill_end = place.end;
  k.prefill_shift = place.shift;
  const TimePoint begin = k.prefill_end - from_seconds(k.stages.prefill_s * (1 - k.overlap.head));
  Link& l = links_[k.prefill_slot][k.decode_slot];
  k.transfer = l.account.place(begin, k.prefill_end, k.wire_bytes);
  k.encoding = n.encoder.place(begin, k.prefill_end, k.stages.encode_s);
  k.decoding = decodes_[k.decode_slot].decoder.place(begin, k.prefill_end, k.stages.decode_s);
  if (const auto scale = rates_.restart(now)) {
    for (auto& x : prefills_) x.placed *= *scale;
    for (auto& x : decodes_) x.placed *= *scale;
    for (auto& row : links_)
      for (auto& x : row) x.placed *= *scale;
  }
  rates_.count(n.placed, now);
  rates_.count(decodes_[k.decode_slot].placed, now);
  rates_.count(l.placed, now);
  mean_bytes_ = mean_bytes_ > 0 ? mean_bytes_ + kMeanBytesWeight * (k.raw_bytes - mean_bytes_) : k.raw_bytes;
}

void LatencyModel::prefill_done(const Candidate& k, const Measured& m, TimePoint now) {
  PrefillNode& n = prefills_[k.prefill_slot];
  const TimePoint end = now - from_seconds(m.exposed_s);
  n.work.done({k.prefill_end, k.prefill_shift}, end);
  learn_compute(n, k, m, end, now);
  prefill_left(n, now);
  DecodeNode& d = decodes_[k.decode_slot];
  if (d.arriving > 0) --d.arriving;
  decodes(d, d.decoding + 1, now);

  Link& l = links_[k.prefill_slot][k.decode_slot];
  l.account.done(k.transfer, now);
  n.encoder.done(k.encoding, now - from_seconds(std::min(k.stages.decode_s, m.exposed_s)));
  d.decoder.done(k.decoding, now);
  changes_ += learn_link(l, m, now);
  if (m.encode_s > 0 && m.raw_bytes > 0 && !m.mixed)
    changes_ +=
        n.encode[k.profile_slot].observe(m.raw_bytes / m.encode_s, 0.02 + std::pow(5e-4 / m.encode_s, 2), now, kCodec);
}

/// A node computes one prompt after another, several in a pass: what one takes is the time since the one before ended,
/// or since it came when the node was idle, and no more than its own passes: of those between two that are heard of,
/// some may be on a link that is stuck. Prompts that end together are one sample.
void LatencyModel::learn_compute(PrefillNode& n, const Candidate& k, const Measured& m, TimePoint end, TimePoint now) {
  const double stay = m.queue_s + m.compute_s;
  if (!(stay > 0) || !n.compute.ready() || m.had_tokens >= k.tokens) return;
  const double most = m.compute_s > 0 ? std::min(stay, 1.25 * m.compute_s + 1e-3) : stay;
  const double gap = n.last_end == TimePoint{} ? most : std::clamp(seconds(end - n.last_end), 0.0, most);
  const bool alone = gap == most;  // the node was idle before it: that is all it took, however little
  n.last_end = std::max(n.last_end, end);
  const auto terms = PromptTime::terms(m.had_tokens, k.tokens);
  for (std::size_t i = 0; i < terms.size(); ++i) n.pool[i] += terms[i];
  n.pool_s += gap;
  if (!alone && n.pool_s < 0.3 * n.compute.predict(n.pool) && n.pool[0] < 16) return;
  const HostLoad::Features met = hosts_.met(n.load, now);
  const double factor = hosts_.slowdown(n.load, met);
  if (hosts_.shares(n.load) && n.compute.learned())
    hosts_.observe(n.load, met, std::log(n.pool_s / n.compute.predict(n.pool)), n.compute.noise());
  hosts_.mark(n.load, now);
  changes_ += n.compute.observe(n.pool, n.pool_s / factor, end) ? 1 : 0;
  n.pool = {};
  n.pool_s = 0;
}

/// The sender's own account of the link tells its bandwidth whatever the transfer waited for. Without it, a transfer
/// does when the wire was its bottleneck; any other tells a lower bound.
std::uint64_t LatencyModel::learn_link(Link& l, const Measured& m, TimePoint now) {
  if (m.link_busy_s > 0 && m.link_bytes >= kLeastWireBytes) {
    l.last_end = now;
    const double noise = 0.02 + std::pow(5e-4 / m.link_busy_s, 2);
    return l.bandwidth.observe(m.link_bytes / m.link_busy_s, noise, now, kBandwidth) ? 1 : 0;
  }
  const double busy = l.last_end == TimePoint{} ? m.wire_s : std::clamp(seconds(now - l.last_end), 0.0, m.wire_s);
  l.last_end = now;
  if (!(busy > 0) || m.wire_bytes < kLeastWireBytes) return 0;
  const double rate = m.wire_bytes / busy;
  const bool bound = busy > 1.3 * m.compute_s && busy > 1.3 * m.encode_s && busy > 1.3 * m.decode_s;
  if (!bound && rate <= l.bandwidth.value()) return 0;
  return l.bandwidth.observe(rate, 0.02, now, kBandwidth) ? 1 : 0;
}

void LatencyModel::abandoned(const Candidate& k, TimePoint now) {
  PrefillNode& n = prefills_[k.prefill_slot];
  n.work.drop(k.stages.prefill_s);
  prefill_left(n, now);
  DecodeNode& d = decodes_[k.decode_slot];
  if (d.arriving > 0) --d.arriving;
  links_[k.prefill_slot][k.decode_slot].account.drop(k.transfer);
  n.encoder.drop(k.encoding);
  d.decoder.drop(k.decoding);
}

void LatencyModel::finished(const Candidate& k, const Measured& m, TimePoint now) {
  DecodeNode& n = decodes_[k.decode_slot];
  decodes(n, n.decoding - std::min(n.decoding, 1U), now);
  if (m.decode_s > 0 && m.raw_bytes > 0 && !m.mixed)
    changes_ +=
        n.decode[k.profile_slot].observe(m.raw_bytes / m.decode_s, 0.02 + std::pow(5e-4 / m.decode_s, 2), now, kCodec);
  if (m.tpot_s > 0 && m.output_tokens >= 4 && n.step.ready()) {
    // A mean over the request's life; the fewer its steps, the less it says.
    const double seqs = m.seqs > 0 ? 0.5 * (k.seqs + m.seqs) : k.seqs;
    const double cold = n.learned == TimePoint{} ? Estimate::kColdNoise : 1;
    // What nobody looked at for long may be anything again.
    if (cold == 1 && seconds(now - n.learned) > kStaleS) n.step.reset_covariance();
    const double noise = time_noise(m.tpot_s) * (1 + 8 / m.output_tokens) * cold;
    changes_ += n.step.observe({1, seqs, k.context_tokens * 1e-3}, m.tpot_s, noise, kDiscount);
    n.learned = now;
  }
  if (k.here_tokens > 0) return;  // its first token took more than a step
  if (m.first_step_s > 0 && k.stages.tpot_s > 0) {
    if (!n.first.known()) n.first.report(1, kFirst);
    n.first.observe(m.first_step_s / k.stages.tpot_s, 0.1, now, kFirst);
  }
  if (m.ttft_s > 0 && m.compute_s > 0 && m.first_step_s > 0) {
    // What no stage accounts for is the price of a request as such.
    const double rest = m.ttft_s - m.queue_s - m.compute_s - m.exposed_s - m.first_step_s;
    const double sample = std::max(rest, 1e-4);
    for (Estimate* e : {&fixed_, &links_[k.prefill_slot][k.decode_slot].fixed}) {
      if (!e->known()) e->report(fixed_.known() ? fixed_.value() : kDefaultFixedS, kFixed);
      // Of a long request the rest is mostly the stages' own error. Against what is known, not against the sample: else
      // large samples would count and small ones not.
      e->observe(sample, 0.1 + std::pow(0.1 * m.ttft_s / e->value(), 2), now, kFixed);
    }
  }
}

}  // namespace sluice::coordinator
