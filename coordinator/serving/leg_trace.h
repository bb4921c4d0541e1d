#pragma once
// A traced leg's spans: the leg itself, below it each wait for a place, each decision and each reservation, and as
// events of the leg its first token and the failures after which it was placed again. Nodes make the rest, as
// children of the leg's span (NodeCalls hands it to them).
//
// A leg that is not traced has none of these. Threading: the coordinator's io_context thread.
#include <string>
#include <string_view>

#include "common/control/messages.h"
#include "common/trace/span.h"

namespace sluice::coordinator {

struct Session;
struct Moving;
enum class MoveOutcome;

class LegTrace {
 public:
  /// The leg begins, and waits for a place.
  LegTrace(const trace::Parent& request, TimePoint now);

  [[nodiscard]] const std::string& trace_id() const noexcept { return trace_id_; }
  /// Names the leg's span to a node.
  void tell(std::string& traceparent, std::string& tracestate) const;

  /// A place is looked for now; perhaps in vain, and then again.
  void deciding(TimePoint now) noexcept { deciding_ = now; }
  /// One was found: the session's attempt.
  void decided(const Session& s, TimePoint now);
  /// The decode node answered.
  void reserved(const Session& s, TimePoint now);
  /// The attempt failed. The leg waits again, or ends.
  void failed(const Session& s, const Error& why, TimePoint now);
  /// A move is over.
  void moved(const Session& s, const Moving& m, MoveOutcome how, TimePoint now);
  /// The leg has ended. outcome: as LegEndings has it.
  void ended(const Session& s, std::string_view outcome, TimePoint now);

 private:
  [[nodiscard]] trace::Span child(std::string_view name, TimePoint begin, TimePoint end) const {
    return trace::child_span(leg_.context, name, begin, end);
  }

  trace::SpanSink& sink_;
  trace::Span leg_;
  const std::string trace_id_;
  TimePoint waiting_, deciding_, decided_{};
};

}  // namespace sluice::coordinator
