#pragma once
// The spans of a traced leg on a decode node, told when it ends: `receive`, from the reservation until the KV is here
// and checked, and `decode`, from then to the last token. Of one that moves to another node `copy`, too, told when that
// node has all of its KV, or the copy failed. Threading: the sink's; nothing is shared.
#include <functional>

#include "common/control/messages.h"
#include "common/control/move_messages.h"
#include "common/trace/span.h"
#include "decode_node/decode_loop.h"

namespace sluice::decode {

/// For LegStart::on_end. Empty for a leg that is not traced; without a sink none is.
[[nodiscard]] std::function<void(const LegTimes&)> tell_trace_of(const control::ReserveRequest& r,
                                                                 trace::SpanSink* sink);

/// Whose copy it is, and where it goes.
struct CopyTrace {
  std::string request_id, target, profile;
  std::uint32_t stop = 0;
  trace::Parent parent;
};
struct CopyTimes {
  TimePoint began{};
  std::optional<TimePoint> halted;
  TimePoint ended{};
};
void trace_copy(const CopyTrace& c, const CopyTimes& t, const control::Moved& came_to);

}  // namespace sluice::decode
