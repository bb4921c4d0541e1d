#pragma once
// The routes of the Responses API: POST /v1/responses, and what was kept of earlier answers under /v1/responses/ID.
// Threading and lifetime: as ApiRouter; router and memory outlive the server that holds the routes.
#include "coordinator/api/responses/memory.h"
#include "coordinator/api/router.h"

namespace sluice::coordinator {

class ResponsesApi {
 public:
  ResponsesApi(ApiRouter& router, ResponseMemory& memory) : router_(router), memory_(memory) {}
  ResponsesApi(const ResponsesApi&) = delete;
  ResponsesApi& operator=(const ResponsesApi&) = delete;

  void add_routes(HttpRoutes& routes);

 private:
  [[nodiscard]] PromptResult prepare(HttpRequest request, const ServedNow& now);
  [[nodiscard]] HttpResponse get(const HttpRequest& request);
  [[nodiscard]] HttpResponse erase(const HttpRequest& request);

  ApiRouter& router_;
  ResponseMemory& memory_;
};

}  // namespace sluice::coordinator
