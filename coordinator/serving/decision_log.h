#pragma once
// The last decisions with what was predicted and what came true; read by /sluice/v1/decisions and sluicectl. What falls
// out of the bounded ring stays in the totals. Not thread-safe.
#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <variant>

#include "coordinator/serving/decision_entry.h"
#include "coordinator/serving/pd_worth.h"
#include "coordinator/serving/served_totals.h"
#include "coordinator/serving/session.h"
#include "coordinator/serving/slo_explain.h"

namespace sluice::coordinator {

/// Seconds since 1970, for entries.
[[nodiscard]] double unix_now();

class DecisionLog {
 public:
  explicit DecisionLog(std::size_t capacity) : capacity_(capacity) {}
  /// Records a finished (or failed) session. outcome: "stop", "length", "cancelled" or an error code's name; a leg that
  /// never got a place has no nodes and no profile, and reason "refused" (or "cancelled") instead of a choice's.
  void record(const Session& s, std::string_view outcome, double now_unix_s);
  /// Keeps an operator's change beside the decisions it bears on; `change` says {"event": ..., ...}.
  void record_change(nlohmann::json change, double now_unix_s);
  /// What the requests of a class that are still remembered looked like.
  [[nodiscard]] RecentRequests recent(const std::string& slo_class) const;
  /// Entries with a sequence number above `after`, oldest first, at most `limit` of the newest.
  [[nodiscard]] nlohmann::json since(std::uint64_t after, std::size_t limit) const;
  [[nodiscard]] const ServedTotals& totals() const noexcept { return totals_; }
  [[nodiscard]] const PdWorth& pd_worth() const noexcept { return pd_worth_; }

 private:
  using Entry = std::variant<DecisionEntry, nlohmann::json>;  // a leg's, or a change
  void push(Entry entry);
  std::size_t capacity_;
  std::uint64_t next_ = 1;
  std::deque<Entry> ring_;
  ServedTotals totals_{unix_now()};
  PdWorth pd_worth_;
};

}  // namespace sluice::coordinator
