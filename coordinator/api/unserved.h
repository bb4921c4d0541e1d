#pragma once
// Routes of other servers that clients know and this one does not serve. They are answered by what is missing, not by
// "no such path", which sends people looking for a wrong base URL.
#include <string_view>

#include "coordinator/http/routes.h"

namespace sluice::coordinator {

/// Answers 404 `not_served`. `what` with its verb ("Embeddings are"); it outlives the handler.
[[nodiscard]] HttpHandler not_served(std::string_view what);

/// 404 `not_served` for each, whatever the method.
void add_unserved_routes(HttpRoutes& routes);

}  // namespace sluice::coordinator
