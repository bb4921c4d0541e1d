// What model, controller and admission learned, as JSON: by name, so that it fits whatever nodes are there after a
// restart.
#include <nlohmann/json.hpp>

#include "coordinator/policy/latency_model.h"
#include "coordinator/policy/output_lengths.h"
#include "coordinator/policy/placement.h"
#include "coordinator/policy/profile_controller.h"

namespace sluice::coordinator {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr int kOutputsVersion = 1;  // another width of its buckets is another version
constexpr double kDoubt = 0.5;      // of the prior's spread: an earlier run's figures are good, not certain

json estimate_json(const Estimate& e) { return {{"value", e.value()}, {"var", e.var()}, {"count", e.count()}}; }

double number(const json& j, const char* key) {
  const auto it = j.is_object() ? j.find(key) : j.end();
  return j.is_object() && it != j.end() && it->is_number() ? it->get<double>() : 0;
}

const json& child(const json& j, const char* key) {
  static const json kNone = json::object();
  if (!j.is_object()) return kNone;
  const auto it = j.find(key);
  return it != j.end() && it->is_object() ? *it : kNone;
}

void restore(Estimate& e, const json& j, TimePoint now) {
  const double value = number(j, "value");
  const double count = number(j, "count");
  if (value > 0 && count >= 1 && count < 4e9)
    e.restore(value, std::clamp(number(j, "var"), 1e-6, 4.0), static_cast<std::uint32_t>(count), now);
}

template <std::size_t N>
json fit_json(const BayesLinear<N>& f) {
  return f.mean();
}

template <std::size_t N>
bool read_fit(const json& j, std::array<double, N>& out) {
  if (!j.is_array() || j.size() != N) return false;
  for (std::size_t i = 0; i < N; ++i) {
    if (!j[i].is_number() || !std::isfinite(j[i].get<double>())) return false;
    out[i] = j[i].get<double>();
  }
  return true;
}

json effect_json(const Effect& e) { return {{"mean", e.mean}, {"var", e.var}, {"count", e.count}}; }

void restore(Effect& e, const json& j) {
  const double mean = number(j, "mean");
  const double count = number(j, "count");
  if (!(count >= 1) || count > 4e9) return;
  e.mean = static_cast<float>(std::clamp(mean, -std::log(kEntityBound), std::log(kEntityBound)));
  e.var = static_cast<float>(std::clamp(number(j, "var"), 1e-6, 1.0));
  e.count = static_cast<std::uint32_t>(count);
}

}  // namespace

json LatencyModel::save() const {
  json prefills = json::object();
  json decodes = json::object();
  json links = json::array();
  for (std::size_t p = 0; p < prefills_.size(); ++p) {
    const PrefillNode& n = prefills_[p];
    json codec = json::object();
    for (std::size_t f = 0; f < n.encode.size(); ++f)
      if (n.encode[f].count() > 0) codec[names_.profiles.name(static_cast<Slot>(f))] = estimate_json(n.encode[f]);
    json j{{"encode", std::move(codec)}};
    if (n.compute.learned()) j["compute"] = n.compute.weights();
    prefills[names_.prefills.name(static_cast<Slot>(p))] = std::move(j);
    for (std::size_t d = 0; d < links_[p].size(); ++d) {
      const Link& l = links_[p][d];
      if (l.bandwidth.count() == 0 && l.fixed.count() == 0) continue;
      links.push_back({{"prefill", names_.prefills.name(static_cast<Slot>(p))},
                       {"decode", names_.decodes.name(static_cast<Slot>(d))},
                       {"bandwidth", estimate_json(l.bandwidth)},
                       {"fixed", estimate_json(l.fixed)}});
    }
  }
  for (std::size_t d = 0; d < decodes_.size(); ++d) {
    const DecodeNode& n = decodes_[d];
    json codec = json::object();
    for (std::size_t f = 0; f < n.decode.size(); ++f)
      if (n.decode[f].count() > 0) codec[names_.profiles.name(static_cast<Slot>(f))] = estimate_json(n.decode[f]);
    json j{{"decode", std::move(codec)}, {"first", estimate_json(n.first)}};
    if (n.learned != TimePoint{}) j["step"] = fit_json(n.step);
    decodes[names_.decodes.name(static_cast<Slot>(d))] = std::move(j);
  }
  return {{"prefill", std::move(prefills)},
          {"decode", std::move(decodes)},
          {"links", std::move(links)},
          {"hosts", hosts_.save()},
          {"fixed", estimate_json(fixed_)}};
}

void LatencyModel::load(const json& j, TimePoint now) {
  auto codec = [&](std::vector<Estimate>& speeds, const json& from) {
    for (const auto& [profile, e] : from.items()) restore(speeds[names_.profiles.find(profile)], e, now);
  };
  // Names first: they size the tables.
  for (const auto& [name, n] : child(j, "prefill").items()) {
    (void)names_.prefills.of(name);
    for (const auto& [profile, e] : child(n, "encode").items()) (void)names_.profiles.of(profile);
  }
  for (const auto& [name, n] : child(j, "decode").items()) {
    (void)names_.decodes.of(name);
    for (const auto& [profile, e] : child(n, "decode").items()) (void)names_.profiles.of(profile);
  }
  size_up();
  for (const auto& [name, n] : child(j, "prefill").items()) {
    PrefillNode& node = prefills_[names_.prefills.find(name)];
    codec(node.encode, child(n, "encode"));
    if (PromptTime::Terms w; n.is_object() && n.contains("compute") && read_fit(n["compute"], w))
      node.compute.restore(w, kDoubt, now);
  }
  for (const auto& [name, n] : child(j, "decode").items()) {
    DecodeNode& node = decodes_[names_.decodes.find(name)];
    codec(node.decode, child(n, "decode"));
    restore(node.first, child(n, "first"), now);
    if (Fit::Vector mean; n.is_object() && n.contains("step") && read_fit(n["step"], mean)) {
      const double step = std::abs(mean[0]) + std::abs(mean[1]);
      node.step.set_prior(mean, {0.5 * step, 0.5 * step, 0.002 * step});
      node.step.restore(mean, kDoubt);
      node.learned = now;
    }
  }
  if (j.is_object() && j.contains("links") && j["links"].is_array())
    for (const auto& l : j["links"]) {
      if (!l.is_object() || !l.value("prefill", json()).is_string() || !l.value("decode", json()).is_string()) continue;
      const Slot p = names_.prefills.find(l["prefill"].get<std::string>());
      const Slot d = names_.decodes.find(l["decode"].get<std::string>());
      if (p >= prefills_.size() || d >= decodes_.size()) continue;
      restore(links_[p][d].bandwidth, child(l, "bandwidth"), now);
      restore(links_[p][d].fixed, child(l, "fixed"), now);
    }
  hosts_.load(child(j, "hosts"));
  restore(fixed_, child(j, "fixed"), now);
}

json ProfileController::save() const {
  auto effects = [](const std::vector<Effect>& all, const Slots& names) {
    json out = json::object();
    for (std::size_t i = 0; i < all.size(); ++i)
      if (all[i].count > 0) out[names.name(static_cast<Slot>(i))] = effect_json(all[i]);
    return out;
  };
  json pairs = json::array();
  for (std::size_t p = 0; p < pairs_.size(); ++p)
    for (std::size_t d = 0; d < pairs_[p].size(); ++d)
      if (pairs_[p][d].effect.count > 0)
        pairs.push_back({{"prefill", names_.prefills.name(static_cast<Slot>(p))},
                         {"decode", names_.decodes.name(static_cast<Slot>(d))},
                         {"effect", effect_json(pairs_[p][d].effect)}});
  return {{"shared", fit_json(shared_)},
          {"noise", noise_},
          {"seen", seen_},
          {"prefill", effects(prefills_, names_.prefills)},
          {"decode", effects(decodes_, names_.decodes)},
          {"profile", effects(profiles_, names_.profiles)},
          {"pairs", std::move(pairs)}};
}

void ProfileController::load(const json& j, TimePoint now) {
  (void)now;
  auto effects = [&](std::vector<Effect>& all, Slots& names, const json& from) {
    for (const auto& [name, e] : from.items()) (void)names.of(name);
    size_up();
    for (const auto& [name, e] : from.items()) restore(all[names.find(name)], e);
  };
  effects(prefills_, names_.prefills, child(j, "prefill"));
  effects(decodes_, names_.decodes, child(j, "decode"));
  effects(profiles_, names_.profiles, child(j, "profile"));
  if (Features mean; j.is_object() && j.contains("shared") && read_fit(j["shared"], mean))
    shared_.restore(mean, kDoubt);
  if (const double noise = number(j, "noise"); noise > 0) noise_ = std::clamp(noise, 0.0025, 0.25);
  if (j.is_object() && j.contains("seen")) seen_ = static_cast<std::uint64_t>(std::clamp(number(j, "seen"), 0.0, 1e15));
  if (!j.is_object() || !j.contains("pairs") || !j["pairs"].is_array()) return;
  for (const auto& l : j["pairs"]) {
    if (!l.is_object() || !l.value("prefill", json()).is_string() || !l.value("decode", json()).is_string()) continue;
    const Slot p = names_.prefills.find(l["prefill"].get<std::string>());
    const Slot d = names_.decodes.find(l["decode"].get<std::string>());
    if (p < pairs_.size() && d < pairs_[p].size()) restore(pairs_[p][d].effect, child(l, "effect"));
  }
}

json LocalPrompts::save() const {
  json decodes = json::object();
  for (std::size_t d = 0; d < nodes_.size(); ++d) {
    const Node& n = nodes_[d];
    if (!n.compute.learned()) continue;
    json& j = decodes[names_.decodes.name(static_cast<Slot>(d))] = {{"compute", n.compute.weights()}};
    if (n.ratio.count() > 0) j["ratio"] = estimate_json(n.ratio);
  }
  return {{"decode", std::move(decodes)}, {"mean_output", mean_output_}};
}

void LocalPrompts::load(const json& j, TimePoint now) {
  for (const auto& [name, n] : child(j, "decode").items()) (void)names_.decodes.of(name);
  size_up();
  for (const auto& [name, n] : child(j, "decode").items()) {
    Node& node = nodes_[names_.decodes.find(name)];
    if (PromptTime::Terms w; n.is_object() && n.contains("compute") && read_fit(n["compute"], w))
      node.compute.restore(w, kDoubt, now);
    restore(node.ratio, child(n, "ratio"), now);
  }
  if (const double mean = number(j, "mean_output"); mean >= 1 && mean < 1e9) mean_output_ = mean;
}

json Placement::save() const {
  return {
      {"version", kVersion}, {"latency", latency_.save()}, {"controller", controller_.save()}, {"local", here_.save()}};
}

Result<> Placement::load(const json& j, TimePoint now) {
  if (!j.is_object() || number(j, "version") != kVersion)
    return fail(Errc::unsupported, "the learned state is not of version {}", kVersion);
  adopt(j, now);
  return {};
}

void Placement::adopt(const json& j, TimePoint now) {
  latency_.load(child(j, "latency"), now);
  controller_.load(child(j, "controller"), now);
  here_.load(child(j, "local"), now);
  latency_.load(json::object(), now);  // sizes its tables for names only the others knew
  controller_.load(json::object(), now);
}

json OutputLengths::save() const { return {{"version", kOutputsVersion}, {"ended", ended_}, {"left", left_}}; }

Result<OutputLengths::Seen> OutputLengths::read(const json& j) {
  if (!j.is_object() || number(j, "version") != kOutputsVersion)
    return fail(Errc::unsupported, "the output lengths are not of version {}", kOutputsVersion);
  Seen s;
  bool sound =
      j.contains("ended") && j.contains("left") && read_fit(j["ended"], s.ended) && read_fit(j["left"], s.left);
  for (std::size_t i = 0; i < kBuckets; ++i) {
    sound &= s.ended[i] >= 0 && s.ended[i] <= s.left[i];
    s.weight += s.left[i];
  }
  if (!sound || s.weight > kMemory * 1.001) return fail(Errc::data_corrupt, "the output lengths are damaged");
  return s;
}

Result<> OutputLengths::load(const json& j) {
  SLUICE_ASSIGN(const Seen s, read(j));
  ended_ = s.ended;
  left_ = s.left;
  weight_ = s.weight;
  rebuild();
  return {};
}

void OutputLengths::borrow(const std::vector<json>& others) {
  Seen all;
  for (const json& j : others) {
    const auto s = read(j);
    if (!s) continue;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      all.ended[i] += s->ended[i];
      all.left[i] += s->left[i];
    }
    all.weight += s->weight;
  }
  const double share = all.weight > kMemory ? kMemory / all.weight : 1;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    borrowed_ended_[i] = share * all.ended[i];
    borrowed_left_[i] = share * all.left[i];
  }
  borrowed_weight_ = share * all.weight;
  rebuild();
}

}  // namespace sluice::coordinator
