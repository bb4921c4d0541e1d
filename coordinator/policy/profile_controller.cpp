#include "coordinator/policy/profile_controller.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sluice::coordinator {
namespace {

constexpr float kNodeVar = 0.01F;  // before anything was measured, of the log
constexpr float kPairVar = 0.02F;
// Codec speeds and bytes are the model's to learn, per node and link. What is left to a profile as such is small; a
// wider prior would let it take the blame for a full link, and send the next requests to profiles that fill it further.
constexpr float kProfileVar = 0.0025F;
// A change makes an entity doubtful, no more: speeds that change are the model's to learn, and what is left must not
// banish a node for what happened on a link.
constexpr float kChangeVar = 0.02F;
// Of a request that mostly waited, the residual tells how well the wait was known, which nobody causes lastingly.
constexpr double kWaitNoise = 0.5;
constexpr float kDriftPerS = 4e-4F;
constexpr float kMemoryS = 120;  // an effect without samples goes back to nothing with this time constant
constexpr Duration kAgeStep = std::chrono::milliseconds(100);
constexpr double kSharedDiscount = 0.998;
constexpr double kNoiseWeight = 0.02;
constexpr double kNoiseClip = 1;  // of the noise, squared standard deviations
constexpr double kMaxCredit = 4;
constexpr float kUseWeight = 0.05F;  // of one request in the account of which profiles are in use
const double kLogBound = std::log(kResidualBound);
const auto kLogEntityBound = static_cast<float>(std::log(kEntityBound));

double bounded(double shared) { return std::clamp(shared, -kLogBound, kLogBound); }

/// Features are kept near unit size, so that weights have one scale.
double squeeze(double x) { return std::clamp(x, -2.0, 2.0); }
double size_feature(double log_megabytes) { return squeeze(log_megabytes / 5); }
double bandwidth_feature(double log_gigabytes_s) { return squeeze(log_gigabytes_s / 5); }
double length_feature(double log_kilotokens) { return squeeze(log_kilotokens / 5); }

void age(Effect& e, float prior_var, TimePoint now) {
  if (now - e.aged < kAgeStep) return;  // often asked, seldom worth an exponential
  const bool first = e.aged == TimePoint{};
  const auto gone = static_cast<float>(seconds(now - e.aged));
  e.aged = now;
  if (first) return;
  if (e.mean != 0) e.mean *= std::exp(-gone / kMemoryS);
  if (e.var < prior_var) e.var = std::min(prior_var, e.var + kDriftPerS * gone);
}

/// One Kalman step of an effect that had `e.var` of the whole variance: the deviation tells of changes, as much of it
/// as `pull` moves the effect.
bool learn(Effect& e, double deviation, double pull, double spread, float change_var) {
  const double z = deviation / spread;
  e.up = std::max(0.0F, e.up + static_cast<float>(z) - Estimate::kSlack);
  e.down = std::max(0.0F, e.down - static_cast<float>(z) - Estimate::kSlack);
  const double gain = e.var / (spread * spread);
  e.mean = std::clamp(e.mean + static_cast<float>(gain * pull), -kLogEntityBound, kLogEntityBound);
  e.var *= static_cast<float>(1 - gain);
  ++e.count;
  if (std::max(e.up, e.down) <= Estimate::kThreshold) return false;
  e.up = e.down = 0;
  e.var = std::max(e.var, change_var);
  return true;
}

double normal_below(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

}  // namespace

std::string_view name(ChoiceReason r) noexcept {
  switch (r) {
    case ChoiceReason::best:
      return "best";
    case ChoiceReason::explore:
      return "explore";
    case ChoiceReason::only:
      return "only";
    case ChoiceReason::cooled_fallback:
      return "cooled_fallback";
  }
  return "best";
}

ProfileController::ProfileController(Directory& names, const ControllerOptions& o)
    : names_(names), options_(o), random_(o.seed) {
  shared_.set_prior({}, {0.2, 0.05, 0.1, 0.2, 0.2, 0.1});
  (void)random_.normal();  // makes the table now rather than on the way of the first decision
}

void ProfileController::size_up() {
  prefills_.resize(names_.prefills.size(), fresh(kNodeVar));
  decodes_.resize(names_.decodes.size(), fresh(kNodeVar));
  profiles_.resize(names_.profiles.size(), fresh(kProfileVar));
  use_.resize(profiles_.size());
  pairs_.resize(prefills_.size());
  for (auto& row : pairs_) row.resize(decodes_.size(), Pair{fresh(kPairVar), {}});
}

void ProfileController::grow() { size_up(); }

Features ProfileController::features(const Candidate& k, double max_seqs, double bandwidth_bps) {
  const double work = k.stages.queue_s + k.stages.prefill_s;
  return {1,
          size_feature(std::log(std::max(k.wire_bytes, 1.0) * 1e-6)),
          bandwidth_feature(std::log(std::max(bandwidth_bps, 1.0) * 1e-9)),
          work > 0 ? k.stages.queue_s / work : 0,
          k.seqs / std::max(max_seqs, 1.0),
          length_feature(std::log(std::max(k.tokens, 1.0) * 1e-3))};
}

double ProfileController::correction(const Candidate& k) const {
  const double entities =
      prefills_[k.prefill_slot].mean + decodes_[k.decode_slot].mean + pairs_[k.prefill_slot][k.decode_slot].effect.mean;
  return std::exp(bounded(shared_.predict(k.features)) + entities + profiles_[k.profile_slot].mean);
}

double ProfileController::spread(const Candidate& k) const {
  return std::sqrt(noise_ + shared_.variance(k.features) + prefills_[k.prefill_slot].var + decodes_[k.decode_slot].var +
                   profiles_[k.profile_slot].var + pairs_[k.prefill_slot][k.decode_slot].effect.var);
}

double ProfileController::chance(const Candidate& k, const RequestFeatures& r, double spread) {
  const double left = r.ttft_slo_s - r.waited_s;
  if (!(left > 0)) return 0;
  const double ttft = normal_below((std::log(left) - std::log(std::max(k.predicted_ttft_s, 1e-9))) / spread);
  // A step's time is steadier than a request's way; a tenth is its spread.
  const double tpot =
      normal_below((std::log(std::max(r.tpot_slo_s, 1e-9)) - std::log(std::max(k.predicted_tpot_s, 1e-9))) / 0.1);
  return ttft * tpot;
}

void ProfileController::weigh(CandidateTable& t, bool drawn, TimePoint now) {
  Features w = shared_.mean();
  if (drawn) {
    Features z;
    for (double& v : z) v = random_.normal();
    w = shared_.sample(z);
  }
  auto value = [&](Effect& e, float prior_var) {
    age(e, prior_var, now);
    return drawn ? e.mean + std::sqrt(e.var) * random_.normal() : e.mean;
  };
  const double base = w[0] + w[5] * length_feature(t.log_kilotokens);
  float by_decode[CandidateTable::kNodes];
  for (std::size_t d = 0; d < t.decodes.size(); ++d)
    by_decode[d] = value(decodes_[names_.decode[t.decodes[d]]], kNodeVar);
  for (std::size_t p = 0; p < t.prefills.size(); ++p) {
    const Slot ps = names_.prefill[t.prefills[p]];
    const double by_load = base + w[3] * t.load[p];
    const float by_prefill = value(prefills_[ps], kNodeVar);
    for (std::size_t d = 0; d < t.decodes.size(); ++d) {
      const std::size_t pair = p * t.decodes.size() + d;
      const double shared = by_load + w[4] * t.fill[d] + w[2] * bandwidth_feature(t.log_bandwidth[pair]);
      const float link = value(pairs_[ps][names_.decode[t.decodes[d]]].effect, kPairVar);
      t.factor[pair] = std::exp(static_cast<float>(bounded(shared)) + by_prefill + by_decode[d] + link);
    }
  }
  for (std::size_t f = 0; f < t.profiles.size(); ++f)
    t.profile_factor[f] = std::exp(static_cast<float>(w[1] * size_feature(t.log_wire_mb[f])) +
                                   value(profiles_[names_.profile[t.profiles[f]]], kProfileVar));
}

bool ProfileController::may_explore() {
  credit_ = std::min(kMaxCredit, credit_ + options_.explore_share);
  if (credit_ < 1) return false;
  credit_ -= 1;
  return true;
}

bool ProfileController::resting(Slot prefill, Slot decode, TimePoint now) const {
  return pairs_[prefill][decode].rest_until > now;
}

bool ProfileController::observe(const Candidate& k, double ttft_s, TimePoint now) {
  if (!(k.model_ttft_s > 0) || !(ttft_s > 0) || !std::isfinite(ttft_s)) return false;
  Effect* const effects[] = {&prefills_[k.prefill_slot], &decodes_[k.decode_slot], &profiles_[k.profile_slot],
                             &pairs_[k.prefill_slot][k.decode_slot].effect};
  const auto prior_var = [&](const Effect* e) {
    return e == effects[2] ? kProfileVar : e == effects[3] ? kPairVar : kNodeVar;
  };
  double mean = shared_.predict(k.features);
  double var = 0;
  bool cold = seen_ == 0;
  for (Effect* e : effects) {
    cold |= e->count == 0;
    age(*e, prior_var(e), now);
    mean += e->mean;
    var += e->var;
  }
  // An entity's first request pays for things that come once: pages, connections, caches.
  const double waited =
      std::min(1.0, std::max(k.stages.queue_s, k.stages.link_wait_s) / std::max(k.model_ttft_s, 1e-9));
  const double noise = (cold ? noise_ * Estimate::kColdNoise : noise_) + kWaitNoise * waited * waited;
  const double spread = std::sqrt(noise + var + shared_.variance(k.features));
  const double seen = std::log(ttft_s / k.model_ttft_s);
  const double deviation = std::clamp(seen - mean, -Estimate::kClip * spread, Estimate::kClip * spread);
  // What was slow by chance is often very slow, what was fast never very fast: noise counts little, for the median.
  const double most = std::sqrt(Estimate::kClip * Estimate::kClip * (spread * spread - noise) + noise * kNoiseClip);
  const double pull = std::clamp(deviation, -most, most);
  if (!cold)
    noise_ =
        std::clamp(noise_ + kNoiseWeight * (deviation * deviation - (spread * spread - noise) - noise_), 0.0025, 0.25);
  double means = 0;
  for (Effect* e : effects) means += e->mean;
  changes_ +=
      shared_.observe(k.features, deviation + mean - means, noise + var, kSharedDiscount, std::sqrt(kNoiseClip));
  for (Effect* e : effects) changes_ += learn(*e, deviation, pull, spread, e == effects[2] ? kProfileVar : kChangeVar);
  share_out(k.profile_slot, pairs_[k.prefill_slot][k.decode_slot].effect);
  ++seen_;
  return true;
}

/// What the profiles in use have in common is the pair's: with one in use no sample can tell the two apart, and it must
/// not look better or worse for that than those never tried. The prediction for `own` on `pair` stays.
void ProfileController::share_out(Slot own, Effect& pair) {
  float most = 0;
  float common = 0;
  for (std::size_t f = 0; f < profiles_.size(); ++f) {
    use_[f] = (1 - kUseWeight) * use_[f] + (f == own ? kUseWeight : 0);
    most = std::max(most, use_[f]);
  }
  float sum = 0;
  for (std::size_t f = 0; f < profiles_.size(); ++f) {
    common += use_[f] * profiles_[f].mean;
    sum += use_[f];
  }
  common /= sum;
  for (std::size_t f = 0; f < profiles_.size(); ++f) profiles_[f].mean -= common * use_[f] / most;
  pair.mean += common * use_[own] / most;
}

void ProfileController::observe_failure(const Candidate& k, TimePoint now) {
  TimePoint& until = pairs_[k.prefill_slot][k.decode_slot].rest_until;
  until = now + from_seconds(options_.cooldown_s);
  last_rest_ = std::max(last_rest_, until);
}

}  // namespace sluice::coordinator
