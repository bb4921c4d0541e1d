#pragma once
// GET /openapi.json: OpenAPI 3.1 of the routes that a listener has, from openapi.json in this folder.
//
// The document describes every public route; a listener's own leaves out what that listener does not answer (the
// operator's routes may have one of their own). Tests hold it to the routes, to the readers' bounds and, through a
// client that is driven by it, to what a real server answers.
// Threading: none of its own; the route's text is made once.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/http/routes.h"

namespace sluice::coordinator {

/// All of it, as JSON text.
[[nodiscard]] std::string_view openapi_document();

/// What of it holds for these routes.
[[nodiscard]] nlohmann::json openapi_of(const HttpRoutes& routes);

/// Routes that are to be described and are not: "GET /path".
[[nodiscard]] std::vector<std::string> undescribed(const HttpRoutes& routes);

/// Adds the route; once all others are there.
void add_openapi_route(HttpRoutes& routes);

}  // namespace sluice::coordinator
