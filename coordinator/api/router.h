#pragma once
// The API room's one object: registers the public routes on an HttpRoutes table and answers them with a Backend.
//
// Threading: the coordinator's io_context thread. Lifetime: the router and its backend outlive the server that holds
// the routes. Failure: every request is answered once, with an OpenAI-shaped error where it fails; a stream that has
// begun ends with an error event and [DONE].
#include "coordinator/api/backend.h"
#include "coordinator/http/routes.h"

namespace sluice::coordinator {

class ApiRouter {
 public:
  explicit ApiRouter(Backend& backend) : backend_(backend) {}
  ApiRouter(const ApiRouter&) = delete;
  ApiRouter& operator=(const ApiRouter&) = delete;

  /// /v1/completions, /v1/chat/completions, /v1/models, /tokenize, /detokenize, /health, /version, /metrics
  void add_routes(HttpRoutes& routes);

 private:
  void completions(HttpRequest request, std::shared_ptr<Responder> out);
  void chat_completions(HttpRequest request, std::shared_ptr<Responder> out);
  void models(const HttpRequest& request, Responder& out) const;
  void tokenize(const HttpRequest& request, Responder& out) const;
  void detokenize(const HttpRequest& request, Responder& out) const;
  void health(Responder& out) const;

  Backend& backend_;
};

}  // namespace sluice::coordinator
