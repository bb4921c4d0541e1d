// Any bytes as a frame: parsing, admission, opening and decoding refuse or succeed, and never step outside.
//
// Input: profile; 1 if the frame is to be sealed rightly (so that fuzzing gets past the seal), plus twice the profile
// that the ticket lists besides; then header and payload.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "common/clock.h"
#include "kvtransfer/wire/frame_io.h"
#include "kvtransfer/wire/ticket_book.h"

using namespace sluice;
using namespace sluice::kv;

namespace {

const KvLayout kLayout{.layers = 2, .kv_heads = 1, .head_dim = 8};
constexpr std::uint32_t kTokens = 40;

Ticket fixed_ticket(const Profile& p, const Profile& other) {
  Ticket t;
  t.id = TicketId({1, 2, 3});
  t.key = {4, 5, 6};
  t.prefill_incarnation = Incarnation(7);
  t.decode_incarnation = Incarnation(8);
  t.layout = kLayout;
  t.profile = p.name;
  t.codec = p.codec->id();
  t.alternates = {other.codec->id()};
  t.tokens = {0, kTokens};
  t.block_size = 16;
  t.max_wire_bytes = wire_budget(kLayout, t.tokens);
  t.valid_for = std::chrono::hours(1);
  return t;
}

/// Names the ticket and seals anew, leaving all else as the input has it.
void put_right(const Ticket& t, FrameHeader& h, std::span<std::byte> header, std::span<std::byte> payload,
               Sealer& sealer) {
  h.ticket = t.id;
  h.prefill_incarnation = t.prefill_incarnation;
  h.decode_incarnation = t.decode_incarnation;
  if (!t.allows(h.codec)) h.codec = t.codec;
  h.seal = t.seal;
  h.payload_bytes = static_cast<std::uint32_t>(payload.size());
  const auto fixed = header.first<kFrameHeaderBytes>();
  write_frame_header(h, fixed);
  const Nonce nonce = make_nonce(t.nonce_base, Direction::prefill_to_decode, h.sequence);
  h.tag = sealer.seal(h.seal, t.key, nonce, header.first(kSealedHeaderBytes), payload).value();
  write_frame_header(h, fixed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static const auto registry = make_registry();
  const auto profiles = registry->profiles();
  const Ticket ticket = fixed_ticket(profiles[data[0] % profiles.size()], profiles[(data[1] >> 1U) % profiles.size()]);
  const bool seal = data[1] & 1;
  std::vector<std::byte> bytes(size - 2);
  std::memcpy(bytes.data(), data + 2, bytes.size());
  const std::size_t split = std::min(bytes.size(), kFrameHeaderBytes);
  std::vector<std::byte> header(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(split));
  std::vector<std::byte> payload(bytes.begin() + static_cast<std::ptrdiff_t>(split), bytes.end());

  auto parsed = parse_frame_header(header);
  if (!parsed) return 0;
  FrameHeaderBytes again;
  write_frame_header(*parsed, again);
  if (std::memcmp(again.data(), header.data(), again.size()) != 0) std::abort();  // one meaning, one form

  FrameScratch scratch;
  if (seal) put_right(ticket, *parsed, header, payload, scratch.sealer);
  const SteadyClock clock;
  TicketBook book(ticket.decode_incarnation, clock);
  if (!book.issue(ticket)) std::abort();
  (void)book.admit(*parsed, 1);

  OpenedFrame frame;
  if (!open_frame(ticket, *registry, header, payload, scratch, frame)) return 0;
  CoverageTracker coverage(kLayout, ticket.tokens);
  if (!coverage.claim(frame.header.spec)) std::abort();  // open_frame let it pass, so it lies inside the ticket
  std::vector<std::byte> rows(kTokens * kLayout.row_bytes());
  std::byte* page = rows.data();
  for (const FrameSegment& s : frame.segments)
    (void)decode_segment(s, MutRows{{&page, 1}, kTokens, s.shape.first_token, kLayout.row_bytes()}, scratch);
  coverage.commit(frame.header.spec);
  return 0;
}
