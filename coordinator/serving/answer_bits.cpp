#include "coordinator/serving/answer_bits.h"

#include "coordinator/api/fingerprint.h"

namespace sluice::coordinator {
namespace {

using nlohmann::json;

json arithmetic(const NodeBits& b) {
  return {{"backend", b.backend}, {"precision", b.precision}, {"version", b.version}};
}

/// Lossless KV is the same whatever carried it and wherever it was cut.
json kv_bits(const Session& s) {
  if (s.run.local || s.run.kl == 0) return "lossless";
  json j{{"profile", s.run.profile},
         {"codecs", fmt::format("{:016x}", s.answer.model.codecs)},
         {"chunk_tokens", s.answer.prefill_bits.chunk_tokens},
         {"frame_kib", s.answer.prefill_bits.frame_kib}};
  if (const auto& change = s.answer.change) {
    j["changed_to"] = change->to;
    for (const ChangeStep& step : change->from) j["from"].push_back({step.token, step.layer});
  }
  return j;
}

}  // namespace

json answer_bits(const Session& s) {
  const Answer& a = s.answer;
  const json output = arithmetic(a.decode_bits);
  json j{{"model", a.model.hash},
         {"kv_dtype", a.model.kv_dtype},
         {"prompt", s.run.local ? output : arithmetic(a.prefill_bits)},
         {"output", output},
         {"kv", kv_bits(s)}};
  // Where nothing is lost and both nodes compute alike, it does not matter who computed what.
  const bool alike = s.run.kl == 0 && j["prompt"] == output;
  if (!s.run.local && !s.split() && !alike) j["cut"] = s.run.cut;
  return j;
}

bool exact_kv(const Session& s) {
  if (s.run.local) return true;
  const Answer& a = s.answer;
  const bool known = !a.decode_bits.version.empty();  // else a node of an older version, of which this is not known
  return s.run.kl == 0 && !a.change && known && arithmetic(a.prefill_bits) == arithmetic(a.decode_bits);
}

std::string answer_fingerprint(const Session& s) {
  return s.answer.first_token ? fingerprint_of(std::string_view(answer_bits(s).dump())) : std::string();
}

}  // namespace sluice::coordinator
