#include "coordinator/policy/quality_watch.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace sluice::coordinator {
namespace {

using nlohmann::json;

/// The bets l, each below C. Small ones find a slight excess in many probes, large ones a gross one in few.
constexpr double kBet[] = {0.3, 1.0, 3.0, 10.0};
constexpr double kWeight = 1.0 / std::size(kBet);
constexpr double kMemory = 256;  // probes that an estimate rests on at most
constexpr double kGross = 0.5;   // of the clip: a trial that shows this is a strike
constexpr std::uint32_t kStrikes = 2;
constexpr std::uint32_t kPatience = 4;  // times the good probes that a return takes: trials in a row, probes judged

json tally_json(const Tally& t) { return {{"n", t.n}, {"sum", t.sum}, {"squares", t.squares}}; }

double number(const json& j, const char* key, double most) {
  const auto it = j.find(key);
  if (it == j.end() || !it->is_number()) return 0;
  const double x = it->get<double>();
  return std::isfinite(x) ? std::clamp(x, 0.0, most) : 0;
}

Tally read_tally(const json& j, const char* key, TimePoint now) {
  const auto it = j.find(key);
  if (it == j.end() || !it->is_object()) return {};
  return {number(*it, "n", kMemory), number(*it, "sum", 1e9), number(*it, "squares", 1e18), now};
}

}  // namespace

void Tally::add(double x, double most, double half_life_s, TimePoint now) {
  double keep = n >= most ? 1 - 1 / most : 1;
  if (n > 0) keep *= std::exp2(-std::max(seconds(now - at), 0.0) / half_life_s);
  n = n * keep + 1;
  sum = sum * keep + x;
  squares = squares * keep + x * x;
  at = now;
}

double Tally::upper() const noexcept {
  if (n <= 0) return 0;
  const double m = mean();
  const double sd = std::sqrt(std::max(squares / n - m * m, 0.0));
  return m + 2 * std::max(sd, m) / std::sqrt(n);
}

double QualityWatch::Profile::null_mean() const noexcept { return std::max(stated, kFloor); }

double QualityWatch::Profile::evidence() const noexcept {
  double sum = 0;
  for (const double w : wealth) sum += kWeight * w;
  return sum;
}

QualityWatch::Profile* QualityWatch::at(std::string_view profile) {
  const auto it = std::ranges::find(profiles_, profile, &Profile::name);
  return it == profiles_.end() ? nullptr : &*it;
}

const QualityWatch::Profile* QualityWatch::find(std::string_view profile) const {
  const auto it = std::ranges::find(profiles_, profile, &Profile::name);
  return it == profiles_.end() ? nullptr : &*it;
}

void QualityWatch::bind(const std::string& identity, const std::vector<ProfileEntry>& stated) {
  std::vector<Profile> old;
  if (identity == identity_) old = std::move(profiles_);
  identity_ = identity;
  profiles_.clear();
  for (const ProfileEntry& e : stated) {
    const auto it = std::ranges::find(old, e.name, &Profile::name);
    // Another statement is another question; its answers do not carry over.
    Profile p = it != old.end() && it->stated == e.stated_kl ? *it : Profile{};
    p.name = e.name;
    p.stated = e.stated_kl;
    if (p.rest_s == 0) p.rest_s = options_.rest_s;
    profiles_.push_back(std::move(p));
  }
}

bool QualityWatch::wants_probe(std::string_view profile) {
  Profile* p = at(profile);
  if (p == nullptr || options_.share <= 0) return false;
  const bool exact = p->stated == 0;
  if (!exact && p->probes < options_.first && p->chosen++ < options_.first) return true;
  double share = exact && options_.share < 1 ? options_.share * options_.exact_share : options_.share;
  if (p->left || p->evidence() >= kSuspicion) share = std::max(share, options_.close_share);
  return random_.uniform() < share;
}

std::optional<std::string> QualityWatch::trial(double budget, TimePoint now) {
  if (options_.share <= 0) return std::nullopt;
  for (Profile& p : profiles_) {
    if (!p.left || now < p.next_trial || p.stated > budget || effective(p) <= budget) continue;
    if (p.trials == 0) p.window = {};  // what was before the rest is known
    if (++p.trials > kPatience * p.needed) {
      rest(p, now);
      continue;
    }
    p.next_trial = now + from_seconds(1);  // about the time until its probe has come back
    return p.name;
  }
  return std::nullopt;
}

void QualityWatch::bet(Profile& p, double kl, TimePoint now) {
  const double y = std::min(kl / (kClip * p.null_mean()), 1.0);
  for (std::size_t i = 0; i < Profile::kBets; ++i) {
    if (p.wealth[i] < 1) {
      p.wealth[i] = 1;
      p.since[i] = {};
    }
    p.wealth[i] = std::min(p.wealth[i] * (1 + kBet[i] * (y - 1 / kClip)), 1e12);
    p.since[i].add(kl, kMemory, options_.half_life_s, now);
  }
}

std::optional<QualityWatch::Change> QualityWatch::observe(std::string_view profile, double kl, bool same_top1,
                                                          TimePoint now) {
  Profile* p = at(profile);
  if (p == nullptr || !(kl >= 0)) return std::nullopt;
  ++p->probes;
  p->same_top1 += same_top1 ? 1 : 0;
  p->recent.add(kl, kMemory, options_.half_life_s, now);
  if (!p->left) {
    bet(*p, kl, now);
    return p->evidence() >= options_.alarm ? leave(*p, now) : std::nullopt;
  }
  const std::size_t widest = static_cast<std::size_t>(std::ranges::max_element(p->wealth) - std::begin(p->wealth));
  p->since[widest].add(kl, kMemory, options_.half_life_s, now);
  p->upper = std::max(p->since[widest].upper(), p->null_mean());
  return consider_return(*p, std::min(kl / (kClip * p->null_mean()), 1.0), now);
}

std::optional<QualityWatch::Change> QualityWatch::leave(Profile& p, TimePoint now) {
  // The detector that is most sure began where the change was.
  const std::size_t surest = static_cast<std::size_t>(std::ranges::max_element(p.wealth) - std::begin(p.wealth));
  p.left = true;
  p.upper = std::max(p.since[surest].upper(), p.null_mean());
  p.window = {};
  p.strikes = p.trials = 0;
  p.needed = p.needed == 0 ? kGoodProbes : std::min(2 * p.needed, kMostGood);
  p.next_trial = now + from_seconds(p.rest_s);
  return change_of(p);
}

/// No trials for a while; longer when it was trials that went badly.
void QualityWatch::rest(Profile& p, TimePoint now) {
  if (p.trials > 0) p.rest_s = std::min(2 * p.rest_s, options_.longest_rest_s);
  p.next_trial = now + from_seconds(p.rest_s);
  p.strikes = p.trials = 0;
}

std::optional<QualityWatch::Change> QualityWatch::consider_return(Profile& p, double y, TimePoint now) {
  p.window.add(y, kPatience * p.needed, options_.half_life_s, now);
  if (y >= kGross && ++p.strikes >= kStrikes) rest(p, now);
  if (p.window.n < p.needed || p.window.upper() > 1 / kClip) return std::nullopt;
  p.left = false;
  p.upper = 0;
  p.rest_s = options_.rest_s;
  std::ranges::fill(p.wealth, 0.0);
  return change_of(p);
}

QualityWatch::Change QualityWatch::change_of(const Profile& p) const {
  return {p.name, p.left, p.stated, effective(p), p.recent.mean(), p.probes};
}

double QualityWatch::effective(const Profile& p) const {
  if (!p.left) return p.stated;
  const bool other =
      p.stated > 0 || std::ranges::any_of(profiles_, [](const Profile& q) { return q.stated == 0 && !q.left; });
  return other ? std::max(p.upper, p.stated) : p.stated;
}

json QualityWatch::save() const {
  json out = json::object();
  for (const Profile& p : profiles_) {
    if (p.probes == 0) continue;
    out[p.name] = {
        {"stated", p.stated}, {"probes", p.probes}, {"same_top1", p.same_top1}, {"recent", tally_json(p.recent)},
        {"left", p.left},     {"upper", p.upper},   {"rest_s", p.rest_s}};
  }
  return {{"identity", identity_}, {"profiles", std::move(out)}};
}

QualityWatch::Profile QualityWatch::read_profile(const std::string& name, const json& from, TimePoint now) const {
  Profile p;
  p.name = name;
  p.stated = number(from, "stated", 1e6);
  p.probes = static_cast<std::uint64_t>(number(from, "probes", 1e15));
  p.same_top1 = std::min(p.probes, static_cast<std::uint64_t>(number(from, "same_top1", 1e15)));
  p.recent = read_tally(from, "recent", now);
  p.left = from.contains("left") && from["left"] == true;
  p.upper = number(from, "upper", 1e6);
  p.rest_s = std::clamp(number(from, "rest_s", options_.longest_rest_s), options_.rest_s, options_.longest_rest_s);
  p.since[0] = p.recent;
  if (p.left) {
    p.needed = kGoodProbes;
    p.next_trial = now + from_seconds(p.rest_s);
  }
  return p;
}

namespace {

bool is_state(const json& j) {
  return j.is_object() && j.contains("identity") && j["identity"].is_string() && j.contains("profiles") &&
         j["profiles"].is_object();
}

}  // namespace

void QualityWatch::adopt(const json& j, TimePoint now) {
  if (!is_state(j)) return;
  if (identity_.empty()) return load(j, now);
  if (j["identity"] != identity_) return;
  for (const auto& [name, from] : j["profiles"].items())
    if (Profile* p = at(name); p != nullptr && from.is_object() && number(from, "stated", 1e6) == p->stated)
      *p = read_profile(name, from, now);
}

void QualityWatch::load(const json& j, TimePoint now) {
  if (!is_state(j)) return;
  identity_ = j["identity"].get<std::string>();
  profiles_.clear();
  for (const auto& [name, from] : j["profiles"].items()) {
    if (from.is_object()) profiles_.push_back(read_profile(name, from, now));
  }
}

}  // namespace sluice::coordinator
