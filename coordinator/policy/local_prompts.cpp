#include "coordinator/policy/local_prompts.h"

#include <algorithm>
#include <cmath>

#include "coordinator/policy/latency_model.h"

namespace sluice::coordinator {
namespace {

constexpr EstimateTuning kRatio{.prior_var = 0.04F, .drift_per_s = 4e-4F, .memory_s = 120};
constexpr double kRatioBound = 4;       // what is wrong by more is not the model's error alone
constexpr double kOneRequest = 0.02;    // variance of one request's log TTFT beside its prediction
constexpr double kOutputWeight = 0.02;  // of one output in the mean
constexpr double kLeastOutput = 8;      // tokens: a delay is never laid upon fewer
constexpr std::uint32_t kUsualChunk = 512;

double chunk_of(const DecodeView& d) { return d.chunk_tokens > 0 ? d.chunk_tokens : kUsualChunk; }

}  // namespace

void LocalPrompts::grow(const ClusterSnapshot& c) {
  size_up();
  for (std::size_t i = 0; i < c.decodes.size(); ++i) {
    Node& n = nodes_[names_.decode[i]];
    if (n.incarnation == c.decodes[i].incarnation) continue;
    // A new process under an old name: nothing is queued, and its speed is a guess again.
    n.incarnation = c.decodes[i].incarnation;
    n.work.clear();
    n.compute.doubt();
    n.ratio.loosen(kRatio);
    n.rest_until = {};
  }
}

double LocalPrompts::compute_s(const ClusterSnapshot& c, std::size_t d, double from, double to, TimePoint now,
                               double step_s) {
  const std::uint32_t slot = names_.decode[d];
  Node& n = nodes_[slot];
  const double told = c.decodes[d].prompt_tokens_per_s;
  n.compute.report(told > 0 ? told : kDefaultTokensPerS, now);
  const double steps = step_s > 0 ? std::ceil((to - from) / chunk_of(c.decodes[d])) * step_s : 0;
  const double alone = n.compute.predict(PromptTime::terms(from, to));
  const HostLoad& hosts = latency_.hosts();
  const HostLoad::Id id = latency_.decode_load(slot);
  if (!hosts.shares(id)) return std::max(alone, steps);
  const double after = n.work.idle() ? 0 : n.work.wait_s(now);
  return std::max(alone * hosts.slowdown(id, hosts.ahead(id, now, after, alone)), steps);
}

double LocalPrompts::queue_s(const ClusterSnapshot& c, std::size_t d, TimePoint now) {
  const DecodeView& view = c.decodes[d];
  // Nothing tells the order of theirs and ours, so theirs are all in front.
  const double others = view.others_tokens == 0 ? 0 : compute_s(c, d, 0, static_cast<double>(view.others_tokens), now);
  if (view.local_tokens == 0) return others;
  const double by_tokens = compute_s(c, d, 0, static_cast<double>(view.local_tokens), now);
  const WorkAccount& work = nodes_[names_.decode[d]].work;
  return others + (work.idle() ? by_tokens : std::min(by_tokens, work.wait_s(now)));
}

double LocalPrompts::delay_s(const DecodeView& d, double tokens, double compute_s, double step_s) {
  return std::max(0.0, compute_s - std::ceil(tokens / chunk_of(d)) * step_s);
}

double LocalPrompts::correction(std::size_t d, TimePoint now) {
  Estimate& e = nodes_[names_.decode[d]].ratio;
  e.age(now, kRatio);
  return e.known() ? std::clamp<double>(e.value(), 1 / kRatioBound, kRatioBound) : 1;
}

double LocalPrompts::spread(std::size_t d) const {
  const Estimate& e = nodes_[names_.decode[d]].ratio;
  return std::sqrt(kOneRequest + (e.known() ? e.var() : kRatio.prior_var));
}

void LocalPrompts::placed(Candidate& k, TimePoint now) {
  Node& n = nodes_[k.decode_slot];
  // Of a cut prompt the rest comes to its turn when the KV before it is here.
  if (n.work.idle()) latency_.hosts().mark(latency_.decode_load(k.decode_slot), now);
  const double comes_s = k.local ? 0 : k.model_ttft_s - k.stages.local_queue_s - k.stages.local_s;
  const auto place = n.work.place(now + from_seconds(std::max(comes_s, 0.0)), k.stages.local_s);
  k.local_end = place.end;
  k.local_shift = place.shift;
  if (const auto scale = rates_.restart(now))
    for (Node& x : nodes_) x.placed *= *scale;
  rates_.count(n.placed, now);
}

void LocalPrompts::computed(Candidate& k, TimePoint now) {
  const HostLoad::Id id = latency_.decode_load(k.decode_slot);
  k.local_met = latency_.hosts().met(id, now);
  latency_.hosts().mark(id, now);
  nodes_[k.decode_slot].work.done({k.local_end, k.local_shift}, now);
}

void LocalPrompts::abandoned(const Candidate& k) { nodes_[k.decode_slot].work.drop(k.stages.local_s); }

/// What it took beside what others on the machine cost it.
void LocalPrompts::learn_time(const Candidate& k, double took_s, TimePoint now) {
  Node& n = nodes_[k.decode_slot];
  HostLoad& hosts = latency_.hosts();
  const HostLoad::Id id = latency_.decode_load(k.decode_slot);
  const PromptTime::Terms t = PromptTime::terms(k.cut, k.cut + k.here_tokens);
  const double factor = hosts.slowdown(id, k.local_met);
  if (hosts.shares(id) && n.compute.learned())
    hosts.observe(id, k.local_met, std::log(took_s / n.compute.predict(t)), n.compute.noise());
  changes_ += n.compute.observe(t, took_s / factor, now) ? 1 : 0;
}

void LocalPrompts::finished(const Candidate& k, const Measured& m, TimePoint now) {
  if (m.output_tokens > 0) mean_output_ += kOutputWeight * (std::max(m.output_tokens, kLeastOutput) - mean_output_);
  if (k.here_tokens <= 0) return;
  Node& n = nodes_[k.decode_slot];
  if (m.local_s > 0 && n.compute.ready()) learn_time(k, m.local_s, now);
  if (!k.local || !(m.ttft_s > 0) || !(k.model_ttft_s > 0)) return;
  if (!n.ratio.known()) n.ratio.report(1, kRatio);
  // Of a request that mostly waited, the residual tells how well the wait was known, which nobody causes lastingly.
  const double waited = std::min(1.0, k.stages.local_queue_s / k.model_ttft_s);
  changes_ += n.ratio.observe(m.ttft_s / k.model_ttft_s, kOneRequest + 0.5 * waited * waited, now, kRatio) ? 1 : 0;
}

}  // namespace sluice::coordinator
