#pragma once
// What a prefill node tells of a request that has ended. Pure.
#include "common/control/messages.h"
#include "node/export/export.h"
#include "prefill_node/request_table.h"

namespace sluice::prefill {

/// link: to the request's decode node, now.
[[nodiscard]] control::PrefillDone report_of(const OpenRequest& r, const node::ExportEnd& end,
                                             const kv::LinkStats& link, TimePoint now);

}  // namespace sluice::prefill
