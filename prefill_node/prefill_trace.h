#pragma once
// The spans of a traced prompt, once its KV has arrived or failed: `prefill`, the node's whole work, and below it
// `prefill.queue`, `prefill.compute`, `encode` and `wire`. The last three overlap. Of a prompt that was cancelled
// nothing is told. Pure but for the sink.
#include "common/trace/span.h"
#include "node/export/export.h"
#include "prefill_node/request_table.h"

namespace sluice::prefill {

/// Nothing for a request that is not traced.
void trace_prefill(const OpenRequest& r, const node::ExportEnd& end, TimePoint now, trace::SpanSink& sink);

}  // namespace sluice::prefill
