#include "coordinator/serving/fingerprint_memo.h"

#include <algorithm>

#include "coordinator/serving/answer_bits.h"

namespace sluice::coordinator {
namespace {

/// Of a request that is split, or local, it is the prompt's length, or 0, which decides nothing.
std::uint32_t parted_at(const Session& s) { return s.run.local || s.split() ? 0 : s.run.cut; }

}  // namespace

bool FingerprintMemo::is(const Kind& k, const Session& s) {
  const Answer& a = s.answer;
  return k.local == s.run.local && k.lossless == (s.run.kl == 0) && k.split == s.split() && k.cut == parted_at(s) &&
         k.profile == s.run.profile && k.model == a.model && k.prefill == a.prefill_bits && k.decode == a.decode_bits;
}

std::string FingerprintMemo::of(const Session& s) {
  if (s.answer.change) return answer_fingerprint(s);
  const auto known = std::ranges::find_if(kinds_, [&](const Kind& k) { return !k.fingerprint.empty() && is(k, s); });
  if (known != kinds_.end()) return known->fingerprint;
  Kind& k = kinds_[next_++ % kinds_.size()];
  k = {.model = s.answer.model,
       .prefill = s.answer.prefill_bits,
       .decode = s.answer.decode_bits,
       .profile = s.run.profile,
       .cut = parted_at(s),
       .local = s.run.local,
       .lossless = s.run.kl == 0,
       .split = s.split(),
       .fingerprint = answer_fingerprint(s)};
  return k.fingerprint;
}

}  // namespace sluice::coordinator
