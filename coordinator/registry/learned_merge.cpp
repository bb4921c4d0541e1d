#include "coordinator/registry/learned_merge.h"

#include <algorithm>
#include <cmath>

#include "common/json/parse.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr std::size_t kMostEntries = 500'000;

const json& child(const json& j, const char* key) {
  static const json kNone = json::object();
  const auto it = j.is_object() ? j.find(key) : j.end();
  return j.is_object() && it != j.end() && (it->is_object() || it->is_array()) ? *it : kNone;
}

double number(const json& j, const char* key) {
  const auto it = j.is_object() ? j.find(key) : j.end();
  return j.is_object() && it != j.end() && it->is_number() ? it->get<double>() : 0;
}

std::string word(const json& j, const char* key) {
  const auto it = j.is_object() ? j.find(key) : j.end();
  return j.is_object() && it != j.end() && it->is_string() ? it->get<std::string>() : std::string();
}

/// Gathers entries.
struct Gather {
  LearnedEntries out;
  double now = 0;
  const std::string& me;

  void put(json path, const json& value, double samples) {
    out[path.dump()] = {.value = value, .samples = samples, .at = now, .by = me};
  }
  /// An estimate that has seen something.
  void estimate(json path, const json& e) {
    if (number(e, "count") > 0) put(std::move(path), e, number(e, "count"));
  }
  void fit(json path, const json& j, const char* key) {
    if (const auto it = j.find(key); it != j.end() && it->is_array()) put(std::move(path), *it, 0);
  }
};

void take_latency(Gather& g, const json& latency) {
  for (const auto& [name, node] : child(latency, "prefill").items()) {
    for (const auto& [profile, e] : child(node, "encode").items()) g.estimate({"prefill", name, "encode", profile}, e);
    g.fit({"prefill", name, "compute"}, node, "compute");
  }
  for (const auto& [name, node] : child(latency, "decode").items()) {
    for (const auto& [profile, e] : child(node, "decode").items()) g.estimate({"decode", name, "decode", profile}, e);
    g.estimate({"decode", name, "first"}, child(node, "first"));
    g.fit({"decode", name, "step"}, node, "step");
  }
  for (const json& l : child(latency, "links"))
    for (const char* what : {"bandwidth", "fixed"})
      g.estimate({"link", word(l, "prefill"), word(l, "decode"), what}, child(l, what));
  g.estimate({"fixed"}, child(latency, "fixed"));
}

/// What prompts take on decode nodes.
void take_local(Gather& g, const json& local) {
  for (const auto& [name, node] : child(local, "decode").items()) {
    g.fit({"local", name, "compute"}, node, "compute");
    g.estimate({"local", name, "ratio"}, child(node, "ratio"));
  }
}

double rank(const LearnedEntry& e) {
  // What does not count its samples has enough of them.
  const double samples = e.samples > 0 ? std::min(e.samples, kEnough) : kEnough;
  return std::log2(1 + samples) + e.at / kFresh;
}

bool better(const LearnedEntry& a, const LearnedEntry& b) {
  const double x = rank(a);
  const double y = rank(b);
  if (x != y) return x > y;
  if (a.by != b.by) return a.by > b.by;
  return a.value.dump() > b.value.dump();
}

/// Nothing was learned between the two. Estimates drift with time alone, so where samples are counted these decide.
bool same(const LearnedEntry& a, const LearnedEntry& b) {
  if (a.samples > 0 || b.samples > 0) return a.samples == b.samples;
  if (!a.value.is_array() || !b.value.is_array() || a.value.size() != b.value.size()) return a.value == b.value;
  for (std::size_t i = 0; i < a.value.size(); ++i) {
    if (!a.value[i].is_number() || !b.value[i].is_number()) return false;
    const double x = a.value[i].get<double>();
    const double y = b.value[i].get<double>();
    if (std::abs(x - y) > 1e-6 * std::max(std::abs(x), std::abs(y))) return false;
  }
  return true;
}

}  // namespace

LearnedEntries entries_of(const json& state, double now, const std::string& me) {
  Gather g{.out = {}, .now = now, .me = me};
  const json& policy = child(state, "policy");
  take_latency(g, child(policy, "latency"));
  take_local(g, child(policy, "local"));
  const json& controller = child(policy, "controller");
  if (number(controller, "seen") > 0) g.put({"controller"}, controller, number(controller, "seen"));
  const json& quality = child(state, "quality");
  for (const auto& [profile, q] : child(quality, "profiles").items())
    if (number(q, "probes") > 0) g.put({"quality", word(quality, "identity"), profile}, q, number(q, "probes"));
  return std::move(g.out);
}

json state_of(const LearnedEntries& entries) {
  json latency{{"prefill", json::object()}, {"decode", json::object()}, {"links", json::array()}};
  json policy = json::object();
  json quality = json::object();
  std::map<std::pair<std::string, std::string>, json> links;
  for (const auto& [key, e] : entries) {
    const json path = json::parse(key, nullptr, false);
    if (!path.is_array() || path.empty() || !std::ranges::all_of(path, [](const json& p) { return p.is_string(); }))
      continue;
    const auto at = [&](std::size_t i) { return i < path.size() ? path[i].get<std::string>() : std::string(); };
    const std::string kind = at(0);
    if (kind == "controller") policy["controller"] = e.value;
    if (kind == "fixed") latency["fixed"] = e.value;
    if (kind == "local" && path.size() == 3) policy["local"]["decode"][at(1)][at(2)] = e.value;
    if (kind == "link" && path.size() == 4) links[{at(1), at(2)}][at(3)] = e.value;
    if ((kind == "prefill" || kind == "decode") && path.size() == 3) latency[kind][at(1)][at(2)] = e.value;
    if ((kind == "prefill" || kind == "decode") && path.size() == 4) latency[kind][at(1)][at(2)][at(3)] = e.value;
    if (kind == "quality" && path.size() == 3) {
      // Of several models the caller takes his own.
      quality[at(1)][at(2)] = e.value;
    }
  }
  for (auto& [pair, l] : links) {
    l["prefill"] = pair.first;
    l["decode"] = pair.second;
    latency["links"].push_back(std::move(l));
  }
  policy["latency"] = std::move(latency);
  json all_quality = json::array();
  for (auto& [identity, profiles] : quality.items())
    all_quality.push_back({{"identity", identity}, {"profiles", std::move(profiles)}});
  return {{"policy", std::move(policy)}, {"quality", std::move(all_quality)}};
}

LearnedEntries stamped(LearnedEntries now, const LearnedEntries& before) {
  for (auto& [key, e] : now) {
    const auto it = before.find(key);
    if (it == before.end() || !same(e, it->second)) continue;
    e.at = it->second.at;
    e.by = it->second.by;
  }
  return now;
}

LearnedEntries merged(LearnedEntries a, const LearnedEntries& b) {
  for (const auto& [key, e] : b) {
    const auto [it, added] = a.try_emplace(key, e);
    if (!added && better(e, it->second)) it->second = e;
  }
  return a;
}

LearnedEntries worth_taking(const LearnedEntries& mine, const LearnedEntries& theirs) {
  LearnedEntries out;
  for (const auto& [key, e] : theirs) {
    const auto it = mine.find(key);
    if (it == mine.end() || rank(e) >= rank(it->second) + kClearly) out.emplace(key, e);
  }
  return out;
}

json to_json(const LearnedEntries& entries) {
  json out = json::array();
  for (const auto& [key, e] : entries) out.push_back({key, e.value, e.samples, e.at, e.by});
  return out;
}

LearnedEntries parse_learned(const json& j, double now) {
  LearnedEntries out;
  if (!j.is_array() || j.size() > kMostEntries) return out;
  for (const json& e : j) {
    if (!e.is_array() || e.size() != 5 || !e[0].is_string() || !e[2].is_number() || !e[3].is_number() ||
        !e[4].is_string())
      continue;
    const double samples = e[2].get<double>();
    const double at = e[3].get<double>();
    if (!(samples >= 0) || !(at >= 0)) continue;
    out[e[0].get<std::string>()] = {e[1], samples, std::min(at, now), e[4].get<std::string>()};
  }
  return out;
}

}  // namespace sluice::coordinator
