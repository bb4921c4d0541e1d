#pragma once
// Internal to the HTTP server: what OPTIONS is answered, CORS preflights among them. Pure; thread-safe.
#include <optional>
#include <string>

#include "coordinator/http/routes.h"
#include "coordinator/http/types.h"

namespace sluice::coordinator {

/// `origin`: the one that CORS allows; nothing: none, and the answer says only what the path takes.
[[nodiscard]] HttpResponse options_response(const HttpRequest& request, const HttpRoutes::Match& match,
                                            const std::optional<std::string>& origin);

}  // namespace sluice::coordinator
