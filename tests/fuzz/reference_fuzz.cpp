// Any bytes as a quality probe's reference: refused or opened, and what opens can be compared with any logits.
//
// Input: 1 if the note is to name the ticket and be sealed rightly (so that fuzzing gets past the seal), then the note.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kvtransfer/wire/reference.h"
#include "kvtransfer/wire/seal.h"
#include "node/quality/divergence.h"

using namespace sluice;
using namespace sluice::kv;

namespace {

constexpr std::size_t kHeadBytes = 24, kTicketAt = 8;

void put_right(const Ticket& t, std::span<std::byte> note) {
  if (note.size() < kHeadBytes + kSealTagBytes) return;
  std::memcpy(&note[kTicketAt], t.id.value().data(), t.id.value().size());
  const auto body = note.subspan(kHeadBytes, note.size() - kHeadBytes - kSealTagBytes);
  const auto tag =
      Sealer().seal(t.seal, t.key, make_nonce(t.nonce_base, Direction::reference, 0), note.first(kHeadBytes), body);
  std::memcpy(note.last(kSealTagBytes).data(), tag.value().data(), kSealTagBytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  Ticket ticket;
  ticket.id = TicketId({1, 2, 3});
  ticket.key = {4, 5, 6};
  std::vector<std::byte> note(size - 1);
  std::memcpy(note.data(), data + 1, note.size());
  if (data[0] & 1) put_right(ticket, note);
  if (!is_reference(note)) return 0;
  const auto head = open_reference(ticket, note);
  if (!head) return 0;
  if (head->top.empty() || head->top.size() > kMaxReferenceTokens) std::abort();
  const std::vector<float> logits(64, 0.5F);
  if (const auto d = node::divergence(*head, logits); d && !(d->kl >= 0 && std::isfinite(d->kl))) std::abort();
  return 0;
}
