#include "kvtransfer/wire/reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kvtransfer/wire/seal.h"

namespace sluice::kv {
namespace {

static_assert(std::endian::native == std::endian::little, "the note travels as it lies in memory");

constexpr std::uint32_t kMagic = 0x52564b53;  // "SKVR"
constexpr std::uint8_t kVersion = 1;

struct Head {
  std::uint32_t magic = kMagic;
  std::uint8_t version = kVersion;
  std::uint8_t tokens = 0;
  std::uint16_t zero = 0;
  std::array<std::uint8_t, 16> ticket{};
};
static_assert(sizeof(Head) == 24);

struct Item {
  std::uint32_t id;
  float logprob;
};
static_assert(sizeof(Item) == 8);

constexpr std::size_t note_bytes(std::size_t tokens) {
  return sizeof(Head) + sizeof(float) + tokens * sizeof(Item) + kSealTagBytes;
}
static_assert(note_bytes(kMaxReferenceTokens) <= 512, "what a message header carries");

/// The sum of rounded probabilities is this near to 1.
constexpr double kSumSlack = 1e-3;

Nonce nonce_of(const Ticket& t) { return make_nonce(t.nonce_base, Direction::reference, 0); }

bool plausible(const HeadDistribution& h) {
  double sum = h.tail;
  if (!(h.tail >= 0) || h.top.empty() || h.top.size() > kMaxReferenceTokens) return false;
  for (std::size_t i = 0; i < h.top.size(); ++i) {
    const auto& e = h.top[i];
    if (e.id < 0 || (i > 0 && e.id <= h.top[i - 1].id)) return false;
    if (!std::isfinite(e.logprob) || e.logprob > 0) return false;
    sum += std::exp(e.logprob);
  }
  return std::abs(sum - 1) < kSumSlack;
}

}  // namespace

Result<std::vector<std::byte>> write_reference(const Ticket& ticket, const HeadDistribution& head) {
  if (!plausible(head))
    return fail(Errc::invalid_argument, "{} tokens do not make the head of a distribution", head.top.size());
  std::vector<std::byte> out(note_bytes(head.top.size()));
  Head h;
  h.tokens = static_cast<std::uint8_t>(head.top.size());
  h.ticket = ticket.id.value();
  std::memcpy(out.data(), &h, sizeof h);
  std::byte* at = out.data() + sizeof h;
  std::memcpy(at, &head.tail, sizeof head.tail);
  at += sizeof head.tail;
  for (const auto& e : head.top) {
    const Item item{static_cast<std::uint32_t>(e.id), e.logprob};
    std::memcpy(at, &item, sizeof item);
    at += sizeof item;
  }
  const std::span all(out);
  SLUICE_ASSIGN(const SealTag tag, Sealer().seal(ticket.seal, ticket.key, nonce_of(ticket), all.first(sizeof h),
                                                 all.subspan(sizeof h, out.size() - sizeof h - kSealTagBytes)));
  std::memcpy(at, tag.data(), tag.size());
  return out;
}

bool is_reference(std::span<const std::byte> note) noexcept {
  return note.size() >= sizeof kMagic && std::memcmp(note.data(), &kMagic, sizeof kMagic) == 0;
}

Result<TicketId> reference_ticket(std::span<const std::byte> note) {
  Head h;
  if (note.size() < note_bytes(1)) return fail(Errc::data_corrupt, "reference: {} bytes are too few", note.size());
  std::memcpy(&h, note.data(), sizeof h);
  if (h.magic != kMagic) return fail(Errc::data_corrupt, "reference: wrong magic");
  if (h.version != kVersion)
    return fail(Errc::unsupported, "reference: version {}, this build speaks {}", h.version, kVersion);
  if (h.zero != 0 || h.tokens == 0 || h.tokens > kMaxReferenceTokens || note.size() != note_bytes(h.tokens))
    return fail(Errc::data_corrupt, "reference: malformed");
  return TicketId(h.ticket);
}

Result<HeadDistribution> open_reference(const Ticket& ticket, std::span<const std::byte> note) {
  SLUICE_ASSIGN(const TicketId id, reference_ticket(note));
  if (id != ticket.id) return fail(Errc::data_corrupt, "reference: for another ticket");
  std::vector<std::byte> copy(note.begin(), note.end());
  const std::span all(copy);
  const auto body = all.subspan(sizeof(Head), note.size() - sizeof(Head) - kSealTagBytes);
  SealTag tag;
  std::memcpy(tag.data(), all.last(kSealTagBytes).data(), tag.size());
  SLUICE_TRY(Sealer().open(ticket.seal, ticket.key, nonce_of(ticket), all.first(sizeof(Head)), body, tag));
  HeadDistribution out;
  std::memcpy(&out.tail, body.data(), sizeof out.tail);
  for (auto rest = body.subspan(sizeof out.tail); !rest.empty(); rest = rest.subspan(sizeof(Item))) {
    Item item;
    std::memcpy(&item, rest.data(), sizeof item);
    if (item.id > 0x7fffffffU) return fail(Errc::data_corrupt, "reference: token id {} is out of range", item.id);
    out.top.push_back({static_cast<TokenId>(item.id), item.logprob});
  }
  if (!plausible(out)) return fail(Errc::data_corrupt, "reference: not the head of a distribution");
  return out;
}

}  // namespace sluice::kv
