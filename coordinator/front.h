#pragma once
// A front: everything that answers the API on one thread, on top of a backend of that thread's. With one front thread
// it is the deciding thread's, on the serving room itself; with several, each has one on a remote backend.
// Threading: its io_context's thread. Lifetime: what it uses outlives it; it outlives the server.
#include "common/metrics.h"
#include "coordinator/api/prompt_desk.h"
#include "coordinator/api/responses/routes.h"
#include "coordinator/api/router.h"
#include "coordinator/http/observer.h"

namespace sluice::coordinator {

/// What all fronts share; any thread may use it.
struct FrontUses {
  PromptPool& prompts;
  Tenants& tenants;
  ResponseMemory& responses;
  Metrics& metrics;
  RequestTracing tracing;
};

class Front {
 public:
  Front(boost::asio::io_context& io, Backend& backend, const FrontUses& uses);

  /// The API's routes, and no other.
  void add_routes(HttpRoutes& routes);
  [[nodiscard]] HttpObserver& observer() noexcept { return observer_; }
  /// Answers those whose prompts are still being read with 503.
  void close() { desk_.close(); }

 private:
  PromptDesk desk_;
  ApiRouter router_;
  ResponsesApi responses_;
  HttpObserver observer_;
};

}  // namespace sluice::coordinator
