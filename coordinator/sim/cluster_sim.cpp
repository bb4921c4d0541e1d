#include "coordinator/sim/cluster_sim.h"

#include <algorithm>
#include <cmath>

#include "coordinator/policy/transfer_offer.h"
#include "coordinator/sim/sim.h"

namespace sluice::sim {

using namespace coordinator;

namespace {

constexpr double kLeastBurst = 64 << 10;  // bytes; as the sender's meter: smaller bursts tell of latency

}  // namespace

Result<> Sim::build() {
  const auto check = [&](const std::vector<Hardware>& nodes) -> Result<> {
    if (nodes.empty()) return fail(Errc::invalid_argument, "a cluster needs prefill and decode nodes");
    for (const Hardware& h : nodes)
      for (const ProfileSpec& f : spec_.profiles)
        if (std::ranges::find(h.codecs, f.name, &CodecSpeed::profile) == h.codecs.end())
          return fail(Errc::invalid_argument, "hardware '{}' has no speed for profile '{}'", h.name, f.name);
    return {};
  };
  SLUICE_TRY(check(spec_.prefills));
  SLUICE_TRY(check(spec_.decodes));
  if (spec_.profiles.empty()) return fail(Errc::invalid_argument, "a cluster needs profiles");
  first_links_ = spec_.links.times(spec_.flapping);
  view_.topology = 1;
  view_.layers = spec_.model.layers;
  view_.kv_bytes_per_token = static_cast<std::uint64_t>(spec_.model.kv_bytes_per_token);
  for (const auto& f : spec_.profiles) view_.profiles.push_back({f.name, f.kl});
  auto blocks = [&](const Hardware& h) {
    return static_cast<std::uint32_t>(
        std::clamp(h.kv_bytes / (spec_.model.kv_bytes_per_token * spec_.block_size), 1.0, 4e6));
  };
  auto speeds = [&](const Hardware& h, std::vector<std::vector<double>>& truth, double CodecSpeed::* way) {
    std::vector<ProfileSpeed> out;
    truth.emplace_back();
    for (const auto& f : spec_.profiles) {
      const CodecSpeed& s = *std::ranges::find(h.codecs, f.name, &CodecSpeed::profile);
      out.push_back({s.encode_bps, s.decode_bps, f.ratio});
      truth.back().push_back(s.*way * (f.name == spec_.liar ? spec_.liar_factor : 1));
    }
    return out;
  };
  for (std::size_t i = 0; i < spec_.prefills.size(); ++i) {
    const Hardware& h = spec_.prefills[i];
    PrefillSim& n = prefills_.emplace_back(blocks(h), spec_.block_size);
    const double chunk = spec_.prefill_chunk;
    longest_prompt_ = std::max(longest_prompt_, blocks(h) * spec_.block_size);
    n.rate = chunk / pass_seconds(h, spec_.model, chunk, chunk * chunk / 2, 0);  // as a node measures itself at start
    n.encode_bps.resize(spec_.profiles.size());
    n.links.resize(spec_.decodes.size());
    view_.prefills.push_back({NodeId(fmt::format("p{}", i)), Incarnation(1), true, n.rate, 0,
                              speeds(h, encode_truth_, &CodecSpeed::encode_bps)});
    push(spec_.telemetry_s * (static_cast<double>(i) + 1) / static_cast<double>(spec_.prefills.size()),
         What::report_prefill, i);
  }
  for (std::size_t i = 0; i < spec_.decodes.size(); ++i) {
    const Hardware& h = spec_.decodes[i];
    DecodeSim& n = decodes_.emplace_back(blocks(h), spec_.block_size);
    n.decode_bps.resize(spec_.profiles.size());
    view_.decodes.push_back({NodeId(fmt::format("d{}", i)), Incarnation(1), true, spec_.block_size, blocks(h),
                             blocks(h), spec_.max_seqs, 0, pass_seconds(h, spec_.model, 1, 0, 0), 1,
                             speeds(h, decode_truth_, &CodecSpeed::decode_bps)});
    push(spec_.telemetry_s * (static_cast<double>(i) + 1) / static_cast<double>(spec_.decodes.size()),
         What::report_decode, i);
  }
  if (policy_.changes_in_transfer())
    for (const Timeline* t : {&spec_.links, &spec_.flapping})
      for (const double at_s : t->changes()) push(at_s, What::link_step, 0);
  view_.links.assign(spec_.prefills.size() * spec_.decodes.size(), {spec_.link_bps, spec_.rtt_s, 0});
  result_.requests.resize(load_.size());
  return {};
}

double Sim::slow(std::size_t p) const {
  double factor = 1;
  for (const Slowdown& s : spec_.slow)
    if (now_ >= s.at_s && (s.node < 0 || static_cast<std::size_t>(s.node) == p)) factor = s.factor;
  return factor;
}

RequestFeatures Sim::features(RequestId id, TimePoint) {
  const SimRequest& q = load_[id.value()];
  return {.prompt_tokens = q.prompt_tokens,
          .max_new_tokens = q.output_tokens,
          .ttft_slo_s = spec_.slo.ttft_s,
          .tpot_slo_s = spec_.slo.tpot_s,
          .waited_s = now_ - q.at_s,
          .quality_budget = spec_.slo.quality_kl};
}

void Sim::arrive(std::uint32_t row) {
  result_.requests[row].at_s = static_cast<float>(load_[row].at_s);
  intake_.arrive({.turn = {load_[row].priority, RequestId(row)}}, at(now_));
}

Placed Sim::decide(RequestId, const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) {
  if (r.prompt_tokens > longest_prompt_ + 1)
    return Refusal{Error{Errc::invalid_argument, "no prefill node's memory holds the prompt", {}}, 0};
  return policy_.decide(c, r, deadline_s, now);
}

void Sim::refuse(RequestId id, Refused why, const Refusal&) {
  const bool early = why == Refused::no_room_soon || why == Refused::too_slow || why == Refused::queue_full;
  if (early) result_.requests[id.value()].rejected = true;
}

void Sim::go(RequestId request, const ClusterSnapshot&, const Decision& d) {
  const auto row = static_cast<std::uint32_t>(request.value());
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(active_.size()));
    active_.emplace_back();
  }
  const std::uint32_t id = free_.back();
  free_.pop_back();
  Active& a = active_[id];
  a = {.row = row, .used = true, .k = d.chosen, .decided_s = now_, .sends = d.chosen.profile};
  a.planned_bps = planned_link_bps(view_, a.k);
  policy_.placement().placed(a.k, at(now_));
  const SimRequest& q = load_[row];
  const std::uint32_t total = q.prompt_tokens + q.output_tokens;
  view_.prefills[a.k.prefill].queued_tokens += q.prompt_tokens - 1;
  DecodeView& dec = view_.decodes[a.k.decode];
  dec.free_blocks -= std::min(dec.free_blocks, (total + spec_.block_size - 1) / spec_.block_size);
  ++dec.seqs;
  Outcome& o = result_.requests[row];
  o.profile = static_cast<std::uint16_t>(a.k.profile);
  o.prefill = static_cast<std::uint16_t>(a.k.prefill);
  o.decode = static_cast<std::uint16_t>(a.k.decode);
  o.predicted_ttft_s = static_cast<float>(a.k.predicted_ttft_s + now_ - q.at_s);
  o.probe = d.reason == ChoiceReason::explore;
  ++unfinished_;
  decodes_[a.k.decode].held.push_back(id);
  (void)decodes_[a.k.decode].scheduler.admit({.id = RequestId(id),
                                              .tokens = std::vector<TokenId>(q.prompt_tokens),
                                              .computed = q.prompt_tokens - 1,
                                              .max_total = total,
                                              .priority = q.priority,
                                              .arrival = at(q.at_s),
                                              .ready = false});
  push(now_ + 3 * vary(spec_.message_s, spec_.spread), What::submit, id);  // reserve, its answer, prefill
}

void Sim::submit(std::uint32_t id) {
  Active& a = active_[id];
  a.submitted_s = now_;
  SharedLink& l = link_of(a).link;
  l.advance(now_, rate_of(a.k.decode));
  a.link_bytes = l.sent_bytes();
  a.link_busy_s = l.busy_s();
  PrefillSim& n = prefills_[a.k.prefill];
  n.waiting.push_back(id);
  admit_waiting(n);
  kick_prefill(a.k.prefill);
}

void Sim::admit_waiting(PrefillSim& n) {
  while (!n.waiting.empty()) {
    const std::uint32_t id = n.waiting.front();
    const SimRequest& q = load_[active_[id].row];
    const std::uint32_t tokens = q.prompt_tokens - 1;
    const auto ok = n.scheduler.admit({.id = RequestId(id),
                                       .tokens = std::vector<TokenId>(tokens),
                                       .max_total = tokens,
                                       .fill_to = tokens,
                                       .priority = q.priority,
                                       .arrival = at(active_[id].submitted_s)});
    if (!ok) return;
    n.waiting.pop_front();
  }
}

void Sim::kick_prefill(std::size_t p) {
  PrefillSim& n = prefills_[p];
  if (!n.running.empty()) return;
  n.running = n.scheduler.plan({spec_.max_batch_tokens, spec_.max_seqs, spec_.prefill_chunk, true});
  if (n.running.empty()) return;
  double rows = 0;
  double pairs = 0;
  double context = 0;
  for (const auto& w : n.running) {
    Active& a = active_[w.id.value()];
    if (w.first == 0) a.m.queue_s = now_ - a.submitted_s;
    rows += w.count;
    pairs += w.count * (w.first + 0.5 * w.count);
    context += w.first;
  }
  n.pass_from_s = now_;
  ++busy_;
  const double alone = pass_seconds(spec_.prefills[p], spec_.model, rows, pairs, context) * slow(p);
  const double s = vary(alone * crowding(), spec_.spread);
  meter(n.rate, rows / s);
  push(now_ + s, What::prefill_pass, p);
  if (!spec_.overlap) return;
  for (const auto& w : n.running) {
    const auto id = static_cast<std::uint32_t>(w.id.value());
    ship(p, id, w.count, w.first + w.count == load_[active_[id].row].prompt_tokens - 1, s);
  }
}

void Sim::prefill_pass(std::size_t p) {
  PrefillSim& n = prefills_[p];
  --busy_;
  const double pass_s = now_ - n.pass_from_s;
  std::vector<engine::Work> works;
  works.swap(n.running);
  for (const auto& w : works) {
    (void)n.scheduler.commit(w);
    const auto id = static_cast<std::uint32_t>(w.id.value());
    Active& a = active_[id];
    a.m.compute_s += pass_s;
    const std::uint32_t tokens = load_[a.row].prompt_tokens - 1;
    const bool last = w.first + w.count == tokens;
    if (last) a.computed_s = now_;
    if (last && !spec_.overlap) ship(p, id, tokens, true, 0);
  }
  kick_prefill(p);
}

void Sim::arrived(std::uint32_t id) {
  Active& a = active_[id];
  a.ready_s = now_;
  a.decodes = true;
  a.m.exposed_s = now_ - a.computed_s;
  a.m.wire_s = a.wire_to_s - a.wire_from_s;
  SharedLink& l = link_of(a).link;
  l.advance(now_, rate_of(a.k.decode));
  a.m.link_bytes = l.sent_bytes() - a.link_bytes;
  a.m.link_busy_s = l.busy_s() - a.link_busy_s;
  for (double* t :
       {&a.m.queue_s, &a.m.compute_s, &a.m.encode_s, &a.m.wire_s, &a.m.exposed_s, &a.m.decode_s, &a.m.link_busy_s})
    *t = told(*t);
  view_.prefills[a.k.prefill].queued_tokens -= load_[a.row].prompt_tokens - 1;
  PrefillSim& n = prefills_[a.k.prefill];
  (void)n.scheduler.finish(RequestId(id));
  admit_waiting(n);
  kick_prefill(a.k.prefill);
  policy_.placement().prefill_done(a.k, a.m, at(now_));
  DecodeSim& to = decodes_[a.k.decode];
  (void)to.scheduler.mark_ready(RequestId(id));
  ++to.ready;
  if (to.running.empty())
    kick_decode(a.k.decode);
  else if (const std::uint32_t steps = to.run.begun(now_); steps < to.run.steps)
    end_run_at(a.k.decode, steps);  // it joins the next step
}

void Sim::kick_decode(std::size_t d) {
  DecodeSim& n = decodes_[d];
  if (!n.running.empty()) return;
  n.running = n.scheduler.plan({spec_.max_batch_tokens, spec_.max_seqs, spec_.prefill_chunk, false});
  if (n.running.empty()) return;
  double context = 0;
  std::uint32_t steps = UINT32_MAX;
  for (const auto& w : n.running) {
    context += w.first + 1;
    const Active& a = active_[w.id.value()];
    steps = std::min(steps, std::max(load_[a.row].output_tokens, a.output + 1) - a.output);
  }
  // The next plan takes others; or how fast it goes depends on who else computes.
  if (n.running.size() < n.ready || spec_.cores > 0) steps = 1;
  ++busy_;
  const auto rows = static_cast<double>(n.running.size());
  const double factor = vary(1, spec_.spread / std::sqrt(steps)) * crowding();
  const double last = context + rows * (steps - 1);
  const double first_s = factor * pass_seconds(spec_.decodes[d], spec_.model, rows, context, context);
  const double last_s = factor * pass_seconds(spec_.decodes[d], spec_.model, rows, last, last);
  n.run = {.from_s = now_, .first_s = first_s, .growth_s = steps > 1 ? (last_s - first_s) / (steps - 1) : 0};
  end_run_at(d, steps);
}

void Sim::end_run_at(std::size_t d, std::uint32_t steps) {
  StepRun& run = decodes_[d].run;
  run.steps = steps;
  run.event = order_;
  push(run.end_of(steps), What::decode_run, d);
}

void Sim::decode_run(std::size_t d) {
  DecodeSim& n = decodes_[d];
  --busy_;
  std::vector<engine::Work> works;
  works.swap(n.running);
  const std::uint32_t steps = n.run.steps;
  const double first_s = n.run.end_of(1);
  meter(n.step_s, (now_ - n.run.from_s) / steps, steps);
  meter(n.batch, static_cast<double>(works.size()), steps);
  for (const auto& w : works) {
    (void)n.scheduler.commit_run(w, steps, 0);
    const auto id = static_cast<std::uint32_t>(w.id.value());
    Active& a = active_[id];
    if (a.output == 0) {
      a.first_s = first_s;
      a.m.first_step_s = told(first_s - a.ready_s);
    }
    a.output += steps;
    if (a.output >= load_[a.row].output_tokens)
      finish(id);
    else
      (void)n.scheduler.append(w.id, 0);
  }
  kick_decode(d);
}

void Sim::finish(std::uint32_t id) {
  Active& a = active_[id];
  const SimRequest& q = load_[a.row];
  (void)decodes_[a.k.decode].scheduler.finish(RequestId(id));
  --decodes_[a.k.decode].ready;
  std::erase(decodes_[a.k.decode].held, id);
  intake_.observe_output(a.output, false);
  Outcome& o = result_.requests[a.row];
  const double first = a.first_s + spec_.message_s;
  o.ttft_s = static_cast<float>(first - q.at_s);
  o.e2e_s = static_cast<float>(now_ + spec_.message_s - q.at_s);
  o.tpot_s = a.output > 1 ? static_cast<float>((now_ - a.first_s) / (a.output - 1)) : 0;
  o.met = o.ttft_s <= spec_.slo.ttft_s && o.tpot_s <= spec_.slo.tpot_s;
  o.raw_bytes = a.m.raw_bytes;
  o.wire_bytes = a.m.wire_bytes;
  a.m.ttft_s = first - a.decided_s;
  a.m.tpot_s = told(o.tpot_s);
  a.m.output_tokens = a.output;
  DecodeView& dec = view_.decodes[a.k.decode];
  a.m.seqs = dec.seqs;
  policy_.finished(a.k, a.m, o.met, at(now_));
  const std::uint32_t total = q.prompt_tokens + q.output_tokens;
  dec.free_blocks = std::min(dec.total_blocks, dec.free_blocks + (total + spec_.block_size - 1) / spec_.block_size);
  --dec.seqs;
  a.used = false;
  free_.push_back(id);
  --unfinished_;
  result_.end_s = now_;
  pump();
}

void Sim::report_prefill(std::size_t p) {
  PrefillSim& n = prefills_[p];
  PrefillView& v = view_.prefills[p];
  v.tokens_per_s = told(n.rate);
  for (std::size_t f = 0; f < n.encode_bps.size(); ++f)
    if (n.encode_bps[f] > 0) v.profiles[f].encode_bps = told(n.encode_bps[f]);
  std::erase_if(n.links_to_tell, [&](const std::uint32_t d) {
    LinkSim& link = n.links[d];
    LinkState& l = view_.links[p * decodes_.size() + d];
    link.link.advance(now_, rate_of(d));
    const double bytes = link.link.sent_bytes() - link.told_bytes;
    const double busy_s = link.link.busy_s() - link.told_busy_s;
    if (bytes >= kLeastBurst && busy_s > 0) {
      l.bandwidth_bps = told(bytes / busy_s);
      link.told_bytes += bytes;
      link.told_busy_s += busy_s;
    }
    l.backlog_bytes = static_cast<std::uint64_t>(link.link.backlog_bytes());
    link.to_tell = l.backlog_bytes > 0;  // a backlog that was told is told again until it is gone
    return !link.to_tell;
  });
  push(now_ + spec_.telemetry_s, What::report_prefill, p);
}

void Sim::report_decode(std::size_t d) {
  DecodeSim& n = decodes_[d];
  DecodeView& v = view_.decodes[d];
  if (n.step_s > 0) {
    v.step_s = told(n.step_s);
    v.step_batch = n.batch;
  }
  for (std::size_t f = 0; f < n.decode_bps.size(); ++f)
    if (n.decode_bps[f] > 0) v.profiles[f].decode_bps = told(n.decode_bps[f]);
  push(now_ + spec_.telemetry_s, What::report_decode, d);
}

Result<SimResult> Sim::run() {
  SLUICE_TRY(build());
  std::size_t next = 0;
  while (next < load_.size() || unfinished_ > 0 || intake_.waiting() > 0) {
    ++result_.events;
    if (next < load_.size() && load_[next].at_s <= events_.top().at_s) {
      now_ = load_[next].at_s;
      arrive(static_cast<std::uint32_t>(next++));
      continue;
    }
    const Event e = events_.top();
    events_.pop();
    now_ = e.at_s;
    switch (e.what) {
      case What::submit:
        submit(e.who);
        break;
      case What::prefill_pass:
        prefill_pass(e.who);
        break;
      case What::onto_link:
        onto_link(e.who);
        break;
      case What::off_link:
        off_link(e.who, e.order);
        break;
      case What::link_step:
        link_step();
        break;
      case What::look:
        look(e.who);
        break;
      case What::arrived:
        arrived(e.who);
        break;
      case What::decode_run:
        if (e.order == decodes_[e.who].run.event) decode_run(e.who);
        break;
      case What::report_prefill:
        report_prefill(e.who);
        break;
      case What::report_decode:
        report_decode(e.who);
        if (unfinished_ == 0 && intake_.waiting() > 0) pump();  // nothing will end and call: those left may be too late
        break;
    }
  }
  result_.changes = policy_.placement().changes();
  return std::move(result_);
}

Result<SimResult> simulate(const ClusterSpec& spec, const Load& load, Policy& policy) {
  return Sim(spec, load, policy).run();
}

}  // namespace sluice::sim
