#pragma once
// The operator's HTTP surface below /sluice/v1: status, nodes, profiles, decisions, SLOs, drain, roles, moves of
// running requests. JSON in and out, for sluicectl and scripts. Behind the same API keys as the rest. Threading: the
// coordinator's io_context thread.
#include "coordinator/admin/admin_views.h"
#include "coordinator/http/routes.h"

namespace sluice::coordinator {

/// GET  /sluice/v1/status | nodes | coordinators | profiles | slo | totals | decisions?after=SEQ&limit=N
/// PUT  /sluice/v1/slo          {"class", "ttft_ms", "tpot_ms", "attainment", "quality_kl", "priority",
/// "seeded_lossy"},
///                              any subset
/// GET  /sluice/v1/slo/explain/CLASS, DELETE /sluice/v1/slo/CLASS
/// POST /sluice/v1/drain/NODE
/// POST /sluice/v1/role/NODE    {"to": "prefill" or "decode"}
/// POST /sluice/v1/migrate      {"request", "node"}
void add_admin_routes(HttpRoutes& routes, const AdminViews& views);

}  // namespace sluice::coordinator
