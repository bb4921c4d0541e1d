#include "coordinator/api/router.h"

#include <utility>

#include "coordinator/api/generation.h"
#include "coordinator/api/openai_json.h"
#include "coordinator/api/prompt_work.h"
#include "coordinator/api/requests.h"

namespace sluice::coordinator {

using nlohmann::json;

void ApiRouter::add_routes(HttpRoutes& routes) {
  using Out = std::shared_ptr<Responder>;
  const auto add = [&](const char* path, Work work) {
    routes.add("POST", path, [this, work](HttpRequest q, Out out) { hand_over(std::move(q), std::move(out), work); });
  };
  add("/v1/completions", prepare_completion);
  add("/v1/chat/completions", prepare_chat);
  add("/tokenize", answer_tokenize);
  add("/detokenize", answer_detokenize);
  routes.add("GET", "/v1/models", [this](const HttpRequest&, const Out& out) {
    out->respond(json_response(models_json(backend_.model(), backend_.largest_context())));
  });
  routes.add_prefix("GET", "/v1/models/", [this](const HttpRequest& q, const Out& out) { models(q, *out); });
  routes.add("GET", "/tokenizer_info", [this](const HttpRequest&, const Out& out) { tokenizer_info(*out); });
  routes.add("GET", "/health", [this](const HttpRequest&, const Out& out) { health(*out); }, {.open = true});
  routes.add("GET", "/version",
             [](const HttpRequest&, const Out& out) { out->respond(json_response({{"version", SLUICE_VERSION}})); },
             {.open = true});
  routes.add(
      "GET", "/metrics",
      [this](const HttpRequest&, const Out& out) {
        out->respond({200, {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}, backend_.metrics_text()});
      },
      {.open = true});
}

std::string ApiRouter::client_of(const HttpRequest& q) const {
  if (keyed_)
    if (const auto key = q.headers.find("authorization")) return std::string(*key);
  return q.peer.substr(0, q.peer.rfind(':'));
}

void ApiRouter::hand_over(HttpRequest q, std::shared_ptr<Responder> out, Work work) {
  Generation::Spec spec{{}, client_of(q), q.request_id, q.received};
  PromptJob job{.client = spec.client, .bytes = q.body.size(), .work = {}};
  job.work = [q = std::move(q), work,
              now = ServedNow{backend_.model(), backend_.text(), backend_.largest_context()}]() mutable {
    return work(std::move(q), now);
  };
  executor_.submit(std::move(job), std::move(out),
                   [this, spec = std::move(spec)](PromptResult&& result, std::shared_ptr<Responder> to) mutable {
                     if (auto* answer = std::get_if<HttpResponse>(&result)) return to->respond(std::move(*answer));
                     spec.prepared = std::move(std::get<PreparedGeneration>(result));
                     std::make_shared<Generation>(backend_, executor_, std::move(spec), std::move(to))->begin();
                   });
}

void ApiRouter::models(const HttpRequest& request, Responder& out) const {
  if (!serves(backend_.model(), request.rest)) return out.respond(error_response(model_not_found(request.rest)));
  out.respond(json_response(model_json(backend_.model(), request.rest, backend_.largest_context())));
}

void ApiRouter::tokenizer_info(Responder& out) const {
  const std::string& info = backend_.model().tokenizer_info;
  if (info.empty())
    return out.respond(error_response(
        {404, "The model has no tokenizer_config.json.", "invalid_request_error", "", "not_found", std::nullopt}));
  out.respond({200, {{"content-type", "application/json"}}, info});
}

void ApiRouter::health(Responder& out) const {
  Health h = backend_.health();
  json body = {{"status", h.ready ? "ok" : "unavailable"}};
  if (!h.ready) body["reason"] = h.reason;
  if (h.detail.is_object()) body.update(h.detail);
  out.respond(json_response(body, h.ready ? 200 : 503));
}

}  // namespace sluice::coordinator
