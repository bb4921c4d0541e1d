#include "coordinator/policy/host_load.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace sluice::coordinator {
namespace {

constexpr double kShareS = 10;  // time constant of how busy a node is on average
constexpr double kPeriodWeight = 0.1;
constexpr double kHostDiscount = 0.995;
constexpr double kHostClip = 1;  // standard deviations of noise that a sample moves the weights by
constexpr double kMostLog = 3;   // of a slowdown: beyond, something else is wrong

}  // namespace

HostLoad::Id HostLoad::add() {
  nodes_.emplace_back();
  return static_cast<Id>(nodes_.size() - 1);
}

std::uint32_t HostLoad::slot(const std::string& name) {
  const auto [it, made] = index_.try_emplace(name, static_cast<std::uint32_t>(hosts_.size()));
  if (made) {
    Host& h = hosts_.emplace_back();
    h.name = name;
    h.weights.set_prior({0.2, 1}, {0.3, 0.3});
  }
  return it->second;
}

void HostLoad::clear_seats() {
  for (Host& h : hosts_) {
    h.nodes.clear();
    h.advanced = {};
  }
  for (Node& n : nodes_) {
    n.host = kNowhere;
    n.neighbours = 0;
    n.marked_at = {};
  }
}

void HostLoad::place(Id node, const HostView& host, double threads) {
  Node& n = nodes_[node];
  if (host.name.empty() || n.host != kNowhere) return;
  n.threads = std::max(threads, 0.0);
  n.host = slot(host.name);
  Host& h = hosts_[n.host];
  h.cores = std::max(host.cores, 1.0);
  for (const Id other : h.nodes) ++nodes_[other].neighbours;
  n.neighbours = static_cast<std::uint32_t>(h.nodes.size());
  h.nodes.push_back(node);
}

HostLoad::Features HostLoad::features(double cores, double own, double others) {
  const double spare = std::max(cores - own, 0.0);
  return {std::min(others, spare) / cores, std::log(std::max((own + others) / cores, 1.0))};
}

/// Adds up what each node of the machine has met since the last change.
void HostLoad::advance(std::uint32_t host, TimePoint now) {
  Host& h = hosts_[host];
  const double passed = h.advanced == TimePoint{} ? 0 : seconds(now - h.advanced);
  h.advanced = std::max(h.advanced, now);
  if (!(passed > 0) || h.nodes.size() < 2) return;
  double all = 0;
  for (const Id id : h.nodes)
    if (nodes_[id].computes) all += nodes_[id].threads;
  for (const Id id : h.nodes) {
    Node& n = nodes_[id];
    const Features x = features(h.cores, n.threads, all - (n.computes ? n.threads : 0));
    for (std::size_t i = 0; i < x.size(); ++i) n.sum[i] += passed * x[i];
  }
}

double HostLoad::share_at(const Node& n, TimePoint now) {
  if (n.shared == TimePoint{}) return n.computes ? 1 : 0;
  const double kept = std::exp(-std::max(seconds(now - n.shared), 0.0) / kShareS);
  return n.share * kept + (n.computes ? 1 - kept : 0);
}

void HostLoad::settle_share(Node& n, TimePoint now) {
  n.share = n.shared == TimePoint{} ? 0 : share_at(n, now);
  n.shared = now;
}

void HostLoad::busy(Id node, bool yes, TimePoint now) {
  Node& n = nodes_[node];
  if (n.computes == yes) return;
  if (n.host != kNowhere) advance(n.host, now);
  settle_share(n, now);
  if (const double passed = seconds(now - n.since); !yes && n.since != TimePoint{} && passed > 0)
    n.period_s = n.period_s > 0 ? n.period_s + kPeriodWeight * (passed - n.period_s) : passed;
  n.since = yes ? now : TimePoint{};
  n.computes = yes;
  n.until = {};
}

HostLoad::Features HostLoad::ahead(Id node, TimePoint now, double after_s, double len_s) const {
  const Node& n = nodes_[node];
  if (n.neighbours == 0) return {};
  const Host& h = hosts_[n.host];
  double others = 0;
  for (const Id id : h.nodes) {
    const Node& o = nodes_[id];
    if (id == node) continue;
    double certain = 0;
    if (o.computes && len_s > 0) {
      if (o.until != TimePoint{})
        certain = std::clamp((seconds(o.until - now) - after_s) / len_s, 0.0, 1.0);
      else  // it ends at any time, as likely at one as at another
        certain = o.period_s > 0 ? o.period_s / len_s *
                                       (std::exp(-after_s / o.period_s) - std::exp(-(after_s + len_s) / o.period_s))
                                 : 1;
    }
    others += o.threads * (certain + (1 - certain) * share_at(o, now));
  }
  return features(h.cores, n.threads, others);
}

double HostLoad::slowdown(Id node, const Features& x) const {
  const Node& n = nodes_[node];
  if (n.neighbours == 0) return 1;
  return std::exp(std::clamp(hosts_[n.host].weights.predict(x), 0.0, kMostLog));
}

void HostLoad::mark(Id node, TimePoint now) {
  Node& n = nodes_[node];
  if (n.host != kNowhere) advance(n.host, now);
  n.marked = n.sum;
  n.marked_at = now;
}

HostLoad::Features HostLoad::met(Id node, TimePoint now) {
  Node& n = nodes_[node];
  if (n.neighbours == 0 || n.marked_at == TimePoint{}) return {};
  advance(n.host, now);
  const double passed = seconds(now - n.marked_at);
  if (!(passed > 0)) return {};
  return {(n.sum[0] - n.marked[0]) / passed, (n.sum[1] - n.marked[1]) / passed};
}

void HostLoad::observe(Id node, const Features& x, double log_ratio, double noise_var) {
  Node& n = nodes_[node];
  if (n.neighbours == 0 || (x[0] <= 0 && x[1] <= 0) || !std::isfinite(log_ratio)) return;
  hosts_[n.host].weights.settle(x, log_ratio, noise_var, kHostDiscount, kHostClip);
}

nlohmann::json HostLoad::save() const {
  nlohmann::json out = nlohmann::json::object();
  for (const Host& h : hosts_) out[h.name] = h.weights.mean();
  return out;
}

void HostLoad::load(const nlohmann::json& j) {
  if (!j.is_object()) return;
  for (const auto& [name, w] : j.items()) {
    if (!w.is_array() || w.size() != 2 || !w[0].is_number() || !w[1].is_number()) continue;
    const Features mean{w[0].get<double>(), w[1].get<double>()};
    if (std::ranges::all_of(mean, [](double v) { return std::abs(v) < kMostLog; }))
      hosts_[slot(name)].weights.restore(mean, 0.5);
  }
}

}  // namespace sluice::coordinator
