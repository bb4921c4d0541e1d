#include "node/ingest/kv_ingest.h"

#include "common/log.h"

namespace sluice::node {

using engine::BlockHandle;

KvIngest::KvIngest(KvIdentity me, const kv::CodecRegistry& codecs, engine::KvPool& pool, const Clock& clock,
                   unsigned workers, Metrics& metrics, IngestEvents events)
    : admission_(std::move(me), codecs, pool.shape().block_size),
      clock_(clock),
      events_(std::move(events)),
      wire_bytes_(metrics.counter("sluice_kv_received_wire_bytes_total", "Payload bytes of verified KV frames.")),
      raw_bytes_(metrics.counter("sluice_kv_received_raw_bytes_total", "Decoded KV bytes committed to the pool.")),
      frames_(metrics.counters("sluice_kv_frames_total", "KV frames by outcome.")),
      good_frames_(frames_.with({{"outcome", "committed"}})),
      decode_seconds_(
          metrics.histogram("sluice_kv_decode_seconds", "Seal check and codec time per request.", stage_buckets())),
      book_(admission_.me().incarnation, clock),
      decoder_(pool, codecs),
      workers_(workers, [this](ArrivedFrame& f, DecodeScratch& scratch) { handle(f, scratch); }) {
  // There from the start: what begins with its first count shows Prometheus no increase for it.
  (void)frames_.with({{"outcome", std::string(name(Errc::data_corrupt))}});
}

KvIngest::~KvIngest() { stop(); }

Result<kv::Ticket> KvIngest::expect(const control::ReserveRequest& r, std::vector<BlockHandle> blocks,
                                    kv::SealMode seal) {
  // From here the references are the lease's: every early return gives them back.
  const auto held = std::make_shared<const HeldBlocks>(std::move(blocks), events_.release);
  SLUICE_ASSIGN(DrawnTicket drawn, admission_.draw(r, held->blocks(), seal));
  const auto t = std::make_shared<Transfer>(std::move(drawn), held, clock_.now());
  transfers_.add(t);
  if (auto issued = book_.issue(t->ticket()); !issued) {
    settle(t, issued.error());
    return std::unexpected(issued.error());
  }
  return t->ticket();
}

Result<> KvIngest::on_hello(kv::ConnId conn, std::span<const std::byte> bytes) {
  SLUICE_ASSIGN(const kv::Hello h, admission_.greet(bytes));
  log::info("prefill node connected", {{"peer", h.node}, {"conn", conn}});
  return {};
}

void KvIngest::on_frame(kv::ConnId conn, std::span<const std::byte> header, kv::StagingBuffer payload) {
  workers_.push({conn, {header.begin(), header.end()}, std::move(payload)});
}

void KvIngest::on_note(kv::ConnId, std::span<const std::byte> note) {
  if (events_.on_note) events_.on_note(note);
}

void KvIngest::on_peer_down(kv::ConnId conn, const Error& why) {
  for (const TransferPtr& t : transfers_.all()) {
    if (!t->borne_by(conn)) continue;
    settle(t, Error{Errc::unavailable,
                    fmt::format("prefill node '{}' is gone: {}", t->ticket().prefill_node, why.message),
                    {}});
  }
}

void KvIngest::handle(ArrivedFrame& f, DecodeScratch& scratch) {
  const auto h = kv::parse_frame_header(f.header);
  if (!h) return reject(f, h.error());
  const auto admitted = book_.admit(*h, f.conn.value());
  if (!admitted) {
    reject(f, admitted.error());
    // More bytes than the ticket allows is its own bearer's doing; every other refusal leaves the transfer alone.
    if (admitted.error().code != Errc::data_corrupt) return;
  }
  const TransferPtr t = transfers_.find(h->ticket);
  const BlocksLease lease = t ? t->enter(f.conn) : nullptr;
  if (!lease) return;  // it ended between admit and here
  if (!admitted) return settle(t, admitted.error());
  const TimePoint start = clock_.now();
  const Result<> outcome = decoder_.decode(*t, *lease, f.header, f.payload.bytes(), scratch);
  t->spent(seconds(clock_.now() - start), f.payload.bytes().size());
  if (!outcome) reject(f, outcome.error());
  f.payload = {};  // before a note says that all is here, so that the sender counts these bytes as arrived
  if (!outcome) return settle(t, outcome.error());
  good_frames_.add();
  if (const auto finished = t->finish(clock_.now())) committed(t, *finished);
}

void KvIngest::reject(const ArrivedFrame& f, const Error& why) {
  frames_.with({{"outcome", std::string(name(why.code))}}).add();
  if (const auto held = refusals_.pass(static_cast<int>(why.code), clock_.now()))
    log::warn("KV frame refused",
              {{"conn", f.conn}, {"code", name(why.code)}, {"why", why.message}, {"held_back", *held}});
}

void KvIngest::committed(const TransferPtr& t, const Transfer::Finished& f) {
  transfers_.erase(t);
  (void)book_.finish(t->ticket().id);
  const IngestResult& r = f.result;
  wire_bytes_.add(static_cast<double>(r.wire_bytes));
  raw_bytes_.add(static_cast<double>(r.raw_bytes));
  decode_seconds_.observe(r.decode_s);
  if (!r.change) rates_.add(t->ticket().profile, r.raw_bytes, r.wire_bytes, r.decode_s);
  // Readable first, then announced: the first step must not wait for a note's round trip.
  events_.on_committed(r);
  kv::TransferNote note{.ticket = t->ticket().id, .committed = true};
  note.decode_us = static_cast<std::uint32_t>(r.decode_s * 1e6);
  note.wire_bytes = r.wire_bytes;
  send_note_(f.bearer, kv::write_note(note));
}

/// Ends a transfer that cannot complete: once, whoever sees it first.
void KvIngest::settle(const TransferPtr& t, const Error& why) {
  const auto closed = t->close();
  if (!closed) return;
  transfers_.erase(t);
  (void)book_.revoke(t->ticket().id);
  if (closed->bearer) {
    kv::TransferNote note{.ticket = t->ticket().id, .committed = false, .code = why.code, .message = why.message};
    send_note_(*closed->bearer, kv::write_note(note));
  }
  if (why.code != Errc::cancelled) events_.on_failed(t->ticket().request, why);
}

void KvIngest::revoke(RequestId request) {
  if (const TransferPtr t = transfers_.find(request))
    settle(t, Error{Errc::cancelled, "the request was cancelled", {}});
}

void KvIngest::revoke_all(control::LegSpace of) {
  for (const TransferPtr& t : transfers_.all())
    if (control::space_of(t->request()) == of) settle(t, Error{Errc::cancelled, "the request was cancelled", {}});
}

void KvIngest::expire() {
  for (const auto& ticket : book_.expire())
    if (const TransferPtr t = transfers_.find(ticket->id))
      settle(t, Error{Errc::deadline_exceeded, "KV did not arrive in time", {}});
}

}  // namespace sluice::node
