#pragma once
// The operator's HTTP surface below /sluice/v1: status, nodes, profiles, decisions, SLOs, drain. JSON in and out, for
// sluicectl and scripts. Behind the same API keys as the rest. Threading: the coordinator's io_context thread.
#include "coordinator/http_server_routes.h"
#include "coordinator/serving.h"

namespace sluice::coordinator {

/// GET  /sluice/v1/status | nodes | profiles | slo | decisions?after=SEQ&limit=N
/// PUT  /sluice/v1/slo          {"ttft_ms", "tpot_ms", "attainment", "quality_kl"}, any subset
/// POST /sluice/v1/drain/NODE
void add_admin_routes(HttpRoutes& routes, Serving& serving);

/// The SLO's JSON form, and a change applied to it; invalid_argument names the field.
[[nodiscard]] nlohmann::json slo_json(const Slo& s);
[[nodiscard]] Result<Slo> changed_slo(Slo s, const nlohmann::json& change);

}  // namespace sluice::coordinator
