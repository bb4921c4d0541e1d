#include "node/ingest/kv_ingest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/log.h"

namespace sluice::node {

using engine::BlockHandle;

namespace {

std::string key_of(const kv::TicketId& id) {
  return {reinterpret_cast<const char*>(id.value().data()), id.value().size()};
}

/// The staging pool bounds what is queued here; this bound only has to be larger.
constexpr std::size_t kQueueBytes = std::size_t{1} << 40;
/// Less than this says more about fixed costs than about a codec's speed.
constexpr double kMinMeasuredBytes = 1U << 20;

}  // namespace

struct KvIngest::Transfer {
  std::shared_ptr<const kv::Ticket> ticket;
  std::vector<const kv::Profile*> fallbacks;  // of the ticket's alternates
  std::vector<BlockHandle> blocks;
  TimePoint issued{};
  // Under mutex_.
  kv::CoverageTracker coverage;
  ChangeTracker changes;
  const kv::Profile* changed_to = nullptr;
  std::optional<control::ProfileChange> change;  // once all is there
  int writers = 0;                               // workers between begin() and done()
  bool closed = false;                           // committed, failed or revoked
  kv::ConnId conn{};
  bool borne = false;
  double decode_s = 0;
  std::uint64_t wire_bytes = 0;
};

struct KvIngest::Job {
  kv::ConnId conn;
  std::vector<std::byte> header;
  kv::StagingBuffer payload;
};

KvIngest::KvIngest(IngestIdentity me, const kv::CodecRegistry& codecs, engine::KvPool& pool, const Clock& clock,
                   unsigned workers, Metrics& metrics, IngestEvents events)
    : me_(std::move(me)),
      codecs_(codecs),
      pool_(pool),
      clock_(clock),
      events_(std::move(events)),
      metrics_(metrics),
      wire_bytes_(metrics.counter("sluice_kv_received_wire_bytes_total", "Payload bytes of verified KV frames.")),
      raw_bytes_(metrics.counter("sluice_kv_received_raw_bytes_total", "Decoded KV bytes committed to the pool.")),
      frames_(metrics.counter("sluice_kv_frames_total", "KV frames by outcome.", {{"outcome", "committed"}})),
      decode_seconds_(
          metrics.histogram("sluice_kv_decode_seconds", "Seal check and codec time per request.", stage_buckets())),
      book_(me_.incarnation, clock),
      queue_(kQueueBytes) {
  for (unsigned i = 0; i < std::max(workers, 1U); ++i) workers_.emplace_back([this] { work(); });
}

KvIngest::~KvIngest() { stop(); }

void KvIngest::stop() {
  queue_.close();
  for (auto& t : workers_)
    if (t.joinable()) t.join();
}

Result<kv::Ticket> KvIngest::expect(const control::ReserveRequest& r, std::vector<BlockHandle> blocks,
                                    kv::SealMode seal) {
  auto t = std::make_shared<Transfer>(Transfer{.coverage = kv::CoverageTracker(me_.layout, {0, r.kv_tokens}),
                                               .changes = ChangeTracker(me_.layout.layers)});
  t->blocks = std::move(blocks);
  // From here the references are the transfer's, and every early return must give them back.
  auto refuse = [&](Error e) -> Result<kv::Ticket> {
    give_back(*t);
    return std::unexpected(std::move(e));
  };
  auto unknown = [](const std::string& name) {
    return Error{Errc::not_found, fmt::format("KV profile '{}' is not known to this node", name), "profile"};
  };
  const kv::Profile* profile = codecs_.profile(r.profile);
  if (profile == nullptr) return refuse(unknown(r.profile));
  kv::Ticket k;
  if (auto drawn = kv::draw_secrets(k); !drawn) return refuse(drawn.error());
  k.seal = seal;
  k.request = r.request;
  k.tenant = "default";
  k.prefill_node = r.prefill_node;
  k.prefill_incarnation = r.prefill_incarnation;
  k.decode_node = me_.node;
  k.decode_incarnation = me_.incarnation;
  k.model_hash = me_.model_hash;
  k.layout = me_.layout;
  k.format_hash = codecs_.format_hash();
  k.profile = r.profile;
  k.codec = profile->codec->id();
  for (const std::string& name : r.fallbacks) {
    const kv::Profile* f = codecs_.profile(name);
    if (f == nullptr) return refuse(unknown(name));
    if (k.allows(f->codec->id())) continue;
    k.alternates.push_back(f->codec->id());
    t->fallbacks.push_back(f);
  }
  k.tokens = {0, r.kv_tokens};
  k.block_size = pool_.shape().block_size;
  const std::size_t used = (r.kv_tokens + k.block_size - 1) / k.block_size;
  for (std::size_t i = 0; i < used && i < t->blocks.size(); ++i) k.blocks.push_back(t->blocks[i].id);
  k.max_wire_bytes = kv::wire_budget(k.layout, k.tokens);
  k.valid_for = std::chrono::milliseconds(r.timeout_ms);
  t->ticket = std::make_shared<const kv::Ticket>(k);
  t->issued = clock_.now();
  {
    const std::lock_guard lock(mutex_);
    by_request_[k.request] = t;
    by_ticket_[key_of(k.id)] = t;
  }
  if (auto issued = book_.issue(k); !issued) {
    settle(t, issued.error());
    return std::unexpected(issued.error());
  }
  return k;
}

Result<> KvIngest::on_hello(kv::ConnId conn, std::span<const std::byte> bytes) {
  SLUICE_ASSIGN(const kv::Hello h, kv::parse_hello(bytes));
  if (h.model_hash != me_.model_hash || !(h.layout == me_.layout))
    return fail(Errc::invalid_argument, "prefill node '{}' runs another model or KV layout", h.node);
  if (h.format_hash != codecs_.format_hash())
    return fail(Errc::invalid_argument, "prefill node '{}' was built with other KV codec formats", h.node);
  log::info("prefill node connected", {{"peer", h.node}, {"conn", conn}});
  return {};
}

void KvIngest::on_frame(kv::ConnId conn, std::span<const std::byte> header, kv::StagingBuffer payload) {
  const std::size_t bytes = payload.bytes().size();
  (void)queue_.push(Job{conn, {header.begin(), header.end()}, std::move(payload)}, bytes);
}

void KvIngest::on_note(kv::ConnId, std::span<const std::byte> note) {
  if (events_.on_note) events_.on_note(note);
}

void KvIngest::on_peer_down(kv::ConnId conn, const Error& why) {
  std::vector<TransferPtr> hit;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, t] : by_request_)
      if (t->borne && t->conn == conn) hit.push_back(t);
  }
  for (const TransferPtr& t : hit)
    settle(t, Error{Errc::unavailable,
                    fmt::format("prefill node '{}' is gone: {}", t->ticket->prefill_node, why.message),
                    {}});
}

void KvIngest::work() {
  kv::FrameScratch scratch;
  kv::OpenedFrame opened;
  while (auto job = queue_.pop()) handle(*job, scratch, opened);
}

void KvIngest::handle(Job& job, kv::FrameScratch& scratch, kv::OpenedFrame& opened) {
  auto h = kv::parse_frame_header(job.header);
  if (!h) return reject(job, h.error());
  if (auto admitted = book_.admit(*h, job.conn.value()); !admitted) {
    reject(job, admitted.error());
    // More bytes than the ticket allows is its own bearer's doing; every other refusal leaves the transfer alone.
    if (admitted.error().code == Errc::data_corrupt)
      if (const TransferPtr t = begin(*h, job)) done(t, std::unexpected(admitted.error()));
    return;
  }
  const TransferPtr t = begin(*h, job);
  if (!t) return;  // revoked between admit and here
  const TimePoint start = clock_.now();
  const Result<> outcome = ingest(*t, job, scratch, opened);
  {
    const std::lock_guard lock(mutex_);
    t->decode_s += seconds(clock_.now() - start);
    t->wire_bytes += job.payload.bytes().size();
  }
  if (!outcome) reject(job, outcome.error());
  job.payload = {};  // before a note says that all is here, so that the sender counts these bytes as arrived
  done(t, outcome);
}

KvIngest::TransferPtr KvIngest::begin(const kv::FrameHeader& h, const Job& job) {
  const std::lock_guard lock(mutex_);
  const auto it = by_ticket_.find(key_of(h.ticket));
  if (it == by_ticket_.end() || it->second->closed) return nullptr;
  it->second->conn = job.conn;
  it->second->borne = true;
  ++it->second->writers;
  return it->second;
}

Result<> KvIngest::ingest(Transfer& t, Job& job, kv::FrameScratch& scratch, kv::OpenedFrame& opened) {
  SLUICE_TRY(kv::open_frame(*t.ticket, codecs_, job.header, job.payload.bytes(), scratch, opened));
  {
    const std::lock_guard lock(mutex_);
    if (t.closed) return fail(Errc::cancelled, "the transfer ended");
    SLUICE_TRY(t.coverage.claim(opened.header.spec));
    SLUICE_TRY(note_profile(t, opened.header));
  }
  SLUICE_TRY(decode_into_blocks(t, opened, scratch));
  const std::lock_guard lock(mutex_);
  t.coverage.commit(opened.header.spec);
  if (t.changed_to == nullptr || !t.coverage.complete()) return {};
  SLUICE_ASSIGN(auto steps, t.changes.steps());
  t.change = control::ProfileChange{t.changed_to->name, std::move(steps)};
  return {};
}

/// Under the mutex. A resumed answer needs the same KV again, so a change must be one that can be told.
Result<> KvIngest::note_profile(Transfer& t, const kv::FrameHeader& h) {
  if (t.fallbacks.empty()) return {};
  const bool changed = h.codec != t.ticket->codec;
  if (changed) {
    const auto to = std::ranges::find_if(t.fallbacks, [&](const auto* p) { return p->codec->id() == h.codec; });
    if (to == t.fallbacks.end() || (t.changed_to != nullptr && t.changed_to != *to))
      return fail(Errc::data_corrupt, "a transfer changes its profile once");
    t.changed_to = *to;
  }
  return t.changes.add(h.spec.tokens.begin, h.spec.layers.begin, h.spec.layers.count, changed);
}

Result<> KvIngest::decode_into_blocks(Transfer& t, const kv::OpenedFrame& f, kv::FrameScratch& scratch) {
  const std::uint32_t per_block = pool_.shape().block_size;
  std::vector<std::byte*> pages;
  for (const kv::FrameSegment& s : f.segments) {
    const std::uint32_t first = s.shape.first_token / per_block;
    const std::uint32_t last = (s.shape.first_token + s.shape.tokens - 1) / per_block;
    pages.clear();
    for (std::uint32_t b = first; b <= last; ++b)
      pages.push_back(pool_.block(s.shape.layer, s.shape.kind == kv::KvKind::value, t.ticket->blocks[b]));
    const kv::MutRows rows{pages, per_block, s.shape.first_token % per_block, s.shape.row_bytes()};
    SLUICE_TRY(kv::decode_segment(s, rows, scratch));
  }
  return {};
}

void KvIngest::reject(const Job& job, const Error& why) {
  metrics_.counter("sluice_kv_frames_total", "KV frames by outcome.", {{"outcome", std::string(name(why.code))}})
      .Increment();
  log::warn("KV frame refused", {{"conn", job.conn}, {"code", name(why.code)}, {"why", why.message}});
}

/// A worker is through with one frame; the last one out of a closed transfer gives the blocks back.
void KvIngest::done(const TransferPtr& t, const Result<>& outcome) {
  bool complete = false;
  bool release = false;
  {
    const std::lock_guard lock(mutex_);
    --t->writers;
    if (t->closed) {
      release = t->writers == 0;
    } else if (outcome) {
      complete = t->coverage.complete() && (t->changed_to == nullptr || t->change);
      if (complete) {
        t->closed = true;
        by_request_.erase(t->ticket->request);
        by_ticket_.erase(key_of(t->ticket->id));
      }
    }
  }
  if (outcome) frames_.Increment();
  if (release) return give_back(*t);
  if (!outcome) return settle(t, outcome.error());
  if (!complete) return;
  (void)book_.finish(t->ticket->id);
  const std::uint64_t raw = t->ticket->layout.token_bytes() * t->ticket->tokens.count;
  wire_bytes_.Increment(static_cast<double>(t->wire_bytes));
  raw_bytes_.Increment(static_cast<double>(raw));
  decode_seconds_.Observe(t->decode_s);
  if (!t->change) learn(*t->ticket, static_cast<double>(raw), t->decode_s);
  const IngestResult result{t->ticket->request, t->decode_s,         seconds(clock_.now() - t->issued), raw,
                            t->wire_bytes,      std::move(t->change)};
  // Readable first, then announced: the first step must not wait for a note's round trip.
  events_.on_committed(result);
  kv::TransferNote note{.ticket = t->ticket->id, .committed = true};
  note.decode_us = static_cast<std::uint32_t>(t->decode_s * 1e6);
  note.wire_bytes = t->wire_bytes;
  send_note_(t->conn, kv::write_note(note));
  give_back(*t);
}

/// Ends a transfer that cannot complete: once, whoever sees it first.
void KvIngest::settle(const TransferPtr& t, const Error& why) {
  bool release = false;
  {
    const std::lock_guard lock(mutex_);
    if (t->closed) return;
    t->closed = true;
    release = t->writers == 0;
    by_request_.erase(t->ticket->request);
    by_ticket_.erase(key_of(t->ticket->id));
  }
  (void)book_.revoke(t->ticket->id);
  if (t->borne) {
    kv::TransferNote note{.ticket = t->ticket->id, .committed = false, .code = why.code, .message = why.message};
    send_note_(t->conn, kv::write_note(note));
  }
  if (why.code != Errc::cancelled) events_.on_failed(t->ticket->request, why);
  if (release) give_back(*t);
}

void KvIngest::learn(const kv::Ticket& ticket, double raw_bytes, double decode_s) {
  const std::lock_guard lock(mutex_);
  rates_[ticket.profile].add(raw_bytes, decode_s);
}

std::unordered_map<std::string, double> KvIngest::rates() const {
  const std::lock_guard lock(mutex_);
  std::unordered_map<std::string, double> out;
  for (const auto& [profile, meter] : rates_)
    if (meter.weight() >= kMinMeasuredBytes) out[profile] = meter.rate();
  return out;
}

void KvIngest::give_back(Transfer& t) {
  std::vector<BlockHandle> blocks;
  {
    const std::lock_guard lock(mutex_);
    blocks.swap(t.blocks);
  }
  if (!blocks.empty()) events_.release(blocks);
}

void KvIngest::revoke(RequestId request) {
  TransferPtr t;
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = by_request_.find(request); it != by_request_.end()) t = it->second;
  }
  if (t) settle(t, Error{Errc::cancelled, "the request was cancelled", {}});
}

void KvIngest::revoke_all() {
  std::vector<RequestId> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, t] : by_request_) ids.push_back(id);
  }
  for (const RequestId id : ids) revoke(id);
}

void KvIngest::expire() {
  for (const auto& ticket : book_.expire()) {
    TransferPtr t;
    {
      const std::lock_guard lock(mutex_);
      if (const auto it = by_ticket_.find(key_of(ticket->id)); it != by_ticket_.end()) t = it->second;
    }
    if (t) settle(t, Error{Errc::deadline_exceeded, "KV did not arrive in time", {}});
  }
}

}  // namespace sluice::node
