#include "coordinator/serving/role_desk.h"

#include <algorithm>

#include "common/log.h"

namespace sluice::coordinator {

using control::Role;
using nlohmann::json;

namespace {

constexpr double kLookS = 1;
/// A node that drains and loads for longer is not waited for.
constexpr double kPatienceS = 900;

Role role_of(PoolRole r) { return r == PoolRole::prefill ? Role::prefill : Role::decode; }
PoolRole pool_of(Role r) { return r == Role::prefill ? PoolRole::prefill : PoolRole::decode; }

json split_json(const SplitForecast& f, double offered) {
  return {{"prefill_nodes", f.prefills},
          {"decode_nodes", f.decodes},
          {"prefill_per_s", f.prefill_rate},
          {"decode_per_s", f.decode_rate},
          {"goodput_per_s", f.goodput(offered)}};
}

}  // namespace

bool last_of_role(const ClusterView& view, const NodeRecord& node) {
  return std::ranges::none_of(view.nodes(), [&](const auto& other) {
    return other.first != node.info.node && other.second.info.role == node.info.role && !other.second.draining;
  });
}

RoleDesk::RoleDesk(Uses u, Metrics& metrics, bool automatic)
    : use_(std::move(u)),
      automatic_(automatic),
      counted_(metrics.counters("sluice_role_changes_total",
                                "Nodes that changed their role, by the role they have now and by what it was for.")),
      took_(metrics.histogram("sluice_role_change_seconds",
                              "From the order to change a node's role until it was there in the other one.",
                              {0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500})) {}

Result<> RoleDesk::check(const NodeId& node, Role to, bool force) const {
  const NodeRecord* n = use_.view.find(node);
  if (n == nullptr) return fail(Errc::not_found, "node '{}' is not registered", node);
  if (n->info.role == to) return fail_param("to", "'{}' is a {} node already", node, control::name(to));
  if (!n->info.changes_role)
    return fail(Errc::unsupported,
                "'{}' cannot change its role: it is of an older version, or the other role's program is not beside its "
                "own or does not take its options (its log says which)",
                node);
  if (changes_.contains(node)) return fail(Errc::already_exists, "'{}' is changing its role already", node);
  if (n->draining) return fail(Errc::unavailable, "'{}' is draining", node);
  if (!force && last_of_role(use_.view, *n))
    return fail_param("force", "'{}' is the last {} node: without it every request is refused; say force to change it",
                      node, control::name(n->info.role));
  return {};
}

void RoleDesk::change(const NodeId& node, Role to, bool force, const std::string& reason, const std::string& why,
                      Done done) {
  if (auto can = check(node, to, force); !can) return done(std::move(can));
  (void)use_.view.set_draining(node, true);  // nothing is placed there while it is asked
  changes_.emplace(node, Change{to, reason, use_.clock.now()});
  balance_.began(pool_of(to), use_.clock.now());
  log::info("a node changes its role", {{"node", node}, {"to", control::name(to)}, {"reason", reason}, {"why", why}});
  use_.calls.change_role(node, to, [this, node, done = std::move(done)](const Result<>& begun) {
    if (!begun) {
      (void)use_.view.set_draining(node, false);
      if (const auto it = changes_.find(node); it != changes_.end()) end(it, false, begun.error().message);
    }
    done(begun);
  });
}

void RoleDesk::end(std::map<NodeId, Change>::iterator it, bool well, const std::string& why) {
  const auto& [node, c] = *it;
  const double took = seconds(use_.clock.now() - c.since);
  if (well) {
    counted_.with({{"to", std::string(control::name(c.to))}, {"reason", c.reason}}).add(1);
    took_.observe(took);
    log::info("a node has changed its role", {{"node", node}, {"to", control::name(c.to)}, {"seconds", took}});
  } else {
    log::warn("a node did not change its role", {{"node", node}, {"to", control::name(c.to)}, {"why", why}});
  }
  last_ = {{"event", well ? "role_changed" : "role_not_changed"},
           {"node", node.value()},
           {"role", control::name(c.to)},
           {"reason", c.reason},
           {"seconds", took}};
  if (!well) last_["why"] = why;
  use_.log.record_change(last_, unix_now());
  changes_.erase(it);
  balance_.done(well, use_.clock.now());
}

void RoleDesk::on_node_up(const NodeId& node) {
  const auto it = changes_.find(node);
  const NodeRecord* n = use_.view.find(node);
  if (it == changes_.end() || n == nullptr) return;
  const bool well = n->info.role == it->second.to;
  end(it, well, well ? "" : "it came back in the role that it had");
}

void RoleDesk::ended(const Session& s) {
  balance_.ended(static_cast<double>(s.answer.emitted.size()), s.answer.first_token && s.met_objectives(),
                 use_.clock.now());
}

void RoleDesk::sweep() {
  const TimePoint now = use_.clock.now();
  if (seconds(now - looked_) < kLookS) return;
  looked_ = now;
  for (auto it = changes_.begin(); it != changes_.end();) {
    const auto here = it++;
    if (seconds(now - here->second.since) > kPatienceS) end(here, false, "it was not back in time");
  }
  balance();
}

void RoleDesk::balance() {
  const TimePoint now = use_.clock.now();
  // Of requests that other coordinators have here this one sees only that they are there.
  double ours = 0;
  double all = 0;
  for (const auto& [id, n] : use_.view.nodes()) {
    ours += n.seqs;
    all += n.seqs + n.last.others_seqs;
  }
  balance_.share(ours > 0 ? ours / all : 1);
  RoleView v = use_.placement.role_view(use_.view.snapshot(), balance_.load(now), use_.slos.defaults(), now);
  const auto able = [this](const NodeId& id) { return use_.view.find(id)->info.changes_role; };
  for (auto& p : v.prefills) p.able = able(p.node);
  for (auto& d : v.decodes) d.able = able(d.node);
  const auto wanted = balance_.look(v, now);
  if (!wanted || !automatic_ || !use_.leads()) return;
  change(wanted->node, role_of(wanted->to), false, "balance", wanted->why, [](const Result<>&) {});
}

std::optional<Role> RoleDesk::becomes(const NodeId& node) const {
  const auto it = changes_.find(node);
  return it == changes_.end() ? std::nullopt : std::optional(it->second.to);
}

json RoleDesk::status() const {
  const RoleOutlook& o = balance_.outlook();
  json under_way = json::array();
  for (const auto& [node, c] : changes_)
    under_way.push_back({{"node", node.value()},
                         {"role", control::name(c.to)},
                         {"reason", c.reason},
                         {"seconds", seconds(use_.clock.now() - c.since)}});
  json out{{"automatic", automatic_},
           {"under_way", std::move(under_way)},
           {"last", last_},
           {"change_seconds", balance_.change_s()},
           {"load",
            {{"requests_per_s", o.load.rate},
             {"prompt_tokens", o.load.prompt_tokens},
             {"output_tokens", o.load.output_tokens},
             {"met", o.load.met}}},
           {"now", split_json(o.now, o.load.rate)},
           {"better", nullptr}};
  if (o.better) {
    out["better"] = split_json(*o.better, o.load.rate);
    out["better"]["owed_requests"] = o.owed;
    out["better"]["price_requests"] = o.price;
    out["better"]["waits_for"] = o.waits_for;
  }
  return out;
}

}  // namespace sluice::coordinator
