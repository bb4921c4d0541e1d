#include "coordinator/serving/move_desk.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>

#include "common/log.h"

namespace sluice::coordinator {

using nlohmann::json;

namespace {

constexpr std::chrono::milliseconds kTurn{500};  // between two plans while nothing drains

}  // namespace

/// The cluster as the mover asks for it.
class MoveDesk::Sight final : public MoverSight {
 public:
  Sight(MoveDesk& desk, const ClusterSnapshot& c, const std::vector<SessionPtr>& whose, TimePoint now)
      : desk_(desk), c_(c), now_(now) {
    for (const SessionPtr& s : whose) by_id_.emplace(s->id, s.get());
  }
  bool may_go(const MovableLeg& leg, std::size_t node) override {
    return desk_.use_.moves.suits(*by_id_.at(leg.id), c_.decodes[node].id).has_value();
  }
  double step_s(std::size_t node, double seqs, double context) override {
    return desk_.use_.placement.step_s(c_, node, seqs, context, now_);
  }
  double copy_s(std::size_t from, std::size_t to, double positions) override {
    return desk_.use_.moves.copy_s(c_.decodes[from].id, c_.decodes[to].id, positions);
  }

 private:
  MoveDesk& desk_;
  const ClusterSnapshot& c_;
  TimePoint now_;
  std::map<RequestId, const Session*> by_id_;
};

void MoveDesk::sweep() {
  use_.moves.sweep();
  const ClusterSnapshot& c = use_.view.snapshot();
  if (c.decodes.size() < 2) return;
  const TimePoint now = use_.clock.now();
  const bool drains =
      std::ranges::any_of(c.decodes, [&](const DecodeView& d) { return use_.view.find(d.id)->draining; });
  if (!drains && now < next_) return;
  next_ = now + kTurn;
  if (drains) place_elsewhere(c);
  plan(c, now);
}

void MoveDesk::plan(const ClusterSnapshot& c, TimePoint now) {
  const auto moves = [&](const DecodeView& d) { return use_.view.find(d.id)->info.moves; };
  if (std::ranges::count_if(c.decodes, moves) < 2) return;  // else every leg would be looked at for nothing
  std::vector<SessionPtr> whose;
  const std::vector<MovableLeg> legs = movable(whose, now);
  if (legs.empty()) return;
  Sight sight(*this, c, whose, now);
  const auto planned = mover_.plan(c, outlook(c, legs), legs, waiting(now), use_.intake.lengths(), sight, now);
  std::vector<NodeId> targets;  // a start may change the snapshot
  for (const PlannedMove& m : planned) targets.push_back(c.decodes[m.target].id);
  for (std::size_t i = 0; i < planned.size(); ++i)
    use_.moves.start(whose[planned[i].leg], targets[i], planned[i].reason);
}

std::vector<MovableLeg> MoveDesk::movable(std::vector<SessionPtr>& whose, TimePoint now) const {
  std::vector<MovableLeg> out;
  for (const auto& [id, s] : use_.legs.all()) {
    const NodeRecord* n = use_.view.find(s->run.decode);
    if (n == nullptr || (!s->moves.now && !LegMoves::ready(*s))) continue;
    const Answer& a = s->answer;
    const TimePoint rested = std::max(s->moves.last_try, *a.first_token);
    out.push_back({.id = id,
                   .node = n->index,
                   .positions = static_cast<double>(s->asked.features.prompt_tokens + a.emitted.size()) - 1,
                   .emitted = static_cast<double>(a.emitted.size()),
                   .limit = static_cast<double>(s->asked.features.max_new_tokens),
                   .blocks = static_cast<double>(s->run.place.blocks),
                   .elapsed_s = seconds(a.last_token - *a.first_token),
                   .tpot_slo_s = s->asked.features.tpot_slo_s,
                   .priority = s->asked.spec.priority,
                   .moving = s->moves.now.has_value(),
                   .moves = s->moves.tries,
                   .rested_s = seconds(now - rested)});
    whose.push_back(s);
  }
  return out;
}

/// Of nodes whose sequences grow, what their forecast expects. One that takes whole answers' blocks at once cannot run
/// out: what is expected of its sequences is no worry.
std::vector<NodeOutlook> MoveDesk::outlook(const ClusterSnapshot& c, const std::vector<MovableLeg>& legs) const {
  std::vector<NodeOutlook> out(c.decodes.size());
  for (std::size_t d = 0; d < out.size(); ++d) {
    const NodeRecord& n = *use_.view.find(c.decodes[d].id);
    const double held = n.info.grows ? n.memory.expected_peak() : n.last.others_blocks;
    out[d] = {.drains = n.draining,
              .memory_share = held / std::max(n.info.total_blocks, 1U),
              .parked = n.info.grows ? n.last.parked : 0};
  }
  for (const MovableLeg& l : legs) {
    const DecodeView& v = c.decodes[l.node];
    if (v.grows) continue;
    const double tokens = l.positions + expected_left(use_.intake.lengths(), static_cast<std::uint32_t>(l.emitted),
                                                      static_cast<std::uint32_t>(l.limit));
    out[l.node].memory_share += tokens / std::max(std::uint64_t{v.total_blocks} * v.block_size, std::uint64_t{1});
  }
  for (std::size_t d = 0; d < out.size(); ++d)
    if (!c.decodes[d].grows) out[d].memory_share = std::min(out[d].memory_share, MoverOptions{}.memory_high);
  return out;
}

std::optional<WaitingPrompt> MoveDesk::waiting(TimePoint now) const {
  const auto first = use_.intake.first_in_line();
  const SessionPtr s = first ? use_.legs.find(*first) : nullptr;
  if (!s) return std::nullopt;
  const bool grows = all_grow(use_.view.snapshot());
  return WaitingPrompt{.tokens = tokens_expected(s->asks_now(use_.intake.lengths()), grows),
                       .waited_s = seconds(now - s->asked.spec.received)};
}

/// Those whose prefill has not begun lose nothing by another place. A prefill node computes prompts in the order that
/// they came in, so the last so many of its legs wait as it says that wait.
void MoveDesk::place_elsewhere(const ClusterSnapshot& c) {
  std::map<NodeId, std::vector<SessionPtr>> at;
  std::vector<SessionPtr> go;
  for (const auto& [id, s] : use_.legs.all()) {
    if (s->state == SessionState::prefilling) at[s->run.prefill].push_back(s);
    const NodeRecord* n = use_.view.find(s->run.decode);
    if (s->state == SessionState::reserving && n != nullptr && n->draining) go.push_back(s);
  }
  for (auto& [prefill, legs] : at) {
    const NodeRecord* p = use_.view.find(prefill);
    if (p == nullptr) continue;
    std::ranges::sort(legs, {}, [](const SessionPtr& s) { return s->run.decided; });
    const std::size_t wait = std::min<std::size_t>(p->last.waiting, legs.size());
    for (const SessionPtr& s : std::span(legs).last(wait)) {
      const NodeRecord* n = use_.view.find(s->run.decode);
      if (n != nullptr && n->draining) go.push_back(s);
    }
  }
  for (const SessionPtr& s : go)
    if (std::ranges::any_of(c.decodes, [&](const DecodeView& d) {
          return room_on(d, s->asks_now(use_.intake.lengths())) == Room::now &&
                 bits_of(use_.view.find(d.id)->info) == s->answer.decode_bits;
        }))
      use_.placer.elsewhere(s);
}

std::vector<SessionPtr> MoveDesk::find(const std::string& request) const {
  std::vector<SessionPtr> out;
  for (const auto& [id, s] : use_.legs.all())
    if (s->asked.spec.request_id == request && s->state != SessionState::ended) out.push_back(s);
  std::ranges::sort(out, {}, [](const SessionPtr& s) { return s->id; });
  if (!out.empty()) return out;
  std::uint64_t number = 0;
  const auto r = std::from_chars(request.data(), request.data() + request.size(), number);
  if (r.ec == std::errc() && r.ptr == request.data() + request.size())
    if (const SessionPtr s = use_.legs.find(RequestId(number))) out.push_back(s);
  return out;
}

/// Legs that were told to move, and what came of it.
struct MoveDesk::Order {
  json said;
  std::size_t open = 0, moved = 0;
  std::optional<Error> why;
  Done done;

  void close() {
    if (--open > 0) return;
    if (moved == 0 && why) return done(std::unexpected(*why));
    done(std::move(said));
  }
};

void MoveDesk::migrate(const std::string& request, const NodeId& node, Done done) {
  const auto legs = find(request);
  if (legs.empty())
    return done(fail(Errc::not_found,
                     "no request '{}' runs here; name one by its x-request-id, while its answer is made", request));
  const auto order = std::make_shared<Order>();
  order->said = {{"request_id", legs.front()->asked.spec.request_id}, {"node", node.value()}, {"legs", json::array()}};
  order->open = legs.size() + 1;
  order->done = std::move(done);
  for (const SessionPtr& s : legs) {
    json leg{{"leg", s->id.value()}, {"choice", s->asked.spec.choice}, {"from", s->run.decode.value()}};
    use_.moves.start(s, node, MoveReason::asked, [order, s, leg = std::move(leg)](const Result<>& moved) mutable {
      leg["moved"] = moved.has_value();
      if (moved) {
        ++order->moved;
        leg["stall_ms"] = s->moves.over.back().stall_s * 1e3;
      } else {
        leg["why"] = moved.error().message;
        if (!order->why) order->why = moved.error();
      }
      order->said["legs"].push_back(std::move(leg));
      order->close();
    });
  }
  order->close();
}

}  // namespace sluice::coordinator
