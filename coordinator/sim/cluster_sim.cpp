#include "coordinator/sim/cluster_sim.h"

#include <algorithm>

#include "coordinator/sim/decode_side.h"
#include "coordinator/sim/moves_side.h"
#include "coordinator/sim/prefill_side.h"
#include "coordinator/sim/role_side.h"
#include "coordinator/sim/sim_door.h"
#include "coordinator/sim/sim_scene.h"
#include "coordinator/sim/transfer_side.h"

namespace sluice::sim {

using namespace coordinator;

namespace {

/// One run: makes the sides, and gives each event to the side it is for.
class Sim {
 public:
  /// Of a cluster with roles the first so many machines begin as prefill nodes.
  Sim(const ClusterSpec& spec, const Load& load, Policy& policy, std::size_t prefills)
      : policy_(policy),
        scene_(spec, load),
        transfers_(scene_, policy.changes_in_transfer()),
        prefills_(scene_, transfers_),
        book_(scene_, [this]() -> const OutputLengths& { return door_.lengths(); }),
        decodes_(scene_, book_,
                 {.computed = [this](std::uint32_t id) { door_.computed(id); },
                  .ended =
                      [this](std::uint32_t id) {
                        moves_.call_off(id);
                        door_.ended(id);
                      },
                  .left =
                      [this](std::uint32_t id) {
                        moves_.left(id);
                        door_.pump();
                      },
                  .parked = [this](std::uint32_t id) { moves_.call_off(id); }}),
        door_(scene_, policy, book_, decodes_),
        moves_(scene_, policy, book_, decodes_) {
    if (!spec.roles) return;
    roles_.emplace(scene_, policy.placement(), prefills);
    door_.tell_ends([this](double output_tokens, bool met) { roles_->ended(output_tokens, met); });
  }

  Result<SimResult> run();

 private:
  [[nodiscard]] Result<> check() const;
  void build();
  void dispatch(const Event& e);
  void submit(std::uint32_t id);
  void arrived(std::uint32_t id);
  void report_prefill(std::size_t p);
  void report_decode(std::size_t d);
  void report_at(What what, std::size_t node, std::size_t nodes);

  Policy& policy_;
  Scene scene_;
  TransferSide transfers_;
  PrefillSide prefills_;
  MemoryBook book_;
  DecodeSide decodes_;
  SimDoor door_;
  MovesSide moves_;
  std::optional<RoleSide> roles_;  // nothing: nodes keep their role
};

Result<> Sim::check() const {
  const ClusterSpec& spec = scene_.spec;
  for (const auto* nodes : {&spec.prefills, &spec.decodes}) {
    if (nodes->empty()) return fail(Errc::invalid_argument, "a cluster needs prefill and decode nodes");
    for (const Hardware& h : *nodes)
      for (const ProfileSpec& f : spec.profiles)
        if (std::ranges::find(h.codecs, f.name, &CodecSpeed::profile) == h.codecs.end())
          return fail(Errc::invalid_argument, "hardware '{}' has no speed for profile '{}'", h.name, f.name);
  }
  if (spec.profiles.empty()) return fail(Errc::invalid_argument, "a cluster needs profiles");
  return {};
}

/// The first reports, spread over an interval.
void Sim::report_at(What what, std::size_t node, std::size_t nodes) {
  scene_.push(scene_.spec.telemetry_s * (static_cast<double>(node) + 1) / static_cast<double>(nodes), what, node);
}

void Sim::build() {
  const ClusterSpec& spec = scene_.spec;
  ClusterSnapshot& view = scene_.view;
  view.topology = 1;
  view.layers = spec.model.layers;
  view.kv_bytes_per_token = static_cast<std::uint64_t>(spec.model.kv_bytes_per_token);
  for (const auto& f : spec.profiles) view.profiles.push_back({f.name, f.kl});
  const auto blocks = [&](const Hardware& h) {
    return static_cast<std::uint32_t>(
        std::clamp(h.kv_bytes / (spec.model.kv_bytes_per_token * spec.block_size), 1.0, 4e6));
  };
  const auto speeds = [&](const Hardware& h) {
    std::vector<ProfileSpeed> out;
    for (const auto& f : spec.profiles) {
      const CodecSpeed& s = *std::ranges::find(h.codecs, f.name, &CodecSpeed::profile);
      out.push_back({s.encode_bps, s.decode_bps, f.ratio});
    }
    return out;
  };
  for (std::size_t i = 0; i < spec.prefills.size(); ++i) {
    const Hardware& h = spec.prefills[i];
    prefills_.add(h, blocks(h));
    scene_.prefill_blocks += blocks(h);
    transfers_.add_encoder(h);
    view.prefills.push_back(
        {NodeId(fmt::format("p{}", i)), Incarnation(1), true, scene_.prefill_rate[i], 0, speeds(h)});
    if (spec.cores > 0 && spec.tell_hosts) view.prefills.back().host = 0;
    report_at(What::report_prefill, i, spec.prefills.size());
  }
  for (std::size_t i = 0; i < spec.decodes.size(); ++i) {
    const Hardware& h = spec.decodes[i];
    decodes_.add(h, blocks(h));
    transfers_.add_decoder(h);
    view.decodes.push_back({NodeId(fmt::format("d{}", i)), Incarnation(1), true, spec.block_size, blocks(h), blocks(h),
                            spec.max_seqs, 0, pass_seconds(h, spec.model, 1, 0, 0), 1, speeds(h)});
    if (spec.cores > 0 && spec.tell_hosts) view.decodes.back().host = 0;
    if (spec.local_prefill) view.decodes.back().prompt_tokens_per_s = scene_.decode_rate[i];
    view.decodes.back().chunk_tokens = spec.prefill_chunk;
    report_at(What::report_decode, i, spec.decodes.size());
  }
  if (spec.cores > 0 && spec.tell_hosts) view.hosts.push_back({"shared", static_cast<double>(spec.cores)});
  book_.begin();
  scene_.largest_context = largest_context(view);
  door_.longest_prompt(prefills_.longest_prompt());
  if (policy_.changes_in_transfer())
    for (const Timeline* t : {&spec.links, &spec.flapping})
      for (const double at_s : t->changes()) scene_.push(at_s, What::link_step, 0);
  view.links.assign(spec.prefills.size() * spec.decodes.size(), {spec.link_bps, spec.rtt_s, 0});
  if (roles_) roles_->begin();
  scene_.result.requests.resize(scene_.load.size());
  moves_.begin();
}

/// The prompt is with who computes it.
void Sim::submit(std::uint32_t id) {
  if (!scene_.active[id].k.local) return prefills_.submit(id);
  decodes_.ready(id);
}

/// All of a request's KV is on its decode node.
void Sim::arrived(std::uint32_t id) {
  Active& a = scene_.active[id];
  transfers_.measure(a);
  for (double* t :
       {&a.m.queue_s, &a.m.compute_s, &a.m.encode_s, &a.m.wire_s, &a.m.exposed_s, &a.m.decode_s, &a.m.link_busy_s})
    *t = scene_.told(*t);
  prefills_.let_go(id);
  door_.prefill_done(id);
  decodes_.ready(id);
}

void Sim::report_prefill(std::size_t p) {
  prefills_.report(p);
  transfers_.report_prefill(p);
  scene_.push(scene_.now + scene_.spec.telemetry_s, What::report_prefill, p);
}

void Sim::report_decode(std::size_t d) {
  decodes_.report(d);
  transfers_.report_decode(d);
  scene_.push(scene_.now + scene_.spec.telemetry_s, What::report_decode, d);
  // Nothing may end and call: those left may be too late, and forecasts change as tokens come.
  if (door_.waiting() > 0 && (book_.grows() || scene_.active.count() == 0)) door_.pump();
}

void Sim::dispatch(const Event& e) {
  switch (e.what) {
    case What::submit:
      return submit(e.who);
    case What::prefill_pass:
      return prefills_.pass_ends(e.who);
    case What::onto_link:
      return transfers_.onto_link(e.who);
    case What::off_link:
      return transfers_.off_link(e.who, e.order);
    case What::link_step:
      return transfers_.link_step();
    case What::look:
      return transfers_.look(e.who);
    case What::arrived:
      return arrived(e.who);
    case What::decode_run:
      return decodes_.run_ends(e.who, e.order);
    case What::copied_out:
      return decodes_.copied_out(e.who);
    case What::copied_in:
      return decodes_.copied_in(e.who);
    case What::no_seat:
      return door_.again(e.who);
    case What::move_turn:
      return moves_.turn(e.order, door_.lengths(), door_.first_in_line());
    case What::move_in:
      return moves_.arrived(e.who);
    case What::drain:
      return moves_.drain(e.who);
    case What::report_prefill:
      return report_prefill(e.who);
    case What::report_decode:
      return report_decode(e.who);
    case What::look_at_roles:
      return roles_->look();
    case What::role_loaded:
      roles_->loaded();
      return door_.pump();
  }
}

Result<SimResult> Sim::run() {
  SLUICE_TRY(check());
  build();
  const Load& load = scene_.load;
  std::size_t next = 0;
  while (next < load.size() || scene_.active.count() > 0 || door_.waiting() > 0) {
    ++scene_.result.events;
    if (next < load.size() && load[next].at_s <= scene_.events.top().at_s) {
      scene_.now = load[next].at_s;
      if (roles_) roles_->arrived(static_cast<std::uint32_t>(next));
      door_.arrive(static_cast<std::uint32_t>(next++));
      continue;
    }
    const Event e = scene_.events.top();
    scene_.events.pop();
    scene_.now = e.at_s;
    dispatch(e);
  }
  scene_.result.concurrency = scene_.decoding.mean(scene_.now);
  scene_.result.changes = policy_.placement().changes();
  return std::move(scene_.result);
}

}  // namespace

Result<SimResult> simulate(const ClusterSpec& spec, const Load& load, Policy& policy) {
  if (!spec.roles) return Sim(spec, load, policy, 0).run();
  // Each machine stands on both sides; see RoleSide.
  ClusterSpec both = spec;
  both.prefills.insert(both.prefills.end(), spec.decodes.begin(), spec.decodes.end());
  both.decodes = both.prefills;
  return Sim(both, load, policy, spec.prefills.size()).run();
}

}  // namespace sluice::sim
