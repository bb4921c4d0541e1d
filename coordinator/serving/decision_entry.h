#pragma once
// One ended leg as the decision log remembers it: plain values, taken when the leg ends. JSON is made of them when
// somebody asks; most entries nobody asks for. Threading: none, a value.
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/serving/session.h"

namespace sluice::coordinator {

struct DecisionEntry {
  /// Of a leg that has ended; outcome as in DecisionLog::record.
  static DecisionEntry of(const Session& s, std::string_view outcome, double now_unix_s);

  double time = 0;  // seconds since 1970
  std::string request_id, tenant, outcome, slo_class;
  int choice = 0;
  bool placed = false, local = false, pinned = false;
  NodeId prefill, decode;
  std::string_view mode, reason;  // names, for the process's life
  std::uint32_t cut = 0;
  std::string profile, changed_to;  // changed_to: empty: it did not change
  std::optional<Error> error;
  std::size_t considered = 0, output_tokens = 0;
  std::uint32_t prompt_tokens = 0;
  double quality_budget = 0, ttft_slo_s = 0, tpot_slo_s = 0, waited_s = 0;
  double predicted_ttft_s = 0, predicted_tpot_s = 0;  // 0: nothing was predicted
  std::optional<double> ttft_s, tpot_s;
  int resumes = 0;
  std::vector<MoveRecord> moves;
  double kl = 0, chance = 0, link_bps = 0;
  StageTimes predicted;
  Figures measured;
};

[[nodiscard]] nlohmann::json to_json(const DecisionEntry& e, std::uint64_t seq);

}  // namespace sluice::coordinator
