#pragma once
// /health and /metrics: what is to be known of the service beside its API. They are answered on the deciding thread.
// Threading: the deciding thread. Lifetime: the view outlives the server that holds the routes.
#include "coordinator/api/backend.h"
#include "coordinator/http/routes.h"

namespace sluice::coordinator {

/// with_metrics: /metrics, too (but where that has a listener of its own).
void add_status_routes(HttpRoutes& routes, const StatusBackend& backend, bool with_metrics = true);

}  // namespace sluice::coordinator
