#pragma once
// The operator's page at /ui: static files that any client may have. What the page shows comes from the API, behind the
// same keys as for everybody; it changes no setting. Threading: the coordinator's io_context thread. Nothing fails.
#include "coordinator/http/routes.h"

namespace sluice::coordinator {

/// What a browser may do with the page: run and fetch what comes from here, and nothing else.
inline constexpr std::string_view kUiPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// GET /ui (the page) and /ui/NAME. Browsers may keep each file, and ask by its ETag whether it is still the one.
void add_ui_routes(HttpRoutes& routes);

}  // namespace sluice::coordinator
