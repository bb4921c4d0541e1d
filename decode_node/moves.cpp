#include "decode_node/moves.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "common/log.h"
#include "node/export/sender_ticket.h"

namespace sluice::decode {

namespace ctl = control;

namespace {

/// A target that goes on with a sequence has confirmed its KV long before.
constexpr std::chrono::seconds kConfirmation{1};

Buckets exposed_buckets() { return {1e-3, 2e-3, 5e-3, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10}; }

/// As much as makes a frame, and no more than a block: what is left when the sequence halts is what its stream waits
/// for.
std::uint32_t rows_together(const kv::KvLayout& layout, std::uint32_t block_size, std::size_t frame_bytes) {
  const std::size_t rows = frame_bytes / std::max<std::size_t>(layout.token_bytes(), 1);
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(rows, 1, block_size));
}

}  // namespace

Moves::Moves(const node::KvIdentity& me, const kv::CodecRegistry& codecs, engine::KvPool& pool, DecodeLoop& loop,
             const node::ExportOptions& o, const Clock& clock, Metrics& metrics, MovesOutside outside, Notify notify,
             trace::SpanSink* spans)
    : me_(me),
      codecs_(codecs),
      every_(rows_together(me.layout, pool.shape().block_size, o.target_frame_bytes)),
      loop_(loop),
      clock_(clock),
      outside_(std::move(outside)),
      notify_(std::move(notify)),
      spans_(spans),
      ended_(metrics.counters("sluice_sequence_copies_total",
                              "Copies of running sequences' KV to another decode node, by outcome.")),
      exposed_seconds_(metrics.histogram("sluice_sequence_copy_exposed_seconds",
                                         "From when a moving sequence halted until its target had all of its KV.",
                                         exposed_buckets())),
      export_(me.layout, pool, clock, o, metrics, outside_.frames,
              {.on_end = [this](const node::ExportEnd& e) { outside_.post([this, e] { on_export_end(e); }); },
               .release = [this](const std::vector<engine::BlockHandle>& b) { loop_.release_blocks(b); }}) {}

Result<ctl::MoveReply> Moves::start(const ctl::MoveRequest& r) {
  SLUICE_ASSIGN(kv::Ticket ticket, kv::ticket_from_json(r.ticket));
  SLUICE_ASSIGN(const kv::Profile* profile, node::check_sender_ticket(ticket, me_, codecs_, r.stop, r.profile));
  if (!profile->codec->lossless())
    return fail_param("profile", "KV profile '{}' is lossy: a sequence moves with the bits that it has", r.profile);
  const std::lock_guard lock(mutex_);
  if (const auto it = open_.find(r.request); it != open_.end()) {
    if (!it->second.let_go) return fail(Errc::already_exists, "request {} moves already", r.request);
    open_.erase(it);  // it was here before: what that copy came to is of no interest any more
    export_.cancel(r.request);
  }
  LeaveOrder order{.stop = r.stop, .every = every_};
  order.on_rows = [this, id = r.request, of = ticket.id](const LegRows& rows) { on_rows(id, of, rows); };
  SLUICE_ASSIGN(Leaving leg, loop_.leave(r.request, r.attempt, std::move(order)));
  Open& m = open_[r.request];
  m.attempt = r.attempt;
  m.stop = r.stop;
  m.began = clock_.now();
  m.deadline = m.began + std::chrono::milliseconds(r.timeout_ms);
  m.ticket = ticket.id;
  m.trace = {.request_id = r.trace_id,
             .target = ticket.decode_node.value(),
             .profile = r.profile,
             .stop = r.stop,
             .parent = trace::named_parent(r.traceparent, r.tracestate, spans_)};
  export_.begin({.request = r.request,
                 .address = r.data_address,
                 .ticket = std::move(ticket),
                 .profile = profile,
                 .blocks = std::move(leg.blocks),
                 .plan = {}});
  send(r.request, m, leg.computed);
  return ctl::MoveReply{leg.computed};
}

/// Rows that have not been sent, all layers. Under the mutex.
void Moves::send(RequestId id, Open& m, std::uint32_t computed) {
  if (computed <= m.sent) return;
  const kv::TokenRange rows{m.sent, computed - m.sent};
  m.sent = computed;
  for (std::uint32_t layer = 0; layer < me_.layout.layers; ++layer) export_.layer_done(id, rows, layer);
  if (computed == m.stop) export_.computed(id);
}

void Moves::on_rows(RequestId id, const kv::TicketId& ticket, const LegRows& rows) {
  const std::lock_guard lock(mutex_);
  const auto it = open_.find(id);
  if (it == open_.end() || it->second.ticket != ticket) return;  // it stays, or has ended, meanwhile
  Open& m = it->second;
  if (rows.halted) {  // told first: the stream waits for the message longer than for the row
    m.halted = clock_.now();
    notify_(id, ctl::type::kHalted, to_json(ctl::Halted{id, m.attempt, m.stop + 1}));
  }
  if (!m.over) send(id, m, rows.computed);
}

void Moves::on_export_end(const node::ExportEnd& e) {
  ctl::Moved told;
  bool goes_on = false;
  CopyTrace trace;
  CopyTimes times;
  {
    const std::lock_guard lock(mutex_);
    const auto it = open_.find(e.request);
    if (it == open_.end() || it->second.ticket != e.ticket) return;
    Open& m = it->second;
    if (std::exchange(m.over, true)) return;
    const TimePoint now = e.confirmed.value_or(clock_.now());
    told = {.request = e.request,
            .attempt = m.attempt,
            .error = e.outcome ? std::nullopt : std::optional(e.outcome.error()),
            .wall_s = seconds(now - m.began),
            .exposed_s = m.halted ? std::max(seconds(now - *m.halted), 0.0) : 0,
            .raw_bytes = e.raw_bytes,
            .wire_bytes = e.wire_bytes};
    trace = m.trace;
    times = {.began = m.began, .halted = m.halted, .ended = now};
    goes_on = told.error && !m.halted;
    if (goes_on || m.let_go) open_.erase(it);
  }
  // That it has halted meanwhile is not told any more, and undone here.
  if (goes_on)
    if (const auto r = loop_.stay(told.request, told.attempt); !r && r.error().code != Errc::not_found)
      log::error("leg does not go on", {{"leg", told.request}, {"why", r.error().message}});
  ended_.with({{"outcome", e.outcome ? "ok" : std::string(name(e.outcome.error().code))}}).add();
  if (e.outcome) exposed_seconds_.observe(told.exposed_s);
  trace_copy(trace, times, told);
  notify_(e.request, ctl::type::kMoved, to_json(told));
}

/// The copy first: what the engine thread tells of the leg from here on is of no interest.
Result<> Moves::stay(const ctl::StayRequest& r) {
  drop(r.request, r.attempt);
  return loop_.stay(r.request, r.attempt);
}

void Moves::let_go(RequestId id, std::uint32_t attempt) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = open_.find(id);
    if (it == open_.end() || it->second.attempt != attempt) return;
    // Everything has left, and most often the target has all of it. One whose leg was cancelled there may say nothing.
    Open& m = it->second;
    m.let_go = m.halted && !m.over;
    m.deadline = std::min(m.deadline, clock_.now() + kConfirmation);
    if (m.let_go) return;
  }
  drop(id, attempt);
}

std::size_t Moves::unconfirmed() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(open_, [](const auto& m) { return m.second.let_go; }));
}

void Moves::drop(RequestId id, std::uint32_t attempt) {
  {
    const std::lock_guard lock(mutex_);
    const auto it = open_.find(id);
    if (it == open_.end() || it->second.attempt != attempt) return;
    if (!it->second.over) ended_.with({{"outcome", "dropped"}}).add();
    open_.erase(it);
  }
  export_.cancel(id);
}

void Moves::expire() {
  std::vector<RequestId> late;
  {
    const std::lock_guard lock(mutex_);
    const TimePoint now = clock_.now();
    for (const auto& [id, m] : open_)
      if (!m.over && now > m.deadline) late.push_back(id);
  }
  for (const RequestId id : late)
    export_.fail(id, Error{Errc::deadline_exceeded, "the copy to the other decode node took too long", {}});
}

void Moves::on_note(std::span<const std::byte> bytes) {
  const auto note = kv::parse_note(bytes);
  if (note) return export_.on_note(*note);
  if (const auto held = bad_notes_.pass(0, clock_.now()))
    log::warn("bad note", {{"why", note.error().message}, {"held_back", *held}});
}

}  // namespace sluice::decode
