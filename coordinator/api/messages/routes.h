#pragma once
// The routes of Anthropic's Messages API: POST /v1/messages and /v1/messages/count_tokens. Their errors are in that
// API's shape, wherever they arise (RouteOptions::errors).
// Threading and lifetime: as ApiRouter; the router outlives the server that holds the routes.
#include "coordinator/api/router.h"

namespace sluice::coordinator {

void add_messages_routes(HttpRoutes& routes, ApiRouter& router);

}  // namespace sluice::coordinator
