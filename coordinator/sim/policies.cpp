#include "coordinator/sim/policies.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace sluice::sim {
namespace {

using namespace coordinator;

class Sluice final : public Policy {
 public:
  /// objective: instead of the class's.
  explicit Sluice(const ControllerOptions& o, bool changes = true, std::optional<Objective> objective = {})
      : Policy(o), changes_(changes), objective_(objective) {}
  Placed decide(const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) override {
    if (objective_) r.objective = *objective_;
    return placement_.decide(c, r, deadline_s, now);
  }
  void finished(const Candidate& k, const Measured& m, bool, TimePoint now) override { placement_.finished(k, m, now); }
  bool changes_in_transfer() const override { return changes_; }

 private:
  bool changes_;
  std::optional<Objective> objective_;
};

/// Sluice with every prompt cut at one end: at its last token, so that a prefill node computes it, or at its first.
class OneWay final : public Policy {
 public:
  OneWay(const ControllerOptions& o, bool split) : Policy(o), split_(split) {}
  Placed decide(const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) override {
    r.cut = split_ ? r.split_cut() : 0;
    return placement_.decide(c, r, deadline_s, now);
  }
  void finished(const Candidate& k, const Measured& m, bool, TimePoint now) override { placement_.finished(k, m, now); }
  bool changes_in_transfer() const override { return true; }

 private:
  bool split_;
};

/// Picks a profile by a rule; nodes by the placement, which never explores here.
class ByRule : public Policy {
 public:
  explicit ByRule(ControllerOptions o) : Policy(quiet(o)), random_(o.seed) {}
  Placed decide(const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) override {
    allowed_.clear();
    for (std::size_t f = 0; f < c.profiles.size(); ++f)
      if (c.profiles[f].kl <= r.quality_budget) allowed_.push_back(f);
    r.cut = r.split_cut();
    if (allowed_.empty()) return placement_.decide(c, r, deadline_s, now);
    r.profile = c.profiles[pick(c, r, now)].name;
    return placement_.decide(c, r, deadline_s, now);
  }
  void finished(const Candidate& k, const Measured& m, bool met, TimePoint now) override {
    placement_.finished(k, m, now);
    learn(k, m, met, now);
  }

 protected:
  virtual std::size_t pick(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now) = 0;
  virtual void learn(const Candidate&, const Measured&, bool, TimePoint) {}

  /// The link a rule looks at: from the least queued prefill node to the least filled decode node.
  static std::pair<std::size_t, std::size_t> likely_pair(const ClusterSnapshot& c) {
    const auto p = std::ranges::min_element(c.prefills, {}, &PrefillView::queued_tokens) - c.prefills.begin();
    const auto d = std::ranges::min_element(c.decodes, {}, &DecodeView::seqs) - c.decodes.begin();
    return {static_cast<std::size_t>(p), static_cast<std::size_t>(d)};
  }
  /// Encode and decode together, as KVServe's S.
  static double codec_bps(const ClusterSnapshot& c, std::size_t p, std::size_t d, std::size_t f) {
    return 1 / (1 / std::max(c.prefills[p].profiles[f].encode_bps, 1.0) +
                1 / std::max(c.decodes[d].profiles[f].decode_bps, 1.0));
  }

  std::vector<std::size_t> allowed_;
  FastRandom random_;

 private:
  static ControllerOptions quiet(ControllerOptions o) {
    o.explore_share = 0;
    return o;
  }
};

class Static final : public ByRule {
 public:
  Static(const ControllerOptions& o, std::string profile) : ByRule(o), profile_(std::move(profile)) {}
  std::size_t pick(const ClusterSnapshot& c, const RequestFeatures&, TimePoint) override {
    const auto it = std::ranges::find(c.profiles, profile_, &ProfileEntry::name);
    return it == c.profiles.end() ? allowed_.front() : static_cast<std::size_t>(it - c.profiles.begin());
  }

 private:
  std::string profile_;
};

class BreakEven final : public ByRule {
 public:
  using ByRule::ByRule;
  std::size_t pick(const ClusterSnapshot& c, const RequestFeatures&, TimePoint) override {
    const auto [p, d] = likely_pair(c);
    const double bandwidth = std::max(c.link(p, d).bandwidth_bps, 1.0);
    std::size_t best = allowed_.front();
    double least = INFINITY;
    for (const std::size_t f : allowed_) {
      const double ratio = c.prefills[p].profiles[f].ratio;
      const double speed = codec_bps(c, p, d, f);
      if (ratio > 1 && bandwidth >= (1 - 1 / ratio) * speed) continue;  // compressing would cost more than it saves
      const double per_byte = 1 / (bandwidth * ratio) + (ratio > 1 ? 1 / speed : 0);
      if (per_byte >= least) continue;
      least = per_byte;
      best = f;
    }
    return best;
  }
};

/// T = T_model + V / S + V / (B r), corrected by an EWMA of the residual per profile; epsilon-greedy; an arm that
/// misses three times running rests.
class KvServe : public ByRule {
 public:
  explicit KvServe(const ControllerOptions& o) : ByRule(o) {}
  std::size_t pick(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint now) override {
    arms_.resize(c.profiles.size());
    if (random_.uniform() < kEpsilon) return allowed_[random_.next() % allowed_.size()];
    const auto [p, d] = likely_pair(c);
    const double raw = std::max(r.prompt_tokens, 1U) * static_cast<double>(c.kv_bytes_per_token);
    std::size_t best = allowed_.front();
    double least = INFINITY;
    for (const bool rested : {true, false}) {
      for (const std::size_t f : allowed_) {
        if (rested && arms_[f].rest_until > now) continue;
        const double t = raw / codec_bps(c, p, d, f) +
                         raw / (std::max(c.link(p, d).bandwidth_bps, 1.0) * c.prefills[p].profiles[f].ratio) +
                         arms_[f].residual_s;
        if (t >= least) continue;
        least = t;
        best = f;
      }
      if (least < INFINITY) break;
    }
    return best;
  }
  void learn(const Candidate& k, const Measured& m, bool met, TimePoint now) override {
    Arm& a = arms_[k.profile];
    const double sum = k.stages.prefill_s + k.stages.encode_s + k.stages.wire_s + k.stages.decode_s;
    a.residual_s += kEta * ((m.ttft_s - sum) - a.residual_s);
    a.misses = met ? 0 : a.misses + 1;
    if (a.misses < 3) return;
    a.misses = 0;
    a.rest_until = now + std::chrono::seconds(5);
  }

 private:
  static constexpr double kEpsilon = 0.05, kEta = 0.3;
  struct Arm {
    double residual_s = 0;
    int misses = 0;
    TimePoint rest_until{};
  };
  std::vector<Arm> arms_;
};

/// KVServe's profile on the pair it looked at: the system without Sluice's placement.
class KvServeAlone final : public KvServe {
 public:
  using KvServe::KvServe;
  Placed decide(const ClusterSnapshot& c, RequestFeatures& r, double deadline_s, TimePoint now) override {
    const auto [p, d] = likely_pair(c);
    pair_ = c;
    for (std::size_t i = 0; i < pair_.prefills.size(); ++i) pair_.prefills[i].usable &= i == p;
    for (std::size_t i = 0; i < pair_.decodes.size(); ++i) pair_.decodes[i].usable &= i == d;
    return KvServe::decide(pair_, r, deadline_s, now);
  }

 private:
  ClusterSnapshot pair_;
};

/// UCB1 (Auer et al., 2002) over profiles; the reward is the share of the TTFT objective that was left, within [0, 1].
class Ucb1 final : public ByRule {
 public:
  explicit Ucb1(const ControllerOptions& o) : ByRule(o) {}
  std::size_t pick(const ClusterSnapshot& c, const RequestFeatures& r, TimePoint) override {
    arms_.resize(c.profiles.size());
    slo_s_ = r.ttft_slo_s;
    std::size_t best = allowed_.front();
    double most = -INFINITY;
    for (const std::size_t f : allowed_) {
      if (arms_[f].count == 0) return f;
      const double bonus = std::sqrt(2 * std::log(total_) / arms_[f].count);
      if (arms_[f].mean + bonus <= most) continue;
      most = arms_[f].mean + bonus;
      best = f;
    }
    return best;
  }
  void learn(const Candidate& k, const Measured& m, bool, TimePoint) override {
    Arm& a = arms_[k.profile];
    ++total_;
    ++a.count;
    a.mean += (std::clamp(1 - m.ttft_s / slo_s_, 0.0, 1.0) - a.mean) / a.count;
  }

 private:
  struct Arm {
    double mean = 0, count = 0;
  };
  std::vector<Arm> arms_;
  double total_ = 0, slo_s_ = 1;
};

}  // namespace

Result<std::unique_ptr<Policy>> make_policy(const std::string& name, const ControllerOptions& o) {
  constexpr std::string_view kStatic = "static:";
  if (name == "sluice") return std::make_unique<Sluice>(o);
  if (name == "sluice-quality") return std::make_unique<Sluice>(o, true, Objective::quality);
  if (name == "sluice-latency") return std::make_unique<Sluice>(o, true, Objective::latency);
  if (name == "sluice-split") return std::make_unique<OneWay>(o, true);
  if (name == "sluice-local") return std::make_unique<OneWay>(o, false);
  if (name == "sluice-keep") return std::make_unique<Sluice>(o, false);
  if (name == "sluice-fast") {
    ControllerOptions fast = o;
    fast.tie_share = 0;
    return std::make_unique<Sluice>(fast);
  }
  if (name == "break-even") return std::make_unique<BreakEven>(o);
  if (name == "kvserve") return std::make_unique<KvServe>(o);
  if (name == "kvserve-alone") return std::make_unique<KvServeAlone>(o);
  if (name == "ucb1") return std::make_unique<Ucb1>(o);
  if (name.starts_with(kStatic)) return std::make_unique<Static>(o, name.substr(kStatic.size()));
  return fail_param("policy",
                    "there is no policy '{}'; use sluice, sluice-quality, sluice-latency, sluice-fast, sluice-keep, "
                    "sluice-split, sluice-local, "
                    "static:PROFILE, break-even, kvserve, "
                    "kvserve-alone or ucb1",
                    name);
}

const std::vector<std::string>& learned_policies() {
  static const std::vector<std::string> names{"sluice", "break-even", "kvserve", "ucb1"};
  return names;
}

}  // namespace sluice::sim
