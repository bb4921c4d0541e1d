#pragma once
// The spans of a traced leg on a decode node, told when it ends: `receive`, from the reservation until the KV is here
// and checked, and `decode`, from then to the last token. Threading: the sink's; nothing is shared.
#include <functional>

#include "common/control/messages.h"
#include "common/trace/span.h"
#include "decode_node/decode_loop.h"

namespace sluice::decode {

/// For LegStart::on_end. Empty for a leg that is not traced; without a sink none is.
[[nodiscard]] std::function<void(const LegTimes&)> tell_trace_of(const control::ReserveRequest& r,
                                                                 trace::SpanSink* sink);

}  // namespace sluice::decode
