#pragma once
// The API room's one object: registers the public routes on an HttpRoutes table and answers them with a Backend. What a
// client sent is read by a PromptExecutor, off this thread; legs are started when it is through.
//
// Threading: one io_context thread, the backend's and the executor's. Lifetime: the router and its backend outlive the
// server that holds the routes, and what the executor delivers. Failure: every request is answered once, with an
// OpenAI-shaped error where it fails; a stream that has begun ends with an error event and [DONE].
#include <memory>
#include <string>

#include "coordinator/api/backend.h"
#include "coordinator/api/prompt_executor.h"
#include "coordinator/api/prompt_work.h"
#include "coordinator/api/request_trace.h"
#include "coordinator/http/routes.h"
#include "coordinator/tenants/tenants.h"

namespace sluice::coordinator {

class ApiRouter {
 public:
  /// Clients are told apart by the API key that was checked, else by their address. `tenants` outlives this; null:
  /// nobody's requests are counted or bounded.
  ApiRouter(Backend& backend, PromptExecutor& executor, Tenants* tenants = nullptr, const RequestTracing& tracing = {})
      : backend_(backend), executor_(executor), tenants_(tenants), tracing_(tracing) {}
  ApiRouter(const ApiRouter&) = delete;
  ApiRouter& operator=(const ApiRouter&) = delete;

  /// /v1/completions, /v1/chat/completions, /v1/models, /tokenize, /detokenize, /tokenizer_info, /version
  void add_routes(HttpRoutes& routes);

  /// Has a request's text worked on, and its legs started: what every API's routes do with theirs.
  /// operation: as RequestTrace has it; empty: never traced.
  void hand_over(HttpRequest request, std::shared_ptr<Responder> out, PromptWork work, std::string_view operation);

 private:
  /// A request begins for its tenant. False: it was refused, and answered.
  [[nodiscard]] bool begin(const HttpRequest& request, std::shared_ptr<Responder>& out,
                           std::shared_ptr<Tenants::Lease>& lease);
  void models(const HttpRequest& request, Responder& out) const;
  void tokenizer_info(Responder& out) const;

  Backend& backend_;
  PromptExecutor& executor_;
  Tenants* tenants_;
  RequestTracing tracing_;
};

}  // namespace sluice::coordinator
